"""Lists of changed endpoints: all that a complete list would show, for fewer calls."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from tests.aws.cloud import Cloud, eventually

from ephemeral_endpoints.engine.names import Names
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.features.serving import components
from ephemeral_endpoints.features.serving.components import OVERLAP_SECONDS
from ephemeral_endpoints.features.serving.specs import ENDPOINT, ENDPOINT_CONFIG

PAGE = 2
COUNT = 7
"""Endpoints, on four pages."""


@dataclass
class Endpoints:
    """Endpoints that were listed a moment ago."""

    cloud: Cloud

    def name(self, number: int) -> str:
        return Names(self.cloud.scope.cluster_id, f"pr-{number}", f"uid-{number}").base

    def key(self, number: int) -> Key:
        return Key(ENDPOINT, self.name(number))

    def create(self, number: int) -> None:
        config = self.cloud.key(ENDPOINT_CONFIG).name
        self.cloud.clients.sagemaker.create_endpoint(EndpointName=self.name(number), EndpointConfigName=config)

    def delete(self, number: int) -> None:
        self.cloud.clients.sagemaker.delete_endpoint(EndpointName=self.name(number))

    def stick(self, *, stuck: bool = True) -> None:
        """Keep endpoints from coming into service, or let them."""
        self.cloud.aws.control.patch_sagemaker_settings({"behaviour": {"stuck": stuck, "delete_seconds": 60}})

    async def list(self) -> None:
        self.cloud.known = self.cloud.others(ENDPOINT)
        self.cloud.known |= await self.cloud.listed(ENDPOINT)
        self.cloud.aws.control.reset_meter()

    async def are(self, phase: Phase) -> None:
        async def are() -> bool:
            listed = await self.cloud.listed(ENDPOINT)
            return all(observed.phase is phase for observed in listed.values())

        await eventually(are, f"all are {phase}")

    def forget_all_but(self, seconds: float) -> None:
        """As if the last change that was listed had been so much later than the last one that was made."""
        first = self.key(0)
        listed = [each for key, each in self.cloud.known.items() if key.kind is ENDPOINT and key != first]
        latest = max(each.since for each in listed if each.since)
        self.cloud.known[first] = replace(self.cloud.known[first], since=latest + timedelta(seconds=seconds))

    async def changes(self) -> Mapping[Key, ObservedResource | None] | None:
        return await self.cloud.components[ENDPOINT].list_changes(self.cloud.calls, self.cloud.known)

    def called(self) -> dict[str, int]:
        return self.cloud.aws.control.calls().get("sagemaker", {})


@pytest.fixture
async def endpoints(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Endpoints:
    monkeypatch.setattr(components, "PAGE", PAGE)
    cloud.aws.control.patch_sagemaker_settings({"quotas": {"instances_of_any_other_type": "unlimited"}})
    await cloud.prepare(ENDPOINT)
    found = Endpoints(cloud)
    for number in range(COUNT - 1):
        found.create(number)
    await found.are(Phase.READY)
    found.stick()
    found.create(COUNT - 1)
    await found.list()
    found.forget_all_but(OVERLAP_SECONDS * 3)
    return found


async def in_service(endpoints: Endpoints) -> None:
    endpoints.stick(stuck=False)
    await endpoints.are(Phase.READY)


async def made_by_another(endpoints: Endpoints) -> None:
    endpoints.create(COUNT)


async def leaving(endpoints: Endpoints) -> None:
    endpoints.delete(1)


@pytest.mark.parametrize(
    ("happen", "number", "phase"),
    [
        pytest.param(in_service, COUNT - 1, Phase.READY, id="a creation has ended"),
        pytest.param(made_by_another, COUNT, Phase.BUSY, id="another client has made one"),
        pytest.param(leaving, 1, Phase.DELETING, id="another client deletes one"),
    ],
)
async def test_a_change_is_listed_by_one_call_however_many_endpoints_there_are(
    endpoints: Endpoints, happen: Callable[[Endpoints], Awaitable[None]], number: int, phase: Phase
) -> None:
    await happen(endpoints)
    endpoints.forget_all_but(OVERLAP_SECONDS / 2)
    endpoints.cloud.aws.control.reset_meter()
    changes = await endpoints.changes()
    assert changes is not None
    found = changes[endpoints.key(number)]
    assert found is not None
    assert found.phase is phase
    assert set(changes) <= {endpoints.key(each) for each in range(COUNT + 1)}


async def test_what_has_not_changed_for_long_is_not_listed(endpoints: Endpoints) -> None:
    assert await endpoints.changes() == {}
    assert endpoints.called() == {"ListEndpoints": 1}


async def test_the_end_of_a_deletion_is_seen_by_describing_it(endpoints: Endpoints) -> None:
    endpoints.delete(1)
    await endpoints.list()
    endpoints.forget_all_but(OVERLAP_SECONDS * 3)
    changes = await endpoints.changes()
    assert changes is not None
    [(key, found)] = changes.items()
    assert found is not None
    assert (key, found.phase) == (endpoints.key(1), Phase.DELETING)
    assert endpoints.called() == {"ListEndpoints": 1, "DescribeEndpoint": 1}

    endpoints.cloud.aws.control.patch_sagemaker_settings({"behaviour": {"stuck": False, "delete_seconds": 0.01}})
    endpoints.delete(2)
    endpoints.cloud.known[endpoints.key(2)] = replace(endpoints.cloud.known[endpoints.key(2)], phase=Phase.DELETING)

    async def gone() -> bool:
        return (await endpoints.changes() or {}).get(endpoints.key(2), found) is None

    await eventually(gone, "it is gone")


async def test_a_complete_list_is_preferred_where_it_costs_no_more(endpoints: Endpoints) -> None:
    for number in range(3):
        endpoints.delete(number)
    await endpoints.list()
    assert await endpoints.changes() is None, "three are to be described, and there are four pages"
    assert endpoints.called() == {}

    endpoints.cloud.known = endpoints.cloud.others(ENDPOINT)
    assert await endpoints.changes() is None, "nothing was listed"
    assert endpoints.called() == {}


async def test_of_few_endpoints_the_list_is_always_complete(cloud: Cloud) -> None:
    await cloud.prepare(ENDPOINT)
    await cloud.make(cloud.resources[ENDPOINT])
    assert await Endpoints(cloud).changes() is None
