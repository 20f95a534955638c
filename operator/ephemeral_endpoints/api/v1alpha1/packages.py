"""Model packages of the SageMaker Model Registry: which one an object serves, and which ones a class lets it serve."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from ephemeral_endpoints.api.rules import Rule, matches
from ephemeral_endpoints.api.v1alpha1.base import TOLERANT, ApiModel
from ephemeral_endpoints.api.v1alpha1.types import Integer

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackageGroup.html
GROUP_NAME = "[A-Za-z0-9](-*[A-Za-z0-9]){0,62}"
_GLOB = "[A-Za-z0-9*?-]{1,63}"

PackageGroup = Annotated[
    str,
    Field(max_length=63),
    matches(
        GROUP_NAME,
        "must be the name of a model package group: at most 63 letters, digits and '-', with a letter or digit at "
        "both ends",
    ),
]

PackageArn = Annotated[
    str,
    Field(max_length=256),
    matches(
        f"arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:[0-9]{{12}}:model-package/{GROUP_NAME}/[1-9][0-9]{{0,8}}",
        "must be the ARN of a version: arn:aws:sagemaker:<region>:<account>:model-package/<group>/<version>",
    ),
]

PackageGroupGlob = Annotated[
    str,
    Field(max_length=76),
    matches(
        f"([0-9]{{12}}/)?{_GLOB}",
        "must be the name of a model package group in which * matches any characters and ? one, such as wine-*; one of "
        "another account has the account before it: 123456789012/wine",
    ),
]


class Approval(StrEnum):
    """Whether people, or the gate of a training, have approved a version in the registry."""

    APPROVED = "Approved"
    REJECTED = "Rejected"
    PENDING = "PendingManualApproval"


class ModelPackage(ApiModel):
    """A version of a model in the SageMaker Model Registry: its image, its data and its environment."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.group) != has(self.arn)",
            message="set exactly one of group, for a group in the class's account, and arn, for a version of any",
            holds=lambda package: (package.group is None) != (package.arn is None),
        ),
        Rule(
            cel="!has(self.version) || has(self.group)",
            message="version needs group: an arn names its version",
            holds=lambda package: package.version is None or package.group is not None,
        ),
    )

    group: PackageGroup | None = None
    """Name of a model package group in the account and region of the class, which must allow it."""

    version: Annotated[Integer, Field(ge=1, le=999_999_999)] | None = None
    """The version that is served. Absent: the latest one that is approved, and each later one once it is."""

    arn: PackageArn | None = None
    """ARN of a version, in the region of the class; for groups of other accounts, whose policies must admit the class's
    account."""

    @property
    def group_name(self) -> str:
        """The group, named or by the ARN."""
        return self.group or (self.arn or "").rpartition(":model-package/")[2].partition("/")[0]


class PackagePolicy(ApiModel):
    """Which model packages the class's objects may serve and register."""

    groups: Annotated[tuple[PackageGroupGlob, ...], Field(min_length=1, max_length=50)]
    """Model package groups, at most 50, as patterns in which * stands for any characters and ? for one. Each also
    allows the group <name>-previews, of the packages that pull requests register. One of another account has the
    account before it: 123456789012/wine."""

    allow_unapproved: bool = True
    """Whether objects may serve a version that nobody has approved or rejected yet, if they name it. Otherwise they
    wait for its approval. Default true."""


class PackageStatus(ApiModel):
    """The version of a model package that the object serves, or is about to."""

    model_config = TOLERANT

    arn: str
    """ARN of the version."""

    approval: str
    """Its approval in the registry as last read: Approved, Rejected or PendingManualApproval."""
