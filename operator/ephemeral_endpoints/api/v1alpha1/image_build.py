"""How an image is built from a commit."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.image_types import BuildArguments, RepositoryPath, StageName
from ephemeral_endpoints.api.v1alpha1.types import DnsLabel


class Platform(StrEnum):
    """The platform of an image."""

    AMD64 = "linux/amd64"
    ARM64 = "linux/arm64"


class ImageBuild(ApiModel):
    """How the image is built from the commit."""

    context: RepositoryPath = "."
    """Folder of the repository that the Dockerfile may copy from, such as models/sentiment. . is the root. Default
    .."""

    dockerfile: RepositoryPath = "Dockerfile"
    """Path of the Dockerfile within the context. Default Dockerfile."""

    target: StageName | None = None
    """The stage of the Dockerfile to build. Absent: the last."""

    arguments: BuildArguments = Field(default_factory=dict)
    """Build arguments, at most 50. Everyone who may pull the image can read them, so use no secrets. MODEL_REVISION is
    always set to the commit."""

    secrets: Annotated[tuple[DnsLabel, ...], Field(max_length=10)] = ()
    """Names of secrets of the class, at most 10, for RUN --mount=type=secret,id=<name>. They leave no trace in the
    image."""

    platform: Platform = Platform.AMD64
    """Platform of the image: linux/amd64, or linux/arm64 for Graviton instances. Default linux/amd64."""
