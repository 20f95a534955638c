"""Bad days of the cluster itself: its store restarts, a namespace goes, others write too, clocks are off."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from tests.fixtures.operator import DEFAULT_SETTINGS, Bench, OperatorProcess
from tests.fixtures.waiting import eventually

import ephemeral_endpoints
from eep_platform.controlplane import restart_etcd
from eep_platform.workbench import condition
from ephemeral_endpoints.api import GROUP, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT

SKEW = Path(__file__).parent / "skew"
FOUR_MINUTES = 240
"""More than the operator tolerates where it expires objects; AWS refuses signatures from five on."""


def test_objects_under_way_while_etcd_is_killed_converge(bench: Bench) -> None:
    names = [f"pr-{number}" for number in range(4)]
    for name in names:
        bench.apply(name, bench.spec(model=bench.saying("before")))
    bench.wait_called("CreateEndpoint")
    restart_etcd(bench.platform.state)
    for name in names:
        bench.wait_ready(name)
    assert bench.effects()["CreateEndpoint"] == len(names)

    bench.apply(names[0], bench.spec(model=bench.saying("after")))
    bench.delete(names[1])
    restart_etcd(bench.platform.state)
    bench.wait_ready(names[0])
    bench.wait_gone(names[1])
    assert {kind: len(found) for kind, found in bench.left().items()}["Endpoint"] == len(names) - 1


def test_a_namespace_goes_with_everything_that_its_objects_have_in_aws(bench: Bench) -> None:
    namespace = f"{bench.namespace}-gone"
    bench.core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=namespace)))
    there = Bench(bench.platform, namespace=namespace, image=bench.image)
    there.apply("ready", there.spec())
    there.wait_ready("ready")
    bench.control.reset_meter()
    there.apply("new", there.spec())
    bench.wait_called("CreateEndpoint")
    bench.core.delete_namespace(namespace)

    def is_gone() -> bool:
        return namespace not in {each.metadata.name for each in bench.core.list_namespace().items if each.metadata}

    eventually(is_gone, "the namespace gone")
    bench.wait_empty()


@contextmanager
def meddling(bench: Bench, name: str) -> Iterator[list[str]]:
    """Somebody else writes to the object all the time, though nothing that matters; yields what was written."""
    done = threading.Event()
    written: list[str] = []

    def write() -> None:
        for number in range(10_000):
            if done.is_set():
                return
            body = {"metadata": {"labels": {"meddler": str(number)}}}
            try:
                bench.objects.patch_namespaced_custom_object(
                    GROUP,
                    VERSION,
                    bench.namespace,
                    ENDPOINT.plural,
                    name,
                    body,
                    _content_type="application/merge-patch+json",
                )
            except ApiException as error:
                if error.status == HTTPStatus.CONFLICT:
                    continue  # the operator was always quicker
                return  # it is gone
            written.append(str(number))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield written
    finally:
        done.set()
        thread.join()


def test_an_object_that_another_client_keeps_writing_to_is_created_once_and_reported(bench: Bench) -> None:
    bench.apply("pr", bench.spec())
    with meddling(bench, "pr") as written:
        obj = bench.wait_ready("pr")
        before = len(written)
        bench.apply("pr", bench.spec(model=bench.saying("after")))
        bench.wait_ready("pr")
        assert 0 < before < len(written), "somebody wrote from the beginning to the end"
    assert bench.effects()["CreateEndpoint"] == bench.effects()["UpdateEndpoint"] == 1
    assert any("the URL leads to this revision" in (event.message or "") for event in bench.events(obj))


@pytest.mark.settings(None)
@pytest.mark.parametrize("seconds", [-FOUR_MINUTES, FOUR_MINUTES])
def test_an_operator_whose_clock_is_off_makes_changes_and_deletes_all_the_same(
    bench: Bench, operator_process: OperatorProcess, seconds: int
) -> None:
    package = Path(ephemeral_endpoints.__file__).parents[1]
    operator_process.run(
        {
            **DEFAULT_SETTINGS,
            "PYTHONPATH": f"{SKEW}:{package}",
            "SKEW_SECONDS": str(seconds),
            "EEP_SNAPSHOT_SECONDS": "1",
        }
    )
    bench.apply("pr", bench.spec(lifecycle={"ttl": "1h"}))
    made = bench.wait_ready("pr")
    bench.apply("pr", bench.spec(model=bench.saying("after"), lifecycle={"ttl": "1h"}))
    changed = bench.wait_ready("pr")
    assert made["status"]["expiresAt"] == changed["status"]["expiresAt"], "which is by the API server's clock"
    assert condition(changed, "Stalled")["status"] == "False"
    bench.delete("pr")
    bench.wait_gone("pr")
    bench.wait_empty()
    operator_process.stop()
