import base64
import hashlib
import io
import json
import time
import zipfile
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError, ConnectionClosedError
from tests.fixtures.platform import Aws

from ephemeral_endpoints.local.aws import ministack
from ephemeral_endpoints.local.aws.client import ControlClient
from ephemeral_endpoints.local.aws.faults import Fault, FaultError
from ephemeral_endpoints.local.aws.ledger import Outcome
from ephemeral_endpoints.local.aws.limits import Limit, documented
from ephemeral_endpoints.local.errors import PlatformError

ROLE = f"arn:aws:iam::{ministack.ACCOUNT}:role/any"
HANDLER = """
import base64, json, os
def handler(event, context):
    body = base64.b64decode(event["body"]) if event.get("isBase64Encoded") else event.get("body", "").encode()
    seen = {
        "method": event["requestContext"]["http"]["method"],
        "path": event["rawPath"],
        "query": event["rawQueryString"],
        "version": event["version"],
        "body": body.hex(),
        "runtime": os.environ["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"],
    }
    return {"statusCode": 207, "headers": {"content-type": "application/json", "x-mine": "1"}, "body": json.dumps(seen)}
"""

# One harmless call of each service that the operator uses, and how that service says that it was called too often.
CALLS: list[tuple[str, str, dict[str, Any], str, int]] = [
    ("apigatewayv2", "GetApis", {}, "TooManyRequestsException", 429),
    (
        "application-autoscaling",
        "DescribeScalableTargets",
        {"ServiceNamespace": "sagemaker"},
        "ThrottlingException",
        400,
    ),
    ("cloudwatch", "DescribeAlarms", {}, "Throttling", 400),
    ("codebuild", "ListProjects", {}, "ThrottlingException", 400),
    ("ecr", "DescribeRepositories", {}, "ThrottlingException", 400),
    ("events", "ListRules", {}, "ThrottlingException", 400),
    ("iam", "ListRoles", {}, "Throttling", 400),
    ("lambda", "ListFunctions", {}, "TooManyRequestsException", 429),
    ("logs", "DescribeLogGroups", {}, "ThrottlingException", 400),
    ("resourcegroupstaggingapi", "GetResources", {}, "ThrottledException", 400),
    ("sagemaker", "ListEndpoints", {}, "ThrottlingException", 400),
    ("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "none", "Body": b"x"}, "ThrottlingException", 400),
    ("sts", "GetCallerIdentity", {}, "Throttling", 400),
]


def call(aws: Aws, service: str, operation: str, arguments: dict[str, Any]) -> Any:  # noqa: ANN401 - any answer
    return aws.client(service)._make_api_call(operation, arguments)


def names(aws: Aws, prefix: str) -> list[str]:
    groups = aws.client("logs").describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
    return [group["logGroupName"] for group in groups]


def function_bundle() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        bundle.writestr("index.py", HANDLER)
    return buffer.getvalue()


@pytest.mark.parametrize(("service", "operation", "arguments", "code", "status"), CALLS)
def test_calls_over_the_rate_get_the_services_own_refusal(
    *, fresh_aws: Aws, service: str, operation: str, arguments: dict[str, Any], code: str, status: int
) -> None:
    fresh_aws.control.set_limits([Limit(service=service, operations=(operation,), rate=0.001, burst=1)])
    if service != "sagemaker-runtime":
        call(fresh_aws, service, operation, arguments)
    else:
        with pytest.raises(ClientError, match="none"):  # answered by SageMaker: there is no such endpoint
            call(fresh_aws, service, operation, arguments)
    with pytest.raises(ClientError) as refused:
        call(fresh_aws, service, operation, arguments)
    answer = refused.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    assert fresh_aws.control.calls() == {service: {operation: 2}}
    assert fresh_aws.control.calls(Outcome.THROTTLED) == {service: {operation: 1}}


@pytest.mark.parametrize(("service", "operation", "arguments", "_code", "_status"), CALLS)
def test_an_injected_error_is_understood_as_the_services_own(
    fresh_aws: Aws, service: str, operation: str, arguments: dict[str, Any], _code: str, _status: int
) -> None:
    error = FaultError(code="AccessDeniedException", message="not you", status=403)
    fresh_aws.control.add_faults(Fault(service=service, operation=operation, times=1, error=error))
    with pytest.raises(ClientError, match="not you") as denied:
        call(fresh_aws, service, operation, arguments)
    assert denied.value.response["Error"]["Code"] == "AccessDeniedException"
    assert [each.fired for each in fresh_aws.control.faults()] == [1]
    assert fresh_aws.control.calls(Outcome.FAULTED) == {service: {operation: 1}}


def test_an_answer_is_lost_after_the_service_has_done_its_work(fresh_aws: Aws) -> None:
    logs, api = fresh_aws.client("logs"), fresh_aws.client("apigatewayv2")
    fresh_aws.control.add_faults(
        Fault(service="logs", operation="CreateLogGroup", answer_lost=True, times=1),
        Fault(service="apigatewayv2", operation="DeleteApi", answer_lost=True, times=1),
    )
    with pytest.raises(ConnectionClosedError):  # an answer with a body
        logs.create_log_group(logGroupName="/lost")
    assert names(fresh_aws, "/lost") == ["/lost"]
    made = api.create_api(Name="a", ProtocolType="HTTP")["ApiId"]
    with pytest.raises(ConnectionClosedError):  # an answer without one: 204
        api.delete_api(ApiId=made)
    assert api.get_apis()["Items"] == []
    assert fresh_aws.control.calls(Outcome.LOST) == {"apigatewayv2": {"DeleteApi": 1}, "logs": {"CreateLogGroup": 1}}


def test_a_reset_connection_leaves_the_service_untouched(fresh_aws: Aws) -> None:
    fresh_aws.control.add_faults(Fault(service="logs", operation="CreateLogGroup", resource="/re", reset=True))
    with pytest.raises(ConnectionClosedError):
        fresh_aws.client("logs").create_log_group(logGroupName="/reset")
    fresh_aws.client("logs").create_log_group(logGroupName="/kept")
    assert names(fresh_aws, "/") == ["/kept"]


def test_a_call_can_be_slow_or_time_out(fresh_aws: Aws) -> None:
    fresh_aws.control.add_faults(
        Fault(service="logs", delay_seconds=0.2, times=1), Fault(service="logs", timeout_seconds=0.01, times=1)
    )
    began = time.monotonic()
    assert names(fresh_aws, "/") == []
    assert time.monotonic() - began >= 0.2
    with pytest.raises(ClientError) as timed_out:
        names(fresh_aws, "/")
    assert timed_out.value.response["ResponseMetadata"]["HTTPStatusCode"] == 504


def test_the_log_tells_calls_in_order_with_resource_and_outcome(fresh_aws: Aws) -> None:
    logs = fresh_aws.client("logs")
    logs.create_log_group(logGroupName="/a")
    with pytest.raises(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName="/a")
    fresh_aws.control.add_faults(Fault(service="logs", reset=True))
    with pytest.raises(ConnectionClosedError):
        logs.delete_log_group(logGroupName="/a")
    told = [(row.number, row.operation, row.resource, row.outcome, row.status) for row in fresh_aws.control.log()]
    assert told == [
        (1, "CreateLogGroup", "/a", Outcome.FORWARDED, 200),
        (2, "CreateLogGroup", "/a", Outcome.FORWARDED, 400),
        (3, "DeleteLogGroup", "/a", Outcome.FAULTED, None),
    ]
    assert [row.number for row in fresh_aws.control.log(last=1)] == [3]


def test_the_documented_limits_can_be_put_in_force(fresh_aws: Aws) -> None:
    assert fresh_aws.control.set_documented_limits() == fresh_aws.control.limits() == documented()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/_meter/faults", "[{}]"),
        ("POST", "/_meter/faults", "{"),
        ("PUT", "/_meter/limits", '[{"service": "logs"}]'),
        ("GET", "/_meter/calls?outcome=eaten", None),
        ("GET", "/_meter/log?last=all", None),
    ],
)
def test_control_requests_that_make_no_sense_are_refused(aws: Aws, method: str, path: str, body: str | None) -> None:
    answer = requests.request(method, aws.endpoint + path, data=body, timeout=10)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_a_client_without_a_platform_says_so() -> None:
    with pytest.raises(PlatformError, match="does not answer"):
        ControlClient("http://127.0.0.1:9").calls()


def test_an_http_api_is_reached_by_the_url_that_aws_gives(fresh_aws: Aws) -> None:
    api, functions = fresh_aws.client("apigatewayv2"), fresh_aws.client("lambda")
    bundle = function_bundle()
    function = functions.create_function(
        FunctionName="f", Runtime="python3.11", Role=ROLE, Handler="index.handler", Code={"ZipFile": bundle}
    )
    assert function["CodeSha256"] == base64.b64encode(hashlib.sha256(bundle).digest()).decode()
    made = api.create_api(Name="a", ProtocolType="HTTP", Tags={"k": "v"})
    (listed,) = api.get_apis()["Items"]
    assert (listed["ApiEndpoint"], listed["Tags"]) == (made["ApiEndpoint"], {"k": "v"})
    here = {"ApiId": made["ApiId"]}
    api.create_stage(**here, StageName="$default", AutoDeploy=True)
    integration = api.create_integration(
        **here,
        IntegrationType="AWS_PROXY",
        IntegrationUri=function["FunctionArn"],
        PayloadFormatVersion="2.0",
    )["IntegrationId"]
    api.create_route(**here, RouteKey="ANY /pr-42", Target=f"integrations/{integration}")

    answer = requests.patch(f"{made['ApiEndpoint']}/pr-42?a=1&a=%26", data=b"\x00\xff", timeout=30)

    assert (answer.status_code, answer.headers["x-mine"]) == (207, "1")
    assert answer.json() == {
        "method": "PATCH",
        "path": "/pr-42",
        "query": "a=1&a=%26",
        "version": "2.0",
        "body": "00ff",
        "runtime": fresh_aws.endpoint,
    }
    assert requests.get(f"{made['ApiEndpoint']}/pr-43", timeout=30).status_code == 404
    assert fresh_aws.control.calls()["execute-api"] == {"Invoke": 2}
    assert [row.resource for row in fresh_aws.control.log(last=1)] == [f"{made['ApiId']}/pr-43"]


def test_images_are_pushed_and_pulled_through_the_front_uncounted(fresh_aws: Aws) -> None:
    fresh_aws.client("ecr").create_repository(repositoryName="models/wine")
    fresh_aws.control.reset_meter()
    registry = f"{fresh_aws.endpoint}/v2/models/wine"
    layer = bytes(range(256)) * 40_000
    config = json.dumps({"architecture": "amd64", "os": "linux"}).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **blob(registry, config)},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **blob(registry, layer)}],
        }
    )
    content_type = {"Content-Type": "application/vnd.oci.image.manifest.v1+json"}
    pushed = requests.put(f"{registry}/manifests/v1", data=manifest, headers=content_type, timeout=30)
    pulled = requests.get(f"{registry}/blobs/{digest(layer)}", timeout=30)
    assert (pushed.status_code, pulled.content == layer) == (201, True)
    assert fresh_aws.control.calls() == {}
    (image,) = fresh_aws.client("ecr").describe_images(repositoryName="models/wine")["imageDetails"]
    assert (image["imageTags"], image["imageDigest"]) == (["v1"], digest(manifest.encode()))


def blob(registry: str, content: bytes) -> dict[str, Any]:
    upload = requests.post(f"{registry}/blobs/uploads/", timeout=30)
    location = requests.compat.urljoin(registry, upload.headers["Location"])
    answer = requests.put(location, params={"digest": digest(content)}, data=iter([content]), timeout=30)
    assert answer.status_code == 201
    return {"digest": digest(content), "size": len(content)}


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_a_reset_empties_the_account(fresh_aws: Aws) -> None:
    fresh_aws.client("logs").create_log_group(logGroupName="/a")
    fresh_aws.client("sagemaker").create_model(
        ModelName="m",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/a:b"},
    )
    fresh_aws.control.reset()
    assert names(fresh_aws, "/") == []
    assert fresh_aws.client("sagemaker").list_models()["Models"] == []
