"""All policies by name, and their parameters."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ephemeral_endpoints.aws import clients, roles, tag_index
from ephemeral_endpoints.deploy import service_roles as services
from ephemeral_endpoints.features.registry import FEATURES
from ephemeral_endpoints.iam.statement import Statement, document, granted

MANAGED_LIMIT: Final = 6144
"""Maximum size of a managed policy in characters, without white space
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)."""


class Principal(StrEnum):
    """The role that a policy is for."""

    OPERATOR = "operator"
    EXECUTION = "execution"
    FORWARDER = "forwarder"
    INVOKE = "invoke"
    BUILD = "build"
    CI = "ci"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A placeholder; without a default it needs a value."""

    purpose: str
    default: str | None = None


PARAMETERS: Final[Mapping[str, Parameter]] = {
    "Partition": Parameter("partition of AWS: aws, aws-cn, aws-us-gov", "aws"),
    "Region": Parameter("region of the class"),
    "AccountId": Parameter("account of the class's roles"),
    "ClusterId": Parameter("cluster id of the operator, EEP_CLUSTER_ID"),
    "ClassName": Parameter("name of the class that the roles are for", "default"),
    "ExecutionRole": Parameter("name (with its path) of the class's executionRoleArn", "ephemeral-endpoints-execution"),
    "ExecutionRoles": Parameter(
        "names (with their paths) of the class's allowedExecutionRoleArns, as a pattern",
        "ephemeral-endpoints-execution/*",
    ),
    "ForwarderRole": Parameter("name (with its path) of the class's forwarderRoleArn", "ephemeral-endpoints-forwarder"),
    "InvokeRole": Parameter("name (with its path) of the class's invokeRoleArn", "ephemeral-endpoints-invoke"),
    "BuildProject": Parameter("CodeBuild project that builds images", "ephemeral-endpoints"),
    "EventQueue": Parameter("SQS queue of SageMaker's events", "eep-events"),
    "AssumedRole": Parameter(
        "ARN of the role that the operator assumes for a class in another account",
        "arn:aws:iam::123456789012:role/ephemeral-endpoints-operator",
    ),
    "KmsKeys": Parameter("IDs of the KMS keys that classes name, as a pattern", "*"),
    "DataBucket": Parameter("bucket of model archives, captures and queued requests", "ephemeral-endpoints-data"),
    "BuildSecrets": Parameter("prefix of the secrets that builds may mount, before /<class>/", "builds"),
    "Repository": Parameter("ECR repositories that workflows push to and this class pulls from", "models/*"),
    "InstanceTypes": Parameter("pattern of the permitted instance types", "ml.*"),
    "MaxConcurrency": Parameter("maximum concurrency of a serverless endpoint", "200"),
    "EksCluster": Parameter("EKS cluster that a workflow applies objects to", "previews"),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy with placeholders. ``optional`` says when it can be omitted."""

    name: str
    principal: Principal
    purpose: str
    statements: tuple[Statement, ...]
    optional: str = ""

    def template(self) -> dict[str, Any]:
        """The document with its placeholders."""
        return document(self.statements)

    def document(self, values: Mapping[str, str]) -> dict[str, Any]:
        """The document with values; those with a default may be omitted. Raises KeyError."""
        return document(self.statements, with_defaults(values))


def _of_features(name: str, purpose: str, optional: str = "", beside: tuple[Statement, ...] = ()) -> Policy:
    statements = (row for each in FEATURES if each.policy == name for row in each.statements)
    return Policy(name, Principal.OPERATOR, purpose, (*statements, *beside), optional)


POLICIES: Final = (
    _of_features("operator-endpoints", "models, endpoints and their scaling"),
    _of_features("operator-routes", "forwarders, APIs and routes"),
    _of_features(
        "operator-monitoring",
        "logs and alarms, the index of tags, and whether roles exist",
        beside=(*tag_index.STATEMENTS, *roles.STATEMENTS),
    ),
    _of_features("operator-images", "images, builds and events"),
    _of_features(
        "operator-hosting",
        "roles that objects choose, and keys of volumes",
        "no class has allowedExecutionRoleArns or encryption.volumeKeyArn",
        roles.CHOSEN_STATEMENTS,
    ),
    Policy(
        "operator-assume",
        Principal.OPERATOR,
        "roles in other accounts",
        clients.STATEMENTS,
        "no class has assumeRole",
    ),
    Policy(
        "limits",
        Principal.ANY,
        "upper limits on cost",
        services.LIMITS,
        "the limits of classes suffice",
    ),
    Policy("execution", Principal.EXECUTION, "the role of models in SageMaker", services.EXECUTION),
    Policy(
        "execution-data",
        Principal.EXECUTION,
        "model archives, captures, queued requests",
        services.EXECUTION_DATA,
        "models neither read nor write S3",
    ),
    Policy(
        "execution-vpc",
        Principal.EXECUTION,
        "network interfaces in a VPC",
        services.EXECUTION_VPC,
        "no class has network.vpc",
    ),
    Policy(
        "execution-keys",
        Principal.EXECUTION,
        "keys of model archives, captures and results",
        services.EXECUTION_KEYS,
        "S3 encrypts with no KMS keys",
    ),
    Policy("forwarder", Principal.FORWARDER, "the role of the functions in front of endpoints", services.FORWARDER),
    Policy(
        "forwarder-data",
        Principal.FORWARDER,
        "queued requests and their results",
        services.FORWARDER_DATA,
        "no endpoint is asynchronous",
    ),
    Policy(
        "forwarder-keys",
        Principal.FORWARDER,
        "keys of queued requests and their results",
        services.FORWARDER_KEYS,
        "S3 encrypts with no KMS keys",
    ),
    Policy("invoke", Principal.INVOKE, "the role with which API Gateway invokes forwarders", services.INVOKE),
    Policy(
        "build", Principal.BUILD, "the role of CodeBuild, or of a Job, for building and pushing images", services.BUILD
    ),
    Policy(
        "build-secrets",
        Principal.BUILD,
        "secrets that Dockerfiles mount",
        services.BUILD_SECRETS,
        "classes name no secrets",
    ),
    Policy("ci-push", Principal.CI, "a workflow that pushes images", services.PUSH, "the operator builds the images"),
    Policy(
        "ci-apply", Principal.CI, "a workflow that applies objects in EKS", services.APPLY, "the cluster is not on EKS"
    ),
)


def of(principal: Principal) -> tuple[Policy, ...]:
    """The policies of one principal."""
    return tuple(each for each in POLICIES if each.principal is principal)


def named(name: str) -> tuple[Policy, ...]:
    """The policy of that name, otherwise all policies of the principal of that name; may be empty."""
    found = tuple(each for each in POLICIES if each.name == name)
    return found or tuple(each for each in POLICIES if each.principal == name)


def merged(policies: Iterable[Policy], values: Mapping[str, str]) -> dict[str, Any]:
    """One document for several policies. Raises KeyError, see ``Policy.document``."""
    return document([row for each in policies for row in each.statements], with_defaults(values))


def with_defaults(values: Mapping[str, str]) -> dict[str, str]:
    """The values of all parameters that are given or have defaults."""
    defaults = {name: each.default for name, each in PARAMETERS.items() if each.default is not None}
    return {**defaults, **values}


def size(policy: Mapping[str, Any]) -> int:
    """The size of a document in characters, as IAM counts them."""
    return sum(not each.isspace() for each in json.dumps(policy))


def declared() -> frozenset[str]:
    """All actions that the operator's code declares beside the calls that need them."""
    beside = granted((*clients.STATEMENTS, *roles.STATEMENTS, *tag_index.STATEMENTS))
    return beside.union(*(each.actions for each in FEATURES))


def check() -> None:
    """Raise ValueError unless the operator's policies grant exactly what its code declares."""
    needed, given = declared(), granted(row for each in of(Principal.OPERATOR) for row in each.statements)
    if needed != given:
        missing, idle = sorted(needed - given), sorted(given - needed)
        raise ValueError(f"no statement grants {missing}; nothing declares {idle}")
