from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from ephemeral_endpoints.local.aws.wire import Request, data_plane_call, error_response, identify, is_registry

API = "arn:aws:apigateway:us-east-1::/apis/a1b2"
LOG_GROUP = "arn:aws:logs:us-east-1:000000000000:log-group:/x"


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes | bytearray) else str(value)


class CapturedError(Exception):
    """Carries the request that botocore was about to send."""

    def __init__(self, request: AWSPreparedRequest) -> None:
        super().__init__(request.url)
        self.request = request


@pytest.fixture(scope="module")
def on_the_wire() -> Callable[..., Request]:
    """What boto3 sends for a call, as the front reads it."""
    secret = "x"  # noqa: S105 - nothing is sent
    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key=secret, region_name="us-east-1")

    def capture(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        raise CapturedError(request)

    def serialise(service: str, operation: str, arguments: dict[str, Any]) -> Request:
        make: Callable[..., Any] = session.client
        client = make(service, endpoint_url="http://127.0.0.1:9")
        client.meta.events.register("before-send", capture)
        with pytest.raises(CapturedError) as caught:
            client._make_api_call(operation, arguments)
        sent = caught.value.request
        url = urlsplit(sent.url)
        headers = {name: _text(value) for name, value in sent.headers.items()}
        body = _text(sent.body).encode("latin-1") if sent.body else None
        return Request(str(sent.method), url.path, dict(parse_qsl(url.query)), headers, body)

    return serialise


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "resource", "reason"),
    [
        ("sagemaker", "CreateModel", {"ModelName": "m"}, "m", "named by a target, resource in JSON"),
        (
            "sagemaker",
            "CreateEndpoint",
            {"EndpointName": "e", "EndpointConfigName": "c"},
            "e",
            "the first required name",
        ),
        ("sagemaker", "ListEndpoints", {}, None, "a list names nothing"),
        ("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "e", "Body": b"\xff"}, "e", "shares a scope"),
        ("sagemaker-runtime", "InvokeEndpointAsync", {"EndpointName": "e", "InputLocation": "s3://b/k"}, "e", ""),
        (
            "application-autoscaling",
            "DeregisterScalableTarget",
            {
                "ServiceNamespace": "sagemaker",
                "ResourceId": "endpoint/e/variant/V",
                "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
            },
            "endpoint/e/variant/V",
            "the first required name is a choice among words",
        ),
        ("apigatewayv2", "CreateApi", {"Name": "n", "ProtocolType": "HTTP"}, "n", "shares a scope with version 1"),
        ("apigatewayv2", "CreateRoute", {"ApiId": "a1", "RouteKey": "ANY /x"}, "a1", "labels of the path first"),
        ("apigatewayv2", "DeleteRoute", {"ApiId": "a1", "RouteId": "r1"}, "a1/r1", "several labels"),
        ("apigatewayv2", "TagResource", {"ResourceArn": API, "Tags": {"a": "b"}}, API, "a label with a hyphen"),
        ("apigatewayv2", "GetTags", {"ResourceArn": API}, API, "the same path, another method"),
        ("apigateway", "GetRestApis", {}, None, "version 1 stays version 1"),
        ("lambda", "UpdateFunctionCode", {"FunctionName": "f", "ZipFile": b"z"}, "f", "label and body"),
        ("lambda", "ListFunctions", {}, None, "a path without labels"),
        (
            "cloudwatch",
            "PutMetricAlarm",
            {"AlarmName": "a", "EvaluationPeriods": 1, "ComparisonOperator": "x"},
            "a",
            "",
        ),
        ("cloudwatch", "DeleteAlarms", {"AlarmNames": ["a", "b"]}, "a,b", "several names"),
        ("logs", "CreateLogGroup", {"logGroupName": "/x"}, "/x", "JSON with small letters"),
        ("logs", "ListTagsForResource", {"resourceArn": LOG_GROUP}, LOG_GROUP, "an ARN"),
        ("ecr", "BatchGetImage", {"repositoryName": "r/s", "imageIds": [{"imageTag": "t"}]}, "r/s", ""),
        ("iam", "CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": "{}"}, "r", "a form, not JSON"),
        ("sts", "GetCallerIdentity", {}, None, "a form without a resource"),
        ("resourcegroupstaggingapi", "GetResources", {}, None, "its scope is called tagging"),
        ("events", "PutRule", {"Name": "n"}, "n", ""),
    ],
)
def test_calls_of_boto3_are_identified(
    *,
    on_the_wire: Callable[..., Request],
    service: str,
    operation: str,
    arguments: dict[str, Any],
    resource: str | None,
    reason: str,
) -> None:
    ctx = identify(on_the_wire(service, operation, arguments))
    assert (ctx.service, ctx.operation, ctx.resource) == (service, operation, resource), reason


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", "/favicon.ico", {}, {}),
        Request("POST", "/", {}, {"X-Amz-Target": "Nobody.Knows"}, b"{}"),
        Request("POST", "/", {}, {"X-Amz-Target": "SageMaker.CreateModel"}, b"{"),
        Request("POST", "/", {}, {"Authorization": "Credential=x/20260101/us-east-1/iam/aws4_request"}, b"\xff\x00"),
    ],
)
def test_what_makes_no_sense_is_left_unnamed_and_harms_nobody(request_: Request) -> None:
    assert identify(request_).resource is None


@pytest.mark.parametrize(
    ("path", "expected", "reason"),
    [
        ("/v2/", True, "the version check"),
        ("/v2", True, "the version check without a slash"),
        ("/v2/models/wine/blobs/uploads/", True, "an upload begins"),
        ("/v2/models/wine/manifests/v1", True, "a manifest"),
        ("/v2/models/wine/tags/list", True, "tags"),
        ("/v2/apis", False, "API Gateway"),
        ("/v2/apis/a1/routes", False, "API Gateway"),
        ("/v2/tags/arn", False, "API Gateway's tags"),
    ],
)
def test_the_registry_is_told_apart_by_its_paths(path: str, expected: bool, reason: str) -> None:  # noqa: FBT001 - table
    assert is_registry(path) is expected, reason


def test_an_error_of_an_http_api_is_rendered_without_a_service_model() -> None:
    ctx = data_plane_call(Request("GET", "/x", {}, {}), "a1/x")
    assert error_response(ctx, "ServiceUnavailable", "m", 503).status == 503
