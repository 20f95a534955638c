"""Sets up what a platform team prepares before the first endpoint: roles, repositories, CRDs, admission, a class.

Every step is idempotent and updates existing resources.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from kubernetes import client

from eep_platform.controlplane.access import client_of
from eep_platform.github.client import GitHubClient
from eep_platform.processes import wait_until
from ephemeral_endpoints.api import API_VERSION, DEFAULT_CLASS_ANNOTATION, GROUP, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT_CLASS
from ephemeral_endpoints.api.schema.admission import guards
from ephemeral_endpoints.api.schema.crds import crds
from ephemeral_endpoints.api.v1alpha1.authentication import AuthType
from ephemeral_endpoints.deploy import trust
from ephemeral_endpoints.deploy.event_queue import PATTERN, builds_pattern, queue_policy
from ephemeral_endpoints.deploy.policies import Principal, merged, with_defaults
from ephemeral_endpoints.deploy.policies import of as policies_of
from ephemeral_endpoints.iam.statement import filled
from ephemeral_endpoints.kube.lease import own_namespace

if TYPE_CHECKING:
    from types_boto3_codebuild import CodeBuildClient
    from types_boto3_events import EventBridgeClient
    from types_boto3_iam import IAMClient
    from types_boto3_sqs import SQSClient

EXAMPLE_REPOSITORY = "models/wine"
DEFAULT_CLASS = "default"
EVENT_QUEUE = "eep-events"
BUILD_RULE = "eep-builds"
BUILD_PROJECT = "ephemeral-endpoints"
DATA_BUCKET = "ephemeral-endpoints-data"
ARTIFACTS_BUCKET = "ephemeral-endpoints-artifacts"
"""The buckets that the generated policy of the training role names."""

REVIEWED_REPOSITORY = "acme/wine"
REVIEWER = "ada"
FORGE_LOGIN = "previews"
FORGE_SECRET = "forge-github"  # noqa: S105 - a name
WEBHOOK_SECRET = "of use on this machine only"  # noqa: S105 - it protects nothing
BUILD_LOGS = f"/aws/codebuild/{BUILD_PROJECT}"

_FIELD_MANAGER = "eep-local"
_APPLY = "application/apply-patch+yaml"
_ESTABLISHED_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Roles:
    """ARNs of the roles that a class names: those of SageMaker, the forwarder, API Gateway and Firehose."""

    execution: str
    forwarder: str
    invoke: str
    delivery: str = ""


def aws(session: boto3.Session, endpoint: str, *, account: str, region: str) -> Roles:
    """Create the roles, the example's image repository, the CodeBuild project for images, and buckets for training.

    Blocks for some calls; raises what boto3 raises.
    """
    ecr = session.client("ecr", endpoint_url=endpoint)
    with suppress(ecr.exceptions.RepositoryAlreadyExistsException):
        ecr.create_repository(repositoryName=EXAMPLE_REPOSITORY)
    storage = session.client("s3", endpoint_url=endpoint)
    for bucket in (DATA_BUCKET, ARTIFACTS_BUCKET):
        storage.create_bucket(Bucket=bucket)
    iam = session.client("iam", endpoint_url=endpoint)
    # The policies must fit any cluster ID and data bucket of the operator.
    values = {
        "Region": region,
        "AccountId": account,
        "ClusterId": "*",
        "DataBucket": "*",
        "CaptureBucket": "*",
        "BuildProject": BUILD_PROJECT,
    }
    roles = {principal: _role(iam, principal, values) for principal in trust.SERVICES}
    _build_project(session.client("codebuild", endpoint_url=endpoint), roles[Principal.BUILD])
    return Roles(
        execution=roles[Principal.EXECUTION],
        forwarder=roles[Principal.FORWARDER],
        invoke=roles[Principal.INVOKE],
        delivery=roles[Principal.DELIVERY],
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
        applied = {crd["metadata"]["name"]: crd for crd in crds()}
        for name, crd in applied.items():
            definitions.patch_custom_resource_definition(
                name, crd, field_manager=_FIELD_MANAGER, force=True, _content_type=_APPLY
            )
        for name in applied:
            established = partial(_is_established, definitions, name)
            wait_until(established, seconds=_ESTABLISHED_SECONDS, what=f"CRD {name}")
        client.CustomObjectsApi(api).patch_cluster_custom_object(
            GROUP,
            VERSION,
            ENDPOINT_CLASS.plural,
            DEFAULT_CLASS,
            default_class(roles, region=region, git_url=git_url),
            field_manager=_FIELD_MANAGER,
            force=True,
            _content_type=_APPLY,
        )


def default_class(roles: Roles, *, region: str, git_url: str) -> dict[str, Any]:
    """The class that every object has which names none, without reviews; it builds from ``git_url``."""
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
            "routing": {"auth": {"allowed": [each.value for each in AuthType]}},
        },
    }


def github(service: GitHubClient, kubeconfig: Path) -> None:
    """Have a repository at the GitHub, whose pull requests the default class serves, and a Secret with a token for it.

    Raises PlatformError if the GitHub fails, and what the Kubernetes client raises.
    """
    service.add_repository(REVIEWED_REPOSITORY)
    service.add_collaborator(REVIEWED_REPOSITORY, REVIEWER, "write")
    service.add_collaborator(REVIEWED_REPOSITORY, FORGE_LOGIN, "write")
    token = service.add_token(FORGE_LOGIN, value=_forge_token(service.url))
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": FORGE_SECRET},
        "stringData": {"token": token, "webhookSecret": WEBHOOK_SECRET},
    }
    reviews = {
        "url": service.url,
        "secretName": FORGE_SECRET,
        "repositories": [{"repository": REVIEWED_REPOSITORY, "namespaces": ["*"]}],
        "closeGrace": "1s",
    }
    with client_of(kubeconfig) as api:
        client.CoreV1Api(api).patch_namespaced_secret(
            FORGE_SECRET, own_namespace(), secret, field_manager=_FIELD_MANAGER, force=True, _content_type=_APPLY
        )
        # Under another name, so that what is applied of the class elsewhere does not take it away.
        client.CustomObjectsApi(api).patch_cluster_custom_object(
            GROUP,
            VERSION,
            ENDPOINT_CLASS.plural,
            DEFAULT_CLASS,
            {
                "apiVersion": API_VERSION,
                "kind": ENDPOINT_CLASS.name,
                "metadata": {"name": DEFAULT_CLASS},
                "spec": {"reviews": reviews},
            },
            field_manager=f"{_FIELD_MANAGER}-reviews",
            force=True,
            _content_type=_APPLY,
        )


def _forge_token(url: str) -> str:
    """The same at each start of a platform, so that what holds it goes on; of use on this machine only."""
    return f"ghp_{hashlib.sha256(url.encode()).hexdigest()[:36]}"


def _guard_commands(api: client.ApiClient) -> None:
    registration = client.AdmissionregistrationV1Api(api)
    apply = {
        "ValidatingAdmissionPolicy": registration.patch_validating_admission_policy,
        "ValidatingAdmissionPolicyBinding": registration.patch_validating_admission_policy_binding,
        "ClusterRole": client.RbacAuthorizationV1Api(api).patch_cluster_role,
    }
    for manifest in chain.from_iterable(guards().values()):
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
    """Create a queue for the events of SageMaker and of builds that accepts nothing else."""
    url = sqs.create_queue(QueueName=EVENT_QUEUE)["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    patterns = {EVENT_QUEUE: PATTERN, BUILD_RULE: builds_pattern(BUILD_PROJECT)}
    rules = [events.put_rule(Name=name, EventPattern=json.dumps(each))["RuleArn"] for name, each in patterns.items()]
    policy = queue_policy(queue, *rules)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    for name in patterns:
        events.put_targets(Rule=name, Targets=[{"Id": EVENT_QUEUE, "Arn": queue}])


def _role(iam: "IAMClient", principal: Principal, values: Mapping[str, str]) -> str:
    """Create or update a role with its generated policies; returns the ARN."""
    name, policies = f"ephemeral-endpoints-{principal}", policies_of(principal)
    trusted = json.dumps(filled(trust.of_service(principal), with_defaults(values)))
    try:
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusted)["Role"]["Arn"]
    except iam.exceptions.EntityAlreadyExistsException:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trusted)
        arn = iam.get_role(RoleName=name)["Role"]["Arn"]
    document = _with_patterns(merged(policies, values))
    iam.put_role_policy(RoleName=name, PolicyName=str(principal), PolicyDocument=json.dumps(document))
    return arn


def _with_patterns(document: Mapping[str, Any]) -> dict[str, Any]:
    """A policy whose conditions take values with * for patterns, as its resources do: it fits any cluster ID."""
    statements = [dict(each) for each in document["Statement"]]
    for each in statements:
        if condition := each.get("Condition"):
            each["Condition"] = {
                "StringLike" if name == "StringEquals" else name: keys for name, keys in condition.items()
            }
    return {**document, "Statement": statements}


def _is_established(definitions: client.ApiextensionsV1Api, name: str) -> bool:
    status = definitions.read_custom_resource_definition(name).status
    conditions = (status.conditions if status else None) or []
    return any(condition.type == "Established" and condition.status == "True" for condition in conditions)
