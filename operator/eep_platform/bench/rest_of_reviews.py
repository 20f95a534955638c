"""The requests to GitHub at rest: what the operator publishes, watches and reads, without Kubernetes and AWS.

Thousands of objects cannot be published in a reasonable time at the pace that GitHub allows, and none of its requests
depend on what serves them. So the operator's own parts run here over objects that stand in no cluster, on the embedded
GitHub, and both have a clock that only this benchmark moves.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp
from kubernetes.aio.client import ApiClient

from eep_platform.bench.results import ReviewsAtRest
from eep_platform.errors import PlatformError
from eep_platform.github.client import GitHubClient as Service
from eep_platform.github.client import sha_of
from ephemeral_endpoints.api import API_VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT, ENDPOINT_CLASS
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.controllers.reasons import TO_ACT_ON
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.features.reviews.commands.commanding import Commanding
from ephemeral_endpoints.features.reviews.commands.execution import Execution
from ephemeral_endpoints.features.reviews.commands.handling import CommandHandler
from ephemeral_endpoints.features.reviews.github.client import GitHubClient
from ephemeral_endpoints.features.reviews.github.forge import GitHub
from ephemeral_endpoints.features.reviews.publishing.publisher import Publisher
from ephemeral_endpoints.features.reviews.pull_requests.poller import TURN_SECONDS, PullRequests
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, Store
from ephemeral_endpoints.kube.client import KubeClient

REPOSITORIES: Final = 20
REST_SECONDS: Final = 1800.0
_CLUSTER: Final = "bench"
_NAMESPACE: Final = "bench"
_CLASS: Final = "bench"
_LOGIN: Final = "bench"
_TTL: Final = "720h"
_MOST_TURNS: Final = 20
"""Of an object, until it is published: more would mean that it never is."""


@dataclass(slots=True)
class Clock:
    """A clock that moves when somebody sleeps."""

    began: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    seconds: float = 0.0

    def monotonic(self) -> float:
        """Seconds since the beginning."""
        return self.seconds

    def now(self) -> datetime:
        """The time of day."""
        return self.began + timedelta(seconds=self.seconds)

    async def sleep(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self.seconds += seconds


@dataclass(frozen=True, slots=True)
class _Secret:
    token: str
    where: str = "the Secret of the benchmark"

    async def data(self) -> Mapping[str, bytes]:
        return {"token": self.token.encode()}

    def forget(self) -> None:
        """There is no other."""


def measure(service: Service, objects: int, seconds: float = REST_SECONDS) -> ReviewsAtRest:
    """Publish so many objects, each on its own pull request, and count the requests at rest. Raises PlatformError."""
    return asyncio.run(_measure(service, objects, seconds))


async def _measure(service: Service, objects: int, seconds: float) -> ReviewsAtRest:
    names = [f"bench/repository-{number}" for number in range(min(REPOSITORIES, objects))]
    for number, name in enumerate(names):
        service.add_repository(name)
        service.add_collaborator(name, _LOGIN, "write")
        service.open_many(name, range(number + 1, objects + 1, len(names)))
    async with aiohttp.ClientSession() as session, ApiClient() as api:
        clock = Clock()
        client = GitHubClient(
            session,
            service.url,
            _Secret(service.add_token(_LOGIN)),
            now=clock.now,
            clock=clock.monotonic,
            sleep=clock.sleep,
        )
        parts = _Parts(service, clock, GitHub(client), KubeClient(api, clock.now), _store(names, objects, clock))
        await parts.publish(objects)
        await parts.rest(seconds / 2)  # what is asked for at the start comes first
        service.forget_calls()
        parts.offer()
        await parts.rest(seconds)
        return ReviewsAtRest(objects, len(names), seconds, dict(service.calls()), len(service.writes()))


class _Parts:
    """The parts of the operator that send requests, driven by a clock."""

    def __init__(self, service: Service, clock: Clock, forge: GitHub, kube: KubeClient, store: Store) -> None:
        self._service = service
        self._clock = clock
        self._store = store
        self._told = 0.0
        now, monotonic = clock.now, clock.monotonic
        self._publisher = Publisher(
            _CLUSTER,
            store,
            lambda _: forge,
            owns=lambda _: True,
            objects=_none,
            enqueue=lambda _: None,
            failures=TO_ACT_ON,
            now=now,
            clock=monotonic,
        )
        self._pull_requests = PullRequests(
            self._subjects, lambda _: forge, lambda _: None, share=0.2, now=now, clock=monotonic
        )
        handler = CommandHandler(Execution(_CLUSTER, kube, store, now), monotonic)
        self._commanding = Commanding(lambda _: forge, handler, store, takes=lambda _: True, now=now, clock=monotonic)

    def offer(self) -> None:
        """Look at all objects, as the operator does at its start and every hour."""
        for key, _ in self._store.endpoints():
            self._publisher.offer(key)

    async def publish(self, objects: int) -> None:
        """Publish everything, at the pace that GitHub allows by the clock. Raises PlatformError."""
        self.offer()
        for _ in range(_MOST_TURNS * objects):
            if not await self._turn():
                (lane,) = self._publisher.lanes.values()
                if (due := lane.due_in()) is None:
                    return
                await self._clock.sleep(max(due, 0.001))
            self._advance()
        raise PlatformError("not everything was published")

    async def rest(self, seconds: float) -> None:
        """Do for so long what there is to do."""
        end, look_at = self._clock.seconds + seconds, self._clock.seconds
        while self._clock.seconds < end:
            await self._pull_requests.turn()
            if look_at <= self._clock.seconds:
                look_at = self._clock.seconds + await self._commanding.look()
            while await self._turn():
                pass
            await self._clock.sleep(TURN_SECONDS)
            self._advance()

    async def _turn(self) -> bool:
        """Whether any lane had something to do."""
        return any([await lane.turn() for lane in list(self._publisher.lanes.values())])

    def _advance(self) -> None:
        """Put GitHub's clock forward, once in a while."""
        ahead = self._clock.seconds - self._told
        if ahead >= TURN_SECONDS:
            self._service.advance(ahead)
            self._told = self._clock.seconds

    def _subjects(self) -> Iterator[tuple[ObjectKey, Subject]]:
        endpoint_class = self._store.get(EphemeralEndpointClass, ObjectKey(ENDPOINT_CLASS.name, None, _CLASS))
        for key, endpoint in self._store.endpoints():
            if endpoint_class:
                yield key, Subject(_CLUSTER, endpoint, endpoint_class)


async def _none() -> AsyncIterator[Mapping[str, Any]]:
    nothing: tuple[Mapping[str, Any], ...] = ()
    for each in nothing:
        yield each


def _store(repositories: list[str], objects: int, clock: Clock) -> Store:
    """The class, and objects that serve their commits."""
    store = Store()
    grant = {"repository": "bench/*", "namespaces": [_NAMESPACE]}
    role = "arn:aws:iam::123456789012:role/bench"
    spec = {
        "region": "eu-central-1",
        **dict.fromkeys(("executionRoleArn", "forwarderRoleArn", "invokeRoleArn"), role),
        "lifecycle": {"defaultTtl": _TTL, "maxTtl": _TTL},
        "reviews": {"secretName": "bench", "repositories": [grant]},
    }
    store.put(_object(ENDPOINT_CLASS.name, {"name": _CLASS, "generation": 1}, spec, clock))
    for number in range(1, objects + 1):
        revision = sha_of(str(number))
        source = {
            "repository": repositories[(number - 1) % len(repositories)],
            "pullRequest": number,
            "revision": revision,
        }
        metadata = {"name": f"pr-{number}", "namespace": _NAMESPACE, "generation": 1}
        image = f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/bench:{number}"
        spec = {"className": _CLASS, "source": source, "model": {"image": image}}
        ready = {"type": "Ready", "status": "True", "observedGeneration": 1, "reason": "Ready", "message": "serving"}
        status = {
            "observedGeneration": 1,
            "conditions": [{**ready, "lastTransitionTime": timestamp(clock.now())}],
            "url": f"https://bench.example/{number}",
            "revision": revision,
        }
        store.put({**_object(ENDPOINT.name, metadata, spec, clock), "status": status})
    return store


def _object(kind: str, metadata: dict[str, Any], spec: dict[str, Any], clock: Clock) -> dict[str, Any]:
    own = {"uid": f"uid-{kind}-{metadata['name']}", "resourceVersion": "1", "creationTimestamp": timestamp(clock.now())}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {**own, **metadata}, "spec": spec}
