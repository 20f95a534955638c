"""The month as it comes: the story's people and machines, the operator that leads, and the reaper."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from eep_platform.bench.month import cronjob, reaper
from eep_platform.bench.month.account import Span
from eep_platform.bench.month.agenda import DAY, moment
from eep_platform.bench.month.leader import Leader
from eep_platform.bench.month.promise import MAX_TTL, TTL, Deletion, Life, Log, leaked, lost
from eep_platform.bench.month.story import Act, PullRequestStory, Story, Trouble
from eep_platform.bench.month.world import World
from ephemeral_endpoints.api import EXTEND_UNTIL_ANNOTATION, PIN_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.reviews import PullRequestState
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.features.expiry.policy import later_extension
from ephemeral_endpoints.features.routing.specs import FUNCTION
from ephemeral_endpoints.features.sleep.policy import is_asleep

_STATES: Final = {
    Act.CLOSE: PullRequestState.CLOSED,
    Act.MERGE: PullRequestState.MERGED,
    Act.REOPEN: PullRequestState.OPEN,
}
_LAST_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Month:
    """What came of it.

    ``visits`` counts the looks at a preview, ``missed`` those that found none of an open pull request, by why.
    """

    story: Story
    log: Log
    spans: list[Span]
    visits: int
    missed: dict[str, int]

    @property
    def leaked_hours(self) -> float:
        """The hours of all resources beyond the promise."""
        return leaked(self.log, self.spans, self.story.end)

    @property
    def lost(self) -> list[Deletion]:
        """What was taken from people."""
        return lost(self.log, self.spans)


class Simulation:
    """The parts put together."""

    def __init__(self, story: Story) -> None:
        self.world = World(story)
        self._leader: Leader | None = None
        self._calls: list[tuple[str, datetime]] = []
        self._visits = 0
        self._missed: dict[str, int] = {}
        self.world.on_change = self._on_change
        self.world.on_confirmed = self._ask
        for pull_request in story.pull_requests:
            self._plan(pull_request)
        for window in story.windows:
            self._at(window.start, self._begin, window.trouble)
            self._at(window.end, self._end, window.trouble)
        self._lead()
        self.world.agenda.every(reaper.SECONDS, partial(reaper.run, self.world))
        self.world.agenda.every(cronjob.SECONDS, partial(cronjob.run, self.world))

    def run(self) -> Month:
        """Let the month pass."""
        self.world.agenda.run(self.world.story.end)
        self.world.finish()
        return Month(self.world.story, self.world.log, self.world.account.spans, self._visits, self._missed)

    def _at(self, when: float, action: Callable[..., None], *arguments: object) -> None:
        self.world.agenda.at(when, partial(action, *arguments))

    def _plan(self, pull_request: PullRequestStory) -> None:
        self._at(pull_request.opened_at, self._open, pull_request)
        acts = {Act.PUSH: self._push, Act.VISIT: self._visit, Act.STRIP: self._strip}
        for at, act in pull_request.acts:
            self._at(at, acts.get(act, partial(self._turn_to, act)), pull_request)

    # What goes wrong

    def _begin(self, trouble: Trouble) -> None:
        self.world.begin(trouble)
        if trouble in {Trouble.OPERATOR, Trouble.HANDOVER} and self._leader:
            self._leader.stop()
            self._leader = None
        elif trouble is Trouble.PAUSE and self._leader:
            self._leader.pause()
        self._look_again(trouble)

    def _end(self, trouble: Trouble) -> None:
        self.world.end(trouble)
        if trouble is Trouble.PAUSE:
            if self._leader and not self.world.has(Trouble.PAUSE):
                self._leader.resume()
            waiting, self.world.when_resumed = self.world.when_resumed, []
            for act in waiting:
                act()
        if self._leader is None and not self.world.has(Trouble.OPERATOR):
            self._lead()
        self._look_again(trouble)

    def _look_again(self, trouble: Trouble) -> None:
        """What the operator notices by itself."""
        if self._leader is None:
            return
        if trouble in {Trouble.AHEAD, Trouble.BEHIND, Trouble.LOCAL}:
            self._leader.notice()
        elif trouble is Trouble.CLUSTER and not self.world.has(trouble):
            # A watch that begins anew brings all objects.
            self._leader.look_at_all()
            self._leader.turn_soon()
        elif trouble in {Trouble.FORGE, Trouble.FORGETS, Trouble.LIES}:
            self._leader.turn_soon()

    def _lead(self) -> None:
        self._leader = Leader(self.world)
        self._leader.begin()
        calls, self._calls = self._calls, []
        for name, at in calls:
            self._leader.called(name, at)
        if self.world.has(Trouble.PAUSE):
            self._leader.pause()

    def _on_change(self, name: str) -> None:
        if self._leader:
            self._leader.enqueue(name)

    # What people do

    def _when_up(self, action: Callable[[PullRequestStory], None], pull_request: PullRequestStory) -> bool:
        """Whether the API server answers; if not, the workflow is run again an hour later."""
        if not self.world.has(Trouble.CLUSTER):
            return True
        self.world.agenda.after(DAY / 24, partial(action, pull_request))
        return False

    def _open(self, pull_request: PullRequestStory) -> None:
        self.world.forge.states[pull_request.number] = PullRequestState.OPEN
        self.world.forge.heads[pull_request.number] = _revision(pull_request.number, 0)
        self._apply(pull_request)

    def _apply(self, pull_request: PullRequestStory) -> None:
        world, number = self.world, pull_request.number
        if not self._when_up(self._apply, pull_request) or world.forge.states[number] is not PullRequestState.OPEN:
            return
        name = f"pr-{number}"
        found = world.cluster.objects.get(name)
        if found and found.metadata.deletion_timestamp is not None:
            world.agenda.after(DAY / 24, partial(self._apply, pull_request))
        elif world.cluster.apply(number, world.forge.heads[number], is_managed=pull_request.is_managed):
            metadata = world.cluster.objects[name].metadata
            stamp = metadata.creation_timestamp or moment(world.agenda.now)
            life = world.log.lives[owner_hash(metadata.uid)] = Life(name, number, world.agenda.now, stamp)
            if world.story.inputs.pinned and world.random.random() < world.story.inputs.pinned:
                self._pin(name, life)
            self._ask()
        elif found and found.spec.source.revision != world.forge.heads[number]:
            now = world.agenda.now
            world.lives(name).extensions.append((now, moment(now).replace(microsecond=0) + TTL))

    def _pin(self, name: str, life: Life) -> None:
        """Somebody wants it to live as long as its class allows."""
        life.is_pinned = True
        life.extensions.append((self.world.agenda.now, life.stamp + MAX_TTL))
        self.world.cluster.annotate(name, {PIN_ANNOTATION: "true"})

    def _push(self, pull_request: PullRequestStory) -> None:
        forge = self.world.forge
        if forge.states[pull_request.number] is PullRequestState.OPEN:
            count = int(forge.heads[pull_request.number][:8], 16) + 1
            forge.heads[pull_request.number] = _revision(pull_request.number, count)
            self._apply(pull_request)

    def _turn_to(self, act: Act, pull_request: PullRequestStory) -> None:
        world, number = self.world, pull_request.number
        before, world.forge.states[number] = world.forge.states[number], _STATES[act]
        closed = world.log.closed.setdefault(number, [])
        if act is Act.REOPEN:
            closed[-1] = (closed[-1][0], world.agenda.now)
            self._apply(pull_request)
        elif before is PullRequestState.OPEN:
            closed.append((world.agenda.now, float("inf")))
            world.forge.closed_at[number] = moment(world.agenda.now)
            if pull_request.is_deleted_by_workflow or pull_request.is_managed:
                world.agenda.after(180.0, partial(self._delete, pull_request))
        self._ask()

    def _ask(self) -> None:
        """The forge tells something else now, or about another object."""
        if self._leader:
            self._leader.turn_soon()

    def _delete(self, pull_request: PullRequestStory) -> None:
        """By the workflow, or the tool that manages it."""
        name = f"pr-{pull_request.number}"
        if self.world.forge.states[pull_request.number] is PullRequestState.OPEN:
            return
        if self._when_up(self._delete, pull_request) and name in self.world.cluster.objects:
            life = self.world.lives(name)
            life.deleted_at = life.deleted_at or self.world.agenda.now
            self.world.cluster.delete(name)

    def _strip(self, pull_request: PullRequestStory) -> None:
        """Somebody deletes the object, and has no patience with its finalizer."""
        name = f"pr-{pull_request.number}"
        if self._when_up(self._strip, pull_request) and name in self.world.cluster.objects:
            life = self.world.lives(name)
            life.deleted_at, life.is_stripped = self.world.agenda.now, True
            self.world.cluster.remove_finalizer(name)

    def _visit(self, pull_request: PullRequestStory) -> None:
        """Somebody looks at the preview; extends it in its last day, or has it made again when it is gone."""
        world = self.world
        if world.forge.states[pull_request.number] is not PullRequestState.OPEN:
            return
        self._visits += 1
        if why := self._why_missed(pull_request):
            self._missed[why] = self._missed.get(why, 0) + 1
        found = world.cluster.objects.get(f"pr-{pull_request.number}")
        if world.has(Trouble.CLUSTER) or (found and found.metadata.deletion_timestamp is not None):
            return
        if found is None:
            if world.random.random() < world.story.inputs.revived:
                self._apply(pull_request)
            return
        life = world.lives(found.metadata.name)
        now = moment(world.agenda.now)
        self._call(found.metadata.name, life)
        is_last_day = life.end(until for _, until in life.extensions) - now < _LAST_DAY
        if is_last_day and world.random.random() < world.story.inputs.extends:
            self._extend(found.metadata.name, life)

    def _call(self, name: str, life: Life) -> None:
        """The forwarder answers, and tells of the call by a queue that keeps it while nobody reads."""
        owner = owner_hash(self.world.cluster.objects[name].metadata.uid)
        if not any(key.kind is FUNCTION for key in self.world.account.of(owner)):
            return
        life.used.append(self.world.agenda.now)
        at = moment(self.world.agenda.now).replace(microsecond=0)
        if self.world.story.inputs.counts_use:
            life.extensions.append((self.world.agenda.now, at + TTL))
        if self._leader:
            self._leader.called(name, at)
        else:
            self._calls.append((name, at))

    def _extend(self, name: str, life: Life) -> None:
        world = self.world
        until = moment(world.agenda.now).replace(microsecond=0) + timedelta(seconds=world.story.inputs.extension)
        until = later_extension(world.cluster.objects[name].metadata, until)
        world.cluster.annotate(name, {EXTEND_UNTIL_ANNOTATION: timestamp(until)})
        life.extensions.append((world.agenda.now, until))

    def _why_missed(self, pull_request: PullRequestStory) -> str:
        """Why there is no preview to look at; empty if there is one."""
        world = self.world
        found = world.cluster.objects.get(f"pr-{pull_request.number}")
        if found is None:
            return "expired"
        resources = world.account.of(owner_hash(found.metadata.uid)).values()
        if any(each.serves and each.key.kind.name == "Endpoint" for each in resources):
            return ""
        if is_asleep(found):
            return "asleep"
        life = world.lives(found.metadata.name)
        is_over = life.end(until for _, until in life.extensions) <= moment(world.agenda.now)
        return "expired" if is_over else "not ready"


def _revision(number: int, count: int) -> str:
    return f"{count:08x}{number:08x}".ljust(40, "0")
