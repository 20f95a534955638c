import base64
import hashlib
import io
import json
import time
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection
from typing import Any

import pytest
import requests
from botocore import xform_name
from botocore.exceptions import ClientError, ConnectionClosedError
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from eep_platform.aws.client import ControlClient
from eep_platform.aws.faults import Fault, FaultError
from eep_platform.aws.ledger import Outcome
from eep_platform.aws.limits import Limit, documented
from eep_platform.errors import PlatformError
from eep_platform.processes import wait_until

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


@dataclass(frozen=True)
class Probe:
    """A harmless call of a service, and the service's answer when it is called too often."""

    service: str
    operation: str
    code: str
    status: int = 400
    arguments: Mapping[str, Any] = field(default_factory=dict)


PROBES = [
    Probe("apigatewayv2", "GetApis", "TooManyRequestsException", status=429),
    Probe(
        "application-autoscaling",
        "DescribeScalableTargets",
        "ThrottlingException",
        arguments={"ServiceNamespace": "sagemaker"},
    ),
    Probe("cloudwatch", "DescribeAlarms", "Throttling"),
    Probe("codebuild", "ListProjects", "ThrottlingException"),
    Probe("ecr", "DescribeRepositories", "ThrottlingException"),
    Probe("events", "ListRules", "ThrottlingException"),
    Probe("iam", "ListRoles", "Throttling"),
    Probe("lambda", "ListFunctions", "TooManyRequestsException", status=429),
    Probe("logs", "DescribeLogGroups", "ThrottlingException"),
    Probe(
        "resourcegroupstaggingapi",
        "GetResources",
        "ThrottledException",
        arguments={"ResourceARNList": ["arn:aws:logs:us-east-1:000000000000:log-group:none"]},
    ),
    Probe("sagemaker", "ListEndpoints", "ThrottlingException"),
    Probe(
        "sagemaker-runtime", "InvokeEndpoint", "ThrottlingException", arguments={"EndpointName": "none", "Body": b"x"}
    ),
    Probe("sts", "GetCallerIdentity", "Throttling"),
]


def call(aws: Aws, probe: Probe) -> None:
    getattr(aws.client(probe.service), xform_name(probe.operation))(**probe.arguments)


def names(aws: Aws, prefix: str) -> list[str]:
    groups = aws.client("logs").describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
    return [group["logGroupName"] for group in groups]


def function_bundle() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        bundle.writestr("index.py", HANDLER)
    return buffer.getvalue()


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.service)
def test_calls_over_the_rate_get_the_services_own_refusal(fresh_aws: Aws, probe: Probe) -> None:
    fresh_aws.control.set_limits([Limit(service=probe.service, operations=(probe.operation,), rate=0.001, burst=1)])
    if probe.service != "sagemaker-runtime":
        call(fresh_aws, probe)
    else:
        with pytest.raises(ClientError, match="none"):  # answered by SageMaker: there is no such endpoint
            call(fresh_aws, probe)
    with pytest.raises(ClientError) as refused:
        call(fresh_aws, probe)
    answer = refused.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (probe.code, probe.status)
    assert fresh_aws.control.calls() == {probe.service: {probe.operation: 2}}
    assert fresh_aws.control.calls(Outcome.THROTTLED) == {probe.service: {probe.operation: 1}}


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.service)
def test_an_injected_error_is_understood_as_the_services_own(fresh_aws: Aws, probe: Probe) -> None:
    error = FaultError(code="AccessDeniedException", message="not you", status=403)
    fresh_aws.control.add_faults(Fault(service=probe.service, operation=probe.operation, times=1, error=error))
    with pytest.raises(ClientError, match="not you") as denied:
        call(fresh_aws, probe)
    assert denied.value.response["Error"]["Code"] == "AccessDeniedException"
    assert [each.fired for each in fresh_aws.control.faults()] == [1]
    assert fresh_aws.control.calls(Outcome.FAULTED) == {probe.service: {probe.operation: 1}}


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


@pytest.mark.parametrize(
    ("fault", "made"),
    [
        pytest.param(Fault(service="logs", times=1, held=True), ["/held"], id="and is then made"),
        pytest.param(Fault(service="logs", times=1, held=True, reset=True), [], id="and then ends as its fault says"),
    ],
)
def test_a_held_call_waits_until_the_faults_are_cleared(fresh_aws: Aws, fault: Fault, made: list[str]) -> None:
    control = fresh_aws.control
    control.add_faults(fault)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(fresh_aws.client("logs").create_log_group, logGroupName="/held")
        wait_until(lambda: control.faults()[0].fired, seconds=120, what="the call")
        assert names(fresh_aws, "/") == [], "others pass meanwhile"
        assert control.log()[0].status is None
        control.clear_faults()
        assert isinstance(held.exception(), ConnectionClosedError) is fault.reset
    assert names(fresh_aws, "/") == made


def test_a_held_call_of_a_caller_that_is_gone_is_made(fresh_aws: Aws) -> None:
    control = fresh_aws.control
    control.add_faults(Fault(service="logs", operation="CreateLogGroup", held=True))
    scope = f"{ministack.REGION}/logs/aws4_request"
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential=local/20260101/{scope}, SignedHeaders=host, Signature=0",
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "Logs_20140328.CreateLogGroup",
    }
    with closing(HTTPConnection(fresh_aws.endpoint.removeprefix("http://"))) as caller:
        caller.request("POST", "/", json.dumps({"logGroupName": "/held"}), headers)
        wait_until(lambda: control.faults()[0].fired, seconds=120, what="the call")
    [ended] = control.clear_faults()
    assert (ended.fired, control.faults()) == (1, []), "whoever ends faults learns which have fired by then"
    wait_until(lambda: control.log()[0].status == 200, seconds=120, what="the call made")
    assert names(fresh_aws, "/") == ["/held"]


def test_the_log_has_calls_in_order_with_resource_and_outcome(fresh_aws: Aws) -> None:
    logs = fresh_aws.client("logs")
    logs.create_log_group(logGroupName="/a")
    with pytest.raises(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName="/a")
    fresh_aws.control.add_faults(Fault(service="logs", reset=True))
    with pytest.raises(ConnectionClosedError):
        logs.delete_log_group(logGroupName="/a")
    reported = [(row.number, row.operation, row.resource, row.outcome, row.status) for row in fresh_aws.control.log()]
    assert reported == [
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
        ("POST", "/_meter/faults", "[{}]"),
        ("POST", "/_meter/faults", "{"),
        ("PUT", "/_meter/limits", '[{"service": "logs"}]'),
        ("GET", "/_meter/calls?outcome=eaten", None),
        ("GET", "/_meter/log?last=all", None),
    ],
)
def test_control_requests_that_make_no_sense_are_refused(aws: Aws, method: str, path: str, body: str | None) -> None:
    answer = requests.request(method, aws.endpoint + path, data=body, timeout=60)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_a_client_without_a_platform_says_so() -> None:
    with pytest.raises(PlatformError, match="does not answer"):
        ControlClient("http://127.0.0.1:9").calls()


def test_an_http_api_is_reached_by_the_url_that_aws_gives(fresh_aws: Aws) -> None:
    api, functions = fresh_aws.client("apigatewayv2"), fresh_aws.client("lambda")
    bundle = function_bundle()
    function = functions.create_function(
        FunctionName="f",
        Runtime="python3.11",
        Role=ROLE,
        Handler="index.handler",
        Code={"ZipFile": bundle},
        Timeout=60,
    )
    assert function["CodeSha256"] == base64.b64encode(hashlib.sha256(bundle).digest()).decode()
    made = api.create_api(Name="a", ProtocolType="HTTP", Tags={"k": "v"})
    (observed,) = api.get_apis()["Items"]
    assert (observed["ApiEndpoint"], observed["Tags"]) == (made["ApiEndpoint"], {"k": "v"})
    here = {"ApiId": made["ApiId"]}
    integration = api.create_integration(
        **here,
        IntegrationType="AWS_PROXY",
        IntegrationUri=function["FunctionArn"],
        PayloadFormatVersion="2.0",
    )["IntegrationId"]
    api.create_route(**here, RouteKey="ANY /pr-42", Target=f"integrations/{integration}")
    for method in ("PATCH", "OPTIONS"):
        unstaged = requests.request(method, f"{made['ApiEndpoint']}/pr-42", timeout=60)
        assert (unstaged.status_code, unstaged.json()) == (404, {"message": "Not Found"})
    api.create_stage(**here, StageName="$default", AutoDeploy=True)

    answer = requests.patch(f"{made['ApiEndpoint']}/pr-42?a=1&a=%26", data=b"\x00\xff", timeout=60)

    assert (answer.status_code, answer.headers["x-mine"]) == (207, "1")
    assert answer.json() == {
        "method": "PATCH",
        "path": "/pr-42",
        "query": "a=1&a=%26",
        "version": "2.0",
        "body": "00ff",
        "runtime": fresh_aws.endpoint,
    }
    assert requests.get(f"{made['ApiEndpoint']}/pr-43", timeout=60).status_code == 404
    assert fresh_aws.control.calls()["execute-api"] == {"Invoke": 4}
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
    pushed = requests.put(f"{registry}/manifests/v1", data=manifest, headers=content_type, timeout=60)
    pulled = requests.get(f"{registry}/blobs/{digest(layer)}", timeout=60)
    assert (pushed.status_code, pulled.content == layer) == (201, True)
    assert fresh_aws.control.calls() == {}
    (image,) = fresh_aws.client("ecr").describe_images(repositoryName="models/wine")["imageDetails"]
    assert (image["imageTags"], image["imageDigest"]) == (["v1"], digest(manifest.encode()))


def blob(registry: str, content: bytes) -> dict[str, Any]:
    upload = requests.post(f"{registry}/blobs/uploads/", timeout=60)
    location = requests.compat.urljoin(registry, upload.headers["Location"])
    answer = requests.put(location, params={"digest": digest(content)}, data=iter([content]), timeout=60)
    assert answer.status_code == 201
    return {"digest": digest(content), "size": len(content)}


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_a_reset_empties_the_account(fresh_aws: Aws) -> None:
    fresh_aws.client("logs").create_log_group(logGroupName="/a")
    fresh_aws.client("sagemaker").create_model(
        ModelName="m",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/models:1"},
    )
    fresh_aws.control.reset()
    assert names(fresh_aws, "/") == []
    assert fresh_aws.client("sagemaker").list_models()["Models"] == []


def test_a_call_that_is_held_at_a_reset_leaves_nothing(fresh_aws: Aws) -> None:
    control = fresh_aws.control
    control.add_faults(Fault(service="logs", operation="CreateLogGroup", held=True))
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(fresh_aws.client("logs").create_log_group, logGroupName="/held")
        wait_until(lambda: control.faults()[0].fired, seconds=120, what="the call")
        control.reset()
        held.exception()
    assert names(fresh_aws, "/") == []


def test_answers_carry_a_time_that_is_ahead_until_a_reset(fresh_aws: Aws) -> None:
    fresh_aws.control.set_ahead(timedelta(days=3).total_seconds())
    assert timedelta(days=2) < told_ahead(fresh_aws) < timedelta(days=4)
    fresh_aws.control.reset()
    assert abs(told_ahead(fresh_aws)) < timedelta(hours=1)


def told_ahead(aws: Aws) -> timedelta:
    """By how much the time that an answer carries is ahead of the machine's."""
    headers = aws.client("sagemaker").list_models()["ResponseMetadata"]["HTTPHeaders"]
    return parsedate_to_datetime(headers["date"]) - datetime.now(UTC)
