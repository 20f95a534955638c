"""Checks that refer to ConfigMaps, on a real API server; tests/controllers/endpoint/test_checks.py has the rest."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast

import aiohttp
import pytest
from kubernetes.aio.client import ApiClient
from kubernetes.client import V1ConfigMap, V1ObjectMeta
from kubernetes.client.exceptions import ApiException
from tests.aws.cloud import eventually
from tests.engine.objects import CLUSTER, endpoint, make_class
from tests.features.checks.model_server import ModelServer
from tests.fixtures.kubernetes import Cluster

from ephemeral_endpoints.api.v1alpha1.checks import CheckRun
from ephemeral_endpoints.aws.account import Account, Owner
from ephemeral_endpoints.features.checks.contract.sides import Contracts
from ephemeral_endpoints.features.checks.load.runner import LoadRunner
from ephemeral_endpoints.features.checks.requests import ModelClient
from ephemeral_endpoints.features.checks.runner import Runner
from ephemeral_endpoints.features.checks.step import RETRY_SECONDS, ChecksStep
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.schemas import SchemasStep
from ephemeral_endpoints.features.routing.token import TokenStep
from ephemeral_endpoints.features.runs import Runs
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, Store, endpoint_key
from ephemeral_endpoints.kube.client import KubeClient
from ephemeral_endpoints.kube.configmaps import UNWATCHED_SECONDS, ConfigMaps
from ephemeral_endpoints.kube.rest import TLS_CLOSE_SECONDS

NOW = datetime(2026, 11, 30, tzinfo=UTC)


class Checked:
    """An object whose check refers to the keys ``request`` and ``schema`` of a ConfigMap, reconciled by its step."""

    def __init__(self, cluster: Cluster, api: ApiClient, model: ModelServer, session: aiohttp.ClientSession) -> None:
        self._cluster = cluster
        self.model = model
        self.key = endpoint_key(cluster.namespace, "pr-42")
        self.enqueued: list[ObjectKey] = []
        self.maps = ConfigMaps(api, (cluster.namespace,), self.enqueued.append)
        loop = asyncio.get_running_loop()
        self.store = Store()
        self.schemas = SchemasStep(self.maps, loop.time)
        self.step = ChecksStep(
            Runner(ModelClient(session, loop.time), loop.time),
            Runs[CheckRun](self.enqueued.append, most=1),
            TokenStep(KubeClient(api, lambda: NOW), Store(), loop.time, lambda: NOW),
            self.maps,
            lambda: NOW,
            clock=loop.time,
            load=LoadRunner(CLUSTER, None, Store(), loop.time),
            contracts=Contracts(self.store, self.maps, self.schemas),
        )
        self.load: dict[str, Any] | None = None
        self._status: dict[str, Any] = {}

    def put(self, **data: str) -> None:
        body = V1ConfigMap(metadata=V1ObjectMeta(name="cases"), data=data)
        try:
            self._cluster.core.create_namespaced_config_map(self._cluster.namespace, body)
        except ApiException:
            self._cluster.core.replace_namespaced_config_map("cases", self._cluster.namespace, body)

    def reconciliation(self) -> Reconciliation:
        def reference(key: str) -> dict[str, Any]:
            return {"configMapKeyRef": {"name": "cases", "key": key}}

        check = {"name": "a", "requestFrom": reference("request"), "expect": {"schemaFrom": reference("schema")}}
        check |= {"load": self.load} if self.load else {}
        spec = {"checks": [check], "api": {"auth": {"type": "None"}}}
        metadata = {"namespace": self._cluster.namespace}
        subject = Subject(CLUSTER, endpoint({"metadata": metadata, "spec": spec, "status": self._status}), make_class())
        uid = subject.endpoint.metadata.uid
        return Reconciliation(self.key, subject, cast("Account", None), Owner("o", uid), set())

    async def reconcile(self, *, is_ready: bool = True) -> tuple[str, str]:
        """Reconcile once, with the status that the last time left; returns reason and message of the condition."""
        reconciliation = self.reconciliation()
        await self.step.run(reconciliation, self.model.url if is_ready else None)
        if run := self.step.status(reconciliation)["checks"]:
            assert isinstance(run, CheckRun)
            self._status = {"checks": run.to_wire()}
        condition = self.step.condition(reconciliation)
        assert condition
        return condition.reason.name, condition.message

    async def until(self, reason: str) -> str:
        """Reconcile until the condition has that reason; returns its message."""
        found = ("", "")

        async def is_there() -> bool:
            nonlocal found
            found = await self.reconcile()
            return found[0] == reason

        await eventually(is_there, reason)
        return found[1]


@pytest.fixture
async def checked(cluster: Cluster, api: ApiClient, model: ModelServer) -> AsyncIterator[Checked]:
    async with aiohttp.ClientSession() as session:
        found = Checked(cluster, api, model, session)
        yield found
        await found.step.stop()


async def test_checks_wait_for_their_configmap_and_its_keys(checked: Checked) -> None:
    missing = ("CheckUnavailable", "check a: the ConfigMap cases does not exist: create it")
    assert await checked.reconcile(is_ready=False) == missing, "told before the object is ready"
    assert await checked.reconcile() == missing
    checked.put(request="{}")
    assert await checked.reconcile() == (
        "CheckUnavailable",
        "check a: the ConfigMap cases has no key schema: add it to its data",
    )
    checked.put(request="{}", schema="no JSON")
    assert (await checked.reconcile())[0] == "CheckInvalid"
    checked.put(request="{}", schema='{"type": "text"}')
    assert (await checked.reconcile())[1].startswith("check a: the JSON Schema is not valid: /type:")
    assert checked.model.requests == []
    checked.put(request="{}", schema='{"type": "object"}')
    await checked.until("ChecksPassed")


async def test_load_is_put_on_once_the_answer_is_as_expected_and_its_result_is_that_of_the_check(
    checked: Checked,
) -> None:
    checked.put(request="[]", schema='{"type": "object"}')
    checked.load = {"rate": 10}
    await checked.until("ChecksFailed")
    checked.put(request="{}", schema='{"type": "object"}')
    message = await checked.until("ChecksInconclusive")
    assert "ask the platform team to set EEP_IMAGE" in message


async def test_another_content_runs_the_checks_anew_and_the_same_one_does_not(checked: Checked) -> None:
    checked.put(request="{}", schema='{"type": "object"}')
    await checked.until("ChecksPassed")
    await checked.reconcile()
    assert len(checked.model.requests) == 1
    checked.put(request="[]", schema='{"type": "object"}')
    await checked.until("ChecksFailed")
    assert len(checked.model.requests) == 2


async def test_a_changed_configmap_has_the_object_reconciled_until_it_is_gone(checked: Checked) -> None:
    checked.put(request="{}", schema="{}")
    watching = asyncio.create_task(checked.maps.run())
    try:
        await checked.until("ChecksPassed")
        await eventually(_is(lambda: checked.maps.is_watched), "watched")
        assert checked.step.due(checked.reconciliation()) is None
        checked.enqueued.clear()
        checked.put(request="[]", schema="{}")
        await eventually(_is(lambda: checked.key in checked.enqueued), "told of the change")
        other = endpoint_key(checked.key.namespace or "", "other")
        checked.maps.refer(other, ["cases"], "test")
        checked.step.forget(checked.reconciliation().uid)
        checked.enqueued.clear()
        checked.put(request="{}", schema="{}")
        await eventually(_is(lambda: other in checked.enqueued), "the other one is told")
        assert checked.key not in checked.enqueued
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await asyncio.sleep(TLS_CLOSE_SECONDS)


async def test_a_configmap_that_is_not_watched_is_looked_at_now_and_then(checked: Checked) -> None:
    checked.put(request="{}", schema="{}")
    await checked.until("ChecksPassed")
    assert checked.step.due(checked.reconciliation()) == UNWATCHED_SECONDS


async def test_configmaps_that_cannot_be_read_leave_it_unknown_and_are_tried_again(
    checked: Checked, api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked.put(request="{}", schema="{}")
    with monkeypatch.context() as patched:
        patched.setattr(api.configuration, "host", "http://127.0.0.1:1")
        reason, message = await checked.reconcile()
        assert (reason, message.partition(":")[0]) == ("AwsUnavailable", "GetConfigMap")
        assert checked.step.due(checked.reconciliation()) == RETRY_SECONDS
    await checked.until("ChecksPassed")


def _is(check: Any) -> Any:  # noqa: ANN401 - as an awaitable
    async def is_so() -> bool:
        return bool(check())

    return is_so
