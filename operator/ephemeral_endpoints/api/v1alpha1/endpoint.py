"""EphemeralEndpoint: a live model endpoint for one pull request."""

import re
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from ephemeral_endpoints.api import API_VERSION, HEAD_ANNOTATION
from ephemeral_endpoints.api.rules import Rule
from ephemeral_endpoints.api.v1alpha1.authentication import AuthType
from ephemeral_endpoints.api.v1alpha1.base import TOLERANT, ApiModel, ObjectMeta, Readable
from ephemeral_endpoints.api.v1alpha1.capture import Capture
from ephemeral_endpoints.api.v1alpha1.checks import Checks
from ephemeral_endpoints.api.v1alpha1.comparison import Comparison
from ephemeral_endpoints.api.v1alpha1.endpoint_status import EphemeralEndpointStatus
from ephemeral_endpoints.api.v1alpha1.feedback import Feedback
from ephemeral_endpoints.api.v1alpha1.lifecycle import Lifecycle
from ephemeral_endpoints.api.v1alpha1.model import Model
from ephemeral_endpoints.api.v1alpha1.monitoring import Monitoring
from ephemeral_endpoints.api.v1alpha1.public_api import SERVERLESS_BODY_BYTES, Api
from ephemeral_endpoints.api.v1alpha1.results import Results
from ephemeral_endpoints.api.v1alpha1.serving import Serving
from ephemeral_endpoints.api.v1alpha1.shared import Shared
from ephemeral_endpoints.api.v1alpha1.sleep import Sleep
from ephemeral_endpoints.api.v1alpha1.tags import UserTags
from ephemeral_endpoints.api.v1alpha1.types import BranchName, DnsLabel, Integer, Repository, Revision

WHOLE_REVISIONS = (40, 64)
"""The digits of a whole SHA: of SHA-1 and of SHA-256."""

WHOLE_REVISION = "[0-9a-f]{40}([0-9a-f]{24})?"
"""A whole SHA as a regular expression."""


class Source(ApiModel):
    """The commit that is served, and the pull request that it belongs to."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!self.follow || has(self.pullRequest)",
            message="follow needs pullRequest: only a pull request has a head that can be followed",
            holds=lambda source: not source.follow or source.pull_request is not None,
        ),
    )

    repository: Repository
    """Path of the Git repository: owner and name, such as acme/sentiment, or groups and name as on GitLab, such as
    acme/nlp/sentiment."""

    pull_request: Annotated[Integer, Field(ge=1, le=2_147_483_647)] | None = None
    """Number of the pull request. Absent: the endpoint belongs to no pull request."""

    revision: Revision
    """SHA of the Git commit that is served, 7 to 64 lowercase hexadecimal digits. Quote it in YAML, which otherwise
    reads an SHA of digits only as a number. A change rolls out the new revision behind the same URL."""

    follow: bool = False
    """Whether the newest commit of the pull request is rolled out, build and all, although revision names an older one.
    The operator learns of it from the forge that the class names in reviews, and records it in the annotation
    ephemeral-endpoints.io/head. A change of revision counts at once, until the forge names another head than it.
    Commits of forks are followed only with headRepository. Default false."""

    head_repository: Repository | None = None
    """Path of the fork that contains the commit. The class determines whether commits of forks are built.
    Absent: the commit is in repository."""

    branch: BranchName | None = None
    """Name of the pull request's branch, at most 256 characters. It is informational only."""


def _has_samples_of_checks(spec: "EphemeralEndpointSpec") -> bool:
    return {each.sample for each in spec.checks if each.sample} <= {each.name for each in spec.api.samples}


def _has_samples_of_comparison(spec: "EphemeralEndpointSpec") -> bool:
    return spec.compare is None or set(spec.compare.samples) <= {each.name for each in spec.api.samples}


def _needs_sources(spec: "EphemeralEndpointSpec") -> bool:
    models = (spec.model, *(each.model for each in spec.serving.variants))
    return bool(spec.model.additional_data) or any(each.is_source for each in models)


SERVED_RULES: Final[tuple[Rule, ...]] = (
    Rule(
        cel="!has(self.feedback) || !has(self.serving.asynchronous)",
        message="feedback must not be set on an asynchronous endpoint, whose answers are fetched and not given",
        holds=lambda spec: spec.feedback is None or spec.serving.asynchronous is None,
    ),
    Rule(
        cel="!has(self.api.postprocess) || !has(self.serving.asynchronous)",
        message="api.postprocess must not be set on an asynchronous endpoint, whose answers are fetched and not given",
        holds=lambda spec: spec.api.postprocess is None or spec.serving.asynchronous is None,
    ),
    Rule(
        cel="!has(self.capture) || !has(self.capture.s3Uri) || has(self.serving.instances)",
        message="capture.s3Uri needs serving.instances: SageMaker does not capture data on serverless endpoints; "
        "without s3Uri, what the URL answers is recorded where the class says",
        holds=lambda spec: spec.capture is None or spec.capture.s3_uri is None or spec.serving.instances is not None,
    ),
    Rule(
        cel="!has(self.capture) || has(self.capture.s3Uri) || !has(self.serving.asynchronous)",
        message="capture of an asynchronous endpoint needs s3Uri: the URL does not see its answers",
        holds=lambda spec: spec.capture is None or spec.capture.s3_uri is not None or spec.serving.asynchronous is None,
    ),
    Rule(
        cel=f"self.api.maxBodyBytes <= {SERVERLESS_BODY_BYTES} || has(self.serving.instances)",
        message=f"api.maxBodyBytes must be at most {SERVERLESS_BODY_BYTES} (4 MiB) on a serverless endpoint",
        holds=lambda spec: spec.api.max_body_bytes <= SERVERLESS_BODY_BYTES or spec.serving.instances is not None,
    ),
    Rule(
        cel="!has(self.checks) || self.checks.all(each, !has(each.sample)"
        " || (has(self.api.samples) && self.api.samples.exists(one, one.name == each.sample)))",
        message="sample of each check must be the name of one of api.samples",
        holds=_has_samples_of_checks,
    ),
    Rule(
        cel="!has(self.checks) || !has(self.serving.asynchronous) || !self.checks.exists(each, has(each.load))",
        message="checks of an asynchronous endpoint cannot have load: it queues requests, so that load shows "
        "nothing of the model",
        holds=lambda spec: spec.serving.asynchronous is None or not any(each.load for each in spec.checks),
    ),
    Rule(
        cel="!has(self.results) || !has(self.serving.asynchronous)",
        message="results of an asynchronous endpoint are not published by its URL, which does not see them: set "
        "serving.asynchronous.successTopicArn",
        holds=lambda spec: spec.results is None or spec.serving.asynchronous is None,
    ),
)
"""What holds for what is served, whatever the model is: of an object, and of a stage."""


class EphemeralEndpointSpec(ApiModel):
    """The desired state."""

    rules: ClassVar[tuple[Rule, ...]] = (
        *SERVED_RULES,
        Rule(
            cel="!has(oldSelf.className) || (has(self.className) && self.className == oldSelf.className)",
            message="className cannot be changed or removed, because the AWS resources are where the class says: keep "
            "the className that the object has, or delete the object and create it again",
        ),
        Rule(
            cel="!has(self.model.__package__) || !has(self.serving.variants) || !self.serving.variants.exists(each,"
            " has(each.model.image) || has(each.model.dataUrl) || has(each.model.s3Prefix))",
            message="variants of a model.package must differ in environment only: the package brings image and data",
            holds=lambda spec: (
                spec.model.package is None
                or not any(
                    each.model.image or each.model.data_url or each.model.s3_prefix for each in spec.serving.variants
                )
            ),
        ),
        Rule(
            cel="!(has(self.model.build) || has(self.model.training)) || size(self.source.revision) in [40, 64]",
            message="model.build and model.training need the full SHA in source.revision, 40 or 64 digits: an "
            "abbreviation is ambiguous",
            holds=lambda spec: (
                not (spec.model.build or spec.model.training) or len(spec.source.revision) in WHOLE_REVISIONS
            ),
        ),
        Rule(
            # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html
            cel="has(self.serving.instances) || !(has(self.model.s3Prefix) || self.model.acceptEula"
            " || (has(self.model.additionalData) && size(self.model.additionalData) > 0)"
            " || (has(self.serving.variants) && self.serving.variants.exists(each,"
            " has(each.model.s3Prefix) || each.model.acceptEula)))",
            message="s3Prefix, acceptEula and additionalData need serving.instances: SageMaker supports only archives "
            "(dataUrl) on serverless endpoints",
            holds=lambda spec: spec.serving.instances is not None or not _needs_sources(spec),
        ),
        Rule(
            cel="!has(self.compare) || has(self.compare.recorded)"
            " || (has(self.api.samples) && size(self.api.samples) > 0)",
            message="compare needs requests: api.samples or compare.recorded",
            holds=lambda spec: spec.compare is None or bool(spec.compare.recorded or spec.api.samples),
        ),
        Rule(
            cel="!has(self.compare) || !has(self.compare.samples) || self.compare.samples.all(name,"
            " has(self.api.samples) && self.api.samples.exists(each, each.name == name))",
            message="compare.samples must be names of api.samples",
            holds=_has_samples_of_comparison,
        ),
        Rule(
            cel="!has(self.compare) || !has(self.serving.asynchronous)",
            message="compare must not be set on an asynchronous endpoint, which does not answer at once",
            holds=lambda spec: spec.compare is None or spec.serving.asynchronous is None,
        ),
        Rule(
            cel="!has(self.sleep) || (has(self.serving.instances) && !has(self.serving.asynchronous))"
            " || (has(self.serving.serverless) && has(self.serving.serverless.provisionedConcurrency))",
            message="sleep needs serving.instances without serving.asynchronous, or "
            "serving.serverless.provisionedConcurrency: without it a serverless endpoint costs nothing while it is "
            "idle, and an asynchronous one scales to 0 instances with autoscaling.minCount 0",
            holds=lambda spec: (
                spec.sleep is None
                or (spec.serving.instances is not None and spec.serving.asynchronous is None)
                or spec.serving.is_provisioned
            ),
        ),
    )

    class_name: DnsLabel | None = None
    """Name of the EphemeralEndpointClass, which determines where and within which limits the endpoint runs. It cannot
    change. Absent: the operator sets it to the default class before it creates anything, and the object stays in that
    class."""

    source: Source
    """The commit that is served, and the pull request that it belongs to."""

    model: Model
    """The model that is served."""

    serving: Annotated[Serving, Shared()] = Serving()
    """The capacity that the model runs on."""

    api: Annotated[Api, Shared()] = Api()
    """The public HTTP API in front of the endpoint."""

    checks: Annotated[Checks, Shared()] = ()
    """Requests to the model with what is expected of the answers, at most 50. They are sent through the public URL once
    the endpoint is ready: once for each revision, when the checks change, and on demand by the annotation
    ephemeral-endpoints.io/check-at. The condition ChecksPassed has the outcome; Ready does not depend on it."""

    compare: Annotated[Comparison, Shared()] | None = None
    """Comparison of the answers with those of another object, or of the previous revision, once the object is Ready.
    Whether it is Ready does not depend on it. Absent: answers are not compared."""

    feedback: Feedback | None = None
    """Votes of callers on the answers of the model; they go with the object. Absent: no votes are taken."""

    capture: Capture | None = None
    """Recording of requests and answers, where the class says. Absent: they are not recorded."""

    results: Results | None = None
    """Publication of what the model answers on the URL to subscribers, where the class says, such as to an SNS topic;
    {} turns it on. Absent: nothing is published."""

    monitoring: Annotated[Monitoring, Shared()] = Monitoring()
    """Logs and alarms."""

    tags: UserTags = Field(default_factory=dict)
    """Tags of everything that is created in AWS for the object, at most 20, with keys that the class allows. A tag
    that is removed here stays on what exists already. Default empty."""

    lifecycle: Annotated[Lifecycle, Shared()] = Lifecycle()
    """When the endpoint expires, and what happens then."""

    sleep: Sleep | None = None
    """When the endpoint sleeps: its instances or its provisioned concurrency are given up and not charged then, while
    the URL, its token and all else stay. Absent: as the class says. {}: it does not sleep by itself, but by a
    command."""

    suspend: bool = False
    """While true, the operator creates, changes and repairs nothing for this object; the endpoint keeps serving.
    Deletion and expiry still work. Default false."""

    @property
    def has_contract(self) -> bool:
        """Whether the object has schemas that are compared with those of a base."""
        return self.compare is not None and bool(self.api.request_schema or self.api.response_schema)


class EphemeralEndpoint(ApiModel):
    """A live model endpoint for one pull request, which is deleted when it expires."""

    model_config = TOLERANT
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.spec.compare) || !has(self.spec.compare.with.endpoint)"
            " || self.spec.compare.with.endpoint != self.metadata.name",
            message="spec.compare.with.endpoint must be another object: one compared with itself differs in nothing",
            holds=lambda endpoint: (
                endpoint.spec.compare is None or endpoint.spec.compare.with_.endpoint != endpoint.metadata.name
            ),
        ),
        Rule(
            cel="!has(self.spec.api.postprocess) || !has(self.spec.api.postprocess.endpoint)"
            " || self.spec.api.postprocess.endpoint != self.metadata.name",
            message="spec.api.postprocess.endpoint must be another object",
            holds=lambda endpoint: (
                endpoint.spec.api.postprocess is None
                or endpoint.spec.api.postprocess.endpoint != endpoint.metadata.name
            ),
        ),
    )

    api_version: Literal["ephemeral-endpoints.io/v1alpha1"] = API_VERSION
    kind: Literal["EphemeralEndpoint"] = "EphemeralEndpoint"
    metadata: ObjectMeta

    spec: EphemeralEndpointSpec
    """The desired state."""

    status: Annotated[EphemeralEndpointStatus, Readable] = EphemeralEndpointStatus()
    """The last observed state. Only the operator writes it."""

    @property
    def revision(self) -> str:
        """The commit that should be served: the spec's, or the head of its pull request with ``source.follow``."""
        source = self.spec.source
        named, _, head = self.metadata.annotations.get(HEAD_ANNOTATION, "").partition("=")
        is_followed = source.follow and named == source.revision and re.fullmatch(WHOLE_REVISION, head) is not None
        return head if is_followed else source.revision

    @property
    def served_auth(self) -> AuthType:
        """How callers authenticate by the status, for whoever does not know the class; before it, as the spec asks."""
        return (self.status.route and self.status.route.auth) or self.spec.api.auth.type

    @property
    def path(self) -> str:
        """The path of the object's URL."""
        return self.spec.api.path or self.default_path

    @property
    def default_path(self) -> str:
        """The path that belongs to the object and to no other."""
        return f"/{self.metadata.namespace}/{self.metadata.name}"
