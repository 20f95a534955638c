"""All policies by name, and their parameters."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ephemeral_endpoints.aws import clients, roles, tag_index
from ephemeral_endpoints.deploy import service_roles as services
from ephemeral_endpoints.features.checks.comparison import iam as comparisons
from ephemeral_endpoints.features.expiry import iam as expiry
from ephemeral_endpoints.features.notifications import iam as notifications
from ephemeral_endpoints.features.registry import FEATURES
from ephemeral_endpoints.features.routing.capture import iam as capture
from ephemeral_endpoints.features.routing.results import iam as results
from ephemeral_endpoints.features.serving import iam as serving
from ephemeral_endpoints.features.training import iam as training
from ephemeral_endpoints.iam.statement import Statement, document, granted, placeholders

MANAGED_LIMIT: Final = 6144
"""Maximum size of a managed policy in characters, without white space
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)."""

INLINE_LIMIT: Final = 10_240
"""Maximum size of all inline policies of a role together, likewise."""

MANAGED_PER_ROLE: Final = 10
"""Managed policies of a role, unless the quota of the account is raised."""


class Principal(StrEnum):
    """The role that a policy is for."""

    OPERATOR = "operator"
    EXECUTION = "execution"
    FORWARDER = "forwarder"
    INVOKE = "invoke"
    BUILD = "build"
    DELIVERY = "delivery"
    TRAINING = "training"
    CI = "ci"
    REAPER = "reaper"
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
    "DeliveryRole": Parameter(
        "name (with its path) of the class's capture.deliveryRoleArn", "ephemeral-endpoints-delivery"
    ),
    "TrainingRole": Parameter(
        "name (with its path) of the class's training.executionRoleArn", "ephemeral-endpoints-training"
    ),
    "ArtifactsBucket": Parameter("bucket of the class's training.artifacts", "ephemeral-endpoints-artifacts"),
    "ArtifactsPrefix": Parameter("prefix of the class's training.artifacts", "artifacts"),
    "PackageGroups": Parameter("model package groups of the class's packages.groups, as a pattern", "*"),
    "TrainingDataBucket": Parameter("bucket of the class's training.data", "ephemeral-endpoints-data"),
    "BuildProject": Parameter("CodeBuild project that builds images", "ephemeral-endpoints"),
    "EventQueue": Parameter("SQS queue of SageMaker's events", "eep-events"),
    "ClassQueue": Parameter("SQS queue of the class's events.queueName", "eep-events"),
    "NotificationTopics": Parameter("SNS topics that classes notify, as a pattern", "ephemeral-endpoints-*"),
    "AssumedRole": Parameter(
        "ARN of the role that the operator assumes for a class in another account",
        "arn:aws:iam::123456789012:role/ephemeral-endpoints-operator",
    ),
    "KmsKeys": Parameter("IDs of the KMS keys that classes name, as a pattern", "*"),
    "Postprocessors": Parameter(
        "SageMaker endpoints of the class's routing.postprocessors, in lower case", "classifier"
    ),
    "DataBucket": Parameter("bucket of model archives, captures and queued requests", "ephemeral-endpoints-data"),
    "ReportsBucket": Parameter("bucket of the class's comparisons.reportsS3Uri", "ephemeral-endpoints-reports"),
    "ReportsPrefix": Parameter("prefix of the class's comparisons.reportsS3Uri", "reports"),
    "RecordingsBucket": Parameter("bucket of the class's comparisons.recordings", "ephemeral-endpoints-data"),
    "RecordingsPrefix": Parameter("prefix of the class's comparisons.recordings", "recordings"),
    "CaptureBucket": Parameter("bucket of the class's capture.s3Uri", "ephemeral-endpoints-captures"),
    "CapturePrefix": Parameter("prefix of the class's capture.s3Uri", "captures"),
    "DeliveryStream": Parameter(
        "delivery stream of the class's capture.deliveryStream or results.deliveryStream", "captures"
    ),
    "KinesisStream": Parameter("stream of the class's capture.kinesisStream or results.kinesisStream", "captures"),
    "ResultsTopic": Parameter("SNS topic of the class's results.topicArn", "ephemeral-endpoints-results"),
    "BuildSecrets": Parameter("prefix of the secrets that builds may mount, before /<class>/", "builds"),
    "Repository": Parameter("ECR repositories that workflows push to and this class pulls from", "models/*"),
    "ClassRepository": Parameter("repository that the class names in images.repository.name", "previews"),
    "InstanceTypes": Parameter("pattern of the permitted instance types", "ml.*"),
    "MaxConcurrency": Parameter("maximum concurrency of a serverless endpoint", "200"),
    "ReaperRole": Parameter("name (with its path) of the class's reaper.roleArn", "ephemeral-endpoints-reaper"),
    "ReaperLogs": Parameter("log group of the reaper, as a pattern", "/aws/lambda/eep-*"),
    "ReaperTopic": Parameter(
        "ARN of the SNS topic of the reaper", "arn:aws:sns:eu-central-1:123456789012:ephemeral-endpoints-reaper"
    ),
    "EksCluster": Parameter("EKS cluster that a workflow applies objects to", "previews"),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy with placeholders. ``optional`` says when it can be omitted.

    ``inline`` ones are short, and part of their role: they do not count towards the managed policies of the role.
    """

    name: str
    principal: Principal
    purpose: str
    statements: tuple[Statement, ...]
    optional: str = ""
    inline: bool = False

    def template(self) -> dict[str, Any]:
        """The document with its placeholders."""
        return document(self.statements)

    def document(self, values: Mapping[str, str]) -> dict[str, Any]:
        """The document with values; those with a default may be omitted. Raises KeyError."""
        return document(self.statements, with_defaults(values))


_CREATED: Final = "the class has no images.repository.name"


_OF_CLASS: Final = frozenset(
    {"BuildProject", "DeliveryRole", "ExecutionRole", "ForwarderRole", "InvokeRole", "ReaperRole", "TrainingRole"}
)
"""The placeholders of what each class has of its own."""


def _is_of_class(row: Statement) -> bool:
    return bool(placeholders(row.rendered()) & _OF_CLASS)


def _of_features(name: str, purpose: str, optional: str = "", beside: tuple[Statement, ...] = ()) -> Policy:
    rows = (*(row for each in FEATURES if each.policy == name for row in each.statements), *beside)
    return Policy(name, Principal.OPERATOR, purpose, tuple(row for row in rows if not _is_of_class(row)), optional)


def _of_class(name: str, purpose: str) -> Policy:
    rows = (*(row for each in FEATURES for row in each.statements), *roles.STATEMENTS)
    return Policy(name, Principal.OPERATOR, purpose, tuple(row for row in rows if _is_of_class(row)), inline=True)


POLICIES: Final = (
    _of_features("operator-endpoints", "models, endpoints and their scaling"),
    _of_features("operator-routes", "forwarders, APIs and routes"),
    _of_features(
        "operator-monitoring",
        "logs and alarms, and the index of tags",
        beside=tag_index.STATEMENTS,
    ),
    _of_features(
        "operator-images", "repositories and their images, packages of models, events, and rules that run reapers"
    ),
    _of_features("operator-data", "votes in DynamoDB, parameters of SSM, and pipelines that train"),
    _of_class("operator-class", "the roles and the project of one class: once for each class of the account"),
    _of_features(
        "operator-hosting",
        "roles that objects choose, and keys of volumes",
        "no class has allowedExecutionRoleArns or encryption.volumeKeyArn",
        roles.CHOSEN_STATEMENTS,
    ),
    _of_features(
        "operator-capture",
        "delivery streams of captured requests",
        "no class has capture.s3Uri",
    ),
    Policy(
        "operator-comparisons",
        Principal.OPERATOR,
        "reports of comparisons, and recorded requests",
        comparisons.STATEMENTS,
        "no class has comparisons",
    ),
    Policy(
        "operator-assume",
        Principal.OPERATOR,
        "roles in other accounts",
        clients.STATEMENTS,
        "no class has assumeRole",
        inline=True,
    ),
    Policy(
        "operator-notifications",
        Principal.OPERATOR,
        "notifications to SNS topics",
        notifications.STATEMENTS,
        "no class has a topic in notifications",
        inline=True,
    ),
    Policy(
        "limits",
        Principal.ANY,
        "upper limits on cost",
        services.LIMITS,
        "the limits of classes suffice",
        inline=True,
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
    Policy(
        "execution-repository",
        Principal.EXECUTION,
        "images in an existing repository",
        services.EXECUTION_REPOSITORY,
        _CREATED,
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
    Policy(
        "forwarder-postprocessors",
        Principal.FORWARDER,
        "SageMaker endpoints that get the answers of models",
        services.FORWARDER_POSTPROCESSORS,
        "no class has routing.postprocessors",
    ),
    Policy(
        "forwarder-capture",
        Principal.FORWARDER,
        "records of captured requests, in the class's delivery stream",
        capture.FORWARDER_CAPTURE,
        "the class has no capture.s3Uri",
    ),
    Policy(
        "forwarder-stream",
        Principal.FORWARDER,
        "likewise, in an existing delivery stream",
        capture.FORWARDER_STREAM,
        "the class has neither capture.deliveryStream nor results.deliveryStream",
    ),
    Policy(
        "forwarder-kinesis",
        Principal.FORWARDER,
        "likewise, in a stream of Kinesis Data Streams",
        capture.FORWARDER_KINESIS,
        "the class has neither capture.kinesisStream nor results.kinesisStream",
    ),
    Policy(
        "forwarder-topic",
        Principal.FORWARDER,
        "results of models, in an SNS topic",
        results.FORWARDER_TOPIC,
        "the class has no results.topicArn",
    ),
    Policy(
        "forwarder-notices",
        Principal.FORWARDER,
        "what forwarders tell the operator, in the queue of the class's events",
        serving.FORWARDER_NOTICES,
        "the class has no events",
        inline=True,
    ),
    Policy(
        "delivery",
        Principal.DELIVERY,
        "the role with which Firehose writes captured requests",
        capture.DELIVERY,
        "the class has no capture.s3Uri",
    ),
    Policy(
        "training",
        Principal.TRAINING,
        "the role of pipelines and their jobs",
        (*training.JOBS, *services.PULLS),
        "the class has no training",
    ),
    Policy("invoke", Principal.INVOKE, "the role with which API Gateway invokes forwarders", services.INVOKE),
    Policy(
        "build", Principal.BUILD, "the role of CodeBuild, or of a Job, for building and pushing images", services.BUILD
    ),
    Policy(
        "build-repository",
        Principal.BUILD,
        "images and caches in an existing repository",
        services.BUILD_REPOSITORY,
        _CREATED,
    ),
    Policy(
        "build-secrets",
        Principal.BUILD,
        "secrets that Dockerfiles mount",
        services.BUILD_SECRETS,
        "classes name no secrets",
    ),
    Policy("ci-push", Principal.CI, "a workflow that pushes images", services.PUSH, "the operator builds the images"),
    Policy("reaper", Principal.REAPER, "the role of the reaper: what it looks at", expiry.REAPER_READS),
    Policy("reaper-deletions", Principal.REAPER, "the role of the reaper: what it deletes", expiry.REAPER_DELETES),
    Policy("reaper-topic", Principal.REAPER, "reports of the reaper to a topic", expiry.REAPER_TOPIC, "it has none"),
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
    return beside.union(comparisons.ACTIONS, notifications.ACTIONS, *(each.actions for each in FEATURES))


def check() -> None:
    """Raise ValueError unless the operator's policies grant exactly what its code declares."""
    needed, given = declared(), granted(row for each in of(Principal.OPERATOR) for row in each.statements)
    if needed != given:
        missing, idle = sorted(needed - given), sorted(given - needed)
        raise ValueError(f"no statement grants {missing}; nothing declares {idle}")
