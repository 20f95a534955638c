"""What `helm test` finds out, asked of a real API server."""

import asyncio
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient as AsyncApiClient
from tests.fixtures.kubernetes import Cluster
from tests.fixtures.virtual_time import VirtualTime

from ephemeral_endpoints import check as check_module
from ephemeral_endpoints.api.kinds import ENDPOINT_CLASS, KINDS, ObjectKind
from ephemeral_endpoints.check import Installation, check, class_fault
from ephemeral_endpoints.kube.lease import Lease, Record

GENERATION = {"name": "gpu", "generation": 2}
CONNECTED = {"type": "Ready", "status": "True", "reason": "Connected", "message": "it works"}
DENIED = {"type": "Ready", "status": "False", "reason": "AccessDenied", "message": "not you"}


@pytest.mark.parametrize(
    ("metadata", "status", "expected"),
    [
        ({}, {"observedGeneration": 2, "conditions": [CONNECTED]}, None),
        ({}, {"observedGeneration": 1, "conditions": [CONNECTED]}, "the operator has not looked at"),
        ({}, {}, "the operator has not looked at EphemeralEndpointClass gpu yet"),
        ({}, {"observedGeneration": 2, "conditions": [DENIED]}, "gpu is not ready: AccessDenied: not you"),
        ({}, {"observedGeneration": 2, "conditions": []}, "has no condition Ready"),
        ({"deletionTimestamp": "2026-11-21T12:00:00Z"}, {}, None),
    ],
)
def test_a_class_is_at_fault_unless_the_operator_says_that_it_is_ready(
    metadata: dict[str, Any], status: dict[str, Any], expected: str | None
) -> None:
    found = class_fault({"metadata": {**GENERATION, **metadata}, "status": status})
    assert found == expected or (found and expected and expected in found)


async def test_an_installation_works_once_its_leases_are_renewed(
    cluster: Cluster, api: AsyncApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The classes of others on this API server are not this installation's.
    monkeypatch.setattr(check_module, "class_fault", lambda _: None)
    lease = Lease(api, cluster.namespace, "ephemeral-endpoints")
    installation = Installation(api, cluster.namespace, ["ephemeral-endpoints"], [cluster.namespace])
    missing = "no replica renews the Lease ephemeral-endpoints: look at the operator's pods and their logs"
    assert await installation.faults() == [missing], "there is none"
    version = await lease.write(Record("us", 10, None, "2026-11-21T12:00:00.000000Z"), None)
    assert await installation.faults() == [missing], "it may be left by a replica that is gone"
    assert await installation.faults() == [missing]
    await lease.write(Record("us", 10, None, "2026-11-21T12:00:02.000000Z"), version)
    assert await installation.faults() == []


async def test_kinds_that_the_api_server_does_not_serve_are_named(
    cluster: Cluster, api: AsyncApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = ObjectKind(ENDPOINT_CLASS.model, "endpointgroups", "epg", ENDPOINT_CLASS.scope, ())
    monkeypatch.setattr(check_module, "KINDS", (*KINDS, unknown))
    found = await Installation(api, cluster.namespace, [], []).faults()
    assert found == ["the API server does not serve endpointgroups: install the CRDs (crds.install)"]


async def test_it_looks_until_nothing_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_module, "_LOOK_SECONDS", 0.0)
    answers = [["a"], ["b"], []]

    async def faults() -> list[str]:
        await asyncio.sleep(0)
        return answers.pop(0)

    assert await check(faults, 60.0) == []


def test_it_says_what_is_wrong_when_the_time_is_over() -> None:
    async def wrong() -> list[str]:
        await asyncio.sleep(0)
        return ["a"]

    async def silent() -> list[str]:
        await asyncio.Event().wait()
        return []

    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        assert runner.run(check(wrong, 90.0)) == ["a"]
        assert runner.run(check(silent, 90.0)) == ["the API server did not answer within 90 s"]
