from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.eep_platform.aws.test_front import function_bundle
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from eep_platform.aws.faults import Fault, FaultError

IMAGE = f"{ministack.ACCOUNT}.dkr.ecr.{ministack.REGION}.amazonaws.com/models:1"


def create_function(aws: Aws, role: str) -> Any:  # noqa: ANN401 - an answer
    code = {"ZipFile": function_bundle()}
    function = {"FunctionName": "f", "Runtime": "python3.11", "Handler": "index.handler", "Code": code}
    return aws.client("lambda").create_function(Role=role, **function)


def create_model(aws: Aws, role: str) -> Any:  # noqa: ANN401 - an answer
    return aws.client("sagemaker").create_model(ModelName="m", PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=role)


def create_training_job(aws: Aws, role: str) -> Any:  # noqa: ANN401 - an answer
    return aws.client("sagemaker").create_training_job(
        TrainingJobName="j",
        RoleArn=role,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        OutputDataConfig={"S3OutputPath": "s3://b/"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    )


def create_project(aws: Aws, role: str) -> Any:  # noqa: ANN401 - an answer
    return aws.client("codebuild").create_project(
        name="previews",
        source={"type": "NO_SOURCE", "buildspec": "{version: 0.2, phases: {build: {commands: [true]}}}"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "any", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole=role,
    )


def arn(name: str) -> str:
    return f"arn:aws:iam::{ministack.ACCOUNT}:role/{name}"


def refused(call: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as raised:
        call()
    return dict(raised.value.response["Error"])


@pytest.mark.parametrize(
    ("create", "service", "code", "message"),
    [
        (
            create_function,
            "lambda",
            "InvalidParameterValueException",
            "The role defined for the function cannot be assumed by Lambda.",
        ),
        (create_model, "sagemaker", "ValidationException", f"Could not assume role {arn('own')}. Please ensure"),
        (create_training_job, "sagemaker", "ValidationException", f"Could not assume role {arn('own')}. Please ensure"),
        (
            create_project,
            "codebuild",
            "InvalidInputException",
            f"CodeBuild is not authorized to perform: sts:AssumeRole on {arn('own')}",
        ),
    ],
)
def test_a_service_refuses_a_role_that_it_cannot_assume(
    fresh_aws: Aws, create: Callable[[Aws, str], Any], service: str, code: str, message: str
) -> None:
    for _ in range(2):
        missing = refused(lambda: create(fresh_aws, arn("own")))
        assert missing["Code"] == code
        assert missing["Message"].startswith(message)
    fresh_aws.make_role("own", trusted=["ec2.amazonaws.com"])
    assert refused(lambda: create(fresh_aws, arn("own")))["Code"] == code, "it trusts another service"
    fresh_aws.client("iam").delete_role(RoleName="own")
    fresh_aws.make_role("own", path="/team/", trusted=[f"{service}.amazonaws.com"])
    assert refused(lambda: create(fresh_aws, arn("own")))["Code"] == code, "the path is part of a role's ARN"
    assert create(fresh_aws, arn("team/own"))


def test_a_refused_role_is_a_call_as_any_other(fresh_aws: Aws) -> None:
    busy = FaultError(code="ThrottlingException", message="slow down", status=400)
    fresh_aws.control.add_faults(Fault(service="sagemaker", operation="CreateModel", error=busy, times=1))
    assert refused(lambda: create_model(fresh_aws, arn("none")))["Code"] == "ThrottlingException"
    assert refused(lambda: create_model(fresh_aws, arn("none")))["Code"] == "ValidationException"
    assert fresh_aws.control.calls()["sagemaker"] == {"CreateModel": 2}


def test_an_integration_may_name_a_role_that_does_not_exist(fresh_aws: Aws) -> None:
    gateway = fresh_aws.client("apigatewayv2")
    api = gateway.create_api(Name="a", ProtocolType="HTTP")["ApiId"]
    gateway.create_integration(
        ApiId=api,
        IntegrationType="AWS_PROXY",
        IntegrationUri=f"arn:aws:lambda:{ministack.REGION}:{ministack.ACCOUNT}:function:f",
        PayloadFormatVersion="2.0",
        CredentialsArn=arn("none"),
    )
