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
        ("spec.source.follow",),
        "builds and rollouts of whatever is pushed to the pull request, at each push",
        "the same as of `revision`: the head of a fork is followed only where `headRepository` says so, and each of "
        "its commits needs an approval of its own",
    ),
    Reach(
        ("spec.source.pullRequest",),
        "misleading tags and columns; the object ends with another pull request than its own, or never",
        "nothing: it concerns this object, whose time to live is over all the same",
    ),
    Reach(
        ("spec.source.branch",),
        "misleading tags",
        "nothing: it is for people, and characters are restricted",
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
        ("spec.model.package.group", "spec.model.package.version", "spec.model.package.arn"),
        "the image and the data of any version of the groups that the class lists, also of one that nobody has "
        "approved, as the model",
        "`packages.groups` of the class (default: none); `packages.allowUnapproved: false`; the operator's and the "
        "execution role, and the policies of groups in other accounts",
    ),
    Reach(
        ("spec.model.training.image", "spec.model.training.hyperparameters", "spec.model.training.pipeline"),
        "any code, with the rights of the training role: all data and artifacts that it can reach, and packages in "
        "every group that it can register in",
        "`training` of the class (default: none) and its role; approvals cover the image, the commit and the whole "
        "training; definitions may use the class's role and instance types only",
    ),
    Reach(
        ("spec.model.training.data",),
        "all data that the training role can read, in the hands of the model",
        "`training.data` of the class, and the training role",
    ),
    Reach(
        ("spec.model.training.resources",),
        "the bill, and the account's quotas",
        "`training.instanceTypes`, `maxCount`, `maxVolumeGiB` and `maxRuntime` of the class",
    ),
    Reach(
        ("spec.model.training.gate", "spec.model.training.register", "spec.model.training.onGateFailure"),
        "a package of a bad model, approved at once, in a group of the class",
        "`packages.groups` of the class; those of pull requests go to `<group>-previews`, which no stage takes",
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
        ("spec.api.requestSchema", "spec.api.responseSchema"),
        "which requests and answers pass the object's own URL, and how long its function takes to decide that; the "
        "values of every ConfigMap of the namespace that are JSON, in the function's code",
        "references are not followed, patterns that can take long are refused, and sizes are bounded; schemas are "
        "judged in a process without credentials: put no secrets into ConfigMaps",
    ),
    Reach(
        ("spec.api.timeoutSeconds", "spec.api.contentTypes", "spec.api.sticky"),
        "how long its function tries to have a request answered, which requests it takes, and which variant answers",
        "bounds: at most 27 seconds; the names of headers and media types",
    ),
    Reach(
        ("spec.api.cors",),
        "which pages of other origins may call the object's own URL, if they have its token",
        "no credentials of browsers; `*` without a token only where the class has `routing.allowAnyOrigin`",
    ),
    Reach(
        ("spec.api.playground",),
        "the title of the page at the object's own URL, and which part of an answer it shows as what",
        "the page shows them as text, in the viewer's own session, and its Content-Security-Policy lets it reach "
        "nothing but the object's own URL",
    ),
    Reach(
        ("spec.feedback",),
        "a table of DynamoDB of the object, which is paid by request, and which texts of callers it keeps",
        "only who may call the endpoint votes, once for each answer; the table goes with the object, unless the class "
        "has `lifecycle.allowRetainFeedback`",
    ),
    Reach(
        ("spec.checks",),
        "requests of the operator to the object's own URL, with its own token; the values of every ConfigMap of the "
        "namespace, in requests to the model and in the status",
        "redirects are not followed, and references of schemas are not either; sizes, times and numbers are bounded, "
        "and schemas are applied in a process without credentials: put no secrets into ConfigMaps",
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
    Reach(
        ("spec.compare.with",),
        "requests of its choice to another endpoint of its namespace, with that one's token, and the answers in the "
        "status and the report; requests of all callers of its URL to that endpoint (`eep-target: base`)",
        "the base is in the same namespace, whose Secrets its author can use, and of the same class; at most 210 "
        "requests, every 30 seconds, and callers only with a token where the base asks for one",
    ),
    Reach(
        ("spec.api.postprocess",),
        "requests of all callers of its URL, with what its own model answers, to the model of another endpoint of its "
        "namespace, or to a SageMaker endpoint",
        "the object is in the same namespace and of the same class, and callers need a token where it asks for one; "
        "`routing.postprocessors` of the class (default: none), and the forwarder role",
    ),
    Reach(
        ("spec.compare.recorded",),
        "recorded requests in S3 that the operator can read, in the hands of its own model",
        "`comparisons.recordings` of the class (default: none), with the namespace in the path; the operator's role",
    ),
    Reach(
        (
            "spec.compare.samples",
            "spec.compare.tolerances",
            "spec.compare.label",
            "spec.compare.ignore",
            "spec.compare.redact",
        ),
        "a comparison that hides differences, or shows answers to everybody who can read the object",
        "nothing: reviewers see the spec. What looks like a credential is masked anyway",
    ),
    Reach(
        ("spec.capture.samplingPercent", "spec.capture.maxBytes", "spec.capture.redact"),
        "what callers send to its own model, in the class's bucket or stream, at its cost",
        "`capture` of the class (default: none), which names what is never recorded; the bucket's lifecycle rules",
    ),
    Reach(
        ("spec.results.includeRequest",),
        "what callers send to its own model, and what it answers, to the subscribers of the class's topic or stream",
        "`results` of the class (default: none); the topic's policy, which says who may subscribe",
    ),
    Reach(
        ("spec.api.path",),
        "the path of another object of the class",
        "the route belongs to one object, the other reports the conflict; `admission.limits.ownPaths`",
    ),
    Reach(
        ("spec.api.mode", "spec.api.throttle"),
        "an HTTP API of its own, of which an account has 600; fewer requests to its own URL, or as many as the class "
        "lets a URL take",
        "`routing.allowDedicated` of the class (default: no), and its `routing.maxThrottle`",
    ),
    Reach(
        ("spec.api.auth",),
        "an endpoint that everybody can call, at the class's cost",
        "`routing.auth.allowed` and `routing.auth.jwt.claims` of the class, `admission.limits.allowOpen`; the token is "
        "in a Secret, never in the spec",
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
        ("spec.lifecycle.ttl", "spec.lifecycle.ttlFrom"),
        "an endpoint that lives as long as the class lets any",
        "`lifecycle.maxTtl` of the class, `admission.limits.maxTtl`",
    ),
    Reach(("spec.lifecycle.budgetUSD",), "nothing: it only makes its own budget smaller", "the class's `budgets`"),
    Reach(("spec.lifecycle.onExpiry",), "a tombstone without resources that stays", "a ResourceQuota"),
    Reach(
        ("spec.lifecycle.deletionPolicy",),
        "resources that nothing ends, at full cost",
        "`admission.limits.allowRetain: false`; by default nothing",
    ),
    Reach(
        ("spec.sleep",),
        "its own endpoint stays awake although the class would have it sleep, at its cost",
        "`lifecycle.maxTtl` and `instances` of the class; only authenticated requests wake it",
    ),
    Reach(("spec.suspend",), "its own endpoint stays as it is, also if it drifts", "deletion and expiry still work"),
    Reach(
        ("metadata.annotations", "metadata.finalizers"),
        "commands and the release of the object, see above",
        "the RBAC verbs `approve`, `abandon` and `pin`; a flood of `reconcile-at` has an account listed at most every "
        "5 seconds",
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
