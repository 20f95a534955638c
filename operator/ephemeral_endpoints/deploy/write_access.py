"""What each field that the author of an object writes reaches at worst, and what stops it: the table of a page.

The fields come from the CRD. One that no row covers is listed as not reviewed, for which a test fails.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ephemeral_endpoints.api.kinds import ENDPOINT
from ephemeral_endpoints.api.schema.crds import crd


@dataclass(frozen=True, slots=True)
class Reach:
    """Fields with the same reach; a path stands for all below it."""

    paths: tuple[str, ...]
    worst: str
    stopped_by: str


REACHES: Final = (
    Reach(
        ("spec.className",),
        "the roles, repositories, secrets and networks of any class",
        "`admission.limits.classes` binds classes to namespaces; without it, nothing. The field is immutable",
    ),
    Reach(
        ("spec.source.repository", "spec.source.headRepository"),
        "a build of any repository on the class's Git host, with the class's Git token; an omitted `headRepository` "
        "presents a fork's commit as the repository's own",
        "`spec.builds.gitUrl` and `approveAll` of the class, approvals, `admission.limits.gitRepositories`",
    ),
    Reach(
        ("spec.source.revision",),
        "which commit is built, and so which code runs in the build and as the model",
        "approvals; the build's role",
    ),
    Reach(
        ("spec.source.pullRequest", "spec.source.branch"),
        "misleading tags and columns",
        "nothing: they are for people, and characters are restricted",
    ),
    Reach(
        ("spec.model.image", "spec.serving.variants[].model.image"),
        "any image that the execution role can pull as the model",
        "`images.allowedRepositories` of the class; images made for another class are refused unless listed; the "
        "execution role's `PullClassImages` and `PullImages`; `admission.limits.images`",
    ),
    Reach(
        ("spec.model.build.context", "spec.model.build.dockerfile", "spec.model.build.target"),
        "another build of the same commit",
        "the build's role; patterns keep the paths within the checkout",
    ),
    Reach(
        ("spec.model.build.arguments",),
        "another outcome of the build of the same commit",
        "the build's role; approvals",
    ),
    Reach(
        ("spec.model.build.secrets",),
        "the secrets that the class lists, which the Dockerfile can print or send away",
        "only those in `builds.secrets` of the class; approvals; the build role's `ReadBuildSecrets`",
    ),
    Reach(("spec.model.build.platform",), "a build that is refused", "it must be the platform of the endpoint"),
    Reach(
        ("spec.model.copy.image",),
        "an image from another registry in the class's repository, and a connection of the builder to that registry",
        "`images.allowedSources` of the class (default: none), `admission.limits.copies`",
    ),
    Reach(
        (
            "spec.model.dataUrl",
            "spec.model.s3Prefix",
            "spec.model.additionalData[].dataUrl",
            "spec.model.additionalData[].s3Prefix",
            "spec.serving.variants[].model.dataUrl",
            "spec.serving.variants[].model.s3Prefix",
        ),
        "every S3 object that the execution role can read, in the hands of the model",
        "the execution role, `admission.limits.s3Urls`",
    ),
    Reach(
        (
            "spec.model.acceptEula",
            "spec.model.additionalData[].acceptEula",
            "spec.serving.variants[].model.acceptEula",
        ),
        "an end-user license agreement that is accepted in the account's name",
        "the execution role, which must be able to read the data",
    ),
    Reach(("spec.model.additionalData[].name",), "the folder of the data in the container", "a pattern"),
    Reach(
        ("spec.model.environment", "spec.serving.variants[].model.environment"),
        "how the model's container behaves: proxies, libraries, endpoints",
        "credentials of AWS are refused by name, `admission.limits.deniedEnvironment`",
    ),
    Reach(
        ("spec.model.environmentFrom",),
        "the values of every ConfigMap of the namespace, in the model and in DescribeModel",
        "nothing: put no secrets into ConfigMaps. Other namespaces and Secrets cannot be named",
    ),
    Reach(
        (
            "spec.serving.serverless",
            "spec.serving.instances.count",
            "spec.serving.instances.type",
            "spec.serving.instances.fallbackTypes",
            "spec.serving.instances.autoscaling",
            "spec.serving.instances.volumeSizeGB",
            "spec.serving.variants[].name",
            "spec.serving.variants[].weight",
            "spec.serving.asynchronous.maxConcurrencyPerInstance",
        ),
        "the bill, and the account's quotas",
        "`instances` of the class, the policy `limits`, `admission.limits`, a ResourceQuota; namespaces take turns",
    ),
    Reach(
        (
            "spec.serving.instances.startupTimeout",
            "spec.serving.instances.modelDownloadTimeout",
            "spec.serving.instances.capacityTimeout",
        ),
        "an endpoint that is being created for hours, during which AWS cannot delete it",
        "bounds in the CRD, 1 h each; the time to live",
    ),
    Reach(
        ("spec.serving.instances.amiVersion", "spec.serving.instances.routingStrategy"),
        "an endpoint that fails",
        "SageMaker's own lists",
    ),
    Reach(
        ("spec.serving.network",),
        "less network than the class gives",
        "only subnets and security groups of the class; isolation can be added, not removed",
    ),
    Reach(
        ("spec.serving.executionRoleArn",),
        "another role for the model",
        "only those in `allowedExecutionRoleArns` of the class (default: none), the operator's `iam:PassRole`",
    ),
    Reach(
        ("spec.serving.rollout",),
        "a long rollout with twice the instances, or a gap while it serves",
        "bounds in the CRD; `instances.maxCount` does not count rollouts",
    ),
    Reach(
        ("spec.serving.asynchronous.s3Uri", "spec.capture.s3Uri"),
        "requests and answers written to every S3 URL that the execution and forwarder roles can write",
        "these roles, `admission.limits.s3Urls`",
    ),
    Reach(
        ("spec.serving.asynchronous.successTopicArn", "spec.serving.asynchronous.errorTopicArn"),
        "messages to every topic that the execution role can publish to; by default none",
        "the execution role, `admission.limits.snsTopics`",
    ),
    Reach(("spec.capture.samplingPercent",), "storage", "lifecycle rules of the bucket"),
    Reach(
        ("spec.api.path",),
        "the path of another object of the class",
        "the route belongs to one object, the other reports the conflict; `admission.limits.ownPaths`",
    ),
    Reach(
        ("spec.api.auth",),
        "an endpoint that everybody can call, at the class's cost",
        "`admission.limits.allowOpen`; the token is in a Secret, never in the spec",
    ),
    Reach(
        ("spec.api.maxBodyBytes",),
        "larger requests to its own model",
        "bounds in the CRD",
    ),
    Reach(
        ("spec.api.samples", "spec.api.readiness"),
        "a request of its choice to its own model, by the operator, and the model's answer in the status",
        "bounds in the CRD; answers are cut and sanitised",
    ),
    Reach(
        ("spec.monitoring",),
        "logs that cost storage as long as the object lives, and alarms that notify the class's topics often or never",
        "the log group goes with the object; `alarms.actions` of the class names the topics",
    ),
    Reach(
        ("spec.tags",),
        "tags that cost reports or tag-based policies of the account read",
        "only keys in `tags.allowedKeys` of the class (default: none); owner tags take precedence",
    ),
    Reach(
        ("spec.lifecycle.ttl",),
        "an endpoint that lives as long as the class lets any",
        "`lifecycle.maxTtl` of the class, `admission.limits.maxTtl`",
    ),
    Reach(("spec.lifecycle.onExpiry",), "a tombstone without resources that stays", "a ResourceQuota"),
    Reach(
        ("spec.lifecycle.deletionPolicy",),
        "resources that nothing ends, at full cost",
        "`admission.limits.allowRetain: false`; by default nothing",
    ),
    Reach(("spec.suspend",), "its own endpoint stays as it is, also if it drifts", "deletion and expiry still work"),
    Reach(
        ("metadata.annotations", "metadata.finalizers"),
        "commands and the release of the object, see above",
        "the RBAC verbs `approve` and `abandon`; a flood of `reconcile-at` has an account listed at most every 5 "
        "seconds",
    ),
    Reach(
        ("metadata.labels", "metadata.ownerReferences", "metadata.managedFields"),
        "whether its expired object is deleted or stays as a tombstone; its deletion with an owner",
        "nothing: they concern the object itself",
    ),
    Reach(
        ("metadata.name", "metadata.generateName"),
        "a part of names in AWS, and the name of its Secret",
        "names in AWS identify the object by a hash of its UID; a Secret of another owner is neither read nor changed",
    ),
    Reach(("status",), "nothing", "the API server ignores it without rights to `ephemeralendpoints/status`"),
)
"""The rows of the table."""

METADATA: Final = ("annotations", "finalizers", "generateName", "labels", "managedFields", "name", "ownerReferences")
"""What an author can write beside the spec. The rest is set by the API server, or no longer used by it.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/
"""


def fields() -> Iterator[str]:
    """Every field that an author writes: the leaves of the spec, the metadata, and the status as a whole."""
    yield from (f"metadata.{name}" for name in METADATA)
    schema = crd(ENDPOINT)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    yield from _leaves(schema["properties"]["spec"], "spec")
    yield "status"


def rows_of(field: str) -> list[Reach]:
    """The rows that cover a field."""
    return [each for each in REACHES if any(_covers(path, field) for path in each.paths)]


def unused_paths() -> list[str]:
    """Paths that no field has any more."""
    known = list(fields())
    return [path for each in REACHES for path in each.paths if not any(_covers(path, field) for field in known)]


def table() -> str:
    """The table, with a row for each field that is not reviewed yet."""
    rows = [f"| {_paths(each)} | {each.worst} | {each.stopped_by} |" for each in REACHES]
    rows += [f"| `{field}` | **not reviewed** | |" for field in fields() if not rows_of(field)]
    return "\n".join(["| field | reaches at worst | what stops it |", "|---|---|---|", *rows])


def _paths(reach: Reach) -> str:
    return "<br>".join(f"`{path}`" for path in reach.paths)


def _covers(path: str, field: str) -> bool:
    return field == path or field.startswith((f"{path}.", f"{path}[]"))


def _leaves(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if "properties" in schema:
        for name, part in schema["properties"].items():
            yield from _leaves(part, f"{path}.{name}")
    elif "items" in schema:
        yield from _leaves(schema["items"], f"{path}[]")
    else:
        yield path
