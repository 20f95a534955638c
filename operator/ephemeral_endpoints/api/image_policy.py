"""Where images come from and which of them may be served, as the platform team decides."""

import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field

from ephemeral_endpoints.api.base import ApiModel
from ephemeral_endpoints.api.image_types import (
    BuildProject,
    EcrPrefix,
    EcrRepository,
    ForeignImageGlob,
    GitUrl,
    ImageRepositoryGlob,
    KeyArn,
    SecretId,
)
from ephemeral_endpoints.api.rules import Rule, matches
from ephemeral_endpoints.api.types import AtLeastAMinute, BuildTimeout, DnsLabel, Integer

PRICE: Final = "[0-9]{1,4}([.][0-9]{1,6})?"
"""A price in USD."""

FindingId = Annotated[str, Field(max_length=64), matches("[A-Za-z0-9-]+", "must be an id such as CVE-2026-1234")]


class Severity(StrEnum):
    """How bad a finding of an image scan is (https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning.html)."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"
    CRITICAL = "Critical"


class ScanPolicy(ApiModel):
    """What must not be found in an image."""

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
            message="give either name, for a repository that exists, or prefix and kmsKeyArn of the one to be made",
            holds=lambda one: one.name is None or (one.prefix is None and one.kms_key_arn is None),
        ),
        Rule(
            cel=" && ".join(
                f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})"
                for name in ("name", "prefix", "kmsKeyArn")
            ),
            message="name, prefix and kmsKeyArn cannot change, because the images that are served are in there: make "
            "another class",
        ),
    )

    name: EcrRepository | None = None
    """Name of a repository in the class's own account and region that is used as it is: its settings and what is in it
    are yours, and nothing in it is ever deleted. Absent: one is made, with immutable tags, scans, and rules that expire
    what nobody uses; it goes with the class."""

    prefix: EcrPrefix | None = None
    """Folders in front of the name of the repository that is made, such as previews/. It cannot change."""

    kms_key_arn: KeyArn | None = None
    """ARN of the key of AWS KMS that encrypts the repository that is made; it cannot change. Absent: S3's own
    encryption."""

    keep_images: bool = False
    """Whether images stay that no object names any more, until they are twice as old as any object can get. Default
    false."""


class ImagePolicy(ApiModel):
    """Which images may be served."""

    repository: ImageRepository = ImageRepository()
    """The repository that images are built and copied to."""

    scan: ScanPolicy | None = None
    """What must not be found in an image by ECR's scans. Absent: findings do not matter."""

    follow_tags: AtLeastAMinute | None = None
    """How often the tags of images that somebody pushes are looked up again, at least 1m: where one has moved, the
    endpoint is updated. Absent: a tag is looked up once for every change of an object's spec."""

    allowed_sources: Annotated[tuple[ForeignImageGlob, ...], Field(max_length=100)] = ()
    """Images of other registries that may be copied, at most 100, as patterns without a tag: public.ecr.aws/acme/*. A
    registry that is an address has to be written out. Copies are made by the class's builder. Default none."""

    allowed_repositories: Annotated[tuple[ImageRepositoryGlob, ...], Field(max_length=100)] = ()
    """Repositories whose images may be served, at most 100, as patterns without a tag in which * stands for any
    characters (slashes too) and ? for one: 123456789012.dkr.ecr.eu-central-1.amazonaws.com/ml/*. Empty: every
    repository of the class's own account and region. Default empty."""


class ForkPolicy(StrEnum):
    """What is done about commits of forks."""

    REFUSE = "Refuse"
    APPROVE = "Approve"
    BUILD = "Build"


class CodeBuild(ApiModel):
    """Builds in AWS CodeBuild."""

    project: BuildProject
    """Name of the project in the class's account and region; its role must be able to push to the class's repository
    and to nothing else. It needs privileged mode, for Docker. Source, buildspec and variables are given at every
    start."""

    price_per_minute: Annotated[
        str, Field(max_length=12), matches(PRICE, 'must be a price in USD a minute, in quotes: "0.005"')
    ] = "0.005"
    """What a minute costs, in USD, in quotes, for the metric of what builds cost. The default is the price of
    general1.small on Linux in us-east-1. Default 0.005."""


class JobBuild(ApiModel):
    """Builds as Jobs of the cluster, by rootless BuildKit."""

    namespace: DnsLabel
    """Namespace of the Jobs: one for them alone, since commits of pull requests run there."""

    service_account_name: DnsLabel
    """Their ServiceAccount, with an IAM role that can push to the class's repository and to nothing else."""

    image: Annotated[str, Field(min_length=1, max_length=255)] = "docker.io/moby/buildkit:v0.25.1-rootless"
    """Image of rootless BuildKit. Default docker.io/moby/buildkit:v0.25.1-rootless."""

    credentials_image: Annotated[str, Field(min_length=1, max_length=255)] = "public.ecr.aws/aws-cli/aws-cli:2.31.0"
    """Image of the AWS command line, which gets the password for ECR. Default public.ecr.aws/aws-cli/aws-cli:2.31.0."""

    git_secret: DnsLabel | None = None
    """Name of a Secret in the namespace whose key token is sent when the commit is fetched. Absent: none is sent."""

    cpu: Annotated[str, Field(max_length=16), matches("[0-9]{1,5}m?", "must be CPUs such as 2 or 500m")] = "2"
    """CPUs of a Job. Default 2."""

    memory: Annotated[str, Field(max_length=16), matches("[0-9]{1,6}(Mi|Gi)", "must be memory such as 4Gi")] = "4Gi"
    """Memory of a Job. Default 4Gi."""


class BuildPolicy(ApiModel):
    """How images are built from commits."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.codeBuild) != has(self.job)",
            message="give exactly one of codeBuild and job",
            holds=lambda policy: (policy.code_build is None) != (policy.job is None),
        ),
    )

    code_build: CodeBuild | None = None
    """Builds in AWS CodeBuild."""

    job: JobBuild | None = None
    """Builds as Jobs of the cluster."""

    git_url: GitUrl = "https://github.com"
    """Where repositories are: below it is <source.repository>.git. Default https://github.com."""

    max_concurrent: Annotated[Integer, Field(ge=1, le=100)] = 5
    """Most builds at the same time, 1 to 100; the others wait: namespaces take turns, and in each the oldest object is
    first. Default 5."""

    timeout: BuildTimeout = timedelta(minutes=30)
    """A build that takes longer is ended, 5m to 8h. Default 30m."""

    secrets: Annotated[
        Mapping[str, SecretId],
        Field(max_length=20),
        Rule(
            cel="self.all(name, name.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$') && size(name) <= 63)",
            message="must have names that are DNS labels: lowercase letters, digits and '-'",
            holds=lambda secrets: all(re.fullmatch("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name) for name in secrets),
        ),
    ] = Field(default_factory=dict)
    """Secrets that Dockerfiles may mount, at most 20, by the name that objects ask for: {pip-token: builds/pip-token}.
    With codeBuild they are of AWS Secrets Manager, with job they are Secrets of its namespace, key value. Default
    none."""

    approve_all: bool = False
    """Whether every commit needs the approval that commits of forks need: for namespaces whose objects come from the
    pull requests themselves, which could name any repository. Default false."""

    forks: ForkPolicy = ForkPolicy.APPROVE
    """What is done about commits of forks. Refuse: they are not built. Approve: each is built once somebody who may
    approve objects has set the annotation ephemeral-endpoints.io/approved-revision to it. Build: they are built like
    all others. Default Approve."""
