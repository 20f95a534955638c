"""The model that is served, and where its image comes from."""

from typing import Annotated, ClassVar

from pydantic import Field

from ephemeral_endpoints.api.rules import Rule
from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.image_build import ImageBuild
from ephemeral_endpoints.api.v1alpha1.image_types import ForeignImage, Image
from ephemeral_endpoints.api.v1alpha1.model_data import AdditionalData, EnvironmentFrom, ModelData
from ephemeral_endpoints.api.v1alpha1.packages import ModelPackage
from ephemeral_endpoints.api.v1alpha1.training import Training
from ephemeral_endpoints.api.v1alpha1.types import Environment


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
            # https://kubernetes.io/docs/reference/using-api/cel/#escaping
            cel="[has(self.image), has(self.build), has(self.copy), has(self.__package__),"
            " has(self.training)].filter(given, given).size() == 1",
            message="set exactly one of image (pushed to ECR by your pipeline), build (built from the commit), copy "
            "(copied from another registry), package (of the SageMaker Model Registry) and training (trained by the "
            "commit)",
            holds=lambda model: len([each for each in model.origins if each]) == 1,
        ),
        Rule(
            cel="!has(self.training) || !(has(self.dataUrl) || has(self.s3Prefix))",
            message="dataUrl and s3Prefix must not be set with training, which makes the data of the model",
            holds=lambda model: model.training is None or not (model.data_url or model.s3_prefix),
        ),
        Rule(
            cel="!has(self.__package__) || !(has(self.dataUrl) || has(self.s3Prefix)"
            " || (has(self.additionalData) && size(self.additionalData) > 0))",
            message="dataUrl, s3Prefix and additionalData must not be set with package, which brings its own data",
            holds=lambda model: (
                model.package is None or not (model.data_url or model.s3_prefix or model.additional_data)
            ),
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

    package: ModelPackage | None = None
    """A version of a model in the SageMaker Model Registry, with its image, data and environment, if the class allows
    its group."""

    training: Training | None = None
    """How the model is trained on data in S3, if the class trains models. The image and the model data that serve are
    those of the package that the training registers."""

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

    environment_from: EnvironmentFrom = ()
    """Environment variables whose values are in ConfigMaps, at most 50; a variable of the same name in environment
    takes precedence. They count towards the limits of environment, and are as readable."""

    @property
    def origins(self) -> tuple[object, ...]:
        """Where the image may come from, of which exactly one is set."""
        return (self.image, self.build, self.copy_of, self.package, self.training)

    @property
    def pushed_image(self) -> str | None:
        """The image that another client pushes; None where there is none."""
        return self.training.image.uri if self.training else self.image

    @property
    def built(self) -> ImageBuild | None:
        """How the image is built from the commit; None where it is not."""
        return self.training.image.build if self.training else self.build

    @property
    def is_made(self) -> bool:
        """Whether the operator makes the image: builds or copies it."""
        return self.built is not None or self.copy_of is not None
