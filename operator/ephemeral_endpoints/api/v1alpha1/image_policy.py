"""Where images come from and which of them may be served, as the platform team decides."""

import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field

from ephemeral_endpoints.api.rules import Rule, matches
from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.builder_images import AWS_CLI, BUILDKIT, ROOTLESS_BUILDKIT, SKOPEO
from ephemeral_endpoints.api.v1alpha1.image_types import (
    ArgumentName,
    BuildProject,
    EcrPrefix,
    EcrRepository,
    ForeignImage,
    ForeignImageGlob,
    FrontendGlob,
    GitUrl,
    ImageRepositoryGlob,
    KeyArn,
    SecretId,
)
from ephemeral_endpoints.api.v1alpha1.types import AtLeastAMinute, BuildTimeout, DnsLabel, DnsSubdomain, Integer

GITHUB: Final = "https://github.com"

_PINNED: Final = re.compile("@sha256:[0-9a-f]{64}$")

PRICE: Final = "[0-9]{1,4}([.][0-9]{1,6})?"
"""A price in USD."""

FindingId = Annotated[
    str,
    Field(max_length=64),
    matches("[A-Za-z0-9][A-Za-z0-9._:-]*", "must be the ID of a finding, such as CVE-2026-1234 or RHSA-2026:1234"),
]

# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
CpuQuantity = Annotated[
    str,
    Field(max_length=16),
    matches("[0-9]{1,5}([.][0-9]{1,3})?|[0-9]{1,8}m", "must be an amount of CPU, such as 2, 1.5 or 500m"),
]

MemoryQuantity = Annotated[
    str,
    Field(max_length=20),
    matches("[0-9]{1,15}([.][0-9]{1,3})?(k|M|G|T|Ki|Mi|Gi|Ti)?", "must be an amount of memory, such as 4Gi or 4096M"),
]


class Severity(StrEnum):
    """How bad a finding of an image scan is (https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning.html)."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"
    CRITICAL = "Critical"


class ScanPolicy(ApiModel):
    """Findings that prevent an image from being served."""

    severity: Severity = Severity.CRITICAL
    """An image with findings of at least this severity is not served: Low, Medium, High or Critical. Default
    Critical."""

    ignored: Annotated[tuple[FindingId, ...], Field(max_length=200)] = ()
    """Findings that do not count, by their ids, at most 200: CVE-2026-1234. Default none."""


class ImageRepository(ApiModel):
    """The repository that images are built and copied to: one for the class, made for it or there already."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.name) || !(has(self.prefix) || has(self.kmsKeyArn))",
            message="set either name, for an existing repository, or prefix and kmsKeyArn, for one that the operator "
            "creates",
            holds=lambda one: one.name is None or (one.prefix is None and one.kms_key_arn is None),
        ),
        Rule(
            cel=" && ".join(
                f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})"
                for name in ("name", "prefix", "kmsKeyArn")
            ),
            message="name, prefix and kmsKeyArn cannot change, because endpoints use the images of the repository: "
            "create another class",
        ),
    )

    name: EcrRepository | None = None
    """Name of an existing repository in the class's account and region. The operator does not change its settings and
    deletes nothing in it. Absent: the operator creates a repository with immutable tags, scans, and rules that expire
    unused images; it is deleted with the class."""

    prefix: EcrPrefix | None = None
    """Prefix of the name of the created repository, such as previews/. It cannot change."""

    kms_key_arn: KeyArn | None = None
    """ARN of the AWS KMS key that encrypts the created repository. It cannot change. Absent: AES-256 with keys that AWS
    manages."""

    keep_images: bool = False
    """Whether images that no object uses any more are kept, until they are twice as old as an object can become.
    Default false."""


class ImagePolicy(ApiModel):
    """Allowed images, and the repository of built ones."""

    repository: ImageRepository = ImageRepository()
    """The repository that images are built and copied to."""

    scan: ScanPolicy | None = None
    """Findings of ECR's scans that prevent an image from being served. Absent: findings are ignored."""

    follow_tags: AtLeastAMinute | None = None
    """Interval at which the tags of images in ECR are looked up again, at least 1m; if a tag has moved, the endpoint is
    updated. Absent: a tag is looked up once for every change of an object's spec."""

    allowed_sources: Annotated[tuple[ForeignImageGlob, ...], Field(max_length=100)] = ()
    """Images of other registries that may be copied, at most 100, as patterns without a tag: public.ecr.aws/acme/*. A
    registry that is an IP address must be given without wildcards. The class's builder copies them. Default none."""

    allowed_repositories: Annotated[tuple[ImageRepositoryGlob, ...], Field(max_length=100)] = ()
    """Repositories whose images may be served, at most 100, as patterns without a tag in which * stands for any
    characters (slashes too) and ? for one: 123456789012.dkr.ecr.eu-central-1.amazonaws.com/ml/*. They apply to
    images by the other names of a registry (FIPS, IPv6) too. Empty: every repository of the class's own account and
    region. Repositories of the operator's other classes must be listed in any case. Default empty."""


class ForkPolicy(StrEnum):
    """Whether commits of forks are built."""

    REFUSE = "Refuse"
    APPROVE = "Approve"
    BUILD = "Build"


class CodeBuild(ApiModel):
    """Builds in AWS CodeBuild."""

    project: BuildProject
    """Name of the project in the class's account and region; its role must be able to push to the class's repository
    and to nothing else. It needs privileged mode for Docker. The operator overrides source, buildspec and variables of
    every build."""

    image: Annotated[ForeignImage, Field(description=f"Image of BuildKit. Default {BUILDKIT}.")] = BUILDKIT

    copy_image: Annotated[
        ForeignImage, Field(description=f"Image of skopeo, which pushes what was built. Default {SKOPEO}.")
    ] = SKOPEO

    price_per_minute: Annotated[
        str, Field(max_length=12), matches(PRICE, 'must be a price in USD per minute, in quotes: "0.005"')
    ] = "0.005"
    """Price of a build minute in USD, in quotes, for the metric of build costs. The default is the price of
    general1.small on Linux in us-east-1. Default 0.005."""


class JobBuild(ApiModel):
    """Builds as Jobs of the cluster, by rootless BuildKit."""

    namespace: DnsLabel
    """Namespace of the Jobs; use it for nothing else, because code of pull requests runs there."""

    service_account_name: DnsSubdomain
    """ServiceAccount of the Jobs, with an IAM role that can push to the class's repository and to nothing else."""

    image: Annotated[
        str,
        Field(
            min_length=1,
            max_length=255,
            description=f"Image of rootless BuildKit. Default {ROOTLESS_BUILDKIT}.",
        ),
    ] = ROOTLESS_BUILDKIT

    copy_image: Annotated[
        str,
        Field(
            min_length=1,
            max_length=255,
            description=f"Image of skopeo, which pushes what was built. Default {SKOPEO}.",
        ),
    ] = SKOPEO

    credentials_image: Annotated[
        str,
        Field(
            min_length=1,
            max_length=255,
            description=f"Image of the AWS command line, which gets the password for ECR. Default {AWS_CLI}.",
        ),
    ] = AWS_CLI

    git_secret: DnsSubdomain | None = None
    """Name of a Secret in the namespace whose key token authenticates the fetch of the commit. Absent: no token."""

    pull_secret: DnsSubdomain | None = None
    """Name of a Secret of the type kubernetes.io/dockerconfigjson in the namespace, with which base images are pulled.
    A RUN in the Dockerfile can read it: it must permit pulling and nothing else. Absent: base images are pulled
    without a password."""

    cpu: CpuQuantity = "2"
    """CPUs of a Job. Default 2."""

    memory: MemoryQuantity = "4Gi"
    """Memory of a Job. Default 4Gi."""


class BuildPolicy(ApiModel):
    """How images are built from commits."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.codeBuild) != has(self.job)",
            message="set exactly one of codeBuild and job",
            holds=lambda policy: (policy.code_build is None) != (policy.job is None),
        ),
    )

    code_build: CodeBuild | None = None
    """Builds in AWS CodeBuild."""

    job: JobBuild | None = None
    """Builds as Jobs of the cluster."""

    git_url: GitUrl = GITHUB
    """Base URL of the Git repositories, to which /<source.repository>.git is added; for Azure DevOps and AWS
    CodeCommit without .git. Default https://github.com."""

    max_concurrent: Annotated[Integer, Field(ge=1, le=100)] = 5
    """Maximum number of concurrent builds, 1 to 100; the others wait. Namespaces take turns, and in each the oldest
    object comes first. Default 5."""

    max_concurrent_per_namespace: Annotated[Integer, Field(ge=1, le=100)] | None = None
    """Maximum number of concurrent builds for the objects of one namespace, 1 to 100, so that none occupies all
    builders for the time of a build. Absent: half of maxConcurrent, rounded up."""

    timeout: BuildTimeout = timedelta(minutes=30)
    """Timeout of a build, 5m to 8h. Default 30m."""

    secrets: Annotated[
        Mapping[str, SecretId],
        Field(max_length=20),
        Rule(
            cel="self.all(name, name.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$') && size(name) <= 63)",
            message="names must be DNS labels: at most 63 lowercase letters, digits and '-'",
            holds=lambda secrets: all(re.fullmatch("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name) for name in secrets),
        ),
    ] = Field(default_factory=dict)
    """Secrets that Dockerfiles may mount, at most 20, by the name that objects use: {pip-token: builds/gpu/pip-token}.
    With codeBuild they are in AWS Secrets Manager; with job they are Secrets in its namespace, with the key value.
    Default none."""

    allow_tags: bool = False
    """Whether the images that build (image, copyImage, credentialsImage) may be named by a tag alone. A tag can be
    moved to another image, which then has the passwords and secrets of every build; without a digest (@sha256:...)
    nothing is built. Default false."""

    allowed_arguments: Annotated[tuple[ArgumentName, ...], Field(max_length=50)] = ()
    """Build arguments that objects may set although BuildKit itself reads them, at most 50, as they are written:
    BUILDKIT_*, the proxies, SOURCE_DATE_EPOCH, and the platforms such as TARGETPLATFORM. BUILDKIT_SYNTAX needs
    allowedFrontends instead. Default none."""

    allowed_frontends: Annotated[tuple[FrontendGlob, ...], Field(max_length=50)] = ()
    """Frontends that a Dockerfile (# syntax=...) or the argument BUILDKIT_SYNTAX may name, at most 50, as patterns in
    which * matches any characters and ? one: docker/dockerfile@sha256:*. A frontend is an image that decides what is
    built, with the secrets and passwords of the build. Default none: only the one of the BuildKit image."""

    approve_all: bool = False
    """Whether every commit needs an approval, not only those of forks: for namespaces whose objects come from the pull
    requests themselves, which could name any repository. Default false."""

    forks: ForkPolicy = ForkPolicy.APPROVE
    """Whether commits of forks are built. Refuse: they are not built. Approve: a commit is built once a user who may
    approve objects has set the annotation ephemeral-endpoints.io/approved-build to the digest of the build, which
    covers everything in spec.model.build too. Build: they are built like all others. Default Approve."""

    @property
    def unpinned_images(self) -> tuple[str, ...]:
        """The images that build and may change, unless the class allows that."""
        images = [each.image for each in (self.job, self.code_build) if each]
        images += [each.copy_image for each in (self.job, self.code_build) if each]
        images += [self.job.credentials_image] if self.job else []
        return () if self.allow_tags else tuple(image for image in images if not _PINNED.search(image))

    @property
    def namespace_limit(self) -> int:
        """How many builds run at once for one namespace."""
        return self.max_concurrent_per_namespace or (self.max_concurrent + 1) // 2
