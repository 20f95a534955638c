"""What AWS asks for when an operation is called, by table."""

from typing import Any

import pytest

from ephemeral_endpoints.iam.authorization import Place, demands, tags_of

PLACE = Place(
    "123456789012",
    "eu-central-1",
    config_of=lambda endpoint: f"{endpoint}-config",
    target_arn=lambda _: "arn:aws:application-autoscaling:eu-central-1:123456789012:scalable-target/abc",
)
HERE = "eu-central-1:123456789012"
ROLE = "arn:aws:iam::123456789012:role/model"

ROWS: list[tuple[str, str, str, dict[str, Any], list[tuple[str, str]]]] = [
    (
        "creating with tags is tagging, naming a role is passing it",
        "sagemaker",
        "CreateModel",
        {"ModelName": "m", "ExecutionRoleArn": ROLE, "Tags": [{"Key": "a", "Value": "b"}]},
        [
            ("sagemaker:CreateModel", f"arn:aws:sagemaker:{HERE}:model/m"),
            ("sagemaker:AddTags", f"arn:aws:sagemaker:{HERE}:model/m"),
            ("iam:PassRole", ROLE),
        ],
    ),
    (
        "without tags nothing is tagged, without a role none is passed",
        "sagemaker",
        "CreateModel",
        {"ModelName": "m"},
        [("sagemaker:CreateModel", f"arn:aws:sagemaker:{HERE}:model/m")],
    ),
    (
        "an endpoint is updated to a configuration, and both are asked for",
        "sagemaker",
        "UpdateEndpoint",
        {"EndpointName": "e", "EndpointConfigName": "c"},
        [
            ("sagemaker:UpdateEndpoint", f"arn:aws:sagemaker:{HERE}:endpoint/e"),
            ("sagemaker:UpdateEndpoint", f"arn:aws:sagemaker:{HERE}:endpoint-config/c"),
        ],
    ),
    (
        "every alarm of a deletion is asked for",
        "cloudwatch",
        "DeleteAlarms",
        {"AlarmNames": ["a", "b"]},
        [
            ("cloudwatch:DeleteAlarms", f"arn:aws:cloudwatch:{HERE}:alarm:a"),
            ("cloudwatch:DeleteAlarms", f"arn:aws:cloudwatch:{HERE}:alarm:b"),
        ],
    ),
    (
        "builds are of the project that their ids begin with",
        "codebuild",
        "BatchGetBuilds",
        {"ids": ["p:1", "p:2"]},
        [("codebuild:BatchGetBuilds", f"arn:aws:codebuild:{HERE}:project/p")],
    ),
    (
        "an API with tags is tagged before it has an id",
        "apigatewayv2",
        "CreateApi",
        {"Name": "n", "Tags": {"a": "b"}},
        [
            ("apigateway:POST", "arn:aws:apigateway:eu-central-1::/apis"),
            (
                "apigateway:POST",
                "arn:aws:apigateway:eu-central-1::/tags/arn%3Aaws%3Aapigateway%3Aeu-central-1%3A%3A%2Fv2%2Fapis%2F*",
            ),
        ],
    ),
    (
        "images of other accounts are in their registries",
        "ecr",
        "BatchGetImage",
        {"registryId": "999999999999", "repositoryName": "a/b"},
        [("ecr:BatchGetImage", "arn:aws:ecr:eu-central-1:999999999999:repository/a/b")],
    ),
    (
        "several messages are deleted by the permission for one",
        "sqs",
        "DeleteMessageBatch",
        {"QueueUrl": "https://sqs.eu-central-1.amazonaws.com/123456789012/q"},
        [("sqs:DeleteMessage", f"arn:aws:sqs:{HERE}:q")],
    ),
    ("who one is may be asked by anybody", "sts", "GetCallerIdentity", {}, []),
]


@pytest.mark.parametrize(("why", "service", "operation", "parameters", "asked"), ROWS, ids=[row[0] for row in ROWS])
def test_what_is_asked_for(
    why: str, service: str, operation: str, parameters: dict[str, Any], asked: list[tuple[str, str]]
) -> None:
    found = [(each.action, each.resource) for each in demands(service, operation, parameters, PLACE)]
    assert found == asked, why


def test_scaling_asks_for_what_is_done_on_behalf_of_the_caller() -> None:
    parameters = {"ResourceId": "endpoint/e/variant/v", "ServiceNamespace": "sagemaker"}
    found = {
        each.action: each for each in demands("application-autoscaling", "RegisterScalableTarget", parameters, PLACE)
    }
    assert found["sagemaker:DescribeEndpointConfig"].resource == f"arn:aws:sagemaker:{HERE}:endpoint-config/e-config"
    assert found["application-autoscaling:RegisterScalableTarget"].resource.endswith("scalable-target/abc")
    assert found["iam:CreateServiceLinkedRole"].context["iam:AWSServiceName"].endswith("amazonaws.com")  # type: ignore[union-attr]  # one word
    assert "application-autoscaling:TagResource" not in found


def test_what_an_endpoint_would_run_on_is_told_to_conditions() -> None:
    variants = [
        {"InstanceType": "ml.m5.large"},
        {"ServerlessConfig": {"MaxConcurrency": 3}},
        {"ServerlessConfig": {"MaxConcurrency": 5}},
    ]
    parameters = {"EndpointConfigName": "c", "ProductionVariants": variants}
    [demand] = demands("sagemaker", "CreateEndpointConfig", parameters, PLACE)
    assert demand.context == {
        "sagemaker:InstanceTypes": ["ml.m5.large"],
        "sagemaker:ServerlessMaxConcurrency": "5",
    }


@pytest.mark.parametrize(
    "given",
    [
        {"Tags": [{"Key": "a", "Value": "b"}]},
        {"tags": [{"key": "a", "value": "b"}]},
        {"Tags": {"a": "b"}},
        {"tags": {"a": "b"}},
    ],
    ids=["SageMaker", "lower case", "Lambda", "Logs"],
)
def test_tags_are_read_in_every_form(given: dict[str, Any]) -> None:
    assert tags_of(given) == {"a": "b"}


def test_what_is_not_known_is_an_error() -> None:
    with pytest.raises(KeyError):
        demands("iam", "CreateUser", {}, PLACE)
