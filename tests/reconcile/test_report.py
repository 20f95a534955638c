from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from tests.core.objects import ENDPOINT, merged

from ephemeral_endpoints.core.conditions import Truth, Type, Verdict
from ephemeral_endpoints.core.cost import Bill
from ephemeral_endpoints.core.resources import Have, Key, Kind, Phase
from ephemeral_endpoints.kube.client import Kube
from ephemeral_endpoints.kube.rest import Conflict, Gone
from ephemeral_endpoints.kube.store import Store
from ephemeral_endpoints.reconcile.report import Facts, Reporter

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
CREATING = Facts((Verdict(Type.READY, Truth.FALSE, "Creating", "waits"),))
SERVING = Facts((Verdict(Type.READY, Truth.TRUE, "Serving", "answers"),))
MANIFEST = {**ENDPOINT, "apiVersion": "ephemeral-endpoints.io/v1alpha1", "kind": "EphemeralEndpoint"}


class ApiServer:
    """What is written, in order; one write of the status can fail, before or after it is done."""

    def __init__(self) -> None:
        self.written: list[tuple[str, Any]] = []
        self.failure: Exception | None = None
        self.version = 10
        self.object: Mapping[str, Any] = MANIFEST

    async def write_status(self, _: Mapping[str, Any], patch: Mapping[str, Any]) -> Mapping[str, Any]:
        if failure := self.failure:
            self.failure = None
            raise failure
        self.version += 1
        self.written.append(("status", patch))
        changes = {"metadata": {"resourceVersion": str(self.version)}, "status": patch}
        self.object = merged(self.object, changes)
        return self.object

    async def event(self, raw: Mapping[str, Any], *, kind: str, reason: str, message: str) -> None:
        self.written.append(("event", (raw.get("status"), kind, reason, message)))


class Told:
    """A reporter on an object that an operator has just taken in; ``restart`` is the next operator's."""

    def __init__(self) -> None:
        self.server = ApiServer()
        self.start(MANIFEST)

    def start(self, raw: Mapping[str, Any]) -> None:
        self.store = Store()
        self.key = self.store.put(raw)
        self._reporter = Reporter(cast("Kube", self.server), self.store, lambda: NOON)

    async def tell(self, facts: Facts) -> None:
        endpoint = self.store.endpoint(self.key)
        assert endpoint is not None
        await self._reporter.tell(self.key, endpoint, facts)


@pytest.fixture
def told() -> Told:
    return Told()


async def test_what_says_nothing_new_is_not_written(told: Told) -> None:
    await told.tell(CREATING)
    assert [what for what, _ in told.server.written] == ["event", "status"]
    await told.tell(CREATING)
    assert len(told.server.written) == 2


async def test_an_event_is_not_lost_with_a_write_that_conflicted(told: Told) -> None:
    told.server.failure = Conflict("changed meanwhile")
    with pytest.raises(Conflict):
        await told.tell(CREATING)
    await told.tell(CREATING)
    first, second, (last, _) = told.server.written
    assert first == second, "the same Event upon the same status, which is there once"
    assert last == "status"


async def test_what_was_not_told_before_a_conflict_is_told_although_it_has_passed(told: Told) -> None:
    told.server.failure = Conflict("changed meanwhile")
    with pytest.raises(Conflict):
        await told.tell(CREATING)
    await told.tell(SERVING)
    assert [said[2] for what, said in told.server.written if what == "event"] == ["Creating", "Serving"]


async def test_an_event_is_not_lost_with_an_operator_that_dies_before_the_status_is_written(told: Told) -> None:
    told.server.failure = RuntimeError("killed")
    with pytest.raises(RuntimeError):
        await told.tell(CREATING)
    told.start(MANIFEST)
    await told.tell(CREATING)
    assert told.server.written[0] == told.server.written[1]


async def test_an_object_that_is_gone_is_left_alone(told: Told) -> None:
    told.server.failure = Gone("deleted")
    await told.tell(CREATING)
    assert [what for what, _ in told.server.written] == ["event"]


async def test_what_stands_costs_and_what_is_not_known_stays_as_it_was_told(told: Told) -> None:
    endpoint = Key(Kind.ENDPOINT, "e")
    there = {endpoint: Have(endpoint, Phase.READY)}

    async def cost(facts: Facts) -> object:
        await told.tell(facts)
        found = told.store.endpoint(told.key)
        assert found is not None
        return found.status.cost and found.status.cost.hourly_usd

    facts = replace(SERVING, own=there)
    assert await cost(facts) is None
    assert await cost(replace(facts, bill=Bill())) == "0.00"
    assert await cost(facts) == "0.00", "nothing new is known"
    assert await cost(replace(facts, bill=Bill(unpriced=("ml.x.y",)))) is None
    assert await cost(replace(SERVING, own={})) == "0.00", "nothing stands any more"
