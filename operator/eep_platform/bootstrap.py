"""Sets up what a platform team prepares before the first endpoint: roles, a repository, CRDs, admission, a class.

Every step is idempotent and updates existing resources.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from kubernetes import client

from eep_platform.controlplane.access import client_of
from eep_platform.processes import wait_until
from ephemeral_endpoints.api import API_VERSION, DEFAULT_CLASS_ANNOTATION, GROUP, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT_CLASS
from ephemeral_endpoints.api.schema.admission import abandon_manifests, approval_manifests
from ephemeral_endpoints.api.schema.crds import crds
from ephemeral_endpoints.deploy import trust
from ephemeral_endpoints.deploy.event_queue import PATTERN, queue_policy
from ephemeral_endpoints.deploy.policies import Principal, merged, with_defaults
from ephemeral_endpoints.deploy.policies import of as policies_of
from ephemeral_endpoints.iam.statement import filled

if TYPE_CHECKING:
    from types_boto3_codebuild import CodeBuildClient
    from types_boto3_events import EventBridgeClient
    from types_boto3_iam import IAMClient
    from types_boto3_sqs import SQSClient

EXAMPLE_REPOSITORY = "models/wine"
DEFAULT_CLASS = "default"
EVENT_QUEUE = "eep-events"
BUILD_PROJECT = "ephemeral-endpoints"
BUILD_LOGS = f"/aws/codebuild/{BUILD_PROJECT}"

_FIELD_MANAGER = "eep-local"
_APPLY = "application/apply-patch+yaml"
_ESTABLISHED_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Roles:
    """ARNs of the roles that a class names: those of SageMaker, the forwarder and API Gateway."""

    execution: str
    forwarder: str
    invoke: str


def aws(session: boto3.Session, endpoint: str, *, account: str, region: str) -> Roles:
    """Create the roles, the example's image repository, and the CodeBuild project for images.

    Blocks for some calls; raises what boto3 raises.
    """
    ecr = session.client("ecr", endpoint_url=endpoint)
    with suppress(ecr.exceptions.RepositoryAlreadyExistsException):
        ecr.create_repository(repositoryName=EXAMPLE_REPOSITORY)
    iam = session.client("iam", endpoint_url=endpoint)
    # The policies must fit any cluster ID and data bucket of the operator.
    values = {
        "Region": region,
        "AccountId": account,
        "ClusterId": "*",
        "DataBucket": "*",
        "BuildProject": BUILD_PROJECT,
    }
    roles = {principal: _role(iam, principal, values) for principal in trust.SERVICES}
    _build_project(session.client("codebuild", endpoint_url=endpoint), roles[Principal.BUILD])
    return Roles(
        execution=roles[Principal.EXECUTION],
        forwarder=roles[Principal.FORWARDER],
        invoke=roles[Principal.INVOKE],
    )


def kubernetes(kubeconfig: Path, roles: Roles, *, region: str, git_url: str) -> None:
    """Apply the CRDs, wait until they are established, and apply the default class, which builds from ``git_url``.

    The admission policies come first, so that no object can escape them, except in the second that the API server needs
    to load a policy. Raises what the Kubernetes client raises.

    Raises:
        PlatformError: the API server does not establish the CRDs in time.
    """
    with client_of(kubeconfig) as api:
        _guard_commands(api)
        definitions = client.ApiextensionsV1Api(api)
        for crd in crds():
            name = crd["metadata"]["name"]
            definitions.patch_custom_resource_definition(
                name, crd, field_manager=_FIELD_MANAGER, force=True, _content_type=_APPLY
            )
            established = partial(_is_established, definitions, name)
            wait_until(established, seconds=_ESTABLISHED_SECONDS, what=f"CRD {name}")
        client.CustomObjectsApi(api).patch_cluster_custom_object(
            GROUP,
            VERSION,
            ENDPOINT_CLASS.plural,
            DEFAULT_CLASS,
            _default_class(roles, region, git_url),
            field_manager=_FIELD_MANAGER,
            force=True,
            _content_type=_APPLY,
        )


def _guard_commands(api: client.ApiClient) -> None:
    registration = client.AdmissionregistrationV1Api(api)
    apply = {
        "ValidatingAdmissionPolicy": registration.patch_validating_admission_policy,
        "ValidatingAdmissionPolicyBinding": registration.patch_validating_admission_policy_binding,
        "ClusterRole": client.RbacAuthorizationV1Api(api).patch_cluster_role,
    }
    for manifest in (*approval_manifests(), *abandon_manifests()):
        write = apply[manifest["kind"]]
        write(manifest["metadata"]["name"], manifest, field_manager=_FIELD_MANAGER, force=True, _content_type=_APPLY)


def _build_project(codebuild: "CodeBuildClient", role: str) -> None:
    with suppress(codebuild.exceptions.ResourceAlreadyExistsException):
        codebuild.create_project(
            name=BUILD_PROJECT,
            source={"type": "NO_SOURCE", "buildspec": "{version: 0.2, phases: {build: {commands: [true]}}}"},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/standard:7.0",
                "computeType": "BUILD_GENERAL1_SMALL",
                "privilegedMode": True,
            },
            serviceRole=role,
        )


def event_queue(sqs: "SQSClient", events: "EventBridgeClient") -> None:
    """Create a queue for SageMaker's endpoint events that accepts nothing else."""
    url = sqs.create_queue(QueueName=EVENT_QUEUE)["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rule = events.put_rule(Name=EVENT_QUEUE, EventPattern=json.dumps(PATTERN))["RuleArn"]
    policy = queue_policy(queue, rule)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    events.put_targets(Rule=EVENT_QUEUE, Targets=[{"Id": EVENT_QUEUE, "Arn": queue}])


def _role(iam: "IAMClient", principal: Principal, values: Mapping[str, str]) -> str:
    """Create or update a role with its generated policies; returns the ARN."""
    name, policies = f"ephemeral-endpoints-{principal}", policies_of(principal)
    trusted = json.dumps(filled(trust.of_service(principal), with_defaults(values)))
    try:
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusted)["Role"]["Arn"]
    except iam.exceptions.EntityAlreadyExistsException:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trusted)
        arn = iam.get_role(RoleName=name)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName=str(principal), PolicyDocument=json.dumps(merged(policies, values)))
    return arn


def _is_established(definitions: client.ApiextensionsV1Api, name: str) -> bool:
    status = definitions.read_custom_resource_definition(name).status
    conditions = (status.conditions if status else None) or []
    return any(condition.type == "Established" and condition.status == "True" for condition in conditions)


def _default_class(roles: Roles, region: str, git_url: str) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": ENDPOINT_CLASS.name,
        "metadata": {"name": DEFAULT_CLASS, "annotations": {DEFAULT_CLASS_ANNOTATION: "true"}},
        "spec": {
            "region": region,
            "executionRoleArn": roles.execution,
            "forwarderRoleArn": roles.forwarder,
            "invokeRoleArn": roles.invoke,
            # The embedded CodeBuild does not run the image.
            "builds": {"codeBuild": {"project": BUILD_PROJECT}, "gitUrl": git_url, "allowTags": True},
            "lifecycle": {"allowRetain": True},
        },
    }
