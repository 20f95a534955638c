"""The operator that leads: it decides everything with the operator's own functions, in the order of its controllers.

What is left out are the edges: requests, the inventory of lists (it sees the account as it is), builds and probes.
"""

from collections.abc import Callable, Collection, Coroutine, Generator
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from typing import Any, Final

from eep_platform.bench.month.agenda import HOUR, MINUTE, moment
from eep_platform.bench.month.conditions import conditions_of, wire
from eep_platform.bench.month.story import Trouble
from eep_platform.bench.month.world import CLUSTER_ID, World
from ephemeral_endpoints.api import CONFIRM_CLOSED_ANNOTATION, FINALIZER, OVER_BUDGET_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_status import Cost
from ephemeral_endpoints.controllers.endpoint.status import cost
from ephemeral_endpoints.controllers.orphans.policy import (
    Breaker,
    Sightings,
    is_mature,
    likely_users,
    orphans,
    remaining,
    sightings,
)
from ephemeral_endpoints.engine.clocks import Clocks, Source
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.holders import Holder, holder, latest
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.engine.ownership import is_ours
from ephemeral_endpoints.engine.plan import Create, Delete, DesiredState, Step, Update, plan
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.engine.retries import Retries
from ephemeral_endpoints.engine.tags import Tags, moment_of, repairable, timestamp
from ephemeral_endpoints.features.capacity.budget_stage import forced_rest
from ephemeral_endpoints.features.capacity.budgets import Action, BudgetVerdict, budget_input, decide
from ephemeral_endpoints.features.capacity.cost import Capacities, capacities, hourly_cost, running_capacity
from ephemeral_endpoints.features.capacity.prices import of_class
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.expiry.brake import RETRY_SECONDS, ExpiryBrake, recently_ended
from ephemeral_endpoints.features.expiry.jumps import notice_jumps
from ephemeral_endpoints.features.expiry.observe import Activities
from ephemeral_endpoints.features.expiry.policy import over_budget, why_retired
from ephemeral_endpoints.features.reviews.forge import PullRequestKey
from ephemeral_endpoints.features.reviews.pull_requests.policy import annotations
from ephemeral_endpoints.features.reviews.pull_requests.poller import can_live, pull_request_of, reviews_of
from ephemeral_endpoints.features.reviews.pull_requests.sights import ROUND_SECONDS
from ephemeral_endpoints.features.reviews.pull_requests.stage import was_open
from ephemeral_endpoints.features.reviews.pull_requests.watched import URGENT_SECONDS, PullRequestView, Wanted, Watched
from ephemeral_endpoints.features.serving.specs import EndpointConfigSpec
from ephemeral_endpoints.features.sleep.policy import AWAKE, Calls, Rest, is_asleep, rest_of
from ephemeral_endpoints.features.subject import Resolved, Subject
from ephemeral_endpoints.kube.cache import endpoint_key

SHARE: Final = 0.25
"""The chart's ``operator.expiry.mostShare``."""

SWEEP_SECONDS: Final = 600.0
SWEEP_AGE: Final = 600.0
SWEEP_MOST: Final = 3
SWEEP_SHARE: Final = 0.2
"""The operator's defaults."""

BUDGET_SECONDS: Final = 15 * MINUTE
"""How often budgets are looked at: more seldom than the operator does."""

FAILED_AGAIN: Final = 5 * MINUTE
"""How soon an endpoint that failed is made again."""

AUDIT_TURNS: Final = HOUR
TROUBLED_TURNS: Final = 5 * MINUTE
"""How often the forge is asked at least, and when it fails: rounds in which nothing has changed need no computing."""

HELD_SECONDS: Final = 8 * RETRY_SECONDS
"""How soon a held object is looked at again: more seldom than the operator does, which costs nothing but time."""

_TAGGING: Final = "tagging"
_ROUNDING: Final = 1e-6


class _Pause:
    """What a coroutine of the operator awaits in place of a sleep: the simulation goes on with it when it wants to."""

    def __await__(self) -> Generator[None, None, None]:
        yield


async def _pause(_: float) -> None:
    await _Pause()


class Leader:
    """One process. It begins with an empty memory, and ends when ``is_over``."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._began_at = world.local_time()
        self._slept = 0.0
        self._paused_at: float | None = None
        self.is_over = False
        self._clocks = Clocks(world.local_time, self.clock)
        self._note_clocks()
        self._activities = Activities()
        self._brake = ExpiryBrake(
            self._clocks.disagreement,
            lambda: len(world.cluster.objects),
            ended=lambda: recently_ended(
                [(each, self._subject(each).end) for each in world.cluster.objects.values()],
                self._clocks.now(),
                self._clocks.likely(),
            ),
            share=SHARE,
            clock=self.clock,
        )
        reviews = world.cluster.endpoint_class.spec.reviews
        self._watched = Watched(reviews.close_grace if reviews else timedelta(), SHARE)
        self._retries: dict[str, Retries[Key | str]] = {}
        self._tagged: dict[str, Tags] = {}
        self._desired: dict[str, tuple[Any, DesiredState]] = {}
        self._due: dict[str, float] = {}
        self._capacities: dict[str, dict[str, Capacities]] = {}
        self._told: dict[str, BudgetVerdict] = {}
        self._failed_at: dict[Key, float] = {}
        self._seen: Sightings = {}
        self._turn_at = float("inf")
        self._jumps: Coroutine[Any, Any, None] = notice_jumps(self._clocks.now, self.clock, self.look_at_all, _pause)
        self._jumps.send(None)

    def clock(self) -> float:
        """Monotonic seconds, which stand while the machine sleeps."""
        now = self._world.agenda.now if self._paused_at is None else self._paused_at
        return now - self._slept

    def begin(self) -> None:
        """Look at everything, and go on."""
        self.look_at_all()
        self._turn_in(5.0)
        self._later(SWEEP_SECONDS, self._sweep_regularly)
        if self._world.story.inputs.budget:
            self._later(BUDGET_SECONDS, self.look_at_budgets)

    def stop(self) -> None:
        """End the process."""
        self.is_over = True
        self._jumps.close()

    def pause(self) -> None:
        """The machine goes to sleep."""
        self._paused_at = self._world.agenda.now

    def resume(self) -> None:
        """It wakes up."""
        if self._paused_at is not None:
            self._slept += self._world.agenda.now - self._paused_at
            self._paused_at = None
            self.notice()

    def notice(self) -> None:
        """Have it notice within seconds that a clock has jumped."""
        self._later(15.0, self._notice)

    def look_at_all(self) -> None:
        """Reconcile all objects soon."""
        for number, name in enumerate(self._world.cluster.objects):
            self.enqueue(name, 1.0 + 0.05 * number)

    def enqueue(self, name: str, wait: float = 1.0) -> None:
        """Reconcile an object in so many seconds, or before."""
        due = self.clock() + wait
        if due < self._due.get(name, float("inf")):
            self._due[name] = due
            self._later(wait, lambda: self._reconcile_due(name, due))

    def called(self, name: str, at: datetime) -> None:
        """A forwarder tells that somebody called the object."""
        endpoint = self._world.cluster.objects.get(name)
        if endpoint is None:
            return
        at = min(at, self._clocks.likely())
        if self._activities.note_use(endpoint, at):
            self.enqueue(name)
        if is_asleep(endpoint):
            self._activities.note_wake(endpoint, at)
            self.enqueue(name)

    def turn_soon(self) -> None:
        """Have the forge asked in its next round: something has changed there."""
        self._turn_in(ROUND_SECONDS)

    def turn(self) -> None:
        """Ask the forge for what is due, and reconcile what depends on it."""
        world = self._world
        is_answering = not world.has(Trouble.FORGE, Trouble.FORGETS)
        self._turn_in(AUDIT_TURNS if is_answering else TROUBLED_TURNS)
        if world.has(Trouble.CLUSTER):
            return
        self._note_clocks()
        now, wanted = self._clocks.likely(), self._wanted()
        asked_at = self.clock()
        if due := self._watched.due(wanted, asked_at):
            self._watched.take(dict(world.forge.answers(due, world.troubles)), asked_at, self.clock(), now)
            self._log_sights(wanted, due)
        confirmed = world.cluster.endpoint_class.metadata.annotations.get(CONFIRM_CLOSED_ANNOTATION, "")
        for key in self._watched.judge(moment_of(confirmed), self.clock()):
            for each in wanted[key].objects if key in wanted else ():
                self.enqueue(each.name)
        world.note_held(len(self._watched.held))
        if is_answering:
            self._confirm_in_time()

    def reconcile(self, name: str) -> None:
        """Bring one object nearer to its end, or to its desired state."""
        world = self._world
        endpoint = world.cluster.objects.get(name)
        if endpoint is None or world.has(Trouble.CLUSTER):
            return
        self._note_clocks()
        if FINALIZER not in endpoint.metadata.finalizers:
            if endpoint.metadata.deletion_timestamp is not None:
                return
            endpoint = world.cluster.add_finalizer(name)
        subject = self._subject(endpoint)
        if (view := self._view(subject)) and (
            changes := annotations(endpoint, view, follows=True, now=self._clocks.now())
        ):
            subject = self._subject(world.cluster.annotate(name, changes))
        subject = self._within_budget(name, subject)
        due = self._end(name, subject) if subject.is_terminating(self._clocks.now()) else self._serve(name, subject)
        if due is not None and name in world.cluster.objects:
            self.enqueue(name, max(0.5, due))

    def look_at_budgets(self) -> None:
        """As the step of budgets: have objects reconciled whose budget asks for something else now."""
        if not self._world.has(Trouble.CLUSTER):
            for name, endpoint in self._world.cluster.objects.items():
                if self._told.get(endpoint.metadata.uid) != self._verdict(self._subject(endpoint)):
                    self.enqueue(name)
        self._later(BUDGET_SECONDS, self.look_at_budgets)

    def sweep(self) -> None:
        """Delete what belongs to nobody."""
        world, account = self._world, self._world.account
        if world.has(Trouble.CLUSTER, Trouble.AWS) or self._clocks.disagreement():
            return
        owners = {owner_hash(each.metadata.uid) for each in world.cluster.objects.values()}
        if account.owners <= {*owners, world.shared.owner}:
            self._seen = {}
            return
        found = orphans(account.all, {*owners, world.shared.owner or ""})
        self._seen = sightings(self._seen, found, self.clock())
        with suppress(ReconcileError):
            self._sweep(remaining(found))

    def _reconcile_due(self, name: str, due: float) -> None:
        if self._due.get(name) == due:
            del self._due[name]
            self.reconcile(name)

    def _later(self, wait: float, action: Callable[[], None]) -> None:
        """Have it do something in so many of its own seconds; a process that is over does nothing."""
        due = self.clock() + wait

        def act() -> None:
            if self.is_over:
                return
            if self._paused_at is not None:
                self._world.when_resumed.append(act)
            elif (left := due - self.clock()) > _ROUNDING:
                self._world.agenda.after(left, act)
            else:
                action()

        self._world.agenda.after(wait, act)

    def _turn_in(self, wait: float) -> None:
        """Have a turn in so many seconds, or before."""
        at = self.clock() + wait
        if at < self._turn_at:
            self._turn_at = at
            self._later(wait, lambda: self._turn_due(at))

    def _turn_due(self, at: float) -> None:
        if at == self._turn_at:
            self._turn_at = float("inf")
            self.turn()

    def _sweep_regularly(self) -> None:
        self.sweep()
        self._later(SWEEP_SECONDS, self._sweep_regularly)

    def _notice(self) -> None:
        self._note_clocks()
        self._jumps.send(None)

    def _note_clocks(self) -> None:
        """The Date of the last answers."""
        world = self._world
        if not world.has(Trouble.CLUSTER):
            self._clocks.note(Source.API_SERVER, format_datetime(world.cluster_time(), usegmt=True))
        if not world.has(Trouble.AWS):
            self._clocks.note(Source.AWS, format_datetime(moment(world.agenda.now), usegmt=True))

    def _subject(self, endpoint: EphemeralEndpoint) -> Subject:
        activity = self._activities.of(endpoint, self._clocks.likely())
        return Subject(CLUSTER_ID, endpoint, self._world.cluster.endpoint_class, activity)

    def _verdict(self, subject: Subject) -> BudgetVerdict:
        return decide(budget_input(subject, {}, self._clocks.likely()))

    def _within_budget(self, name: str, subject: Subject) -> Subject:
        """As the step of budgets: an object whose budget asks for it ends before anything else is done for it."""
        if not self._world.story.inputs.budget:
            return subject
        now, verdict = self._clocks.likely(), self._verdict(subject)
        self._told[subject.endpoint.metadata.uid] = verdict
        if verdict.action is not Action.EXPIRE or subject.is_terminating(now):
            return subject
        noted = {OVER_BUDGET_ANNOTATION: over_budget(subject.endpoint, now)}
        return self._subject(self._world.cluster.annotate(name, noted))

    def _cost(self, uid: str, owner: str, wanted: DesiredState, before: Cost | None) -> Cost | None:
        """What its endpoints cost, by the configurations that they use."""
        known = self._capacities.setdefault(uid, {})
        specs = ((each.key.name, each.spec) for each in wanted.resources)
        known |= {name: capacities(spec) for name, spec in specs if isinstance(spec, EndpointConfigSpec)}
        own = self._world.account.of(owner)
        running = running_capacity(own, known)
        hourly = None if running is None else hourly_cost(running, of_class(self._world.cluster.endpoint_class))
        return cost(hourly, own, before, self._clocks.likely())

    def _view(self, subject: Subject) -> PullRequestView | None:
        key = pull_request_of(subject)
        return self._watched.view(key, self.clock()) if key and reviews_of(subject) else None

    def _wanted(self) -> dict[PullRequestKey, Wanted]:
        wanted: dict[PullRequestKey, Wanted] = {}
        now = self._clocks.likely()
        for endpoint in self._world.cluster.objects.values():
            subject = self._subject(endpoint)
            key = pull_request_of(subject)
            if key and can_live(subject, now):
                one = wanted.setdefault(key, Wanted())
                one.objects.append(endpoint_key(endpoint.metadata.namespace or "", endpoint.metadata.name))
                one.was_open |= was_open(endpoint, now)
        return wanted

    def _log_sights(self, wanted: dict[PullRequestKey, Wanted], asked: Collection[PullRequestKey]) -> None:
        world = self._world
        if world.has(Trouble.FORGE, Trouble.FORGETS):
            return
        for key in asked:
            for each in wanted[key].objects:
                world.log.sights[owner_hash(world.cluster.objects[each.name].metadata.uid)] = world.agenda.now

    def _confirm_in_time(self) -> None:
        """Ask again when another sight decides."""
        dues = [at for each in self._watched.sights.values() if (at := each.confirmation_due(self._watched.grace))]
        if dues:
            self._turn_in(max(URGENT_SECONDS, min(dues) - self.clock()))

    def _end(self, name: str, subject: Subject) -> float | None:
        """As the controller's finalizer: hold, delete the object, then what it has, and let it go."""
        world, endpoint, uid = self._world, subject.endpoint, subject.endpoint.metadata.uid
        owner = subject.names.owner
        if endpoint.metadata.deletion_timestamp is None:
            retired = why_retired(endpoint.spec.lifecycle.on_expiry, endpoint.metadata)
            if retired and not world.account.of(owner):
                self._brake.forget(uid)
                return None
            if self._brake.hold(uid, subject.end.cause):
                return HELD_SECONDS
            if not retired:
                world.cluster.delete(name)
        self._tagged.pop(uid, None)
        self._retries.setdefault(uid, Retries()).clear(_TAGGING)
        due = self._converge(uid, owner, DesiredState.absent())
        if not world.account.of(owner):
            if world.cluster.objects[name].metadata.deletion_timestamp is not None:
                world.cluster.remove_finalizer(name)
                self._forget(uid)
            elif known := self._cost(uid, owner, DesiredState.absent(), endpoint.status.cost):
                world.cluster.put_status(name, {**endpoint.status.to_wire(), "cost": known.to_wire()})
            return None
        return due

    def _forget(self, uid: str) -> None:
        self._brake.forget(uid)
        self._retries.pop(uid, None)
        self._desired.pop(uid, None)
        self._activities.forget(uid)
        self._capacities.pop(uid, None)
        self._told.pop(uid, None)

    def _serve(self, name: str, subject: Subject) -> float | None:
        """As the controller's active reconciliation: tags, resources, status."""
        world, uid = self._world, subject.endpoint.metadata.uid
        owner = subject.names.owner
        self._brake.forget(uid)
        is_tagged = self._tag(uid, owner, subject)
        rest = self._rest(subject)
        wanted = self._wanted_resources(uid, subject, rest)
        due = self._converge(uid, owner, wanted.joined(self._made_again(owner)))
        view = self._view(subject)
        activity = subject.activity
        status: dict[str, Any] = {"observedGeneration": subject.endpoint.metadata.generation}
        if activity.since:
            status["latestRevision"] = {"revision": activity.revision, "since": timestamp(activity.since)}
        ends_at = subject.lifetime.expires_at if is_tagged else subject.endpoint.status.expires_at
        if ends_at:
            status["expiresAt"] = timestamp(ends_at)
        if view and view.sight:
            status["review"] = {"state": view.sight.pull_request.state, "head": view.sight.pull_request.head}
        inputs = world.story.inputs
        if activity.used_at and (inputs.idle or inputs.counts_use):
            status["lastUsedAt"] = timestamp(activity.used_at)
        if inputs.budget and (known := self._cost(uid, owner, wanted, subject.endpoint.status.cost)):
            status["cost"] = known.to_wire()
        if inputs.idle or inputs.budget:
            own, others = world.account.of(owner), {world.api: world.shared}
            told = conditions_of(subject, wanted, own, others, rest)
            status["conditions"] = wire(told, subject.endpoint, self._clocks.likely())
            status["revision"] = subject.endpoint.revision
        world.cluster.put_status(name, status)
        if ends_at:
            world.note_told(name, ends_at)
        rests_at = self._rest(self._subject(world.cluster.objects[name])).next_at
        rests_in = (rests_at - self._clocks.likely()).total_seconds() if rests_at else None
        ends_in = (subject.end.at - self._clocks.now()).total_seconds()
        return min(each for each in (due, ends_in, rests_in) if each is not None)

    def _rest(self, subject: Subject) -> Rest:
        endpoint = subject.endpoint
        used_at = self._activities.last_use(endpoint, started_at=self._began_at)
        is_certain = self._clocks.disagreement() is None
        calls = Calls(used_at, self._activities.woken_at(endpoint), is_certain=is_certain)
        budgets, now = self._world.story.inputs.budget, self._clocks.likely()
        forced = forced_rest(subject, self._verdict(subject), now) if budgets else AWAKE
        return rest_of(subject, calls, now, is_busy=False, forced=forced)

    def _tag(self, uid: str, owner: str, subject: Subject) -> bool:
        """Have all resources carry the tags of now; returns whether they do."""
        account, wanted = self._world.account, repairable(subject.tags)
        said = subject.endpoint.status.expires_at
        followed = self._tagged.get(uid)
        retries = self._retries.setdefault(uid, Retries())
        if followed == wanted or (followed is None and said == subject.lifetime.expires_at):
            retries.clear(_TAGGING)
            self._tagged[uid] = wanted
            return True
        if _TAGGING in retries.blocked(self.clock()):
            return False
        try:
            for each in account.of(owner).values():
                if each.phase is not Phase.DELETING:
                    account.add_tags(each, wanted)
        except ReconcileError as error:
            retries.note(_TAGGING, error, self.clock())
            return False
        retries.clear(_TAGGING)
        self._tagged[uid] = wanted
        return True

    def _wanted_resources(self, uid: str, subject: Subject, rest: Rest) -> DesiredState:
        inputs = (subject.endpoint.spec, subject.lifetime, rest.is_asleep)
        known = self._desired.get(uid)
        if known is None or known[0] != inputs:
            image = subject.endpoint.spec.model.image or ""
            digest = f"sha256:{sha256(image.encode()).hexdigest()}"
            resolved = Resolved({image: digest}, "c" * 64, self._world.api, owns_path=True, asleep=rest.is_asleep)
            known = self._desired[uid] = (inputs, desired(subject, resolved))
        return known[1]

    def _made_again(self, owner: str) -> DesiredState:
        """What failed some time ago."""
        failed = {key for key, each in self._world.account.of(owner).items() if each.phase is Phase.FAILED}
        now = self.clock()
        self._failed_at = {key: at for key, at in self._failed_at.items() if key in failed or now - at < HOUR}
        again = {key for key in failed if now - self._failed_at.setdefault(key, now) >= FAILED_AGAIN}
        return DesiredState(retry=frozenset(again))

    def _converge(self, uid: str, owner: str, wanted: DesiredState) -> float | None:
        """Take the planner's steps until only waiting is left; returns in how many seconds to look again."""
        account = self._world.account
        retries = self._retries.setdefault(uid, Retries())
        shared = {self._world.api: self._world.shared}
        while True:
            steps = plan(wanted, account.of(owner), shared)
            blocked = retries.blocked(self.clock())
            free = [each for each in steps if each.key not in blocked]
            if not free:
                break
            for each in free:
                try:
                    self._take(each)
                except ReconcileError as error:
                    retries.note(each.key, error, self.clock())
                else:
                    retries.clear(each.key)
        retries.keep_only({_TAGGING, *(each.key for each in steps)})
        there = account.of(owner)
        waits = [retries.due(self.clock()), account.settles_in(owner)]
        if any(each.phase is Phase.FAILED for each in there.values()):
            waits.append(FAILED_AGAIN)
        return min((each + 1.0 for each in waits if each is not None), default=None)

    def _take(self, step: Step) -> None:
        match step:
            case Create(resource):
                self._world.account.apply(resource, None)
            case Update(resource, observed):
                self._world.account.apply(resource, observed)
            case Delete(observed):
                self._world.delete(observed, "operator")

    def _sweep(self, found: list[ObservedResource]) -> None:
        world, account = self._world, self._world.account
        breaker, holders = Breaker(SWEEP_MOST, share=SWEEP_SHARE, alive=len(world.cluster.objects)), dict[str, Holder]()
        ours: list[ObservedResource] = []
        for each in found:
            tags = account.tags(each)
            if not is_ours(each, tags, CLUSTER_ID):
                continue
            owner = each.owner or ""
            if named := holder(tags or {}):
                holders[owner] = latest(holders.get(owner), named)
            ours.append(each)
        now = self._clocks.now()
        for owner, each_holder in holders.items():
            if not each_holder.is_expired(now):
                breaker.count(owner, each_holder)
        free = {
            each.key: each
            for each in ours
            if (at := holders.get(each.owner or "")) is None
            or at.is_expired(now)
            or (is_mature(each, self._seen, lambda _: self.clock(), SWEEP_AGE) and not breaker.is_held(at))
        }
        users = {key: each for key, each in account.all.items() if key not in free and each.uses & free.keys()}
        while steps := plan(DesiredState.absent(), free, {**users, **likely_users(free, account.all)}):
            for step in steps:
                world.delete(free.pop(step.key), "sweep")
