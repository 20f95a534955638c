"""What makes an object ready, on real parts: no invented request, but the sample that the object names."""

from typing import Any

from tests.fixtures.operator import Bench

from eep_platform.aws.faults import Fault, FaultError
from eep_platform.workbench import Object, condition
from ephemeral_endpoints.features.serving.desired import ONLY_VARIANT

SAMPLE = {"samples": [{"name": "greeting", "request": '{"text":"hi"}'}], "readiness": {"sample": "greeting"}}


def model(bench: Bench, status: int) -> dict[str, Any]:
    """The member ``model`` of a model server that answers everything with a status."""
    return {"image": bench.image, "environment": {"SAY": "KeyError: 'text'", "STATUS": str(status)}}


def counted(bench: Bench, obj: Object, metric: str) -> float:
    """What CloudWatch counts of the object's requests."""
    bench.control.flush_sagemaker()
    dimensions = {"EndpointName": obj["status"]["endpointName"], "VariantName": ONLY_VARIANT}
    found = bench.aws("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime="2000-01-01T00:00:00Z",
        EndTime="2100-01-01T00:00:00Z",
        Period=86_400 * 365,
        Statistics=["Sum"],
    )
    return float(sum(each["Sum"] for each in found["Datapoints"]))


def test_a_model_that_fails_on_every_request_is_ready_and_has_seen_none(bench: Bench) -> None:
    bench.apply("pr", bench.spec(model=model(bench, 500)))
    obj = bench.wait_ready("pr")
    assert counted(bench, obj, "Invocations") == 0


def test_a_sample_that_the_object_names_has_to_be_answered(bench: Bench) -> None:
    bench.apply("pr", bench.spec(model=model(bench, 500), api=SAMPLE))
    obj = bench.wait_condition("pr", "RouteReady", reason="SampleRefused")
    message = condition(obj, "Ready")["message"]
    assert message.startswith(
        "the model answered the sample greeting with 500: \"KeyError: 'text'\"; correct the model"
    )
    assert counted(bench, obj, "Invocation5XXErrors") == 1, "one request, however often the object is reconciled"
    assert {each["StateValue"] for each in bench.aws("cloudwatch").describe_alarms()["MetricAlarms"]} == {"OK"}
    bench.apply("pr", bench.spec(model=model(bench, 200), api=SAMPLE))
    bench.wait_ready("pr")


def test_a_role_that_may_not_invoke_the_endpoint_is_told(bench: Bench) -> None:
    denied = FaultError(code="AccessDeniedException", message="not authorized", status=403)
    bench.control.add_faults(Fault(service="sagemaker-runtime", operation="InvokeEndpoint", error=denied))
    bench.apply("pr", bench.spec())
    obj = bench.wait_condition("pr", "RouteReady", reason="InvocationDenied")
    assert "a platform engineer must grant it" in condition(obj, "Ready")["message"]
    bench.control.clear_faults()
    bench.wait_ready("pr")
