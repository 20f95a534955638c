"""Publishes objects on their pull requests, one after the other for each forge, without making anything else wait."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from ephemeral_endpoints.api.kinds import ENDPOINT
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.limits import Sleep
from ephemeral_endpoints.engine.conditions import ConditionUpdate
from ephemeral_endpoints.features.reviews.forge import PublishingForge
from ephemeral_endpoints.features.reviews.policy import fixed_repositories, grants
from ephemeral_endpoints.features.reviews.publishing.delivery import Memory, published_of
from ephemeral_endpoints.features.reviews.publishing.desired import speak_together
from ephemeral_endpoints.features.reviews.publishing.lane import Lane
from ephemeral_endpoints.features.reviews.publishing.leftovers import Search
from ephemeral_endpoints.features.reviews.publishing.works import Ending, Living, Sources, refused
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, Store

ALL_AGAIN_SECONDS: Final = 3600.0
"""How often all objects are looked at again, and left deployments are searched for."""


END_SECONDS: Final = 30.0
"""For so long an object whose resources are gone waits for its end to be shown. After that a restart could lose it."""


class Publisher:
    """What has to be published, in lanes: one for each forge, whose requests are serial. A ``Listener``.

    ``forge_of`` is the forge of a class, ``owns`` whether objects of a namespace are this operator's, ``objects`` lists
    all objects afresh, and ``enqueue`` has one reconciled. ``failures`` are the reasons that somebody has to act on.
    ``now`` is the time of day in UTC, ``clock`` monotonic seconds.
    """

    def __init__(  # noqa: PLR0913 - its edges, and two clocks
        self,
        cluster_id: str,
        store: Store,
        forge_of: Callable[[EphemeralEndpointClass], PublishingForge | None],
        *,
        owns: Callable[[str], bool],
        objects: Callable[[], AsyncIterator[Mapping[str, Any]]],
        enqueue: Callable[[ObjectKey], None],
        failures: Collection[str],
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        self._cluster_id = cluster_id
        self._store = store
        self._forge_of = forge_of
        self._owns = owns
        self._objects = objects
        self._now = now
        self._clock = clock
        self._memories: dict[str, Memory] = {}
        self._ending_until: dict[str, float] = {}
        self.lanes: dict[PublishingForge, Lane] = {}
        self._has_new_lane = asyncio.Event()
        self._over: set[int] = set()
        self._members: dict[tuple[str, str], set[ObjectKey]] = {}
        self._sources = Sources(self._subject, self.together, self.memory, enqueue, failures, now)

    def memory(self, endpoint: EphemeralEndpoint) -> Memory:
        """What is remembered of an object, at first what its status says."""
        uid = endpoint.metadata.uid
        if uid not in self._memories:
            self._memories[uid] = Memory(published_of(endpoint.status.review))
        return self._memories[uid]

    def forget(self, uid: str) -> None:
        """The object is gone; what is still to be said of its end is kept."""
        self._memories.pop(uid, None)
        self._ending_until.pop(uid, None)

    def offer(self, key: ObjectKey, *, is_urgent: bool = False) -> None:
        """Have an object published if something of it has changed, and all that share its commit status.

        Returns at once.
        """
        subject = self._subject(key)
        if subject is None or subject.endpoint.spec.source.pull_request is None:
            return
        self._members.setdefault(_commit(subject.endpoint), set()).add(key)
        for one, each in {_key(each): each for each in (subject, *self.together(subject))}.items():
            if (lane := self._lane(each)) and self._owns(one.namespace or ""):
                lane.add(str(one), Living(one, _place(each), self._sources), is_urgent=is_urgent)

    def reported(self, key: ObjectKey, endpoint: EphemeralEndpoint, changed: Collection[ConditionUpdate]) -> None:
        """See ``Listener``."""
        del endpoint
        self.offer(key, is_urgent=any(each.is_failure for each in changed))

    def show_end(self, key: ObjectKey, endpoint: EphemeralEndpoint) -> float | None:
        """Have the end of an object shown of which nothing is left but itself. Returns at once.

        Returns in how many seconds it may go although that is not done, None: now. It is enqueued as soon as it may.
        """
        subject, uid, now = self._with_class(endpoint), endpoint.metadata.uid, self._clock()
        lane = self._lane(subject) if subject and endpoint.spec.source.pull_request is not None else None
        if subject is None or lane is None or refused(subject):
            return None
        memory = self.memory(endpoint)
        if uid not in self._ending_until:
            self._ending_until[uid] = now + END_SECONDS
            lane.add(uid, Ending(key, _place(subject), subject, self._now(), memory, self._sources), is_urgent=True)
        left = self._ending_until[uid] - now
        return None if memory.is_over or left <= 0 else left

    def gone(self, key: ObjectKey, endpoint: EphemeralEndpoint) -> None:
        """See ``Listener``."""
        subject = self._with_class(endpoint)
        if subject is None or endpoint.spec.source.pull_request is None:
            return
        self.show_end(key, endpoint)
        self._members.get(_commit(subject.endpoint), set()).discard(key)
        for speaker in self.together(subject)[:1]:
            self.offer(_key(speaker))

    def together(self, subject: Subject) -> Sequence[Subject]:
        """The living objects that share the commit status of an object, itself among them, in their order.

        Only those count whose class lets them speak there; whether the commit belongs to their pull requests, the forge
        knows (``Sources.speakers``).
        """
        others = (self._subject(key) for key in self._members.get(_commit(subject.endpoint), ()))
        same = (each for each in others if each and speak_together(each.endpoint, subject.endpoint))
        found = [each for each in same if self._shares_status(each, subject)]
        return sorted(found, key=lambda each: (each.endpoint.metadata.namespace or "", each.endpoint.metadata.name))

    async def run(self, sleep: Sleep = asyncio.sleep) -> None:
        """Work until cancelled: offer all objects now and regularly, and publish what waits."""
        begun: set[Lane] = set()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._all_again(sleep))
            while True:
                self._has_new_lane.clear()
                for lane in self.lanes.values():
                    if lane not in begun:
                        begun.add(lane)
                        tasks.create_task(lane.run())
                await self._has_new_lane.wait()

    def search(self) -> None:
        """Have left deployments searched for, wherever the classes publish. Does not wait."""
        places: dict[tuple[Lane, str, str], str] = {}
        for endpoint_class in self._store.classes():
            policy, lane = endpoint_class.spec.reviews, self.lane_of(endpoint_class)
            if policy is None or lane is None:
                continue
            named = (
                each for _, each in self._store.of_class(endpoint_class.metadata.name) if each.spec.source.pull_request
            )
            granted = {
                each.spec.source.repository.lower()
                for each in named
                if grants(endpoint_class, each.metadata.namespace or "", each.spec.source.repository)
            }
            for repository in granted | {each.lower() for each in fixed_repositories(policy)}:
                places[lane, repository, policy.environment] = policy.context
        for (lane, repository, environment), context in places.items():
            search = self._search_in(lane, repository, environment, context)
            lane.add(f"search {repository} {environment}", search)

    async def _all_again(self, sleep: Sleep) -> None:
        while True:
            self._members.clear()
            for key, endpoint in self._store.endpoints():
                self._members.setdefault(_commit(endpoint), set()).add(key)
            for key, _ in self._store.endpoints():
                self.offer(key)
                await asyncio.sleep(0)
            self.search()
            await sleep(ALL_AGAIN_SECONDS)

    def _search_in(self, lane: Lane, repository: str, environment: str, context: str) -> Search:
        return Search(
            repository=repository,
            environment=environment,
            context=context,
            cluster=self._cluster_id,
            objects=self._objects,
            owns=self._owns,
            served=self._served,
            speaks=lambda revision: bool(self._members.get((repository.lower(), revision))),
            found=lane.add,
            now=self._now,
            over=self._over,
        )

    def _served(self) -> Mapping[str, str]:
        """The commits of objects that serve the one that they should, by UID."""
        return {
            each.metadata.uid: each.revision
            for _, each in self._store.endpoints()
            if each.status.revision == each.revision
        }

    def _subject(self, key: ObjectKey) -> Subject | None:
        endpoint = self._store.endpoint(key)
        return self._with_class(endpoint) if endpoint else None

    def _with_class(self, endpoint: EphemeralEndpoint) -> Subject | None:
        endpoint_class = self._store.named_class(self._store.class_name_of(endpoint) or "")
        return Subject(self._cluster_id, endpoint, endpoint_class) if endpoint_class else None

    def _shares_status(self, one: Subject, other: Subject) -> bool:
        mine, theirs = one.endpoint_class.spec.reviews, other.endpoint_class.spec.reviews
        if mine is None or theirs is None or (mine.url, mine.context) != (theirs.url, theirs.context):
            return False
        namespace, repository = one.endpoint.metadata.namespace or "", one.endpoint.spec.source.repository
        return grants(one.endpoint_class, namespace, repository) and not one.is_terminating(self._now())

    def _lane(self, subject: Subject) -> Lane | None:
        return self.lane_of(subject.endpoint_class)

    def lane_of(self, endpoint_class: EphemeralEndpointClass) -> Lane | None:
        """The lane of a class's forge; None if it names none."""
        forge = self._forge_of(endpoint_class)
        if forge is None:
            return None
        if forge not in self.lanes:
            self.lanes[forge] = Lane(forge, self._clock)
            self._has_new_lane.set()
        return self.lanes[forge]


def _key(subject: Subject) -> ObjectKey:
    metadata = subject.endpoint.metadata
    return ObjectKey(ENDPOINT.name, metadata.namespace, metadata.name)


def _commit(endpoint: EphemeralEndpoint) -> tuple[str, str]:
    return endpoint.spec.source.repository.lower(), endpoint.revision


def _place(subject: Subject) -> tuple[str, str]:
    return subject.endpoint.metadata.namespace or "", subject.endpoint.spec.source.repository.lower()
