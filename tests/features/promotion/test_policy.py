"""What a stage does next: tables of single decisions, and a stage that lives through arbitrary days."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ephemeral_endpoints.api.v1alpha1.model_promotion import Outcome, PromotionKind
from ephemeral_endpoints.api.v1alpha1.packages import Approval
from ephemeral_endpoints.engine.conditions import Cause
from ephemeral_endpoints.features.promotion import reasons
from ephemeral_endpoints.features.promotion.policy import (
    Decision,
    Endpoint,
    Offer,
    Promotion,
    Request,
    Situation,
    Step,
    awaited,
    decide,
)
from ephemeral_endpoints.features.promotion.versions import Version

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
V1, V2, V3, V4 = (Version("wine", number) for number in range(1, 5))
SOON = NOW + timedelta(hours=1)
OK, PENDING, REJECTED = Approval.APPROVED, Approval.PENDING, Approval.REJECTED
UP, BACK = PromotionKind.PROMOTION, PromotionKind.ROLLBACK


def hours(count: float) -> datetime:
    """So many hours before now."""
    return NOW - timedelta(hours=count)


def offer(registry: Mapping[Version, Approval], **fields: object) -> Offer:
    """What a stage has whose source is a group."""
    approved = frozenset(version for version, each in registry.items() if each is OK)
    newest = max((version for version, each in registry.items() if each is not REJECTED), default=None)
    return replace(Offer(registry, approved, newest), **fields)  # type: ignore[arg-type]  # any field


def done(  # noqa: PLR0917 - what a promotion is
    version: Version,
    ago: float,
    outcome: Outcome = Outcome.SUCCEEDED,
    kind: PromotionKind = UP,
    replaced: Version | None = None,
    message: str = "",
) -> Promotion:
    return Promotion(f"p{ago}", version, kind, hours(ago), replaced, outcome, hours(ago - 0.1), message)


def running(version: Version, replaced: Version | None = None, kind: PromotionKind = UP, ago: float = 0.1) -> Promotion:
    return Promotion("run", version, kind, hours(ago), replaced)


def asked(version: Version | None, kind: PromotionKind = UP, **fields: object) -> Request:
    return replace(Request("req", version, kind, NOW), **fields)  # type: ignore[arg-type]  # any field


def serving(version: Version) -> Endpoint:
    return Endpoint(version, is_rolled_out=True, is_verified=True)


ONE = (done(V1, 10),)
TWO = (done(V1, 10), done(V2, 8, replaced=V1))
PINNED = (*TWO, done(V3, 6, Outcome.ROLLED_BACK, replaced=V2, message="ChecksFailed"))
ALL = {V1: OK, V2: OK, V3: OK}


def told(decision: Decision) -> str:
    """The action and the reason of a decision, for tables."""
    action = decision.action
    if action is None:
        return f"- {decision.state.reason}"
    outcome = f" {action.outcome}" if action.outcome else ""
    return f"{action.step.name} {action.version or action.name}{outcome}"


@pytest.mark.parametrize(
    ("given_", "expected", "serve", "reason"),
    [
        (Situation(offer({})), "- NothingToPromote", None, "an empty group"),
        (Situation(offer({V1: OK})), "MAKE wine/1", None, "the first version"),
        (Situation(offer({V1: PENDING})), "- AwaitingApproval", None, "the first version waits for a person"),
        (Situation(offer({V1: REJECTED})), "- NothingToPromote", None, "a rejected one waits for nobody"),
        (Situation(offer(ALL), ONE, endpoint=serving(V1)), "MAKE wine/3", V1, "the newest, not each in turn"),
        (Situation(offer({V1: OK, V2: PENDING}), ONE), "- AwaitingApproval", V1, "what serves goes on serving"),
        (Situation(offer({V1: OK}), TWO), "- Promoted", V2, "never by itself to an older version"),
        (Situation(offer(ALL), ONE, suspended=True), "- PromotionSuspended", V1, "suspended"),
        (Situation(offer({V1: OK}), ONE, suspended=True), "- Promoted", V1, "suspended, with nothing to do"),
        (Situation(offer(ALL), ONE, frozen_until=SOON), "- Frozen", V1, "frozen"),
        (Situation(offer(ALL), ONE, frozen_until=NOW), "MAKE wine/3", V1, "the freeze ends now"),
        (Situation(offer(ALL), PINNED), "- StagePinned", V2, "after a rollback, whatever there is"),
        (Situation(offer({**ALL, V4: OK}), PINNED), "- StagePinned", V2, "not even a newer version than the bad one"),
        (Situation(offer({**ALL, V4: OK}, by_hand=V4), PINNED), "MAKE wine/4", V2, "a person names the newer version"),
        (Situation(offer(ALL, by_hand=V3), PINNED), "- StagePinned", V2, "an approval from before the failure is void"),
        (
            Situation(Offer(None, error=Cause(reasons.REGISTRY_UNAVAILABLE, "denied")), ONE),
            "- RegistryUnavailable",
            V1,
            "denied: it serves on",
        ),
        (
            Situation(offer(ALL, by_hand=V4), (*TWO, done(V3, 6))),
            "- ApprovedVersionGone",
            V3,
            "what was approved is gone",
        ),
        (
            Situation(offer({V2: OK, V3: OK}, by_hand=V1), (*TWO, done(V3, 6))),
            "- Promoted",
            V3,
            "what was approved long ago may be deleted",
        ),
        (Situation(offer({V1: OK}, by_hand=V2), TWO), "- Promoted", V2, "what serves may be deleted: it serves on"),
        (Situation(offer({}), TWO), "- Promoted", V2, "the group was deleted: what serves goes on serving"),
        (
            Situation(offer({V1: PENDING, V2: PENDING}, by_hand=V4), ONE),
            "- ApprovedVersionGone",
            V1,
            "before what waits for an approval: somebody expects it to serve",
        ),
        (Situation(offer({V1: OK, V2: REJECTED}), TWO), "MAKE wine/1", V2, "rejected: the version before is approved"),
        (Situation(offer({V1: PENDING, V2: REJECTED}), TWO), "- RejectedButServing", V2, "none is approved"),
        (Situation(offer({V1: OK, V2: REJECTED}), (done(V2, 8),)), "- RejectedButServing", V2, "none served before"),
        (
            Situation(offer({V1: OK, V2: REJECTED}), TWO, auto_rollback=False),
            "- RejectedButServing",
            V2,
            "it must not go back by itself",
        ),
        (
            Situation(offer({V1: OK, V2: REJECTED, V3: OK}), TWO),
            "MAKE wine/1",
            V2,
            "what is known to work comes before what is new",
        ),
        (
            Situation(offer({V1: OK, V2: REJECTED}), TWO, suspended=True, frozen_until=SOON),
            "MAKE wine/1",
            V2,
            "neither a freeze nor suspend stops the way back",
        ),
        (
            Situation(offer({V1: OK}), (done(V1, 9, Outcome.FAILED, message="Stalled"),)),
            "- PromotionFailed",
            V1,
            "the first one failed: there is nothing to go back to",
        ),
        (
            Situation(offer({V1: OK, V2: OK}), (done(V1, 9, Outcome.FAILED),)),
            "MAKE wine/2",
            V1,
            "a newer version repairs that",
        ),
    ],
)
def test_a_stage_at_rest(given_: Situation, expected: str, serve: Version | None, reason: str) -> None:
    decision = decide(given_, NOW)
    assert (told(decision), decision.serve) == (expected, serve), reason


@pytest.mark.parametrize(
    ("request_", "given_", "expected", "reason"),
    [
        (asked(V2), Situation(offer({V1: OK, V2: OK}), ONE), "BEGIN wine/2", "approved"),
        (asked(V2), Situation(offer({V1: OK, V2: PENDING}), ONE), "waits AwaitingApproval", "not approved"),
        (asked(V2, bypasses=True), Situation(offer({V1: OK, V2: PENDING}), ONE), "BEGIN wine/2", "bypassed"),
        (asked(V2, bypasses=True), Situation(offer({V2: REJECTED}), ONE), "END wine/2 Refused", "nobody serves that"),
        (asked(V4, bypasses=True), Situation(offer(ALL), ONE), "END wine/4 Refused", "a version that is gone"),
        (asked(V2, is_own=True), Situation(offer({V2: PENDING}), ONE), "END wine/2 Refused", "no longer approved"),
        (asked(V2, is_own=True), Situation(offer({V2: REJECTED}), ONE), "END wine/2 Refused", "rejected at once"),
        (asked(V2, is_own=True), Situation(offer({V1: OK}), ONE), "END wine/2 Refused", "deleted since the approval"),
        (asked(V2, is_own=True), Situation(Offer(None), ONE), "waits RegistryUnavailable", "it may be gone"),
        (
            asked(V3),
            Situation(offer(ALL), TWO, running=running(V1, V2, BACK)),
            "waits Queued",
            "a rollback is not interrupted by a promotion",
        ),
        (
            asked(None, BACK),
            Situation(offer(ALL), TWO, running=running(V1, V2, BACK)),
            "END req Refused",
            "nothing is before what the rollback goes back to",
        ),
        (
            asked(None, BACK),
            Situation(offer({V1: OK, V3: OK}), (*TWO, done(V3, 6, replaced=V2))),
            "BEGIN wine/1",
            "the version before is gone from the registry",
        ),
        (asked(V1, BACK), Situation(offer({V2: OK}), TWO), "END wine/1 Refused", "a version that is gone"),
        (asked(None, BACK), Situation(offer({}), TWO), "END req Refused", "the group was deleted: nothing is there"),
        (asked(V2), Situation(offer(ALL), ONE, suspended=True), "waits PromotionSuspended", "suspended"),
        (
            asked(V2, bypasses=True),
            replace(Situation(offer(ALL), ONE), frozen_until=SOON),
            "waits Frozen",
            "frozen too",
        ),
        (asked(V1), Situation(offer({V1: OK}), ONE), "END wine/1 Refused", "it serves already"),
        (asked(V2), Situation(offer(ALL), PINNED), "BEGIN wine/2", "what serves is promoted to take the pin off"),
        (asked(V3), Situation(offer(ALL), PINNED), "BEGIN wine/3", "a person may try the bad version again"),
        (asked(V1), Situation(offer(ALL), TWO), "BEGIN wine/1", "a person may promote an older version"),
        (asked(V2), Situation(Offer(None), ONE), "waits RegistryUnavailable", "nobody knows whether it is approved"),
        (asked(V2), Situation(offer(ALL), ONE, running=running(V3, V1)), "waits Queued", "one after the other"),
        (asked(None, BACK), Situation(offer(ALL), TWO), "BEGIN wine/1", "the version before"),
        (
            asked(None, BACK),
            replace(Situation(offer(ALL), TWO), suspended=True, frozen_until=SOON),
            "BEGIN wine/1",
            "always",
        ),
        (asked(None, BACK), Situation(Offer(None), TWO), "BEGIN wine/1", "although the registry is denied"),
        (asked(None, BACK), Situation(offer(ALL), PINNED), "BEGIN wine/1", "further back than a rollback went"),
        (asked(None, BACK), Situation(offer({V1: REJECTED}), TWO), "END req Refused", "none that is not rejected"),
        (asked(None, BACK), Situation(offer(ALL), ONE), "END req Refused", "nothing served before"),
        (asked(V1, BACK), Situation(offer(ALL), TWO), "BEGIN wine/1", "a version that served"),
        (asked(V3, BACK), Situation(offer(ALL), TWO), "END wine/3 Refused", "it would be a promotion without approval"),
        (asked(V1, BACK), Situation(offer({V1: REJECTED}), TWO), "END wine/1 Refused", "a rejected one"),
        (asked(V1, BACK), Situation(offer(ALL), ONE), "END wine/1 Refused", "it serves already"),
        (
            asked(None, BACK),
            Situation(offer(ALL), ONE, running=running(V2, V1)),
            "END run Superseded",
            "a rollback ends what runs",
        ),
        (
            asked(None, BACK),
            Situation(
                offer(ALL),
                (*TWO, Promotion("run", V3, UP, hours(0.1), V2, Outcome.SUPERSEDED, NOW)),
            ),
            "BEGIN wine/2",
            "and goes back to what served when it was asked for, within the same second too",
        ),
    ],
)
def test_what_becomes_of_a_request(request_: Request, given_: Situation, expected: str, reason: str) -> None:
    decision = decide(replace(given_, requests=(request_,)), NOW)
    waits = decision.waits.get("req")
    assert (f"waits {waits.reason}" if waits else told(decision)) == expected, reason


@pytest.mark.parametrize(
    ("given_", "expected", "serve", "reason"),
    [
        (Situation(offer(ALL), ONE, running(V2, V1), endpoint=serving(V1)), "- Promoting", V2, "the rollout begins"),
        (
            Situation(offer(ALL), ONE, running(V2, V1), endpoint=Endpoint(V2, is_rolled_out=True)),
            "- Verifying",
            V2,
            "the checks run",
        ),
        (
            Situation(offer(ALL), ONE, running(V2, V1), endpoint=Endpoint(V2, is_rolled_out=True, unclear="no answer")),
            "- VerificationInconclusive",
            V2,
            "neither passed nor failed: somebody may run them again",
        ),
        (
            Situation(offer(ALL), ONE, running(V2, V1), endpoint=serving(V2)),
            "END run Succeeded",
            V2,
            "rolled out and verified",
        ),
        (
            Situation(offer(ALL), ONE, running(V2, V1), endpoint=Endpoint(V2, failure="RolledBack: an alarm")),
            "END run RolledBack",
            V1,
            "an alarm",
        ),
        (
            Situation(offer(ALL), ONE, running(V2, V1), endpoint=Endpoint(V1, failure="RolledBack: an alarm")),
            "- Promoting",
            V2,
            "a failure of the version before is not of this one",
        ),
        (
            Situation(offer(ALL), ONE, running(V2, V1), endpoint=Endpoint(V2, failure="x"), auto_rollback=False),
            "END run Failed",
            V2,
            "it must not go back by itself",
        ),
        (
            Situation(offer(ALL), (), running(V1), endpoint=Endpoint(V1, failure="x")),
            "END run Failed",
            V1,
            "the first version has none before it",
        ),
        (
            Situation(offer({V2: REJECTED}), ONE, running(V2, V1), endpoint=serving(V2)),
            "END run RolledBack",
            V1,
            "rejected in the midst",
        ),
        (
            Situation(Offer(None), ONE, running(V2, V1), endpoint=serving(V2)),
            "END run Succeeded",
            V2,
            "what has begun does not need the registry",
        ),
        (
            Situation(offer(ALL), ONE, running(V2, V1, ago=1), endpoint=Endpoint(V2)),
            "END run RolledBack",
            V1,
            "it takes too long",
        ),
        (
            Situation(offer(ALL), TWO, running(V1, V2, BACK, ago=1), endpoint=Endpoint(V1)),
            "END run Failed",
            V1,
            "a rollback does not go back to what it left",
        ),
        (
            Situation(offer({V1: REJECTED}), TWO, running(V1, V2, BACK), endpoint=serving(V1)),
            "END run Succeeded",
            V1,
            "a rollback that has begun ends",
        ),
        (
            replace(
                Situation(offer(ALL), ONE, running(V2, V1), endpoint=Endpoint(V2)), suspended=True, frozen_until=SOON
            ),
            "- Promoting",
            V2,
            "a freeze lets what runs go on",
        ),
    ],
)
def test_a_promotion_that_runs(given_: Situation, expected: str, serve: Version, reason: str) -> None:
    decision = decide(given_, NOW)
    assert (told(decision), decision.serve) == (expected, serve), reason


def test_a_promotion_is_looked_at_again_when_its_time_is_over() -> None:
    given_ = Situation(offer(ALL), ONE, running(V2, V1), timeout=timedelta(minutes=30))
    assert decide(given_, NOW).due_at == hours(0.1) + timedelta(minutes=30)


def test_a_frozen_stage_is_looked_at_again_when_the_freeze_ends() -> None:
    until = NOW + timedelta(hours=3)
    assert decide(Situation(offer(ALL), ONE, frozen_until=until), NOW).due_at == until


@dataclass
class Stage:
    """A stage with its promotions as objects, to which decisions are applied one by one."""

    registry: dict[Version, Approval] = field(default_factory=dict)
    past: list[Promotion] = field(default_factory=list)
    running: list[Promotion] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    endpoint: Endpoint = field(default_factory=Endpoint)
    suspended: bool = False
    now: datetime = NOW
    count: int = 0
    is_denied: bool = False

    @property
    def situation(self) -> Situation:
        error = Cause(reasons.REGISTRY_UNAVAILABLE, "denied") if self.is_denied else None
        known = Offer(None, error=error) if self.is_denied else offer(self.registry)
        return Situation(
            known,
            tuple(self.past),
            self.running[0] if self.running else None,
            tuple(self.requests),
            endpoint=self.endpoint,
            suspended=self.suspended,
        )

    def settle(self) -> None:
        """Decide until nothing is left to do."""
        for _ in range(50):
            given_ = self.situation
            decision = decide(given_, self.now)
            if decision.serve != self.endpoint.version:
                assert decision.serve is not None, "nothing is ever taken down"
                self.endpoint = Endpoint(decision.serve)
            if decision.action is None:
                return
            self.apply(given_, decision)
        raise AssertionError("the stage does not come to rest")

    def apply(self, given_: Situation, decision: Decision) -> None:
        action = decision.action
        assert action is not None
        self.now += timedelta(seconds=1)
        if action.step is Step.MAKE:
            assert action.version is not None
            if action.kind is UP:
                assert given_.pinned_to is None, "a pinned stage promotes nothing by itself"
                assert not given_.suspended
                assert self.registry[action.version] is OK
            self.ask(action.version, action.kind, is_own=True)
        elif action.step is Step.BEGIN:
            assert action.version is not None
            assert not self.running, "at most one promotion runs"
            self.requests = [each for each in self.requests if each.name != action.name]
            self.running.append(Promotion(action.name, action.version, action.kind, self.now, given_.intended))
        elif running := next((each for each in self.running if each.name == action.name), None):
            self.running.remove(running)
            self.past.append(replace(running, outcome=action.outcome, finished_at=self.now))
        else:
            assert action.outcome is Outcome.REFUSED
            self.requests = [each for each in self.requests if each.name != action.name]

    def ask(self, version: Version | None, kind: PromotionKind, *, is_own: bool = False) -> None:
        self.count += 1
        self.requests.append(Request(f"p{self.count}", version, kind, self.now, is_own=is_own))


EVENTS = st.sampled_from(
    ["register", "approve", "reject", "works", "fails", "suspend", "promote", "rollback", "overdue", "deny"]
)


@given(st.lists(st.tuples(EVENTS, st.integers(0, 5)), max_size=30))
@settings(max_examples=150, deadline=None)
def test_whatever_happens_a_stage_keeps_its_promises(events: list[tuple[str, int]]) -> None:
    """Never an outage by a rejection, at most one promotion at a time, nothing by itself while pinned."""
    stage = Stage()
    for event, number in events:
        happen(stage, event, number)
        stage.now += timedelta(seconds=1)
        stage.settle()
    bad = [version for version, each in stage.registry.items() if each is REJECTED]
    assert not stage.past or stage.endpoint.version is not None, bad


@given(st.lists(st.tuples(EVENTS, st.integers(0, 5)), max_size=20))
@settings(max_examples=100, deadline=None)
def test_a_rollback_is_always_possible_to_a_version_that_served(events: list[tuple[str, int]]) -> None:
    stage = Stage()
    for event, number in events:
        happen(stage, event, number)
        stage.now += timedelta(seconds=1)
        stage.settle()
    given_ = stage.situation
    target = given_.before(given_.intended)
    stage.now += timedelta(seconds=1)
    stage.suspended = True
    stage.ask(None, BACK)
    stage.settle()
    assert target is None or stage.endpoint.version == target


def happen(stage: Stage, event: str, number: int) -> None:
    """One thing that people, the registry, SageMaker or time may do to a stage."""
    versions = sorted(stage.registry)
    one = versions[number % len(versions)] if versions else None
    endpoint = stage.endpoint
    match event:
        case "register":
            stage.registry[Version("wine", len(versions) + 1)] = PENDING
        case "approve" | "reject" if one:
            stage.registry[one] = OK if event == "approve" else REJECTED
        case "works" if endpoint.version:
            stage.endpoint = serving(endpoint.version)
        case "fails" if endpoint.version and not endpoint.is_verified:
            stage.endpoint = Endpoint(endpoint.version, failure="ChecksFailed")
        case "promote" | "rollback" if one:
            stage.ask(one, UP if event == "promote" else BACK)
        case "suspend":
            stage.suspended = not stage.suspended
        case "deny":
            stage.is_denied = not stage.is_denied
        case "overdue":
            stage.now += timedelta(hours=2)


@pytest.mark.parametrize(
    ("given_", "version", "why"),
    [
        (Situation(offer({V1: OK})), V1, "the newest, before it begins"),
        (Situation(offer({V1: OK}), ONE), None, "nothing is newer"),
        (Situation(offer({V1: OK, V2: PENDING, V3: PENDING}), ONE), V3, "the newest waits for a person"),
        (
            Situation(offer({V1: OK, V2: PENDING, V3: PENDING}), ONE, requests=(asked(V2),)),
            V2,
            "a person asked for another one, whose approval is waited for",
        ),
        (Situation(offer(ALL), ONE, running(V2, V1)), V2, "the one that is rolled out"),
        (Situation(offer(ALL), TWO, running(V1, V2, BACK)), V3, "a rollback is no promotion"),
    ],
)
def test_the_version_that_an_approver_is_shown_is_the_one_that_waits(
    given_: Situation, version: Version | None, why: str
) -> None:
    assert awaited(given_, decide(given_, NOW)) == version, why
