from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest
from botocore import xform_name
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from eep_platform.aws.wire import Request, data_plane_call, error_response, identify, is_registry

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
            getattr(client, xform_name(operation))(**arguments)
        sent = caught.value.request
        url = urlsplit(sent.url)
        headers = {name: _text(value) for name, value in sent.headers.items()}
        body = _text(sent.body).encode("latin-1") if sent.body else None
        return Request(str(sent.method), url.path, dict(parse_qsl(url.query)), headers, body)

    return serialise


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "resource"),
    [
        pytest.param("sagemaker", "CreateModel", {"ModelName": "m"}, "m", id="named by a target, resource in JSON"),
        pytest.param(
            "sagemaker",
            "CreateEndpoint",
            {"EndpointName": "e", "EndpointConfigName": "c"},
            "e",
            id="the first required name",
        ),
        pytest.param("sagemaker", "ListEndpoints", {}, None, id="a list names nothing"),
        pytest.param(
            "sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "e", "Body": b"\xff"}, "e", id="shares a scope"
        ),
        pytest.param(
            "sagemaker-runtime", "InvokeEndpointAsync", {"EndpointName": "e", "InputLocation": "s3://b/k"}, "e"
        ),
        pytest.param(
            "application-autoscaling",
            "DeregisterScalableTarget",
            {
                "ServiceNamespace": "sagemaker",
                "ResourceId": "endpoint/e/variant/V",
                "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
            },
            "endpoint/e/variant/V",
            id="the first required name is a choice among words",
        ),
        pytest.param(
            "apigatewayv2", "CreateApi", {"Name": "n", "ProtocolType": "HTTP"}, "n", id="shares a scope with version 1"
        ),
        pytest.param(
            "apigatewayv2", "CreateRoute", {"ApiId": "a1", "RouteKey": "ANY /x"}, "a1", id="labels of the path first"
        ),
        pytest.param("apigatewayv2", "DeleteRoute", {"ApiId": "a1", "RouteId": "r1"}, "a1/r1", id="several labels"),
        pytest.param(
            "apigatewayv2", "TagResource", {"ResourceArn": API, "Tags": {"a": "b"}}, API, id="a label with a hyphen"
        ),
        pytest.param("apigatewayv2", "GetTags", {"ResourceArn": API}, API, id="the same path, another method"),
        pytest.param("apigateway", "GetRestApis", {}, None, id="version 1 stays version 1"),
        pytest.param("lambda", "UpdateFunctionCode", {"FunctionName": "f", "ZipFile": b"z"}, "f", id="label and body"),
        pytest.param("lambda", "ListFunctions", {}, None, id="a path without labels"),
        pytest.param(
            "cloudwatch", "PutMetricAlarm", {"AlarmName": "a", "EvaluationPeriods": 1, "ComparisonOperator": "x"}, "a"
        ),
        pytest.param("cloudwatch", "DeleteAlarms", {"AlarmNames": ["a", "b"]}, "a,b", id="several names"),
        pytest.param("logs", "CreateLogGroup", {"logGroupName": "/x"}, "/x", id="JSON with small letters"),
        pytest.param("logs", "ListTagsForResource", {"resourceArn": LOG_GROUP}, LOG_GROUP, id="an ARN"),
        pytest.param("ecr", "BatchGetImage", {"repositoryName": "r/s", "imageIds": [{"imageTag": "t"}]}, "r/s"),
        pytest.param(
            "iam", "CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": "{}"}, "r", id="a form, not JSON"
        ),
        pytest.param("sts", "GetCallerIdentity", {}, None, id="a form without a resource"),
        pytest.param("resourcegroupstaggingapi", "GetResources", {}, None, id="its scope is called tagging"),
        pytest.param("events", "PutRule", {"Name": "n"}, "n"),
    ],
)
def test_calls_of_boto3_are_identified(
    *,
    on_the_wire: Callable[..., Request],
    service: str,
    operation: str,
    arguments: dict[str, Any],
    resource: str | None,
) -> None:
    ctx = identify(on_the_wire(service, operation, arguments))
    assert (ctx.service, ctx.operation, ctx.resource) == (service, operation, resource)


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
def test_the_registry_is_recognised_by_its_paths(path: str, expected: bool, reason: str) -> None:  # noqa: FBT001 - table
    assert is_registry(path) is expected, reason


def test_an_error_of_an_http_api_is_rendered_without_a_service_model() -> None:
    ctx = data_plane_call(Request("GET", "/x", {}, {}), "a1/x")
    assert error_response(ctx, "ServiceUnavailable", "m", 503).status == 503
