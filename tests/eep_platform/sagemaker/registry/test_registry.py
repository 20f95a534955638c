"""The Model Registry through a real client."""

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.eep_platform.sagemaker.conftest import Service

ARN = "arn:aws:sagemaker:us-east-1:000000000000"


def refused(call: Any, code: str = "ValidationException", **request: Any) -> str:  # noqa: ANN401 - any operation
    with pytest.raises(ClientError) as raised:
        call(**request)
    assert raised.value.response["Error"]["Code"] == code
    return str(raised.value.response["Error"]["Message"])


def new_group(service: "Service") -> str:
    name = service.name()
    service.sagemaker.create_model_package_group(ModelPackageGroupName=name)
    return name


def register(service: "Service", group: str, **more: Any) -> str:  # noqa: ANN401 - any member
    container: Any = {"Image": service.image, "Environment": {"A": "1"}}
    return service.sagemaker.create_model_package(
        ModelPackageGroupName=group,
        InferenceSpecification={"Containers": [container], "SupportedContentTypes": ["application/json"]},
        **more,
    )["ModelPackageArn"]


def approve(service: "Service", arn: str) -> None:
    service.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")


def test_versions_count_from_one_and_are_never_given_again(service: "Service") -> None:
    group = new_group(service)
    assert [register(service, group) for _ in range(2)] == [f"{ARN}:model-package/{group}/{n}" for n in (1, 2)]
    service.sagemaker.delete_model_package(ModelPackageName=f"{group}/2")
    assert register(service, group) == f"{ARN}:model-package/{group}/3"
    missing = refused(service.sagemaker.describe_model_package, ModelPackageName=f"{ARN}:model-package/{group}/2")
    assert missing == f"ModelPackage {ARN}:model-package/{group}/2 does not exist."


def test_a_repeated_token_registers_once(service: "Service") -> None:
    group = new_group(service)
    assert register(service, group, ClientToken="t") == register(service, group, ClientToken="t")
    assert len(service.sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]) == 1


def test_a_package_is_described_with_the_digest_of_its_image(service: "Service") -> None:
    arn = register(service, new_group(service), CustomerMetadataProperties={"revision": "abc"})
    package = service.sagemaker.describe_model_package(ModelPackageName=arn)
    assert package["InferenceSpecification"]["Containers"][0]["ImageDigest"] == service.digest
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert package["ModelPackageStatus"] == "Completed"
    assert package["CustomerMetadataProperties"] == {"revision": "abc"}
    assert "LastModifiedTime" not in package


def test_the_latest_approved_version_is_one_call_away(service: "Service") -> None:
    group = new_group(service)
    arns = [register(service, group) for _ in range(12)]
    for arn in arns[2:5]:
        approve(service, arn)
    newest: Any = {"SortBy": "CreationTime", "SortOrder": "Descending", "MaxResults": 1}
    found = service.sagemaker.list_model_packages(ModelPackageGroupName=group, ModelApprovalStatus="Approved", **newest)
    assert [each["ModelPackageArn"] for each in found["ModelPackageSummaryList"]] == [arns[4]]
    pages = service.sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
    assert [each["ModelPackageVersion"] for page in pages for each in page["ModelPackageSummaryList"]] == [
        *range(1, 13)
    ]
    assert group not in str(service.sagemaker.list_model_packages(NameContains=group))
    versioned = service.sagemaker.list_model_packages(NameContains=group, ModelPackageType="Versioned", MaxResults=100)
    assert len(versioned["ModelPackageSummaryList"]) == 12


def test_several_packages_are_described_at_once(service: "Service") -> None:
    group = new_group(service)
    arn, missing = register(service, group), f"{ARN}:model-package/{group}/9"
    answer = service.sagemaker.batch_describe_model_package(ModelPackageArnList=[arn, missing])
    assert answer["ModelPackageSummaries"][arn]["ModelPackageVersion"] == 1
    assert answer["BatchDescribeModelPackageErrorMap"][missing]["ErrorCode"] == "ValidationException"


def test_only_an_empty_group_can_go(service: "Service") -> None:
    group = new_group(service)
    arn = register(service, group)
    call: Any = service.sagemaker.delete_model_package_group
    message = refused(call, "ConflictException", ModelPackageGroupName=group)
    assert message.endswith(f"{group} cannot be deleted because it still contains Model Packages")
    service.sagemaker.delete_model_package(ModelPackageName=arn)
    service.sagemaker.delete_model_package_group(ModelPackageGroupName=f"{ARN}:model-package-group/{group}")
    missing = refused(service.sagemaker.describe_model_package_group, ModelPackageGroupName=group)
    assert missing == f"ModelPackageGroup {ARN}:model-package-group/{group} does not exist."
    assert "does not exist" in refused(service.sagemaker.list_model_packages, ModelPackageGroupName=group)


def test_groups_have_names_tags_and_policies(service: "Service") -> None:
    group, api = service.name(), service.sagemaker
    arn = api.create_model_package_group(
        ModelPackageGroupName=group, ModelPackageGroupDescription="d", Tags=[{"Key": "a", "Value": "b"}]
    )["ModelPackageGroupArn"]
    exists = refused(api.create_model_package_group, ModelPackageGroupName=group)
    assert exists == f"Model Package Group already exists: {arn}"
    assert api.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    [listed] = api.list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"]
    assert (listed["ModelPackageGroupDescription"], listed["ModelPackageGroupStatus"]) == ("d", "Completed")
    none = refused(api.get_model_package_group_policy, ModelPackageGroupName=group)
    assert none == f"Cannot find resource policy for: {arn}"
    assert "not JSON" in refused(api.put_model_package_group_policy, ModelPackageGroupName=group, ResourcePolicy="{")
    api.put_model_package_group_policy(ModelPackageGroupName=group, ResourcePolicy="{}")
    assert api.get_model_package_group_policy(ModelPackageGroupName=group)["ResourcePolicy"] == "{}"
    api.delete_model_package_group_policy(ModelPackageGroupName=group)
    assert "Cannot find" in refused(api.delete_model_package_group_policy, ModelPackageGroupName=group)
    other = refused(api.get_model_package_group_policy, ModelPackageGroupName="none")
    assert other == f"Cannot find Model Package Group: {ARN}:model-package-group/none"


def test_an_image_that_is_not_there_is_not_registered(service: "Service") -> None:
    missing: Any = {"Containers": [{"Image": service.image.replace(":1", ":2")}]}
    call: Any = service.sagemaker.create_model_package
    message = refused(call, ModelPackageGroupName=new_group(service), InferenceSpecification=missing)
    assert message.endswith("models/sentiment:2 not found.")


def test_an_approved_package_serves_also_when_it_is_gone(service: "Service") -> None:
    arn, name = register(service, new_group(service)), service.name()
    model: Any = {
        "ModelName": name,
        "ExecutionRoleArn": service.role,
        "PrimaryContainer": {"ModelPackageName": arn, "Environment": {"B": "2"}},
    }
    assert "must be Approved" in refused(service.sagemaker.create_model, **model)
    approve(service, arn)
    service.sagemaker.create_model(**model)
    service.sagemaker.delete_model_package(ModelPackageName=arn)
    container: Any = service.sagemaker.describe_model(ModelName=name)["PrimaryContainer"]
    assert container["ModelPackageName"] == arn
    assert container["Image"].endswith(f"models/sentiment@{service.digest}")
    environment = service.invoke(service.endpoint(service.config(name)))["environment"]
    assert (environment["A"], environment["B"]) == ("1", "2")


def test_every_change_is_announced_with_what_changed(service: "Service") -> None:
    queues, bus = service.aws("sqs"), service.aws("events")
    queue = queues.create_queue(QueueName=service.name())["QueueUrl"]
    target = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rule, group = service.name(), new_group(service)
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": [group]},
    }
    bus.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    bus.put_targets(Rule=rule, Targets=[{"Id": "q", "Arn": target}])
    arn = register(service, group)
    approve(service, arn)
    approve(service, arn)
    details: list[Any] = []

    def both_received() -> bool:
        service.flush()
        messages = queues.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", ())
        received = [json.loads(message["Body"])["detail"] for message in messages]
        details.extend(each for each in received if each not in details)  # one that was received may come again
        return len(details) == 2

    service.eventually(both_received, "two events")
    details.sort(key=lambda detail: detail["ModelApprovalStatus"])
    assert [each["ModelApprovalStatus"] for each in details] == ["Approved", "PendingManualApproval"]
    assert details[0]["UpdatedModelPackageFields"] == ["ModelApprovalStatus"]
    assert "UpdatedModelPackageFields" not in details[1]
    assert details[1]["InferenceSpecification"]["Containers"][0]["ImageDigest"] == service.digest
    assert details[0]["ModelPackageArn"] == arn
