"""What the operator does not decide: the API server, the forge, the clocks, and what goes wrong with them."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from eep_platform.bench.month.account import AccountModel, Fault
from eep_platform.bench.month.agenda import HOUR, Agenda, moment
from eep_platform.bench.month.promise import Deletion, Life, Log
from eep_platform.bench.month.story import Inputs, Story, Trouble, working
from ephemeral_endpoints.api import API_VERSION, CONFIRM_CLOSED_ANNOTATION, FINALIZER
from ephemeral_endpoints.api.kinds import ENDPOINT, ENDPOINT_CLASS
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.reviews import PullRequestState
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.features.reviews.errors import ForgeError, ForgeNotFound, ForgeUnavailable
from ephemeral_endpoints.features.reviews.forge import PullRequest, PullRequestKey
from ephemeral_endpoints.features.routing.apis import api_key
from ephemeral_endpoints.features.routing.specs import HttpApiSpec

CLUSTER_ID: Final = "c1"
NAMESPACE: Final = "models"
REPOSITORY: Final = "acme/models"
ACCOUNT_ID: Final = "123456789012"
IMAGES: Final = f"{ACCOUNT_ID}.dkr.ecr.us-east-1.amazonaws.com/models/preview"
_OFFSETS: Final = {Trouble.AHEAD: timedelta(days=2), Trouble.BEHIND: timedelta(days=-1)}
_LOCAL: Final = timedelta(days=3)


class Cluster:
    """The API server: objects by name, with finalizers. ``now`` is its time; ``on_change`` is its watch.

    ``inputs`` say by which rules of the class they sleep and end.
    """

    def __init__(self, now: Callable[[], datetime], on_change: Callable[[str], None], inputs: Inputs) -> None:
        self._now = now
        self._on_change = on_change
        self._raw: dict[str, dict[str, Any]] = {}
        self._made = 0
        self.objects: dict[str, EphemeralEndpoint] = {}
        self._spec = dict(_rules(inputs))
        self.endpoint_class = _class(None, self._spec)

    def apply(self, number: int, revision: str, *, is_managed: bool) -> bool:
        """Create the object of a pull request, or give it another revision; returns whether it was created."""
        name = f"pr-{number}"
        spec = {
            "source": {"repository": REPOSITORY, "pullRequest": number, "revision": revision},
            "model": {"image": f"{IMAGES}:{revision}"},
            "serving": {"instances": {"type": "ml.m5.large", "count": 1}},
        }
        if name in self._raw:
            self._put(name, {**self._raw[name], "spec": spec}, generation=1)
            return False
        self._made += 1
        metadata = {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"00000000-0000-4000-8000-{self._made:012}",
            "creationTimestamp": timestamp(self._now()),
            "labels": {"argocd.argoproj.io/instance": "previews"} if is_managed else {},
            "annotations": {},
            "finalizers": [],
            "generation": 0,
        }
        raw = {"apiVersion": API_VERSION, "kind": ENDPOINT.name, "metadata": metadata, "spec": spec}
        self._put(name, raw, generation=1)
        return True

    def annotate(self, name: str, changes: Mapping[str, str | None]) -> EphemeralEndpoint:
        """Change annotations; None removes one."""
        annotations = {**self._raw[name]["metadata"]["annotations"], **changes}
        return self._change(name, annotations={key: each for key, each in annotations.items() if each is not None})

    def put_status(self, name: str, status: Mapping[str, Any]) -> None:
        """Write the status, if it is another."""
        if self._raw[name].get("status") != status:
            self._put(name, {**self._raw[name], "status": status}, is_watched=False)

    def add_finalizer(self, name: str) -> EphemeralEndpoint:
        """Keep the object until the finalizer is removed."""
        return self._change(name, finalizers=[FINALIZER], is_watched=False)

    def remove_finalizer(self, name: str) -> None:
        """Let an object that is being deleted go."""
        self._change(name, finalizers=[])
        self.delete(name)

    def delete(self, name: str) -> EphemeralEndpoint | None:
        """Delete an object; it stays while it has a finalizer. None if it is gone."""
        if not self._raw[name]["metadata"]["finalizers"]:
            del self._raw[name], self.objects[name]
            self._on_change(name)
            return None
        if "deletionTimestamp" in self._raw[name]["metadata"]:
            return self.objects[name]
        return self._change(name, deletionTimestamp=timestamp(self._now()))

    def confirm_closed(self) -> None:
        """A platform engineer confirms that what is closed is closed."""
        self.endpoint_class = _class(timestamp(self._now()), self._spec)

    def _change(self, name: str, *, is_watched: bool = True, **metadata: object) -> EphemeralEndpoint:
        raw = self._raw[name]
        return self._put(name, {**raw, "metadata": {**raw["metadata"], **metadata}}, is_watched=is_watched)

    def _put(
        self, name: str, raw: dict[str, Any], *, generation: int = 0, is_watched: bool = True
    ) -> EphemeralEndpoint:
        metadata = raw["metadata"]
        self._raw[name] = raw = {**raw, "metadata": {**metadata, "generation": metadata["generation"] + generation}}
        self.objects[name] = found = EphemeralEndpoint.model_validate(raw)
        if is_watched:
            self._on_change(name)
        return found


def _rules(inputs: Inputs) -> Iterator[tuple[str, Any]]:
    """What the class says of the sleep, the ends and the budgets of objects."""
    if inputs.idle or inputs.counts_use:
        yield "events", {"queueName": "events"}
    if inputs.idle:
        yield "sleep", {"idleTimeout": f"{inputs.idle:g}s"}
    if inputs.counts_use:
        yield "lifecycle", {"ttlFrom": "LastUse"}
    if inputs.budget:
        yield "budgets", {"objectUSD": f"{inputs.budget:.2f}"}


def _class(confirmed: str | None, spec: Mapping[str, Any]) -> EphemeralEndpointClass:
    return EphemeralEndpointClass.model_validate(
        {
            "apiVersion": API_VERSION,
            "kind": ENDPOINT_CLASS.name,
            "metadata": {
                "name": "default",
                "uid": "00000000-0000-4000-8000-c00000000000",
                "annotations": {CONFIRM_CLOSED_ANNOTATION: confirmed} if confirmed else {},
            },
            "spec": {
                "region": "us-east-1",
                "executionRoleArn": f"arn:aws:iam::{ACCOUNT_ID}:role/model",
                "forwarderRoleArn": f"arn:aws:iam::{ACCOUNT_ID}:role/forwarder",
                "invokeRoleArn": f"arn:aws:iam::{ACCOUNT_ID}:role/api",
                "reviews": {
                    "secretName": "forge",
                    "repositories": [{"repository": "acme/*", "namespaces": [NAMESPACE]}],
                },
                **spec,
            },
        }
    )


@dataclass(slots=True)
class Forge:
    """The pull requests as they are, and what is said about them."""

    states: dict[int, PullRequestState] = field(default_factory=dict)
    heads: dict[int, str] = field(default_factory=dict)
    closed_at: dict[int, datetime] = field(default_factory=dict)

    def answers(
        self, keys: Collection[PullRequestKey], troubles: Collection[Trouble]
    ) -> Iterator[tuple[PullRequestKey, PullRequest | ForgeError]]:
        """What the forge answers."""
        for key in keys:
            if Trouble.FORGE in troubles:
                yield key, ForgeUnavailable("502 Bad Gateway")
            elif Trouble.FORGETS in troubles:
                yield key, ForgeNotFound(f"pull request {key.number} does not exist")
            else:
                state = PullRequestState.CLOSED if Trouble.LIES in troubles else self.states[key.number]
                yield (
                    key,
                    PullRequest(
                        key, state, self.heads[key.number], is_fork=False, closed_at=self.closed_at.get(key.number)
                    ),
                )


class World:
    """Everything around the operator, and the log of what happened."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.agenda = Agenda()
        self.random = Random(story.seed)  # noqa: S311 - a story, not a secret
        self.on_change: Callable[[str], None] = lambda _: None
        """What watches objects."""

        self.on_confirmed: Callable[[], None] = lambda: None
        """What watches the class."""

        self.cluster = Cluster(self.cluster_time, self._changed, story.inputs)
        self.forge = Forge()
        self.account = AccountModel(CLUSTER_ID, lambda: self.agenda.now, fails=self._fails)
        self.log = Log(list(story.windows), story.inputs)
        self._troubles: Counter[Trouble] = Counter()
        self.api = api_key(CLUSTER_ID, self.cluster.endpoint_class)
        self.shared = self.account.apply(DesiredResource(self.api, HttpApiSpec()), None)
        self.account.fault = self._fault
        self.when_resumed: list[Callable[[], None]] = []
        """What the leader was to do while its machine slept."""

        self._held_since: float | None = None

    @property
    def troubles(self) -> frozenset[Trouble]:
        """What is wrong now."""
        return frozenset(self._troubles)

    def has(self, *troubles: Trouble) -> bool:
        """Whether any of these is wrong now."""
        return any(self._troubles[each] for each in troubles)

    def begin(self, trouble: Trouble) -> None:
        """Something goes wrong."""
        self._troubles[trouble] += 1

    def end(self, trouble: Trouble) -> None:
        """It is well again."""
        self._troubles[trouble] -= 1
        self._troubles += Counter()

    def cluster_time(self) -> datetime:
        """The time of the API server."""
        return moment(self.agenda.now) + sum((_OFFSETS[each] for each in self.troubles & _OFFSETS.keys()), timedelta())

    def local_time(self) -> datetime:
        """The time of the operator's machine."""
        return moment(self.agenda.now) + (_LOCAL if self.has(Trouble.LOCAL) else timedelta())

    def delete(self, observed: ObservedResource, by: str) -> None:
        """Delete a resource, which is put down. Raises what the account raises."""
        sight = self.log.sights.get(observed.owner or "")
        self.log.deletions.append(
            Deletion(self.agenda.now, observed.key, observed.owner or "", by, observed.phase, sight)
        )
        self.account.delete(observed)

    def lives(self, name: str) -> Life:
        """The log of the object that has the name now."""
        return self.log.lives[owner_hash(self.cluster.objects[name].metadata.uid)]

    def note_held(self, count: int) -> None:
        """So many closed pull requests wait for a person: an alert rings, and somebody confirms when at work."""
        now = self.agenda.now
        if count and self._held_since is None:
            self._held_since = now
            self.agenda.at(working(now + HOUR, self.random), self._confirm)
        if not count and self._held_since is not None:
            self.log.held.append((self._held_since, now))
            self._held_since = None

    def note_told(self, name: str, ends_at: datetime) -> None:
        """The status tells people when the object ends."""
        told = self.lives(name).told
        if not told or told[-1][1] != ends_at:
            told.append((self.agenda.now, ends_at))

    def finish(self) -> None:
        """The month is over."""
        self.note_held(0)

    def _confirm(self) -> None:
        """Nobody confirms what is not so, nor without an API server."""
        if self._held_since is None:
            return
        if self.has(Trouble.LIES, Trouble.FORGE, Trouble.FORGETS, Trouble.CLUSTER):
            self.agenda.after(HOUR, self._confirm)
            return
        self.cluster.confirm_closed()
        self.on_confirmed()
        self.agenda.at(working(self.agenda.now + HOUR, self.random), self._confirm)

    def _changed(self, name: str) -> None:
        self.on_change(name)

    def _fault(self, _: Key) -> Fault | None:
        chance = self.random.random()
        for fault, share in self._shares():
            chance -= share
            if chance < 0:
                return fault
        return None

    def _shares(self) -> Iterable[tuple[Fault, float]]:
        """How many of the calls fail now, and how."""
        inputs = self.story.inputs
        if self.has(Trouble.AWS):
            return (Fault.LOST, inputs.lost_in_trouble), (Fault.REFUSED, 1.0)
        if self.has(Trouble.THROTTLED):
            return (Fault.LOST, inputs.lost_in_trouble), (Fault.THROTTLED, inputs.throttled)
        return (Fault.LOST, inputs.lost), (Fault.REFUSED, inputs.refused)

    def _fails(self, _: Key) -> bool:
        return self.random.random() < self.story.inputs.failing
