"""The poller at the embedded GitHub, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import aiohttp
import pytest
from tests.engine.objects import CLUSTER, endpoint, make_class, merged
from tests.features.reviews.github.test_states import Held, no_pause
from tests.fixtures.github import REPOSITORY

from eep_platform.github.client import GitHubClient as EmbeddedGitHub
from ephemeral_endpoints.api import CONFIRM_CLOSED_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.reviews import PullRequestState
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.features.reviews.github.client import GitHubClient
from ephemeral_endpoints.features.reviews.github.forge import GitHub
from ephemeral_endpoints.features.reviews.pull_requests.poller import MOST_WOKEN, PullRequests
from ephemeral_endpoints.features.reviews.pull_requests.watched import PullRequestView
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, endpoint_key

OPEN, CLOSED, MERGED = PullRequestState
GRACE = timedelta(minutes=10)


class Fleet:
    """Objects of pull requests with a poller that asks ``github``. Its time passes as ``pass_time`` says."""

    def __init__(self, github: EmbeddedGitHub, session: aiohttp.ClientSession) -> None:
        self.github = github
        self.begin = datetime.now(UTC).replace(microsecond=0)
        self.passed = 0.0
        secret = Held(token=github.add_token("ada"))
        client = GitHubClient(session, github.url, secret, now=self.now, clock=self.clock, sleep=no_pause)
        self.forge = GitHub(client)
        self.classes = {"default": self.make_class()}
        self.objects: dict[ObjectKey, tuple[EphemeralEndpoint, str]] = {}
        self.enqueued: list[ObjectKey] = []
        self.restart()

    def restart(self) -> None:
        """Have another operator that knows nothing."""
        self.poller = PullRequests(
            self.subjects, self.forge_of, self.enqueued.append, share=0.25, now=self.now, clock=self.clock
        )

    def clock(self) -> float:
        return self.passed

    def now(self) -> datetime:
        return self.begin + timedelta(seconds=self.passed)

    def forge_of(self, endpoint_class: EphemeralEndpointClass) -> GitHub | None:
        return self.forge if endpoint_class.spec.reviews else None

    def make_class(
        self,
        name: str = "default",
        annotations: Mapping[str, str] = MappingProxyType({}),
        **reviews: Any,  # noqa: ANN401 - fields
    ) -> EphemeralEndpointClass:
        grants = [{"repository": "acme/*", "namespaces": ["nlp"]}]
        policy = {"url": self.github.url, "secretName": "github", "repositories": grants, "closeGrace": "10m"}
        metadata = {"name": name, "uid": name, "annotations": annotations}
        return make_class({"metadata": metadata, "spec": {"reviews": {**policy, **reviews}}})

    def make(
        self,
        number: int,
        name: str = "",
        class_name: str = "default",
        namespace: str = "nlp",
        **changes: Any,  # noqa: ANN401 - fields
    ) -> ObjectKey:
        key = endpoint_key(namespace, name or f"pr-{number}")
        source = {"repository": REPOSITORY, "pullRequest": number, "revision": "a" * 40}
        metadata = {"name": key.name, "namespace": namespace, "uid": f"{namespace}-{key.name}"}
        created = {"creationTimestamp": timestamp(self.begin)}
        own = {"metadata": {**metadata, **created}, "spec": {"source": source}}
        self.objects[key] = endpoint(merged(own, changes)), class_name
        return key

    def subjects(self) -> Iterator[tuple[ObjectKey, Subject]]:
        return ((key, self.subject(key)) for key in self.objects)

    def subject(self, key: ObjectKey) -> Subject:
        found, class_name = self.objects[key]
        return Subject(CLUSTER, found, self.classes[class_name])

    def view(self, key: ObjectKey) -> PullRequestView:
        view = self.poller.view(self.subject(key))
        assert view
        return view

    def state(self, key: ObjectKey) -> PullRequestState | None:
        sight = self.view(key).sight
        return sight.pull_request.state if sight else None

    async def pass_time(self, seconds: int, turn: int = 5) -> None:
        for _ in range(0, seconds, turn):
            self.passed += turn
            await self.poller.turn()


@pytest.fixture
async def fleet(github: EmbeddedGitHub) -> AsyncIterator[Fleet]:
    github.settings(strict=False)  # its clock stands still
    async with aiohttp.ClientSession() as session:
        yield Fleet(github, session)


async def test_at_rest_a_thousand_pull_requests_cost_at_most_12_requests_a_minute_and_no_write(
    fleet: Fleet, github: EmbeddedGitHub
) -> None:
    github.open_many(REPOSITORY, range(1, 1001))
    keys = [fleet.make(number) for number in range(1, 1001)]
    await fleet.poller.turn()
    assert {fleet.state(key) for key in keys} == {OPEN}
    assert sorted(fleet.enqueued) == sorted(keys)
    fleet.enqueued.clear()
    github.forget_calls()
    await fleet.pass_time(120, turn=30)
    assert github.calls() == {"graphql": 10}, "five a minute"
    assert github.writes() == []
    assert fleet.enqueued == [], "nothing has changed"


async def test_objects_of_the_same_pull_request_cost_one_question(fleet: Fleet, github: EmbeddedGitHub) -> None:
    github.open_many(REPOSITORY, [7])
    first, second = fleet.make(7, "one"), fleet.make(7, "two")
    await fleet.poller.turn()
    assert github.calls() == {"graphql": 1}
    assert fleet.enqueued == [first, second]
    assert [fleet.state(first), fleet.state(second)] == [OPEN, OPEN]


@pytest.mark.parametrize("state", [CLOSED, MERGED])
async def test_closed_for_the_grace_its_objects_end(
    fleet: Fleet, github: EmbeddedGitHub, state: PullRequestState
) -> None:
    github.open_many(REPOSITORY, [1, 2])
    closing, other = fleet.make(1), fleet.make(2)
    await fleet.poller.turn()
    (github.close if state is CLOSED else github.merge)(REPOSITORY, 1)
    await fleet.pass_time(60)
    assert fleet.state(closing) is state
    assert not fleet.view(closing).ends
    await fleet.pass_time(595)
    assert not fleet.view(closing).ends
    fleet.enqueued.clear()
    await fleet.pass_time(5)
    assert fleet.view(closing).ends
    assert fleet.enqueued == [closing]
    assert not fleet.view(other).ends


async def test_woken_it_is_asked_for_at_once_and_the_others_are_not(fleet: Fleet, github: EmbeddedGitHub) -> None:
    github.open_many(REPOSITORY, range(1, 21))
    keys = [fleet.make(number) for number in range(1, 21)]
    await fleet.poller.turn()
    github.merge(REPOSITORY, 7)
    github.merge(REPOSITORY, 8)
    github.forget_calls()
    fleet.poller.wake(REPOSITORY.upper(), 7)
    await fleet.pass_time(1, turn=1)
    assert fleet.state(keys[6]) is MERGED
    assert fleet.state(keys[7]) is OPEN
    assert github.calls() == {"graphql": 1}


async def test_a_flood_of_wakes_is_bounded(fleet: Fleet, github: EmbeddedGitHub) -> None:
    github.open_many(REPOSITORY, range(1, 51))
    for number in range(1, 51):
        fleet.make(number)
    await fleet.poller.turn()
    github.forget_calls()
    for second in range(55):
        for number in range(3 * MOST_WOKEN):
            fleet.poller.wake(REPOSITORY, number)
        fleet.passed += 1
        await fleet.poller.turn()
        assert len(github.calls()) <= 1, second
    assert github.calls()["graphql"] <= 12


async def test_a_wake_ends_the_rest_between_two_turns(fleet: Fleet, github: EmbeddedGitHub) -> None:
    github.open_many(REPOSITORY, [1])
    key = fleet.make(1)
    rested = asyncio.Event()

    async def sleep(seconds: float) -> None:
        fleet.passed += seconds
        rested.set()
        if seconds > 1:
            await asyncio.Event().wait()

    running = asyncio.create_task(fleet.poller.run(sleep))
    while fleet.state(key) is None:
        await asyncio.sleep(0)
    await rested.wait()
    github.close(REPOSITORY, 1)
    fleet.passed += 5
    fleet.poller.wake(REPOSITORY, 1)
    while fleet.state(key) is OPEN:
        await asyncio.sleep(0)
    running.cancel()
    assert fleet.state(key) is CLOSED


async def test_what_is_gone_or_expired_or_not_granted_is_not_asked_for(fleet: Fleet, github: EmbeddedGitHub) -> None:
    fleet.classes |= {"without": make_class({"metadata": {"name": "without", "uid": "without"}})}
    fleet.make(1, metadata={"deletionTimestamp": timestamp(fleet.begin)})
    fleet.make(2, metadata={"creationTimestamp": "2020-01-01T00:00:00Z"})
    elsewhere = fleet.make(3, namespace="vision")
    unwatched = fleet.make(4, class_name="without")
    fleet.make(5, spec={"source": {"pullRequest": None}})
    await fleet.pass_time(120)
    assert github.calls() == {}
    assert fleet.poller.view(fleet.subject(elsewhere)) is None
    assert fleet.poller.view(fleet.subject(unwatched)) is None
    key = fleet.make(6)
    await fleet.pass_time(5)
    assert github.calls() == {"graphql": 1}
    del fleet.objects[key]
    await fleet.pass_time(300)
    assert github.calls() == {"graphql": 1}


async def test_a_tombstone_is_asked_for_because_its_pull_request_may_be_reopened(
    fleet: Fleet, github: EmbeddedGitHub
) -> None:
    github.open_many(REPOSITORY, [1])
    github.close(REPOSITORY, 1)
    ended = {"ephemeral-endpoints.io/pull-request-closed": timestamp(fleet.begin)}
    key = fleet.make(1, metadata={"annotations": ended})
    await fleet.poller.turn()
    assert fleet.state(key) is CLOSED
    github.reopen(REPOSITORY, 1)
    await fleet.pass_time(60)
    assert fleet.state(key) is OPEN
    assert fleet.enqueued == [key, key]


async def test_a_restart_begins_the_grace_anew(fleet: Fleet, github: EmbeddedGitHub) -> None:
    github.open_many(REPOSITORY, [1])
    github.close(REPOSITORY, 1)
    key = fleet.make(1)
    await fleet.poller.turn()
    await fleet.pass_time(595)
    fleet.restart()
    await fleet.pass_time(595)
    assert not fleet.view(key).ends
    await fleet.pass_time(15)
    assert fleet.view(key).ends


async def test_a_class_that_asks_elsewhere_begins_anew_and_one_that_comments_otherwise_does_not(
    fleet: Fleet, github: EmbeddedGitHub
) -> None:
    github.open_many(REPOSITORY, [1])
    github.close(REPOSITORY, 1)
    key = fleet.make(1)
    await fleet.poller.turn()
    fleet.classes["default"] = fleet.make_class(comment="Never")
    await fleet.pass_time(5)
    assert fleet.state(key) is CLOSED
    fleet.classes["default"] = fleet.make_class(secretName="another")
    assert fleet.state(key) is None
    await fleet.pass_time(595)
    assert not fleet.view(key).ends


async def test_a_mass_that_closes_at_once_is_held_until_it_is_confirmed(fleet: Fleet, github: EmbeddedGitHub) -> None:
    github.open_many(REPOSITORY, range(1, 41))
    keys = [fleet.make(number) for number in range(1, 41)]
    await fleet.poller.turn()
    for number in range(1, 21):
        github.close(REPOSITORY, number)
    await fleet.pass_time(900, turn=60)
    assert fleet.poller.held() == {"default": 20}
    assert not any(fleet.view(key).ends for key in keys)
    fleet.enqueued.clear()
    confirmed = {CONFIRM_CLOSED_ANNOTATION: timestamp(fleet.now())}
    fleet.classes["default"] = fleet.make_class(annotations=confirmed)
    await fleet.pass_time(5)
    assert fleet.poller.held() == {"default": 0}
    assert sorted(fleet.enqueued) == sorted(keys[:20])
    assert all(fleet.view(key).ends for key in keys[:20])


async def test_a_confirmation_that_is_no_time_confirms_nothing(fleet: Fleet, github: EmbeddedGitHub) -> None:
    github.open_many(REPOSITORY, range(1, 21))
    for number in range(1, 21):
        fleet.make(number, status={"review": {"state": "Open"}})
        github.close(REPOSITORY, number)
    fleet.classes["default"] = fleet.make_class(annotations={CONFIRM_CLOSED_ANNOTATION: "yes"})
    await fleet.pass_time(900, turn=60)
    assert fleet.poller.held() == {"default": 20}


@pytest.mark.parametrize("effect", ["html", "empty", "error", "reset", "secondary_limit", "primary_limit"])
async def test_a_github_that_is_down_for_a_day_ends_nothing_and_is_asked_ever_less(
    fleet: Fleet, github: EmbeddedGitHub, effect: str
) -> None:
    github.open_many(REPOSITORY, range(1, 11))
    keys = [fleet.make(number) for number in range(1, 11)]
    await fleet.poller.turn()
    github.close(REPOSITORY, 1)
    github.trouble({"effect": effect})
    github.forget_calls()
    await fleet.pass_time(24 * 3600, turn=300)
    assert not any(fleet.view(key).ends for key in keys)
    assert all(fleet.view(key).error for key in keys)
    assert sum(github.calls().values()) <= 24 * 4 + 6
    github.trouble()
    await fleet.pass_time(3600, turn=60)
    assert fleet.state(keys[0]) is CLOSED
    assert not any(fleet.view(key).error for key in keys)


async def test_each_class_asks_for_its_own(fleet: Fleet, github: EmbeddedGitHub) -> None:
    github.open_many(REPOSITORY, [1])
    fleet.classes["gpu"] = fleet.make_class("gpu", closeGrace="1h")
    github.close(REPOSITORY, 1)
    first, second = fleet.make(1, "one"), fleet.make(1, "two", "gpu")
    await fleet.poller.turn()
    await fleet.pass_time(620)
    assert [fleet.view(first).ends, fleet.view(second).ends] == [True, False]
