"""The stacks are without complaint by cfn-lint, and are really made and deleted by CloudFormation."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.deploy import cloudformation
from ephemeral_endpoints.deploy.policies import Principal, named, of, with_defaults

FOLDER = Path(__file__).parents[2] / "examples" / "aws"
NAME = "ephemeral-endpoints"
CLASS = f"{NAME}-default"
FURTHER = f"{NAME}-gpu"
CLUSTER = "c7"
SECONDS = 240
TEMPLATE_LIMIT, ROOM = 51_200, 6_000


def test_cfn_lint_has_no_complaint() -> None:
    reported = subprocess.run(  # noqa: S603 - our own files
        [str(Path(sys.executable).with_name("cfn-lint")), *map(str, sorted(FOLDER.glob("*.yaml")))],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert (reported.stdout, reported.returncode) == ("", 0), reported.stderr


@pytest.mark.parametrize("template", [cloudformation.stack(), cloudformation.class_stack()], ids=["cluster", "class"])
def test_cloudformation_takes_the_templates_without_a_bucket_with_room_for_more(template: str) -> None:
    assert len(template.encode()) <= TEMPLATE_LIMIT - ROOM


def made(aws: Aws, template: str, *, stack: str = NAME, **given: str) -> dict[str, str]:
    """Create the stack, and return its outputs."""
    client = aws.client("cloudformation")
    client.create_stack(
        StackName=stack,
        TemplateBody=template,
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        Capabilities=["CAPABILITY_IAM"],
    )
    client.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": SECONDS})
    [found] = client.describe_stacks(StackName=stack)["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}


def gone(aws: Aws, stack: str = NAME) -> None:
    client = aws.client("cloudformation")
    client.delete_stack(StackName=stack)
    client.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": SECONDS})


def policies_of(aws: Aws, role: str) -> dict[str, Any]:
    """The documents of a role's managed and inline policies, by the first Sid of each."""
    iam = aws.client("iam")
    found = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    for each in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        arn = each["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        found.append(iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])
    parsed = [json.loads(each) if isinstance(each, str) else each for each in found]
    return {each["Statement"][0]["Sid"]: each for each in parsed}


def trust_of(aws: Aws, role: str) -> Any:  # noqa: ANN401 - JSON
    document = aws.client("iam").get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    return (json.loads(document) if isinstance(document, str) else document)["Statement"][0]


@pytest.fixture
def left(fresh_aws: Aws) -> Iterator[Aws]:
    """An empty account, which it is again afterwards but for what a failed test left."""
    yield fresh_aws
    for stack in (FURTHER, CLASS, NAME):
        gone(fresh_aws, stack)


def everything(aws: Aws) -> dict[str, list[str]]:
    """What there is of the kinds that the stacks make."""
    iam = aws.client("iam")
    return {
        "roles": [each["RoleName"] for each in iam.list_roles()["Roles"]],
        "policies": [each["PolicyName"] for each in iam.list_policies(Scope="Local")["Policies"]],
        "queues": aws.client("sqs").list_queues().get("QueueUrls", []),
        "rules": [each["Name"] for each in aws.client("events").list_rules()["Rules"]],
        "projects": aws.client("codebuild").list_projects()["projects"],
        "groups": [each["logGroupName"] for each in aws.client("logs").describe_log_groups()["logGroups"]],
    }


def class_made(aws: Aws, of_cluster: dict[str, str], stack: str = CLASS, **given: str) -> dict[str, str]:
    """Create the stack of a class that belongs to the stack of a cluster, and return its outputs."""
    shared = {"OperatorRole": of_cluster["OperatorRole"], "EventQueue": of_cluster["EventQueueName"]}
    return made(aws, cloudformation.class_stack(), stack=stack, ClusterId=CLUSTER, **shared, **given)


def wanted(principal: Principal, **values: str) -> dict[str, Any]:
    """The documents of the policies of a principal, by the first Sid of each."""
    filled = with_defaults({"Region": ministack.REGION, "AccountId": ministack.ACCOUNT, "ClusterId": CLUSTER, **values})
    return {each.statements[0].sid: each.document(filled) for each in of(principal)}


def own(outputs: dict[str, str]) -> dict[str, str]:
    """The values of policies that are of one class."""
    roles = ("ExecutionRole", "ForwarderRole", "InvokeRole", "DeliveryRole", "TrainingRole", "ReaperRole")
    names = {name: outputs[f"{name}Arn"].rpartition("/")[2] for name in roles}
    return {**names, "BuildProject": outputs["BuildProjectName"]}


def sids(*policies: str) -> set[str]:
    return {each.statements[0].sid for name in policies for each in named(name)}


def test_the_stacks_are_made_as_generated_and_deleted_without_a_rest(left: Aws) -> None:
    before = everything(left)
    of_cluster = made(
        left, cloudformation.stack(), ClusterId=CLUSTER, KmsKeys="*", Capture="true", ArtifactsBucket="artifacts"
    )
    given = {"ClassRepository": "previews", "DataBucket": "models", "KmsKeys": "*", "Postprocessors": "classifier"}
    given |= {
        "CaptureBucket": "captures",
        "DeliveryStream": "stream",
        "KinesisStream": "kinesis",
        "ResultsTopic": "results",
        "ArtifactsBucket": "artifacts",
        "ReaperTopic": "arn:aws:sns:us-east-1:000000000000:reports",
    }
    outputs = class_made(left, of_cluster, Vpc="true", Reaper="true", IsDefault="true", **given)
    queue = of_cluster["EventQueueName"]
    logs = f"/aws/lambda/eep-{CLUSTER}-*"
    values = {**given, **own(outputs), "EventQueue": queue, "ClassQueue": queue, "ReaperLogs": logs}
    for principal, output in [
        (Principal.EXECUTION, "ExecutionRoleArn"),
        (Principal.FORWARDER, "ForwarderRoleArn"),
        (Principal.INVOKE, "InvokeRoleArn"),
        (Principal.TRAINING, "TrainingRoleArn"),
        (Principal.REAPER, "ReaperRoleArn"),
    ]:
        assert policies_of(left, outputs[output].rpartition("/")[2]) == wanted(principal, **values)
    found = policies_of(left, of_cluster["OperatorRole"])
    [limits] = sids("limits")
    assert found.pop(limits)["Statement"][1]["Condition"] == {
        "NumericGreaterThan": {"sagemaker:ServerlessMaxConcurrency": "200"}
    }
    optional = sids("operator-assume", "operator-comparisons", "operator-notifications")
    assert found == {sid: each for sid, each in wanted(Principal.OPERATOR, **values).items() if sid not in optional}
    endpoint_class = EphemeralEndpointClass.model_validate(yaml.safe_load(outputs["Class"]))
    assert (endpoint_class.metadata.name, endpoint_class.is_default) == ("default", True)
    assert endpoint_class.spec.execution_role_arn == outputs["ExecutionRoleArn"]
    assert endpoint_class.spec.events is not None
    assert left.client("sqs").get_queue_url(QueueName=endpoint_class.spec.events.queue_name)["QueueUrl"]
    gone(left, CLASS)
    gone(left)
    assert everything(left) == before


def test_the_roles_of_every_class_are_its_own_and_the_operator_may_use_all(left: Aws) -> None:
    before = everything(left)
    of_cluster = made(left, cloudformation.stack(), ClusterId=CLUSTER)
    common = {"ClassRepository": "previews", "BuildSecrets": "builds"}
    first = class_made(left, of_cluster, **common)
    further = class_made(left, of_cluster, FURTHER, ClassName="gpu", **common)
    endpoint_class = EphemeralEndpointClass.model_validate(yaml.safe_load(further["Class"]))
    assert (endpoint_class.metadata.name, endpoint_class.is_default) == ("gpu", False)
    assert not set(own(first).values()) & set(own(further).values())
    [role] = [each for each in everything(left)["roles"] if each.startswith(f"{FURTHER}-BuildRole")]
    assert policies_of(left, role) == wanted(Principal.BUILD, ClassName="gpu", **common, **own(further))
    iam, operator = left.client("iam"), of_cluster["OperatorRole"]

    def used() -> dict[str, Any]:
        names = iam.list_role_policies(RoleName=operator)["PolicyNames"]
        of_classes = [name for name in names if name.startswith("operator-class-")]
        return {name: iam.get_role_policy(RoleName=operator, PolicyName=name)["PolicyDocument"] for name in of_classes}

    [document] = named("operator-class")
    values = {"Region": ministack.REGION, "AccountId": ministack.ACCOUNT, "ClusterId": CLUSTER}
    rights = {name: document.document({**values, **own(each)}) for name, each in (("default", first), ("gpu", further))}
    assert used() == {f"operator-class-{name}": each for name, each in rights.items()}
    gone(left, FURTHER)
    assert used() == {"operator-class-default": rights["default"]}
    gone(left, CLASS)
    gone(left)
    assert everything(left) == before


@pytest.mark.parametrize(
    ("given", "principal", "conditions"),
    [
        (
            {"Trust": "IRSA", "OidcIssuer": "oidc.eks.us-east-1.amazonaws.com/id/ABC"},
            {"Federated": "arn:aws:iam::000000000000:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/ABC"},
            {
                "oidc.eks.us-east-1.amazonaws.com/id/ABC:aud": "sts.amazonaws.com",
                "oidc.eks.us-east-1.amazonaws.com/id/ABC:sub": "system:serviceaccount:previews:eep",
            },
        ),
        (
            {"Trust": "PodIdentity"},
            {"Service": "pods.eks.amazonaws.com"},
            {
                "aws:RequestTag/kubernetes-namespace": "previews",
                "aws:RequestTag/kubernetes-service-account": "eep",
            },
        ),
    ],
    ids=["IRSA", "PodIdentity"],
)
def test_only_the_operators_pods_can_assume_its_role(
    left: Aws, given: dict[str, str], principal: dict[str, str], conditions: dict[str, str]
) -> None:
    outputs = made(left, cloudformation.stack(), ClusterId=CLUSTER, Namespace="previews", ServiceAccount="eep", **given)
    trust = trust_of(left, outputs["OperatorRoleArn"].rpartition("/")[2])
    assert trust["Principal"] == principal
    assert trust["Condition"] == {"StringEquals": conditions}


def test_only_workflows_of_the_repository_can_assume_the_role_that_pushes(left: Aws) -> None:
    template = cloudformation.workflow_stack()
    outputs = made(left, template, GitHubRepository="acme/sentiment", Repository="models/sentiment")
    role = outputs["WorkflowRoleArn"].rpartition("/")[2]
    host = "token.actions.githubusercontent.com"
    assert trust_of(left, role)["Condition"] == {
        "StringEquals": {f"{host}:aud": "sts.amazonaws.com"},
        "StringLike": {f"{host}:sub": "repo:acme/sentiment:pull_request"},
    }
    [push] = policies_of(left, role).values()
    assert push["Statement"][1]["Resource"] == "arn:aws:ecr:us-east-1:000000000000:repository/models/sentiment"
