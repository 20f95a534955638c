"""What AWS asks for when an operation is called, by table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from eep_platform.aws.guard.authorization import required_actions
from eep_platform.aws.guard.rules import CallScope
from eep_platform.aws.inputs.rules import tags_of

SCOPE = CallScope(
    "123456789012",
    "eu-central-1",
    config_of=lambda endpoint: f"{endpoint}-config",
    target_arn=lambda _: "arn:aws:application-autoscaling:eu-central-1:123456789012:scalable-target/abc",
)
HERE = "eu-central-1:123456789012"
ROLE = "arn:aws:iam::123456789012:role/model"


@dataclass(frozen=True)
class Case:
    """A call, and the actions that it requires with their resources."""

    why: str
    service: str
    operation: str
    parameters: Mapping[str, Any]
    required: Sequence[tuple[str, str]]


CASES = [
    Case(
        "creating with tags is tagging, naming a role is passing it",
        service="sagemaker",
        operation="CreateModel",
        parameters={"ModelName": "m", "ExecutionRoleArn": ROLE, "Tags": [{"Key": "a", "Value": "b"}]},
        required=[
            ("sagemaker:CreateModel", f"arn:aws:sagemaker:{HERE}:model/m"),
            ("sagemaker:AddTags", f"arn:aws:sagemaker:{HERE}:model/m"),
            ("iam:PassRole", ROLE),
        ],
    ),
    Case(
        "without tags nothing is tagged, without a role none is passed",
        service="sagemaker",
        operation="CreateModel",
        parameters={"ModelName": "m"},
        required=[("sagemaker:CreateModel", f"arn:aws:sagemaker:{HERE}:model/m")],
    ),
    Case(
        "a job passes its role",
        service="sagemaker",
        operation="CreateProcessingJob",
        parameters={"ProcessingJobName": "j", "RoleArn": ROLE, "Tags": [{"Key": "a", "Value": "b"}]},
        required=[
            ("sagemaker:CreateProcessingJob", f"arn:aws:sagemaker:{HERE}:processing-job/j"),
            ("sagemaker:AddTags", f"arn:aws:sagemaker:{HERE}:processing-job/j"),
            ("iam:PassRole", ROLE),
        ],
    ),
    Case(
        "an endpoint is updated to a configuration, and both are asked for",
        service="sagemaker",
        operation="UpdateEndpoint",
        parameters={"EndpointName": "e", "EndpointConfigName": "c"},
        required=[
            ("sagemaker:UpdateEndpoint", f"arn:aws:sagemaker:{HERE}:endpoint/e"),
            ("sagemaker:UpdateEndpoint", f"arn:aws:sagemaker:{HERE}:endpoint-config/c"),
        ],
    ),
    Case(
        "a model from a package is also asked for at the package",
        service="sagemaker",
        operation="CreateModel",
        parameters={"ModelName": "m", "PrimaryContainer": {"ModelPackageName": "wine/7"}},
        required=[
            ("sagemaker:CreateModel", f"arn:aws:sagemaker:{HERE}:model/m"),
            ("sagemaker:CreateModel", f"arn:aws:sagemaker:{HERE}:model-package/wine/7"),
        ],
    ),
    Case(
        "a version is registered in its group, and has no number yet",
        service="sagemaker",
        operation="CreateModelPackage",
        parameters={"ModelPackageGroupName": f"arn:aws:sagemaker:{HERE}:model-package-group/wine"},
        required=[
            ("sagemaker:CreateModelPackage", f"arn:aws:sagemaker:{HERE}:model-package-group/wine"),
            ("sagemaker:CreateModelPackage", f"arn:aws:sagemaker:{HERE}:model-package/wine/*"),
        ],
    ),
    Case(
        "a pipeline passes its role to SageMaker",
        service="sagemaker",
        operation="CreatePipeline",
        parameters={"PipelineName": "p", "RoleArn": ROLE},
        required=[("sagemaker:CreatePipeline", f"arn:aws:sagemaker:{HERE}:pipeline/p"), ("iam:PassRole", ROLE)],
    ),
    Case(
        "an execution is started at its pipeline, whose ARN is a name of it",
        service="sagemaker",
        operation="StartPipelineExecution",
        parameters={"PipelineName": f"arn:aws:sagemaker:{HERE}:pipeline/p"},
        required=[("sagemaker:StartPipelineExecution", f"arn:aws:sagemaker:{HERE}:pipeline/p")],
    ),
    Case(
        "and stopped at itself",
        service="sagemaker",
        operation="StopPipelineExecution",
        parameters={"PipelineExecutionArn": f"arn:aws:sagemaker:{HERE}:pipeline/p/execution/e"},
        required=[("sagemaker:StopPipelineExecution", f"arn:aws:sagemaker:{HERE}:pipeline/p/execution/e")],
    ),
    Case(
        "every alarm of a deletion is asked for",
        service="cloudwatch",
        operation="DeleteAlarms",
        parameters={"AlarmNames": ["a", "b"]},
        required=[
            ("cloudwatch:DeleteAlarms", f"arn:aws:cloudwatch:{HERE}:alarm:a"),
            ("cloudwatch:DeleteAlarms", f"arn:aws:cloudwatch:{HERE}:alarm:b"),
        ],
    ),
    Case(
        "builds are of the project that their ids begin with",
        service="codebuild",
        operation="BatchGetBuilds",
        parameters={"ids": ["p:1", "p:2"]},
        required=[("codebuild:BatchGetBuilds", f"arn:aws:codebuild:{HERE}:project/p")],
    ),
    Case(
        "an API with tags is tagged before it has an id",
        service="apigatewayv2",
        operation="CreateApi",
        parameters={"Name": "n", "Tags": {"a": "b"}},
        required=[
            ("apigateway:POST", "arn:aws:apigateway:eu-central-1::/apis"),
            (
                "apigateway:POST",
                "arn:aws:apigateway:eu-central-1::/tags/arn%3Aaws%3Aapigateway%3Aeu-central-1%3A%3A%2Fv2%2Fapis%2F*",
            ),
        ],
    ),
    Case(
        "images of other accounts are in their registries",
        service="ecr",
        operation="BatchGetImage",
        parameters={"registryId": "999999999999", "repositoryName": "a/b"},
        required=[("ecr:BatchGetImage", "arn:aws:ecr:eu-central-1:999999999999:repository/a/b")],
    ),
    Case(
        "several messages are deleted by the permission for one",
        service="sqs",
        operation="DeleteMessageBatch",
        parameters={"QueueUrl": "https://sqs.eu-central-1.amazonaws.com/123456789012/q"},
        required=[("sqs:DeleteMessage", f"arn:aws:sqs:{HERE}:q")],
    ),
    Case(
        "who one is may be asked by anybody", service="sts", operation="GetCallerIdentity", parameters={}, required=[]
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_what_a_call_requires(case: Case) -> None:
    required = required_actions(case.service, case.operation, case.parameters, SCOPE)
    assert [(each.action, each.resource) for each in required] == case.required


def test_scaling_asks_for_what_is_done_on_behalf_of_the_caller() -> None:
    parameters = {"ResourceId": "endpoint/e/variant/v", "ServiceNamespace": "sagemaker"}
    found = {
        each.action: each
        for each in required_actions("application-autoscaling", "RegisterScalableTarget", parameters, SCOPE)
    }
    assert found["sagemaker:DescribeEndpointConfig"].resource == f"arn:aws:sagemaker:{HERE}:endpoint-config/e-config"
    assert found["application-autoscaling:RegisterScalableTarget"].resource.endswith("scalable-target/abc")
    assert found["iam:CreateServiceLinkedRole"].keys["iam:AWSServiceName"].endswith("amazonaws.com")  # type: ignore[union-attr]  # one word
    assert "application-autoscaling:TagResource" not in found


def test_conditions_see_the_instance_types_of_an_endpoint() -> None:
    variants = [
        {"InstanceType": "ml.m5.large"},
        {"ServerlessConfig": {"MaxConcurrency": 3}},
        {"ServerlessConfig": {"MaxConcurrency": 5}},
    ]
    parameters = {"EndpointConfigName": "c", "ProductionVariants": variants}
    [required] = required_actions("sagemaker", "CreateEndpointConfig", parameters, SCOPE)
    assert required.keys == {
        "sagemaker:InstanceTypes": ["ml.m5.large"],
        "sagemaker:ServerlessMaxConcurrency": "5",
    }


def test_conditions_see_approval_stage_and_properties_of_a_package() -> None:
    parameters = {
        "ModelPackageArn": f"arn:aws:sagemaker:{HERE}:model-package/wine/7",
        "ModelApprovalStatus": "Approved",
        "ModelLifeCycle": {"Stage": "Production", "StageStatus": "Approved"},
        "CustomerMetadataProperties": {"revision": "abc"},
    }
    [required] = required_actions("sagemaker", "UpdateModelPackage", parameters, SCOPE)
    assert required.keys == {
        "sagemaker:ModelApprovalStatus": "Approved",
        "sagemaker:ModelLifeCycle:stage": "Production",
        "sagemaker:ModelLifeCycle:stageStatus": "Approved",
        "sagemaker:CustomerMetadataProperties/revision": "abc",
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
        required_actions("iam", "CreateUser", {}, SCOPE)
