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
FURTHER = f"{NAME}-gpu"
CLUSTER = "c7"
SECONDS = 240


def test_cfn_lint_has_no_complaint() -> None:
    reported = subprocess.run(  # noqa: S603 - our own files
        [str(Path(sys.executable).with_name("cfn-lint")), *map(str, sorted(FOLDER.glob("*.yaml")))],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert (reported.stdout, reported.returncode) == ("", 0), reported.stderr


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
    """The documents of a role's managed policies, by the first Sid of each."""
    iam = aws.client("iam")
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    found = {}
    for each in attached:
        version = iam.get_policy(PolicyArn=each["PolicyArn"])["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=each["PolicyArn"], VersionId=version)["PolicyVersion"]["Document"]
        parsed = json.loads(document) if isinstance(document, str) else document
        found[parsed["Statement"][0]["Sid"]] = parsed
    return found


def trust_of(aws: Aws, role: str) -> Any:  # noqa: ANN401 - JSON
    document = aws.client("iam").get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    return (json.loads(document) if isinstance(document, str) else document)["Statement"][0]


@pytest.fixture
def left(fresh_aws: Aws) -> Iterator[Aws]:
    """An empty account, which it is again afterwards but for what a failed test left."""
    yield fresh_aws
    gone(fresh_aws, FURTHER)
    gone(fresh_aws)


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


def test_the_stack_is_made_as_generated_and_deleted_without_a_rest(left: Aws) -> None:
    before = everything(left)
    outputs = made(left, cloudformation.stack(), ClusterId=CLUSTER, DataBucket="models", KmsKeys="*", Vpc="true")
    role_names = {name: value.rpartition("/")[2] for name, value in outputs.items() if name.endswith("RoleArn")}
    values = with_defaults(
        {
            "Region": ministack.REGION,
            "AccountId": ministack.ACCOUNT,
            "ClusterId": CLUSTER,
            "DataBucket": "models",
            "ExecutionRole": role_names["ExecutionRoleArn"],
            "ForwarderRole": role_names["ForwarderRoleArn"],
            "InvokeRole": role_names["InvokeRoleArn"],
            "BuildProject": outputs["BuildProjectName"],
            "EventQueue": outputs["EventQueueName"],
        }
    )
    for principal, output in [
        (Principal.EXECUTION, "ExecutionRoleArn"),
        (Principal.FORWARDER, "ForwarderRoleArn"),
        (Principal.INVOKE, "InvokeRoleArn"),
    ]:
        wanted = {each.statements[0].sid: each.document(values) for each in of(principal)}
        assert policies_of(left, role_names[output]) == wanted
    found = policies_of(left, role_names["OperatorRoleArn"])
    [limits] = named("limits")
    assert found.pop(limits.statements[0].sid)["Statement"][1]["Condition"] == {
        "NumericGreaterThan": {"sagemaker:ServerlessMaxConcurrency": "200"}
    }
    optional = {each.statements[0].sid for each in named("operator-assume")}
    wanted = {each.statements[0].sid: each.document(values) for each in of(Principal.OPERATOR)}
    assert found == {sid: each for sid, each in wanted.items() if sid not in optional}
    endpoint_class = EphemeralEndpointClass.model_validate(yaml.safe_load(outputs["Class"]))
    assert endpoint_class.spec.execution_role_arn == outputs["ExecutionRoleArn"]
    assert endpoint_class.spec.events is not None
    assert left.client("sqs").get_queue_url(QueueName=endpoint_class.spec.events.queue_name)["QueueUrl"]
    gone(left)
    assert everything(left) == before


def test_a_further_class_gets_roles_of_its_own_that_the_operator_may_use(left: Aws) -> None:
    before = everything(left)
    common = {"ClusterId": CLUSTER, "BuildSecrets": "builds"}
    of_cluster = made(left, cloudformation.stack(), **common)
    operator = of_cluster["OperatorRoleArn"].rpartition("/")[2]
    own = {"ClassName": "gpu", "OperatorRole": operator, "EventQueue": of_cluster["EventQueueName"]}
    outputs = made(left, cloudformation.class_stack(), stack=FURTHER, **common, **own)
    endpoint_class = EphemeralEndpointClass.model_validate(yaml.safe_load(outputs["Class"]))
    assert (endpoint_class.metadata.name, endpoint_class.is_default) == ("gpu", False)
    roles = {"ExecutionRoleArn", "ForwarderRoleArn", "InvokeRoleArn"}
    assert not {outputs[each] for each in roles} & {of_cluster[each] for each in roles}
    values = with_defaults({"Region": ministack.REGION, "AccountId": ministack.ACCOUNT, **common, **own})
    values["BuildProject"] = outputs["BuildProjectName"]
    wanted = {each.statements[0].sid: each.document(values) for each in of(Principal.BUILD)}
    [role] = [each for each in everything(left)["roles"] if each.startswith(f"{FURTHER}-BuildRole")]
    assert policies_of(left, role) == wanted
    passed = [
        row["Resource"]
        for document in policies_of(left, operator).values()
        for row in document["Statement"]
        if row["Action"] == "iam:PassRole"
    ]
    assert {outputs[each] for each in roles} <= set(passed)
    gone(left, FURTHER)
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
