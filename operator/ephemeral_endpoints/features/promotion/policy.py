"""What a stage does next: a function of its promotions, its endpoint, the registry, and the clock. Pure.

At most one promotion runs. What should serve follows from the promotions alone, so that a process that dies between two
writes goes on where it was: the running one's version, else what the last one left. A promotion to an older version is
a rollback, which needs neither approval nor the end of a freeze, and pins the stage: nothing is promoted by itself
before a person promotes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Final

from ephemeral_endpoints.api.v1alpha1.duration import format_duration
from ephemeral_endpoints.api.v1alpha1.model_promotion import Outcome, PromotionKind
from ephemeral_endpoints.api.v1alpha1.packages import Approval
from ephemeral_endpoints.engine.conditions import Cause
from ephemeral_endpoints.features.promotion import causes, reasons
from ephemeral_endpoints.features.promotion.versions import Version

_STAYS: Final = frozenset({Outcome.SUCCEEDED, Outcome.FAILED})
"""The outcomes of promotions whose version stays what should serve; after the others it is the one before."""

_NOTHING: Final = "the source has no version that can be promoted: the stage goes on once there is one"

_ALWAYS: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Promotion:
    """A promotion that was begun or has ended; ``version`` replaced ``replaced``.

    ``number`` counts them: times are to the second, and of clocks that may be set back.
    """

    name: str
    version: Version
    kind: PromotionKind
    started_at: datetime
    replaced: Version | None = None
    outcome: Outcome | None = None
    finished_at: datetime | None = None
    message: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """A promotion that has not begun. Of a rollback without a version it is the one that served before.

    ``is_own``: the operator made it, not a person.
    """

    name: str
    version: Version | None
    kind: PromotionKind
    created_at: datetime
    bypasses: bool = False
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The endpoint of a stage: the version that its spec names, and what became of it.

    ``failure`` is why it does not serve, or does not pass its checks; ``unclear`` why its checks have no result.
    """

    version: Version | None = None
    is_rolled_out: bool = False
    is_verified: bool = False
    failure: str = ""
    unclear: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the source of a stage has. ``registry`` is None while it cannot be read.

    ``approved`` are the versions that may be promoted without anybody's further word, ``by_hand`` the one that a person
    has approved on the stage. ``newest`` is the newest that is not rejected, and ``next_at`` when time alone will
    approve another one.
    """

    registry: Mapping[Version, Approval] | None
    approved: frozenset[Version] = frozenset()
    newest: Version | None = None
    by_hand: Version | None = None
    next_at: datetime | None = None
    error: Cause | None = None

    def says(self, version: Version | None, approval: Approval) -> bool:
        """Whether the registry is known to say that of a version."""
        return self.registry is not None and version is not None and self.registry.get(version) is approval

    def is_usable(self, version: Version) -> bool:
        """Whether the registry is not known to reject or to lack a version."""
        return not self.says(version, Approval.REJECTED) and not self.lacks(version)

    def lacks(self, version: Version) -> bool:
        """Whether the registry is known not to have a version."""
        return self.registry is not None and version not in self.registry


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision depends on. ``past`` are the promotions that were begun and have ended, in any order."""

    offer: Offer
    past: tuple[Promotion, ...] = ()
    running: Promotion | None = None
    requests: tuple[Request, ...] = ()
    endpoint: Endpoint = field(default_factory=Endpoint)
    auto_rollback: bool = True
    timeout: timedelta = timedelta(hours=1)
    suspended: bool = False
    frozen_until: datetime | None = None

    @property
    def begun(self) -> list[Promotion]:
        """All promotions that were begun, in their order."""
        begun = [*self.past, *([self.running] if self.running else [])]
        return sorted(begun, key=lambda each: (each.number, each.started_at))

    @property
    def last(self) -> Promotion | None:
        """The last promotion that ended."""
        return next((each for each in reversed(self.begun) if each.outcome), None)

    @property
    def intended(self) -> Version | None:
        """The version that should serve; where no promotion is known any more, the one that does."""
        return self.intended_at(_ALWAYS) or self.endpoint.version

    def intended_at(self, moment: datetime) -> Version | None:
        """The version that should serve by the promotions until a moment."""
        last = next((each for each in reversed(self.begun) if each.started_at <= moment), None)
        if last is None:
            return None
        has_ended = last.finished_at is not None and last.finished_at < moment
        stays = not has_ended or last.outcome in _STAYS or last.replaced is None
        return last.version if stays else last.replaced

    @property
    def served(self) -> list[Version]:
        """The versions that were promoted with success, in their order; one that was promoted twice is there twice."""
        return [
            each.version
            for each in self.begun
            if each.outcome is Outcome.SUCCEEDED and each.kind is PromotionKind.PROMOTION
        ]

    @property
    def failed(self) -> frozenset[Version]:
        """The versions that were taken back: they are promoted again by a person only."""
        failed: set[Version] = set()
        for each in self.begun:
            if each.outcome is Outcome.SUCCEEDED:
                failed.discard(each.version)
                if each.kind is PromotionKind.ROLLBACK and each.replaced:
                    failed.add(each.replaced)
            elif each.outcome is not None and each.kind is PromotionKind.PROMOTION:
                failed.add(each.version)
        return frozenset(failed)

    @property
    def pinned_to(self) -> Version | None:
        """The version that the stage went back to; None if it goes on by itself."""
        last = self.last
        if last is None or (last.kind is PromotionKind.PROMOTION and last.outcome in _STAYS):
            return None
        return self.intended

    def before(self, version: Version | None) -> Version | None:
        """The version that served before another one, and that the registry neither rejects nor lacks."""
        served = self.served
        until = len(served) - served[::-1].index(version) - 1 if version in served else len(served)
        others = (each for each in reversed(served[:until]) if each != version)
        return next((each for each in others if self.offer.is_usable(each)), None)


class Step(Enum):
    """What is done about a promotion."""

    MAKE = auto()
    BEGIN = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Action:
    """One step, after which is decided anew. ``name`` is that of a promotion that there is."""

    step: Step
    name: str = ""
    version: Version | None = None
    kind: PromotionKind = PromotionKind.PROMOTION
    outcome: Outcome | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now, which version should serve meanwhile, how the stage is, and when to decide again.

    ``waits`` has the reason of each request that waits, by its name.
    """

    serve: Version | None
    state: Cause
    action: Action | None = None
    due_at: datetime | None = None
    waits: Mapping[str, Cause] = field(default_factory=dict)


def decide(given: Situation, now: datetime) -> Decision:
    """The next step of a stage."""
    requests = sorted(given.requests, key=lambda each: (each.kind is not PromotionKind.ROLLBACK, each.created_at))
    waits: dict[str, Cause] = {}
    for request in requests:
        verdict = _admit(given, request, now)
        if isinstance(verdict, Action):
            return _about(given, request, verdict)
        waits[request.name] = verdict
    if given.running:
        return _run(given, given.running, waits, now)
    if fallback := _fallback(given):
        return Decision(given.intended, Cause(reasons.ROLLING_BACK, fallback.message), fallback)
    return _rest(given, waits, now)


def awaited(given: Situation, decision: Decision) -> Version | None:
    """The version that is promoted, or waits for that: the one that the decision's state is about, else the newest."""
    running, newest = given.running, given.offer.newest
    if running and running.kind is PromotionKind.PROMOTION:
        return running.version
    waiting = (each.version for each in given.requests if decision.waits.get(each.name) is decision.state)
    return next(waiting, None) or (newest if newest and newest.is_newer_than(given.intended) else None)


def _about(given: Situation, request: Request, verdict: Action) -> Decision:
    """Begin or refuse a request; a rollback first ends what runs."""
    running = given.running
    if running and verdict.step is Step.BEGIN:
        message = f"the rollback {request.name} was asked for"
        verdict = Action(Step.END, running.name, outcome=Outcome.SUPERSEDED, message=message)
    return Decision(given.intended, Cause(reasons.PROMOTING, f"promotion {request.name}"), verdict)


def _admit(given: Situation, request: Request, now: datetime) -> Action | Cause:
    """Begin or refuse the request, or why it waits."""
    if request.kind is PromotionKind.ROLLBACK:
        version = request.version or given.before(given.intended_at(request.created_at))
        why = _why_no_rollback(given, version)
    else:
        version = request.version
        why = _why_no_promotion(given, request, version) if version else "it names no version"
    if why:
        return Action(Step.END, request.name, version, outcome=Outcome.REFUSED, message=why)
    if request.kind is PromotionKind.PROMOTION and version and (cause := _why_later(given, request, version, now)):
        return cause
    return Action(Step.BEGIN, request.name, version, request.kind)


def _why_no_rollback(given: Situation, version: Version | None) -> str | None:
    if version is None:
        return "no version served here before that exists still and is not rejected"
    if version not in given.served:
        return f"{version} never served here: create a ModelPromotion of kind Promotion"
    if given.offer.says(version, Approval.REJECTED):
        return f"{version} is rejected in the registry: approve it there first"
    if given.offer.lacks(version):
        return f"{version} does not exist any more: name another version that served here"
    was_running = given.last is not None and given.last.outcome is Outcome.SUPERSEDED
    if version == given.intended and given.running is None and not was_running:
        return f"{version} serves already"
    return None


def _why_no_promotion(given: Situation, request: Request, version: Version) -> str | None:
    offer = given.offer
    if offer.says(version, Approval.REJECTED):
        return f"{version} is rejected in the registry"
    if offer.lacks(version):
        return f"{version} does not exist, or does not exist any more"
    if request.is_own and offer.registry is not None and version not in offer.approved:
        return f"{version} is no longer approved"
    if version == given.intended and given.pinned_to is None and given.running is None:
        return f"{version} is promoted already"
    return None


def _why_later(given: Situation, request: Request, version: Version, now: datetime) -> Cause | None:
    if given.offer.registry is None:
        return given.offer.error or causes.unread()
    if not request.bypasses and version not in given.offer.approved:
        return causes.unapproved(version)
    if cause := _held(given, now):
        return cause
    if given.running:
        return Cause(reasons.QUEUED, f"promotion {request.name} waits for {given.running.name} to end")
    return None


def _held(given: Situation, now: datetime) -> Cause | None:
    """Why nothing is promoted now, whatever it is."""
    if given.suspended:
        return Cause(
            reasons.PROMOTION_SUSPENDED, "spec.suspend is true: no promotion begins until a person sets it to false"
        )
    if given.frozen_until and given.frozen_until > now:
        return Cause(reasons.FROZEN, f"no promotion begins until {given.frozen_until:%Y-%m-%d %H:%M} UTC (spec.freeze)")
    return None


def _run(given: Situation, running: Promotion, waits: Mapping[str, Cause], now: datetime) -> Decision:
    """How the promotion that runs goes on."""
    deadline = running.started_at + given.timeout
    why = _failure(given, running)
    if not why and given.endpoint.version == running.version and given.endpoint.is_verified:
        ended = Action(Step.END, running.name, outcome=Outcome.SUCCEEDED, message=f"{running.version} serves")
        return Decision(running.version, Cause(reasons.PROMOTED, ended.message), ended, waits=waits)
    if not why and now >= deadline:
        late = f"it took longer than spec.timeout ({format_duration(given.timeout)})"
        why = f"{late}: {given.endpoint.unclear or 'it is not ready'}"
    if why:
        goes_back = running.kind is PromotionKind.PROMOTION and given.auto_rollback and running.replaced is not None
        outcome = Outcome.ROLLED_BACK if goes_back else Outcome.FAILED
        serve = running.replaced if goes_back else running.version
        ended = Action(Step.END, running.name, outcome=outcome, message=why)
        return Decision(serve, Cause(reasons.PROMOTION_FAILED, why), ended, waits=waits)
    return Decision(running.version, _progress(given, running), due_at=deadline, waits=waits)


def _failure(given: Situation, running: Promotion) -> str:
    if running.kind is PromotionKind.PROMOTION and given.offer.says(running.version, Approval.REJECTED):
        return f"{running.version} was rejected in the registry"
    return given.endpoint.failure if given.endpoint.version == running.version else ""


def _progress(given: Situation, running: Promotion) -> Cause:
    endpoint = given.endpoint
    if running.kind is PromotionKind.ROLLBACK:
        return Cause(reasons.ROLLING_BACK, f"going back to {running.version} ({running.name})")
    if endpoint.version != running.version or not endpoint.is_rolled_out:
        return Cause(reasons.PROMOTING, f"rolling out {running.version} ({running.name})")
    if endpoint.unclear:
        return Cause(
            reasons.VERIFICATION_INCONCLUSIVE,
            f"{running.version} serves, but its checks have no result: {endpoint.unclear}; remove the cause, and run "
            "them again (`eep check`)",
        )
    return Cause(reasons.VERIFYING, f"{running.version} serves; its checks are running ({running.name})")


def _fallback(given: Situation) -> Action | None:
    """The way back from a version that was rejected: one that served here, and is approved still."""
    intended = given.intended
    if not given.auto_rollback or not given.offer.says(intended, Approval.REJECTED):
        return None
    approved = [each for each in given.served if given.offer.says(each, Approval.APPROVED) and each not in given.failed]
    if not approved:
        return None
    message = f"{intended} was rejected in the registry while it served"
    return Action(Step.MAKE, version=max(approved), kind=PromotionKind.ROLLBACK, message=message)


def _rest(given: Situation, waits: Mapping[str, Cause], now: datetime) -> Decision:
    """A stage in which nothing runs: whether something begins by itself, or what it waits for."""
    intended, offer = given.intended, given.offer
    candidate = _candidate(given)
    held = _held(given, now)
    if candidate and not held and not any(each.version == candidate for each in given.requests):
        message = f"{candidate} is approved"
        made = Action(Step.MAKE, version=candidate, message=message)
        return Decision(intended, Cause(reasons.PROMOTING, message), made, waits=waits)
    dues = [each for each in (given.frozen_until, offer.next_at) if each and each > now]
    state = _state(given, candidate, held, waits)
    return Decision(intended, state, due_at=min(dues, default=None), waits=waits)


def _candidate(given: Situation) -> Version | None:
    """The version that is promoted by itself, as soon as nothing holds it."""
    by_hand = {given.offer.by_hand} if given.offer.by_hand else set()
    possible = given.offer.approved & by_hand if given.pinned_to else given.offer.approved
    newer = [each for each in possible if each.is_newer_than(given.intended) and each not in given.failed]
    return max(newer, default=None, key=lambda each: each.number)


def _state(given: Situation, candidate: Version | None, held: Cause | None, waits: Mapping[str, Cause]) -> Cause:
    """How a stage is in which nothing runs, the most urgent first."""
    offer, intended = given.offer, given.intended
    causes = (*_troubles(given), *waits.values(), held if candidate else None, _awaited(given))
    if cause := next(filter(None, causes), None):
        return cause
    if intended is None:
        return offer.error or Cause(reasons.NOTHING_TO_PROMOTE, _NOTHING)
    return Cause(reasons.PROMOTED, f"{intended} serves, and there is no newer candidate")


def _troubles(given: Situation) -> Iterator[Cause | None]:
    """What somebody should look at."""
    offer, intended, last = given.offer, given.intended, given.last
    yield offer.error
    if offer.says(intended, Approval.REJECTED):
        yield causes.rejected(intended)
    if last and last.outcome is Outcome.FAILED:
        yield causes.ended_badly(last.version, last.message, is_rollback=last.kind is PromotionKind.ROLLBACK)
    if given.pinned_to:
        yield causes.pinned(given.pinned_to, last.message if last else "")
    # What was promoted already stays approved for ever, and may be deleted.
    if offer.by_hand and offer.lacks(offer.by_hand) and offer.by_hand.is_newer_than(intended):
        yield causes.gone(offer.by_hand)


def _awaited(given: Situation) -> Cause | None:
    """What the newest version waits for, if it is newer than what serves."""
    offer, newest = given.offer, given.offer.newest
    if newest is None or not newest.is_newer_than(given.intended) or newest in given.failed:
        return None
    return causes.soaking(newest, offer.next_at) if offer.next_at else causes.unapproved(newest)
