"""The model that is served, and where its image comes from."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from ephemeral_endpoints.api.rules import Rule
from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.image_types import BuildArguments, ForeignImage, Image, RepositoryPath, StageName
from ephemeral_endpoints.api.v1alpha1.model_data import AdditionalData, EnvironmentSource, ModelData
from ephemeral_endpoints.api.v1alpha1.types import DnsLabel, Environment


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


class ImageCopy(ApiModel):
    """An image of another registry, account or region that is copied for SageMaker."""

    image: ForeignImage
    """The image with its registry, and a tag or a digest: public.ecr.aws/acme/model:1.2. A tag is looked up
    again for every revision."""


class Model(ModelData):
    """The model that is served."""

    rules: ClassVar[tuple[Rule, ...]] = (
        *ModelData.rules,
        Rule(
            cel="[has(self.image), has(self.build), has(self.copy)].filter(given, given).size() == 1",
            message="set exactly one of image (pushed to ECR by your pipeline), build (built from the commit) and copy "
            "(copied from another registry)",
            holds=lambda model: [model.image, model.build, model.copy_of].count(None) == 2,  # noqa: PLR2004 - of three
        ),
    )

    image: Image | None = None
    """Image of the model server in Amazon ECR, with a tag or a digest:
    <account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>. The operator waits until it is pushed, and resolves a
    tag to a digest once for every change of the spec, unless the class follows tags; status.image shows the digest. The
    server must answer GET /ping and POST /invocations on port 8080."""

    build: ImageBuild | None = None
    """How the image is built from the commit, if the class builds images."""

    copy_of: Annotated[ImageCopy | None, Field(alias="copy")] = None
    """An image of another registry, account or region, which is copied to the class's repository if the class allows
    it."""

    additional_data: Annotated[
        tuple[AdditionalData, ...],
        Field(
            max_length=5,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = ()
    """Further files for the model, such as adapters or a draft model, at most 5. Needs serving.instances."""

    environment: Environment = Field(default_factory=dict)
    """Environment variables of the container: at most 100, names and values of at most 1024 characters, 32 KiB in all.
    Everyone who may read the object, or describe the model in SageMaker, can read them: no secrets. Pass the ARN of a
    secret instead, and have the model server read it with the execution role."""

    environment_from: Annotated[
        tuple[EnvironmentSource, ...],
        Field(
            max_length=50,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = ()
    """Environment variables whose values are in ConfigMaps, at most 50; a variable of the same name in environment
    takes precedence. They count towards the limits of environment, and are as readable."""
