from pathlib import Path

import pytest
from tests.fixtures.operator import (
    DEFAULT_SETTINGS,
    NEEDED_CREATIONS,
    NEEDED_SHARED,
    REVISION,
    Bench,
    OperatorProcess,
)
from tests.fixtures.waiting import eventually

from eep_platform.aws.faults import Fault, FaultError
from eep_platform.aws.ledger import Outcome
from eep_platform.controlplane import restart_apiserver
from eep_platform.workbench import Object, condition, is_ready
from ephemeral_endpoints.engine.errors import Unauthenticated

LOST_CREATIONS = (
    ("apigatewayv2", "CreateApi"),
    ("apigatewayv2", "CreateIntegration"),
    ("apigatewayv2", "CreateRoute"),
    ("apigatewayv2", "CreateStage"),
    ("apigatewayv2", "UpdateStage"),
    ("cloudwatch", "PutMetricAlarm"),
    ("lambda", "CreateFunction"),
    ("logs", "CreateLogGroup"),
    ("logs", "PutRetentionPolicy"),
    ("sagemaker", "CreateEndpoint"),
    ("sagemaker", "CreateEndpointConfig"),
    ("sagemaker", "CreateModel"),
)
LOST_DELETIONS = (
    ("apigatewayv2", "DeleteApi"),
    ("apigatewayv2", "DeleteIntegration"),
    ("apigatewayv2", "DeleteRoute"),
    ("cloudwatch", "DeleteAlarms"),
    ("lambda", "DeleteFunction"),
    ("logs", "DeleteLogGroup"),
    ("sagemaker", "DeleteEndpoint"),
    ("sagemaker", "DeleteEndpointConfig"),
    ("sagemaker", "DeleteModel"),
)


def losing(operations: tuple[tuple[str, str], ...]) -> list[Fault]:
    return [Fault(service=service, operation=name, times=1, answer_lost=True) for service, name in operations]


def say(bench: Bench, obj: Object) -> str:
    return bench.call(obj["status"]["url"], b"", token=bench.token(obj["metadata"]["name"])).text


def test_when_every_answer_is_lost_once_nothing_has_a_twin_and_nothing_is_left(bench: Bench) -> None:
    bench.control.add_faults(*losing(LOST_CREATIONS))
    bench.apply("pr", bench.spec())
    ready = bench.wait_ready("pr")
    bench.wait_called("UpdateStage")  # the throttle, for which the object does not wait
    assert [each.fault.operation for each in bench.control.faults() if each.fired != 1] == []
    kinds = {kind: len(names) for kind, names in bench.left().items()}
    assert kinds == {
        "Alarm": 2,
        "Endpoint": 1,
        "EndpointConfig": 1,
        "Function": 1,
        "HttpApi": 1,
        "Integration": 1,
        "LogGroup": 2,
        "Model": 1,
        "Route": 2,
    }
    assert say(bench, ready) == "hello"
    unrepeatable = {"CreateApi": 1, "CreateIntegration": 1, "CreateRoute": 2}
    assert {name: count for name, count in bench.effects().items() if name in unrepeatable} == unrepeatable, (
        "what is not idempotent is looked for before it is repeated"
    )

    bench.control.clear_faults()
    bench.control.add_faults(*losing(LOST_DELETIONS))
    bench.delete("pr")
    bench.wait_gone("pr")
    bench.wait_empty()
    assert [each.fault.operation for each in bench.control.faults() if each.fired != 1] == []


def test_expired_credentials_are_reported_and_renewed_ones_are_used(bench: Bench) -> None:
    bench.apply("before", bench.spec())
    bench.wait_ready("before")
    bench.wait_throttle()  # with which the class has its objects reconciled
    bench.control.add_faults(Fault(service="*", error=FaultError(code="ExpiredTokenException", status=400)))
    bench.apply("pr", bench.spec())
    reported = bench.wait_condition("pr", "Ready", reason=Unauthenticated.reason.name)
    assert condition(reported, "Ready")["status"] == "Unknown"
    assert condition(reported, "Stalled")["status"] == "False"
    untouched = bench.get("before")
    assert untouched is not None
    assert is_ready(untouched), "what serves goes on serving"

    bench.control.clear_faults()
    bench.wait_ready("pr")


@pytest.mark.settings(None)
def test_an_operator_that_starts_without_credentials_takes_them_when_they_come(
    bench: Bench, operator_process: OperatorProcess, tmp_path: Path
) -> None:
    file = tmp_path / "credentials"
    operator_process.run(
        {
            **DEFAULT_SETTINGS,
            "AWS_ACCESS_KEY_ID": "",
            "AWS_SECRET_ACCESS_KEY": "",
            "AWS_SHARED_CREDENTIALS_FILE": str(file),
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    )
    bench.apply("pr", bench.spec())
    bench.wait_condition("pr", "Ready", reason=Unauthenticated.reason.name)

    file.write_text("[default]\naws_access_key_id = local\naws_secret_access_key = local\n")
    bench.wait_ready("pr")


def test_ten_objects_at_once_keep_to_the_documented_rates(bench: Bench) -> None:
    bench.control.set_documented_limits()
    names = [f"pr-{number}" for number in range(10)]
    for name in names:
        bench.apply(name, bench.spec())
    for name in names:
        bench.wait_ready(name)
    needed = {operation: 10 * count for operation, count in NEEDED_CREATIONS.items()} | NEEDED_SHARED
    bench.wait_effects(needed)
    throttled = sum(sum(counts.values()) for counts in bench.control.calls(Outcome.THROTTLED).values())
    assert throttled <= 0.1 * sum(needed.values()), "the operator keeps to the rates by itself"

    for name in names:
        bench.delete(name)
    for name in names:
        bench.wait_gone(name)
    bench.wait_empty()


def test_refused_for_the_rate_every_call_is_made_in_the_end(bench: Bench) -> None:
    bench.control.add_faults(
        Fault(service="*", probability=0.3, error=FaultError(code="ThrottlingException", status=400))
    )
    bench.apply("pr", bench.spec())
    bench.wait_ready("pr")
    bench.wait_effects({**NEEDED_CREATIONS, **NEEDED_SHARED})


def test_objects_that_change_while_the_api_server_restarts_converge(bench: Bench) -> None:
    for name in ("changed", "deleted"):
        bench.apply(name, bench.spec(model=bench.saying("before")))
    for name in ("changed", "deleted"):
        bench.wait_ready(name)

    bench.apply("changed", bench.spec(model=bench.saying("after")))
    bench.apply("new", bench.spec())
    bench.delete("deleted")
    restart_apiserver(bench.platform.state, grace_seconds=0)

    assert say(bench, bench.wait_ready("changed")) == "after"
    bench.wait_ready("new")
    bench.wait_gone("deleted")
    eventually(lambda: len(bench.left()["Model"]) == 2, "the earlier revision's model gone")
    kinds = {kind: len(names) for kind, names in bench.left().items()}
    assert kinds["Endpoint"] == 2
    assert kinds["Route"] == 4

    bench.apply("changed", bench.spec(model=bench.saying("later")))
    assert say(bench, bench.wait_ready("changed")) == "later"


def test_a_rollout_that_fails_leaves_the_old_revision_serving_until_the_next_spec(bench: Bench) -> None:
    bench.apply("pr", bench.spec(model=bench.saying("first")))
    first = bench.wait_ready("pr")
    bench.control.patch_sagemaker_settings({"behaviour": {"update_failure": "the health check failed"}})
    source = {"repository": "acme/echo", "revision": "2222222"}
    bench.apply("pr", bench.spec(model=bench.saying("second"), source=source))
    failed = bench.wait_condition("pr", "EndpointReady", reason="RolledBack")
    assert condition(failed, "Stalled")["status"] == "True"
    assert failed["status"]["revision"] == REVISION, "what serves is still the first"
    assert say(bench, first) == "first"
    assert bench.effects()["UpdateEndpoint"] == 1, "what failed is not tried again"

    bench.control.patch_sagemaker_settings({"behaviour": None})
    bench.apply("pr", bench.spec(model=bench.saying("third"), source={**source, "revision": "3333333"}))
    ready = bench.wait_ready("pr")
    assert ready["status"]["revision"] == "3333333"
    assert say(bench, ready) == "third"
    eventually(lambda: len(bench.left()["Model"]) == 1, "the failed revision's model gone")
