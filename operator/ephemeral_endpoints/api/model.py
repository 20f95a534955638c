"""The model that is served, and where its image comes from."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from ephemeral_endpoints.api.base import ApiModel
from ephemeral_endpoints.api.image_types import BuildArguments, ForeignImage, Image, RepositoryPath, StageName
from ephemeral_endpoints.api.rules import Rule
from ephemeral_endpoints.api.types import DnsLabel, Environment, ModelDataUrl


class Platform(StrEnum):
    """What an image runs on."""

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
    """Build arguments, at most 50, which everyone who may pull the image can read: no secrets. MODEL_REVISION is
    always given: the commit."""

    secrets: Annotated[tuple[DnsLabel, ...], Field(max_length=10)] = ()
    """Names of secrets of the class, at most 10, for RUN --mount=type=secret,id=<name>. They leave no trace in the
    image."""

    platform: Platform = Platform.AMD64
    """What the image is built for: linux/amd64, or linux/arm64 for instances with Graviton. Default linux/amd64."""


class ImageCopy(ApiModel):
    """An image elsewhere, of which SageMaker gets a copy."""

    image: ForeignImage
    """The image with its registry, and a tag or a digest: public.ecr.aws/acme/model:1.2. A tag is looked up anew for
    every revision."""


class Model(ApiModel):
    """The model that is served."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="[has(self.image), has(self.build), has(self.copy)].filter(given, given).size() == 1",
            message="give exactly one of image (which somebody pushes to ECR), build (from the commit) and copy (of an "
            "image of another registry)",
            holds=lambda model: [model.image, model.build, model.copy_of].count(None) == 2,  # noqa: PLR2004 - of three
        ),
    )

    image: Image | None = None
    """Image of the model server in Amazon ECR, with a tag or a digest:
    <account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>. It is waited for until it is pushed. A tag is resolved
    to a digest once for every change of the spec, unless the class follows tags; status.image shows which. The server
    answers GET /ping and POST /invocations on port 8080."""

    build: ImageBuild | None = None
    """How the image is built from the commit, if the class builds images."""

    copy_of: Annotated[ImageCopy | None, Field(alias="copy")] = None
    """An image of another registry, account or region, which is copied to where SageMaker can read it, if the class
    allows that."""

    data_url: ModelDataUrl | None = None
    """S3 URL of the model's archive, s3://<bucket>/<key>.tar.gz, in the region of the class; it is unpacked into
    /opt/ml/model. Absent: the image contains its model."""

    environment: Environment = Field(default_factory=dict)
    """Environment variables of the container: at most 100, names and values of at most 1024 characters, 32 KiB in all.
    Everyone who may read the object can read them: no secrets."""
