import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException
from tests.fixtures.operator import NEEDED_CREATIONS, WATCHFUL, Bench, OperatorProcess, metrics
from tests.fixtures.waiting import eventually

from eep_platform import operator
from eep_platform.aws.contents import Contents
from eep_platform.aws.faults import Fault, FaultError
from eep_platform.errors import PlatformError
from eep_platform.workbench import is_ready
from ephemeral_endpoints.api import GROUP, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT, ENDPOINT_CLASS
from ephemeral_endpoints.engine.names import ENDPOINT_LOG_PREFIX, owner_hash

SWEEPING = {**WATCHFUL, "EEP_SWEEP_MIN_AGE_SECONDS": "1"}
OWN_THINGS = sum(count for operation, count in NEEDED_CREATIONS.items() if operation != "PutRetentionPolicy")
"""What one object has in AWS, beside the API that it shares."""
MERGE_PATCH = "application/merge-patch+json"
WITHOUT_FINALIZERS = {"metadata": {"finalizers": None}}

pytestmark = pytest.mark.settings(SWEEPING)


def tear_off(bench: Bench, name: str) -> None:
    """Delete the object and take away the finalizer that holds it."""
    bench.delete(name)
    bench.objects.patch_namespaced_custom_object(
        GROUP, VERSION, bench.namespace, ENDPOINT.plural, name, WITHOUT_FINALIZERS, _content_type=MERGE_PATCH
    )
    assert bench.get(name) is None


def tear_off_class(bench: Bench, name: str) -> None:
    bench.delete_class(name)
    bench.objects.patch_cluster_custom_object(
        GROUP, VERSION, ENDPOINT_CLASS.plural, name, WITHOUT_FINALIZERS, _content_type=MERGE_PATCH
    )
    assert bench.get_class(name) is None


def metric(url: str, name: str, **labels: str) -> float:
    """The sum of a metric over its other labels."""
    samples = metrics(f"{url}/metrics")(name)
    return sum(each.value for each in samples if labels.items() <= each.labels.items())


def swept(bench: Bench) -> list[dict[str, Any]]:
    """What the operators of the platform say that they swept."""
    text = operator.log(bench.platform).read_text(errors="replace")
    whole = text.split("\n")[:-1]
    lines = [json.loads(line) for line in whole if line.startswith("{")]
    return [line for line in lines if line["message"] == "swept"]


def wait_swept(bench: Bench, obj: dict[str, Any]) -> list[dict[str, Any]]:
    """What the operators say that they swept of an object; the last line comes after what it tells of is gone."""
    owner = owner_hash(obj["metadata"]["uid"])

    def found() -> list[dict[str, Any]]:
        return [line for line in swept(bench) if line["owner"] == owner]

    eventually(lambda: len(things(found())) >= OWN_THINGS, "all that the object had in the log")
    assert len(things(found())) == OWN_THINGS
    return found()


def things(lines: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(line["kind"], line["resource"]) for line in lines}


def wait_contents(bench: Bench, expected: Contents) -> None:
    """Wait until AWS holds just that, and lines that came late have not brought back a log group for good."""
    bench.control.flush_sagemaker()
    try:
        eventually(lambda: bench.holds(expected), "a swept account")
    except PlatformError:
        assert bench.left() == expected


def lost(bench: Bench, before: Contents) -> Contents:
    """What is not there any more."""
    now = bench.left()
    gone = {kind: sorted(set(names) - set(now.get(kind, []))) for kind, names in before.items()}
    return {kind: names for kind, names in gone.items() if names}


@contextmanager
def strangers(bench: Bench, cluster: str) -> Iterator[Contents]:
    """Things of others with names like ours; yields what they are."""
    owner = owner_hash("no object's")
    models = [f"eep-other-pr-{owner}-00000000", f"eep-{cluster}-pr-{owner}-00000000", f"eep-{cluster}-billing"]
    group = f"{ENDPOINT_LOG_PREFIX}eep-other-pr-{owner}"
    sagemaker, logs = bench.aws("sagemaker"), bench.aws("logs")
    role = f"arn:aws:iam::{bench.platform.account}:role/ephemeral-endpoints-execution"
    for name in models:
        sagemaker.create_model(ModelName=name, PrimaryContainer={"Image": bench.image}, ExecutionRoleArn=role)
    logs.create_log_group(logGroupName=group)
    try:
        yield {"Model": sorted(models), "LogGroup": [group]}
    finally:
        for name in models:
            sagemaker.delete_model(ModelName=name)
        logs.delete_log_group(logGroupName=group)


@pytest.fixture
def dead(bench: Bench, operator_process: OperatorProcess) -> dict[str, Any]:
    """What was an object, ready, until its finalizer was torn off while no operator was there to see it."""
    bench.apply("dead", bench.spec())
    obj = bench.wait_ready("dead")
    operator_process.stop()
    tear_off(bench, "dead")
    return obj


def test_an_object_whose_finalizer_is_torn_off_leaves_nothing_behind_and_others_keep_theirs(
    bench: Bench, dead: dict[str, Any], operator_process: OperatorProcess
) -> None:
    cluster = dead["status"]["endpointName"].split("-")[1]
    with strangers(bench, cluster) as theirs:
        operator_process.run(SWEEPING)
        wait_contents(bench, theirs)

    of_object = wait_swept(bench, dead)
    assert {(each["namespace"], each["object_name"]) for each in of_object} == {(bench.namespace, "dead")}
    assert {each["resource"] for each in of_object} >= {each["name"] for each in dead["status"]["resources"]}


def test_too_many_orphans_and_a_dry_run_are_reported_and_kept_while_active_objects_serve(
    bench: Bench, operator_process: OperatorProcess
) -> None:
    bench.apply("alive", bench.spec())
    bench.wait_ready("alive")
    living = bench.left()
    for name in ("dead", "gone"):
        bench.apply(name, bench.spec())
    for name in ("dead", "gone"):
        bench.wait_ready(name)
    operator_process.stop()
    for name in ("dead", "gone"):
        tear_off(bench, name)
    everything = bench.left()

    url = operator_process.run({**SWEEPING, "EEP_SWEEP": "dry-run"})
    eventually(lambda: metric(url, "eep_orphans") == 2 * OWN_THINGS, "orphans reported")
    assert lost(bench, everything) == {}

    url = operator_process.run({**SWEEPING, "EEP_SWEEP_MOST_OWNERS": "1"})
    eventually(lambda: metric(url, "eep_orphan_sweep_blocked") == 1, "the sweep held")
    assert lost(bench, everything) == {}

    operator_process.run({**SWEEPING, "EEP_SWEEP_MOST_OWNERS": "2"})
    wait_contents(bench, living)
    alive = bench.get("alive")
    assert alive is not None
    assert is_ready(alive)
    answer = bench.call(alive["status"]["url"], b"{}", token=bench.token("alive"))
    assert answer.ok, answer.text


def test_what_an_interrupted_deletion_left_is_swept_by_the_running_operator(bench: Bench) -> None:
    bench.apply("dead", bench.spec())
    bench.wait_ready("dead")
    denied = FaultError(code="AccessDeniedException", message="not now")
    bench.control.add_faults(Fault(service="lambda", operation="DeleteFunction", error=denied))
    bench.delete("dead")
    bench.wait_called("DeleteFunction")
    tear_off_again(bench, "dead")
    bench.control.clear_faults()
    wait_contents(bench, {})


def test_an_object_that_is_torn_off_while_a_new_operator_begins_to_watch_is_not_kept_up(
    bench: Bench, operator_process: OperatorProcess
) -> None:
    bench.apply("torn", bench.spec(serving={"instances": {"type": "ml.m5.large"}}))
    bench.apply("stays", bench.spec())
    bench.wait_ready("torn")
    bench.wait_ready("stays")
    # The operator must not have deleted all before the finalizer is torn off.
    bench.control.patch_sagemaker_settings({"behaviour": {"delete_seconds": 3600}})
    operator_process.restart()
    tear_off(bench, "torn")
    bench.control.patch_sagemaker_settings({"behaviour": None})
    bench.delete("stays")
    bench.wait_gone("stays")
    wait_contents(bench, {})


def tear_off_again(bench: Bench, name: str) -> None:
    """Take the finalizer off an object that is being deleted already."""
    try:
        bench.objects.patch_namespaced_custom_object(
            GROUP, VERSION, bench.namespace, ENDPOINT.plural, name, WITHOUT_FINALIZERS, _content_type=MERGE_PATCH
        )
    except ApiException as error:
        pytest.fail(f"the finalizer must still be there: {error.reason}")
    assert bench.get(name) is None


def test_the_api_of_a_class_goes_with_the_class_although_its_finalizer_was_torn_off(
    bench: Bench, operator_process: OperatorProcess
) -> None:
    name = f"torn-{bench.namespace}"
    bench.make_class(name)
    bench.apply("dead", bench.spec(className=name))
    bench.wait_ready("dead")
    operator_process.stop()
    tear_off(bench, "dead")
    tear_off_class(bench, name)
    operator_process.run(SWEEPING)
    wait_contents(bench, {})


def test_an_operator_of_other_namespaces_touches_neither_objects_nor_orphans_of_this_one(
    bench: Bench, dead: dict[str, Any], operator_process: OperatorProcess
) -> None:
    everything = bench.left()
    url = operator_process.run({**SWEEPING, "EEP_NAMESPACES": "default"})
    eventually(lambda: metric(url, "eep_aws_calls_total", operation="ListTagsForResource") > 0, "a look")
    calls = metric(url, "eep_aws_calls_total", operation="ListModels")
    eventually(lambda: metric(url, "eep_aws_calls_total", operation="ListModels") >= calls + 2, "rounds")
    # The class's API has no living object in these namespaces; the class's own reconciler waits for its users.
    assert lost(bench, everything) == {}

    operator_process.run({**SWEEPING, "EEP_NAMESPACES": bench.namespace})
    wait_contents(bench, {})
    assert dead["metadata"]["namespace"] == bench.namespace
