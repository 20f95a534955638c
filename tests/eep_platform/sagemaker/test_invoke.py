import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.eep_platform.sagemaker.conftest import Service

MEGABYTE = 1024 * 1024


def refusal(service: "Service", name: str, body: str = "x", **more: Any) -> Any:  # noqa: ANN401 - as typed as JSON
    with pytest.raises(ClientError) as raised:
        service.invoke(name, body, **more)
    return raised.value.response


def test_headers_pass_to_the_container_and_back(service: "Service") -> None:
    answer = service.invoker.invoke_endpoint(
        EndpointName=service.endpoint(),
        Body=b"x",
        ContentType="text/csv",
        Accept="application/json",
        CustomAttributes="trace=1",
        InferenceId="i-1",
        TargetVariant="AllTraffic",
    )
    facts = json.loads(answer["Body"].read())
    assert facts["headers"]["Content-Type"] == "text/csv"
    assert facts["headers"]["Accept"] == "application/json"
    assert facts["headers"]["X-Amzn-SageMaker-Inference-Id"] == "i-1"
    assert answer["ContentType"] == "application/json"
    assert answer["CustomAttributes"] == "trace=1"
    assert answer["InvokedProductionVariant"] == "AllTraffic"


def test_a_session_passes_to_the_container_and_back(service: "Service") -> None:
    name = service.endpoint()
    opened = service.invoker.invoke_endpoint(EndpointName=name, Body=b"x", SessionId="NEW_SESSION")
    assert opened["NewSessionId"].startswith("s-1; Expires=")
    closed = service.invoker.invoke_endpoint(EndpointName=name, Body=b"x", SessionId="s-1")
    assert closed["ClosedSessionId"] == "s-1"


def test_a_target_model_is_refused_in_front_of_the_container(service: "Service") -> None:
    name = service.endpoint()
    answer = refusal(service, name, TargetModel="m.tar.gz", TargetVariant="AllTraffic")
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]) == (400, "ValidationError")
    message = f"Endpoint {name} is not a multi-model endpoint and does not support target model header."
    assert answer["Error"]["Message"] == message
    assert service.invoke(name)["invocations"] == 1, "the container has seen no other request"


@pytest.mark.parametrize("member", ["TargetContainerHostname", "EnableExplanations", "InferenceComponentName"])
def test_parameters_of_other_endpoints_are_refused(service: "Service", member: str) -> None:
    assert member in refusal(service, service.endpoint(), **{member: "x"})["Error"]["Message"]


def test_the_container_gets_the_models_environment_and_the_region(service: "Service") -> None:
    name = service.endpoint(service.config(service.model(LOG_LEVEL="debug")))
    environment = service.invoke(name)["environment"]
    assert environment["LOG_LEVEL"] == "debug"
    assert environment["AWS_REGION"] == "us-east-1"


@pytest.mark.parametrize(
    ("instances", "megabytes", "code", "message"),
    [
        pytest.param(False, 4, None, None, id="a serverless endpoint takes four megabytes"),
        pytest.param(False, 4.01, "ValidationError", "has oversize body", id="and no more"),
        pytest.param(True, 5, None, None, id="an endpoint on instances takes six"),
        pytest.param(True, 6.01, "ValidationError", "less than or equal to 6291456", id="and no more either"),
    ],
)
def test_body_limits(service: "Service", instances: bool, megabytes: float, code: str | None, message: str) -> None:  # noqa: FBT001 - a column of the table
    name = service.endpoint(service.config(instances=instances))
    body = "x" * int(megabytes * MEGABYTE)
    if code is None:
        assert service.invoke(name, body)["bytes"] == len(body)
    else:
        error = refusal(service, name, body)["Error"]
        assert (error["Code"], message in error["Message"]) == (code, True)


def test_names_that_do_not_serve_are_not_found(service: "Service") -> None:
    name = service.endpoint()
    service.settings(behaviour={"stuck": True})
    creating = service.endpoint(status="Creating")
    for unknown in (creating, "no-such-endpoint", name.upper()):
        answer = refusal(service, unknown)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert answer["Error"]["Code"] == "ValidationError"
        assert answer["Error"]["Message"] == f"Endpoint {unknown} of account 000000000000 not found."


def test_an_unknown_variant_and_an_unknown_name_are_refused(service: "Service") -> None:
    assert "Variant B" in refusal(service, service.endpoint(), TargetVariant="B")["Error"]["Message"]
    refused = refusal(service, "under_scored")["Error"]
    assert refused["Code"] == "ValidationError"
    assert "Value 'under_scored' at 'endpointName' failed to satisfy constraint" in refused["Message"]


@pytest.mark.parametrize(("status", "kind"), [(400, "client"), (404, "client"), (500, "server"), (503, "server")])
def test_what_the_model_refuses_is_a_model_error_that_carries_its_answer(
    service: "Service", status: int, kind: str
) -> None:
    name = service.endpoint()
    answer = refusal(service, name, f"status {status}")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert answer["Error"]["Code"] == "ModelError"
    assert answer["OriginalStatusCode"] == status
    assert answer["OriginalMessage"] == "the model says no"
    assert answer["LogStreamArn"] == f"arn:aws:logs:us-east-1:000000000000:log-group:/aws/sagemaker/Endpoints/{name}"
    expected = f'Received {kind} error ({status}) from primary with message "the model says no". See https://'
    assert answer["Error"]["Message"].startswith(expected)


def test_a_model_that_takes_too_long_is_a_model_error_without_status(service: "Service") -> None:
    service.settings(invocation_timeout_seconds=0.2)
    answer = refusal(service, service.endpoint(), "sleep 1")
    assert answer["Error"]["Code"] == "ModelError"
    assert answer["OriginalStatusCode"] == 0
    assert "timed out while waiting for a response from container primary" in answer["Error"]["Message"]


def test_a_serverless_endpoint_at_its_concurrency_throttles(service: "Service", tmp_path: Path) -> None:
    name, gate = service.endpoint(service.config(concurrency=1)), tmp_path / "gate"
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(_outcome, service, name, f"until {gate}") for _ in range(4)]
        service.eventually(lambda: sum(call.done() for call in calls) == 3, "all but one are answered")
        gate.touch()
        outcomes = sorted(call.result() for call in calls)
    assert outcomes == ["ThrottlingException 429"] * 3 + ["ok"]


def _outcome(service: "Service", name: str, body: str) -> str:
    try:
        service.invoke(name, body)
    except ClientError as error:
        return f"{error.response['Error']['Code']} {error.response['ResponseMetadata']['HTTPStatusCode']}"
    return "ok"


def test_a_serverless_server_that_crashed_is_started_by_the_next_invocation(service: "Service") -> None:
    name = service.endpoint()
    before = service.invoke(name)["pid"]
    crashed = refusal(service, name, "exit")
    assert crashed["Error"]["Code"] == "ModelError"
    assert crashed["OriginalStatusCode"] == 500
    service.eventually(lambda: _ended(before), "the server, which closed its connection first, has ended")
    assert service.invoke(name)["pid"] != before


def _ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_a_server_on_instances_that_crashed_is_restarted_by_itself(service: "Service") -> None:
    name = service.endpoint(service.config(instances=True))
    before = service.invoke(name)["pid"]
    refusal(service, name, "exit")
    service.eventually(lambda: _outcome(service, name, "x") == "ok", "the server is up again")
    assert service.invoke(name)["pid"] != before


def test_an_idle_serverless_server_is_stopped_and_the_next_invocation_is_a_cold_start(service: "Service") -> None:
    name = service.endpoint()
    process = psutil.Process(service.invoke(name)["pid"])
    service.settings(scale_to_zero_seconds=0.05)
    service.eventually(lambda: not process.is_running(), "scaled to zero")
    service.settings(scale_to_zero_seconds=None, behaviour={"cold_start_seconds": 5}, cold_start_limit_seconds=0.1)
    answer = refusal(service, name)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert answer["Error"]["Code"] == "ModelNotReadyException"
    service.settings(behaviour={"cold_start_seconds": 0}, cold_start_limit_seconds=120)
    assert service.invoke(name)["bytes"] == 1


def test_an_update_switches_servers_without_refusing_a_request(service: "Service") -> None:
    name = service.endpoint(service.config(service.model(REVISION="old"), concurrency=50))
    old = psutil.Process(service.invoke(name)["pid"])
    stopped = threading.Event()
    seen: list[str] = []

    def keep_invoking() -> None:
        while not stopped.is_set():
            seen.append(service.invoke(name, "sleep 0.02")["revision"])

    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(keep_invoking) for _ in range(3)]
        try:
            service.eventually(lambda: seen, "the old revision serves")
            service.sagemaker.update_endpoint(
                EndpointName=name, EndpointConfigName=service.config(service.model(REVISION="new"), concurrency=50)
            )
            service.eventually(lambda: seen[-1:] == ["new"], "the new revision serves")
        finally:
            stopped.set()
        for call in calls:
            call.result()
    assert set(seen) == {"old", "new"}
    service.eventually(lambda: not old.is_running(), "the old server ended")


def test_an_update_lets_requests_in_flight_finish_on_the_old_server(service: "Service", tmp_path: Path) -> None:
    name, gate = service.endpoint(service.config(service.model(REVISION="old"))), tmp_path / "gate"
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(service.invoke, name, f"until {gate}")
        service.eventually(gate.with_suffix(".waiting").exists, "the request is at the old server")
        service.sagemaker.update_endpoint(
            EndpointName=name, EndpointConfigName=service.config(service.model(REVISION="new"))
        )
        service.eventually(lambda: service.invoke(name)["revision"] == "new", "the new revision serves")
        assert not slow.done()
        gate.touch()
        assert slow.result()["revision"] == "old"


def test_requests_go_to_variants_by_weight(service: "Service") -> None:
    config = service.name()
    capacity: Any = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    service.sagemaker.create_endpoint_config(
        EndpointConfigName=config,
        ProductionVariants=[
            capacity | {"VariantName": "A", "ModelName": service.model(), "InitialVariantWeight": 3},
            capacity | {"VariantName": "B", "ModelName": service.model(), "InitialVariantWeight": 1},
        ],
    )
    name = service.endpoint(config)
    assert _shares(service, name) == {"A": 6, "B": 2}
    service.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "A", "DesiredWeight": 0}]
    )
    service.wait(name, "InService")
    assert _shares(service, name) == {"B": 8}


def _shares(service: "Service", name: str) -> dict[str, int]:
    answers = [service.invoker.invoke_endpoint(EndpointName=name, Body=b"x") for _ in range(8)]
    variants = [answer["InvokedProductionVariant"] for answer in answers]
    for answer in answers:
        answer["Body"].read()
    return {variant: variants.count(variant) for variant in set(variants)}


def test_provisioned_concurrency_keeps_a_serverless_server_warm(service: "Service") -> None:
    serverless: Any = {"MemorySizeInMB": 1024, "MaxConcurrency": 2, "ProvisionedConcurrency": 1}
    variant: Any = {"VariantName": "AllTraffic", "ModelName": service.model(), "ServerlessConfig": serverless}
    name = service.endpoint(service.config_of(variant))
    [shown] = service.sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"]
    assert shown["CurrentServerlessConfig"] == serverless
    process = psutil.Process(service.invoke(name)["pid"])
    idle = psutil.Process(service.invoke(service.endpoint())["pid"])
    service.settings(scale_to_zero_seconds=0.05)
    service.eventually(lambda: not idle.is_running(), "the other endpoint scaled to zero")
    assert process.is_running()
    change: Any = {"VariantName": "AllTraffic", "ServerlessUpdateConfig": {"MaxConcurrency": 3}}
    service.sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=[change])
    service.wait(name, "InService")
    [shown] = service.sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"]
    assert shown["CurrentServerlessConfig"] == serverless | {"MaxConcurrency": 3}
    assert service.invoke(name)["pid"] == process.pid
