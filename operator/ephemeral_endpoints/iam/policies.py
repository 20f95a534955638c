"""All policies by name, and the parameters that they are made concrete with."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ephemeral_endpoints.iam import endpoints, images, routes, services
from ephemeral_endpoints.iam.declared import declared
from ephemeral_endpoints.iam.statement import Statement, document

MANAGED_LIMIT: Final = 6144
"""Characters of a managed policy, white space not counted
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)."""


class Principal(StrEnum):
    """Who a policy is for."""

    OPERATOR = "operator"
    EXECUTION = "execution"
    FORWARDER = "forwarder"
    INVOKE = "invoke"
    BUILD = "build"
    CI = "ci"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a placeholder stands for; without a default it must be given."""

    purpose: str
    default: str | None = None


PARAMETERS: Final[Mapping[str, Parameter]] = {
    "Partition": Parameter("partition of AWS: aws, aws-cn, aws-us-gov", "aws"),
    "Region": Parameter("region of the class"),
    "AccountId": Parameter("account of the class's roles"),
    "ClusterId": Parameter("cluster id of the operator, EEP_CLUSTER_ID"),
    "ExecutionRole": Parameter("name (with its path) of the class's executionRoleArn", "ephemeral-endpoints-execution"),
    "ForwarderRole": Parameter("name (with its path) of the class's forwarderRoleArn", "ephemeral-endpoints-forwarder"),
    "InvokeRole": Parameter("name (with its path) of the class's invokeRoleArn", "ephemeral-endpoints-invoke"),
    "BuildProject": Parameter("project of CodeBuild that builds images", "ephemeral-endpoints"),
    "EventQueue": Parameter("queue of SQS that SageMaker's events come by", "eep-events"),
    "AssumedRole": Parameter(
        "ARN of the role that the operator assumes for a class of another account",
        "arn:aws:iam::123456789012:role/ephemeral-endpoints-operator",
    ),
    "DataBucket": Parameter("bucket of model archives, captures and queued requests", "ephemeral-endpoints-data"),
    "BuildSecrets": Parameter("names of secrets that builds may mount", "builds/*"),
    "Repository": Parameter("repository of ECR that a workflow pushes to", "models/*"),
    "InstanceTypes": Parameter("pattern of the instance types that may be used at all", "ml.*"),
    "MaxConcurrency": Parameter("largest concurrency of a serverless endpoint", "200"),
    "EksCluster": Parameter("EKS cluster that a workflow applies objects in", "previews"),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy document in the making. ``optional`` tells when it can be left out."""

    name: str
    principal: Principal
    purpose: str
    statements: tuple[Statement, ...]
    optional: str = ""

    def template(self) -> dict[str, Any]:
        """The document with its placeholders."""
        return document(self.statements)

    def document(self, values: Mapping[str, str]) -> dict[str, Any]:
        """The document for given values; those that have a default may be missing. Raises KeyError."""
        return document(self.statements, with_defaults(values))


POLICIES: Final = (
    Policy(
        "operator-endpoints",
        Principal.OPERATOR,
        "models, endpoints and their scaling",
        (*endpoints.SERVING, *endpoints.SCALING),
    ),
    Policy(
        "operator-routes",
        Principal.OPERATOR,
        "forwarders, APIs and routes",
        (*routes.FORWARDING, *routes.ROUTING),
    ),
    Policy("operator-monitoring", Principal.OPERATOR, "logs and alarms", routes.MONITORING),
    Policy(
        "operator-images",
        Principal.OPERATOR,
        "images, builds and events",
        (*images.IMAGES, *images.BUILDS, *images.EVENTS),
    ),
    Policy(
        "operator-assume",
        Principal.OPERATOR,
        "roles of other accounts",
        images.ASSUMING,
        "no class has assumeRole",
    ),
    Policy(
        "limits",
        Principal.ANY,
        "what may be spent on at most",
        services.LIMITS,
        "the limits of classes are enough",
    ),
    Policy("execution", Principal.EXECUTION, "what SageMaker runs models as", services.EXECUTION),
    Policy(
        "execution-data",
        Principal.EXECUTION,
        "model archives, captures, queued requests",
        services.EXECUTION_DATA,
        "nothing is read from or written to S3",
    ),
    Policy("forwarder", Principal.FORWARDER, "what the functions in front of endpoints run as", services.FORWARDER),
    Policy(
        "forwarder-data",
        Principal.FORWARDER,
        "queued requests and their results",
        services.FORWARDER_DATA,
        "no endpoint is asynchronous",
    ),
    Policy("invoke", Principal.INVOKE, "what API Gateway invokes forwarders as", services.INVOKE),
    Policy("build", Principal.BUILD, "what CodeBuild, or a Job, builds and pushes images as", services.BUILD),
    Policy(
        "build-secrets",
        Principal.BUILD,
        "secrets that Dockerfiles mount",
        services.BUILD_SECRETS,
        "classes name no secrets",
    ),
    Policy("ci-push", Principal.CI, "a workflow that pushes images", services.PUSH, "images are built by the operator"),
    Policy("ci-apply", Principal.CI, "a workflow that applies objects in EKS", services.APPLY, "the cluster is no EKS"),
)


def of(principal: Principal) -> tuple[Policy, ...]:
    """The policies of one principal."""
    return tuple(each for each in POLICIES if each.principal is principal)


def named(name: str) -> tuple[Policy, ...]:
    """The policy of that name, else all of the principal of that name; empty if there is none."""
    found = tuple(each for each in POLICIES if each.name == name)
    return found or tuple(each for each in POLICIES if each.principal == name)


def merged(policies: Iterable[Policy], values: Mapping[str, str]) -> dict[str, Any]:
    """One document of several policies. Raises KeyError, see ``Policy.document``."""
    return document([row for each in policies for row in each.statements], with_defaults(values))


def granted(policies: Iterable[Policy]) -> frozenset[str]:
    """All actions that policies allow."""
    return frozenset(action for each in policies for row in each.statements for action in row.actions)


def with_defaults(values: Mapping[str, str]) -> dict[str, str]:
    """Values for all parameters, as far as they are given or have defaults."""
    defaults = {name: each.default for name, each in PARAMETERS.items() if each.default is not None}
    return {**defaults, **values}


def size(policy: Mapping[str, Any]) -> int:
    """Characters of a document as IAM counts them."""
    return sum(not each.isspace() for each in json.dumps(policy))


def check() -> None:
    """Raise ValueError unless the operator's policies grant just what its code declares."""
    needed, given = declared(), granted(of(Principal.OPERATOR))
    if needed != given:
        missing, idle = sorted(needed - given), sorted(given - needed)
        raise ValueError(f"no statement grants {missing}; nothing declares {idle}")
