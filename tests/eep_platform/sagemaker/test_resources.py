"""Models, configurations, tags and lists through a real client."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests
from botocore.exceptions import ClientError
from tests.eep_platform.sagemaker.conftest import put_manifest

from eep_platform.containers.image import DOCKER_INDEX, INDEX, MANIFEST

if TYPE_CHECKING:
    from tests.eep_platform.sagemaker.conftest import Service

ARN = "arn:aws:sagemaker:us-east-1:000000000000"
SERVERLESS = {"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 1}}
INSTANCES = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}


def refused(call: Any, **request: Any) -> str:  # noqa: ANN401 - any operation
    with pytest.raises(ClientError) as raised:
        call(**request)
    assert raised.value.response["Error"]["Code"] == "ValidationException"
    return str(raised.value.response["Error"]["Message"])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        pytest.param(
            "000000000000.dkr.ecr.eu-west-1.amazonaws.com/models:1",
            'Region of "000000000000.dkr.ecr.eu-west-1.amazonaws.com/models:1" does not match expected region of '
            "us-east-1. Cross region ECR image pulls are not allowed.",
            id="another region",
        ),
        pytest.param(
            "docker.io/library/python:3",
            'Using non-ECR image "docker.io/library/python:3" without Vpc repository access mode is not supported.',
            id="another registry",
        ),
        pytest.param(
            "000000000000.dkr.ecr.us-east-1.amazonaws.com/UPPER:1",
            'ECR image "000000000000.dkr.ecr.us-east-1.amazonaws.com/UPPER:1" is invalid.',
            id="not a repository's name",
        ),
    ],
)
def test_images_that_no_model_can_have(service: "Service", image: str, message: str) -> None:
    container: Any = {"Image": image}
    call = service.sagemaker.create_model
    assert refused(call, ModelName="m", ExecutionRoleArn=service.role, PrimaryContainer=container) == message


def test_a_model_is_described_as_it_was_made(service: "Service") -> None:
    name = service.model(A="1")
    model = service.sagemaker.describe_model(ModelName=name)
    assert model["ModelArn"] == f"{ARN}:model/{name}"
    assert model["PrimaryContainer"] == {"Image": service.image, "Environment": {"A": "1"}}
    assert abs(model["CreationTime"] - datetime.now(UTC)) < timedelta(minutes=1)
    duplicate = refused(
        service.sagemaker.create_model,
        ModelName=name,
        ExecutionRoleArn=service.role,
        PrimaryContainer={"Image": service.image},
    )
    assert duplicate == f'Cannot create already existing model "{ARN}:model/{name}".'
    service.sagemaker.delete_model(ModelName=name)
    assert refused(service.sagemaker.delete_model, ModelName=name) == f'Could not find model "{ARN}:model/{name}".'


@pytest.mark.parametrize("media_type", [MANIFEST, INDEX, DOCKER_INDEX])
def test_create_model_refuses_manifests_that_are_no_docker_images(service: "Service", media_type: str) -> None:
    put_manifest(service.aws("ecr"), "refused", media_type)
    image = service.image.replace(":1", ":refused")
    container: Any = {"Image": image}
    call = service.sagemaker.create_model
    assert refused(call, ModelName="m", ExecutionRoleArn=service.role, PrimaryContainer=container) == (
        f"Unsupported manifest media type {media_type} for image {image}. "
        "Ensure that valid manifest media type is used for specified image."
    )


def test_create_model_can_check_image_and_data_as_aws_mostly_does(service: "Service") -> None:
    service.settings(create_model_checks=True)
    with pytest.raises(ClientError, match=r"Requested image .*:absent not found\."):
        service.model(image=service.image.replace(":1", ":absent"))
    with pytest.raises(ClientError, match=r"Could not find model data at s3://no-bucket/m\.tar\.gz\."):
        service.model(data="s3://no-bucket/m.tar.gz")
    service.model()


@pytest.mark.parametrize(
    ("variants", "more", "message"),
    [
        pytest.param(
            [{"ServerlessConfig": {"MemorySizeInMB": 1500, "MaxConcurrency": 1}}],
            {},
            "Value '1500' at 'productionVariants.1.member.serverlessConfig.memorySizeInMB' failed to satisfy constraint"
            ": Member must satisfy enum value set: [1024, 2048, 3072, 4096, 5120, 6144]",
            id="memory goes in steps",
        ),
        pytest.param(
            [{"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 201}}],
            {},
            "Value '201' at 'productionVariants.1.member.serverlessConfig.maxConcurrency' failed to satisfy constraint"
            ": Member must have value less than or equal to 200",
            id="concurrency has a limit",
        ),
        pytest.param([SERVERLESS, SERVERLESS], {}, "only one variant", id="serverless has one variant"),
        pytest.param([SERVERLESS | INSTANCES], {}, "not both", id="serverless or instances"),
        pytest.param([{}], {}, "InstanceType is needed", id="neither"),
        pytest.param(
            [SERVERLESS],
            {
                "DataCaptureConfig": {
                    "InitialSamplingPercentage": 1,
                    "DestinationS3Uri": "s3://b/k",
                    "CaptureOptions": [{"CaptureMode": "Input"}],
                }
            },
            "DataCaptureConfig is not supported for serverless",
            id="serverless captures no data",
        ),
        pytest.param(
            [SERVERLESS],
            {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://b/k"}}},
            "AsyncInferenceConfig is not supported for serverless",
            id="serverless has no queue",
        ),
        pytest.param(
            [INSTANCES],
            {"AsyncInferenceConfig": {"OutputConfig": {}}},
            "S3OutputPath is needed",
            id="results must go somewhere",
        ),
        pytest.param(
            [INSTANCES],
            {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "https://b.s3.amazonaws.com/k"}}},
            "Write S3OutputPath as s3://bucket/prefix",
            id="and be named in one way",
        ),
        pytest.param(
            [{"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1, "ProvisionedConcurrency": 2}}],
            {},
            "must not exceed its MaxConcurrency",
            id="more kept warm than are served",
        ),
        pytest.param([INSTANCES, INSTANCES | {"VariantName": "V1"}], {}, "must be unique", id="variant names"),
        pytest.param(
            [INSTANCES | {"InstanceType": "ml.none"}],
            {},
            "Value 'ml.none' at 'productionVariants.1.member.instanceType' failed to satisfy constraint: "
            "Member must satisfy enum value set: [ml.t2.medium, ",
            id="an instance type of SageMaker's",
        ),
        pytest.param(
            [SERVERLESS | {"ModelName": "no-such"}], {}, f'Could not find model "{ARN}:model/no-such".', id="no model"
        ),
    ],
)
def test_configurations_that_cannot_be(
    service: "Service", variants: list[dict[str, Any]], more: dict[str, Any], message: str
) -> None:
    model = service.model()
    full: Any = [{"VariantName": f"V{i}", "ModelName": model} | variant for i, variant in enumerate(variants, start=1)]
    call = service.sagemaker.create_endpoint_config
    assert message in refused(call, EndpointConfigName=service.name(), ProductionVariants=full, **more)


def test_several_violations_are_reported_at_once(service: "Service") -> None:
    message = refused(service.sagemaker.create_endpoint, EndpointName="_", EndpointConfigName="x" * 64)
    assert message == (
        "3 validation errors detected: "
        "Value '_' at 'endpointName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}; "
        f"Value '{'x' * 64}' at 'endpointConfigName' failed to satisfy constraint: "
        "Member must have length less than or equal to 63; "
        f"Value '{'x' * 64}' at 'endpointConfigName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


@pytest.mark.parametrize(
    ("target", "body", "code"),
    [
        pytest.param("SageMaker.CreateLabelingJob", "{}", "UnknownOperationException", id="not served here"),
        pytest.param("SageMaker.Nonsense", "{}", "UnknownOperationException", id="no operation"),
        pytest.param("SageMaker.DescribeModel", "{", "SerializationException", id="not JSON"),
        pytest.param("SageMaker.DescribeModel", "[]", "SerializationException", id="not an object"),
        pytest.param("SageMaker.DescribeModel", '{"ModelName": 1}', "SerializationException", id="a wrong type"),
        pytest.param("SageMaker.DescribeModel", '{"ModelName": null}', "ValidationException", id="null is missing"),
    ],
)
def test_requests_that_are_no_requests(service: "Service", target: str, body: str, code: str) -> None:
    answer = requests.post(service.url, data=body, headers={"X-Amz-Target": target}, timeout=60)
    assert (answer.status_code, answer.json()["__type"]) == (400, code)
    assert answer.headers["x-amzn-RequestId"]


def test_lists_page_filter_and_sort(service: "Service") -> None:
    prefix = service.name()
    names = [f"{prefix}-{number:02}" for number in range(12)]
    for name in names:
        service.sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=service.role, PrimaryContainer={"Image": service.image}
        )
    listing: Any = {"NameContains": prefix, "SortBy": "Name", "SortOrder": "Ascending"}
    first = service.sagemaker.list_models(**listing)
    assert [model["ModelName"] for model in first["Models"]] == names[:10]
    rest = service.sagemaker.list_models(**listing, NextToken=first["NextToken"])
    assert [model["ModelName"] for model in rest["Models"]] == names[10:]
    assert "NextToken" not in rest
    newest = service.sagemaker.list_models(NameContains=prefix, MaxResults=1)
    assert newest["Models"][0]["ModelName"] == names[-1]
    third = service.sagemaker.describe_model(ModelName=names[2])["CreationTime"]
    before = service.sagemaker.list_models(NameContains=prefix, CreationTimeBefore=third - timedelta(hours=1))
    assert before["Models"] == []
    after = service.sagemaker.list_models(NameContains=prefix, CreationTimeAfter=third - timedelta(hours=1))
    assert len(after["Models"]) == 10
    assert "pagination token" in refused(service.sagemaker.list_models, NextToken="nonsense")
    assert "less than or equal to 100" in refused(service.sagemaker.list_models, MaxResults=101)


def test_endpoints_are_listed_by_status(service: "Service") -> None:
    good = service.endpoint()
    service.settings(behaviour={"create_failure": "no"})
    bad = service.endpoint(status="Failed")
    rows: Any = (("InService", good), ("Failed", bad))
    for status, name in rows:
        found = service.sagemaker.list_endpoints(NameContains=name, StatusEquals=status)["Endpoints"]
        assert [(endpoint["EndpointName"], endpoint["EndpointStatus"]) for endpoint in found] == [(name, status)]
    assert service.sagemaker.list_endpoints(NameContains=good, StatusEquals="Failed")["Endpoints"] == []


def test_tags_live_with_their_resource(service: "Service") -> None:
    api, arn = service.sagemaker, f"{ARN}:endpoint-config/{service.config()}"
    api.add_tags(ResourceArn=arn, Tags=[{"Key": "Größe", "Value": "1"}, {"Key": "b", "Value": "2"}])
    api.add_tags(ResourceArn=arn, Tags=[{"Key": "b", "Value": "3"}])
    assert {tag["Key"]: tag["Value"] for tag in api.list_tags(ResourceArn=arn)["Tags"]} == {"Größe": "1", "b": "3"}
    api.delete_tags(ResourceArn=arn, TagKeys=["b"])
    assert [tag["Key"] for tag in api.list_tags(ResourceArn=arn)["Tags"]] == ["Größe"]
    full: Any = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
    assert "at most 50" in refused(api.add_tags, ResourceArn=arn, Tags=full)
    assert "aws: prefixed" in refused(api.add_tags, ResourceArn=arn, Tags=[{"Key": "aws:x", "Value": ""}])
    assert "regular expression" in refused(api.add_tags, ResourceArn=arn, Tags=[{"Key": "emoji 🙂", "Value": ""}])
    missing = f"{ARN}:endpoint/none"
    assert refused(api.list_tags, ResourceArn=missing) == f'Could not find endpoint "{missing}".'


def test_new_resources_are_found_only_after_the_lag(service: "Service") -> None:
    service.settings(consistency_lag_seconds=3600)
    model = service.model()
    assert refused(service.sagemaker.describe_model, ModelName=model).startswith("Could not find model")
    with pytest.raises(ClientError, match="Could not find model"):
        service.config(model)
    assert service.sagemaker.list_models(NameContains=model)["Models"] == []
    service.settings(consistency_lag_seconds=0)
    assert len(service.sagemaker.list_models(NameContains=model)["Models"]) == 1
    assert service.sagemaker.describe_model(ModelName=model)["ModelName"] == model


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param({"no_such_setting": 1}, id="unknown"),
        pytest.param({"behaviour": {"create_seconds": -1}}, id="negative"),
        pytest.param({"containers": "fake"}, id="no such mode"),
    ],
)
def test_settings_that_make_no_sense_are_refused_and_change_nothing(service: "Service", patch: Any) -> None:  # noqa: ANN401 - any operation
    url = f"{service.url}/_sagemaker/settings"
    before = requests.get(url, timeout=60).json()
    assert requests.patch(url, json=patch, timeout=60).status_code == 400
    assert requests.get(url, timeout=60).json() == before
