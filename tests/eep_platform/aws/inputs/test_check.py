"""What AWS refuses of the inputs that the operator sends, each with the reason that AWS gives."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.model import StringShape
from tests.fixtures.platform import Aws

from eep_platform.aws.inputs.check import CHECKED, rejection
from eep_platform.emulation.patterns import compiled
from eep_platform.emulation.validation import service_model

ACCOUNT = "000000000000"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:t"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"

PUT_ALARM = ("cloudwatch", "PutMetricAlarm")
ALARM = {
    "AlarmName": "a",
    "Namespace": "AWS/SageMaker",
    "MetricName": "Invocations",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 5,
    "DatapointsToAlarm": 3,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "Dimensions": [{"Name": "EndpointName", "Value": "e"}],
    "AlarmActions": [TOPIC],
}
CREATE_FUNCTION, CONFIGURE = ("lambda", "CreateFunction"), ("lambda", "UpdateFunctionConfiguration")
CREATED = {
    "FunctionName": "f",
    "Runtime": "python3.11",
    "Handler": "index.handler",
    "Role": f"arn:aws:iam::{ACCOUNT}:role/any",
    "Code": {"ZipFile": "UEs="},
    "Timeout": 900,
    "Environment": {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "x"}},
}
CONFIGURED = {"FunctionName": "f", "Timeout": 900}
PUT_RULE, PUT_TARGETS = ("events", "PutRule"), ("events", "PutTargets")
RULE = {"Name": "r", "ScheduleExpression": "rate(5 minutes)"}
TARGETS = {"Rule": "r", "Targets": [{"Id": "1", "Arn": FUNCTION, "Input": "{}"}]}
CREATE_API, CREATE_STAGE = ("apigatewayv2", "CreateApi"), ("apigatewayv2", "CreateStage")
CREATE_INTEGRATION, CHANGE_INTEGRATION = ("apigatewayv2", "CreateIntegration"), ("apigatewayv2", "UpdateIntegration")
CREATE_ROUTE, CHANGE_ROUTE = ("apigatewayv2", "CreateRoute"), ("apigatewayv2", "UpdateRoute")
CHANGE_STAGE, CREATE_AUTHORIZER = ("apigatewayv2", "UpdateStage"), ("apigatewayv2", "CreateAuthorizer")
API = {"Name": "a", "ProtocolType": "HTTP", "Tags": {f"k{number}": "" for number in range(50)}}
STAGE = {"ApiId": "a", "StageName": "$default"}
INTEGRATION = {
    "ApiId": "a",
    "IntegrationType": "AWS_PROXY",
    "IntegrationUri": FUNCTION,
    "PayloadFormatVersion": "2.0",
    "TimeoutInMillis": 30_000,
}
ROUTE = {"ApiId": "a", "RouteKey": "ANY /team/pr-42/{proxy+}", "Target": "integrations/i"}
AUTHORIZER = {
    "ApiId": "a",
    "Name": "n",
    "AuthorizerType": "JWT",
    "IdentitySource": ["$request.header.Authorization"],
    "JwtConfiguration": {"Issuer": "https://issuer", "Audience": ["a"]},
}
TAKEN: Mapping[tuple[str, str], Mapping[str, Any]] = {
    PUT_ALARM: ALARM,
    CREATE_FUNCTION: CREATED,
    CONFIGURE: CONFIGURED,
    PUT_RULE: RULE,
    PUT_TARGETS: TARGETS,
    CREATE_API: API,
    CREATE_STAGE: STAGE,
    CREATE_INTEGRATION: INTEGRATION,
    CHANGE_INTEGRATION: {"ApiId": "a", "IntegrationId": "i", "PayloadFormatVersion": "1.0"},
    CREATE_ROUTE: ROUTE,
    CHANGE_ROUTE: {"ApiId": "a", "RouteId": "r", "Target": "integrations/i"},
    CHANGE_STAGE: {**STAGE, "DefaultRouteSettings": {"ThrottlingRateLimit": 0.5, "ThrottlingBurstLimit": 1}},
    CREATE_AUTHORIZER: AUTHORIZER,
}


def variables(**given: str) -> dict[str, Any]:
    return {"Environment": {"Variables": given}}


def target(**given: object) -> dict[str, Any]:
    return {"Targets": [{**TARGETS["Targets"][0], **given}]}  # type: ignore[dict-item]  # of strings and of lists


@pytest.mark.parametrize("operation", TAKEN, ids=".".join)
def test_what_aws_takes_is_taken(operation: tuple[str, str]) -> None:
    assert rejection(*operation, TAKEN[operation]) is None


@pytest.mark.parametrize(
    ("operation", "change", "reason"),
    [
        # By the models: one row for each kind of constraint.
        (PUT_ALARM, {"AlarmName": ""}, "at 'alarmName' .* length greater than or equal to 1"),
        (PUT_ALARM, {"AlarmName": "a" * 256}, "at 'alarmName' .* length less than or equal to 255"),
        (PUT_ALARM, {"ComparisonOperator": "MoreThan"}, "at 'comparisonOperator' .* enum value set"),
        (PUT_ALARM, {"EvaluationPeriods": 0}, "at 'evaluationPeriods' .* value greater than or equal to 1"),
        (PUT_ALARM, {"Namespace": ":x"}, "at 'namespace' .* regular expression"),
        (PUT_ALARM, {"AlarmActions": [TOPIC] * 6}, "at 'alarmActions' .* length less than or equal to 5"),
        (PUT_ALARM, {"Dimensions": [{"Name": "n", "Value": ""}]}, r"at 'dimensions\.1\.member\.value'"),
        (CREATE_FUNCTION, {"MemorySize": 64}, "at 'memorySize' .* greater than or equal to 128"),
        (CREATE_FUNCTION, {"Role": None}, "at 'role' .* must not be null"),
        (PUT_TARGETS, {"Targets": []}, "at 'targets' .* length greater than or equal to 1"),
        (CREATE_INTEGRATION, {"TimeoutInMillis": 30_001}, "at 'timeoutInMillis' .* less than or equal to 30000"),
        (CREATE_API, {"Name": "a" * 129}, "at 'name' .* length less than or equal to 128"),
        (CREATE_API, {"ProtocolType": "UDP"}, "at 'protocolType' .* enum value set"),
        # Of all services.
        (CREATE_API, {"Tags": {f"k{number}": "v" for number in range(51)}}, "at most 50 tags"),
        (PUT_RULE, {"Tags": [{"Key": "AWS:cloudformation", "Value": "x"}]}, "aws: prefixed"),
        # PutMetricAlarm.
        (PUT_ALARM, {"Period": 45}, "multiple of 60"),
        (PUT_ALARM, {"EvaluationPeriods": 1441}, "across more than a day"),
        (PUT_ALARM, {"Period": 3600, "EvaluationPeriods": 169}, "across more than seven days"),
        (PUT_ALARM, {"DatapointsToAlarm": 6}, "DatapointsToAlarm must be less than or equal to EvaluationPeriods"),
        (PUT_ALARM, {"ExtendedStatistic": "p99"}, "mutually exclusive"),
        (PUT_ALARM, {"Statistic": None}, "mutually exclusive"),
        (PUT_ALARM, {"Statistic": None, "ExtendedStatistic": "p101"}, "p101 .* is not supported"),
        (PUT_ALARM, {"Threshold": None}, "Threshold must be specified"),
        (PUT_ALARM, {"MetricName": None}, "you must specify one"),
        (PUT_ALARM, {"Dimensions": [{"Name": "n", "Value": value} for value in "ab"]}, "same dimension name"),
        (PUT_ALARM, {"OKActions": ["t"]}, "Invalid arn syntax: t"),
        (PUT_ALARM, {"AlarmActions": [TOPIC.replace("us-east-1", "eu-west-1")]}, "Invalid region eu-west-1"),
        # Functions.
        (CREATE_FUNCTION, {"FunctionName": "f" * 65}, "at 'functionName' .* less than or equal to 64"),
        (CREATE_FUNCTION, {"Handler": None}, "Runtime and Handler are mandatory"),
        (CREATE_FUNCTION, {"Runtime": None}, "Runtime and Handler are mandatory"),
        (CREATE_FUNCTION, {"Code": {}}, "provide a source"),
        (CREATE_FUNCTION, {"Timeout": 901}, "at 'timeout' .* less than or equal to 900"),
        (CREATE_FUNCTION, variables(AWS_REGION="x"), "reserved keys .*: AWS_REGION"),
        (CONFIGURE, {"Timeout": 901}, "at 'timeout' .* less than or equal to 900"),
        (CONFIGURE, variables(LONG="x" * 4090), "exceeded the 4KB limit"),
        # Rules.
        (PUT_RULE, {"ScheduleExpression": None}, "EventPattern or ScheduleExpression must be specified"),
        (PUT_RULE, {"ScheduleExpression": "rate(0 minutes)"}, "ScheduleExpression is not valid"),
        (PUT_RULE, {"ScheduleExpression": "rate(1 minutes)"}, "ScheduleExpression is not valid"),
        (PUT_RULE, {"ScheduleExpression": "rate(5 minute)"}, "ScheduleExpression is not valid"),
        (PUT_TARGETS, target(InputPath="$.detail"), "Only one of Input, InputPath"),
        (PUT_TARGETS, target(Input="{"), "JSON syntax error in input for target 1"),
        # HTTP APIs.
        (CREATE_ROUTE, {"RouteKey": "GET team"}, "not formatted properly"),
        (CREATE_ROUTE, {"RouteKey": "FETCH /team"}, "not formatted properly"),
        (CREATE_ROUTE, {"RouteKey": "GET /{proxy+}/below"}, "not formatted properly"),
        (CHANGE_ROUTE, {"RouteKey": "GET /{team"}, "not formatted properly"),
        (CREATE_ROUTE, {"RouteKey": "GET /{a}/{a}"}, "distinct names"),
        (CREATE_INTEGRATION, {"IntegrationType": "AWS"}, "only be associated with proxy integrations"),
        (CREATE_INTEGRATION, {"PayloadFormatVersion": None}, "payloadFormatVersion is a required"),
        (CREATE_INTEGRATION, {"IntegrationUri": None}, "integrationUri is a required"),
        (CHANGE_INTEGRATION, {"PayloadFormatVersion": "3.0"}, "Invalid payloadFormatVersion"),
        (CREATE_STAGE, {"StageName": "a b"}, "Stage name only allows"),
        (CREATE_STAGE, {"DefaultRouteSettings": {"ThrottlingBurstLimit": -1}}, "must not be negative"),
        (CHANGE_STAGE, {"RouteSettings": {"GET /a": {"ThrottlingRateLimit": -0.5}}}, "must not be negative"),
        (CREATE_AUTHORIZER, {"JwtConfiguration": {"Audience": ["a"]}}, "JWT configuration"),
        (CREATE_AUTHORIZER, {"JwtConfiguration": None}, "JWT configuration"),
    ],
)
def test_what_aws_refuses_is_refused_with_its_reason(
    operation: tuple[str, str], change: Mapping[str, Any], reason: str
) -> None:
    found = rejection(*operation, {**TAKEN[operation], **change})
    assert found is not None
    assert re.search(reason, found.message), found.message


def test_members_that_the_model_does_not_have_are_ignored() -> None:
    assert rejection(*PUT_RULE, {**RULE, "Unknown": {"Name": ""}}) is None


@pytest.mark.parametrize("service", sorted(CHECKED))
def test_every_pattern_of_a_checked_service_is_understood(service: str) -> None:
    model = service_model(service)
    shapes = map(model.shape_for, model.shape_names)
    for pattern in {each.metadata.get("pattern", "") for each in shapes if isinstance(each, StringShape)}:
        compiled(pattern)


@pytest.mark.parametrize(
    ("service", "call", "given", "code"),
    [
        pytest.param("cloudwatch", "put_metric_alarm", {**ALARM, "Period": 45}, "ValidationError", id="CBOR"),
        pytest.param("events", "put_rule", {**RULE, "Name": "a b"}, "ValidationException", id="JSON"),
        pytest.param("lambda", "list_functions", {"MaxItems": 10_001}, "ValidationException", id="query"),
        pytest.param(
            "lambda",
            "add_permission",
            {"FunctionName": "f", "StatementId": "a b", "Action": "lambda:InvokeFunction", "Principal": "p"},
            "ValidationException",
            id="path and JSON",
        ),
    ],
)
def test_a_refusal_arrives_as_the_services_own(
    aws: Aws, service: str, call: str, given: Mapping[str, Any], code: str
) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(aws.client(service), call)(**given)
    assert (refused.value.response["Error"]["Code"], refused.value.response["ResponseMetadata"]["HTTPStatusCode"]) == (
        code,
        400,
    )
