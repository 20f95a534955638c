"""What a version of a model package brings to the models of an object."""

from dataclasses import dataclass
from typing import Final

from ephemeral_endpoints.api.v1alpha1.model_data import ModelData
from ephemeral_endpoints.api.v1alpha1.packages import ModelPackage
from ephemeral_endpoints.engine.resources import ResourceKind

PACKAGE_GROUP: Final = ResourceKind("ModelPackageGroup", None)
"""A group of model packages, which trainings make and no plan does."""


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """The content of the version that ``asked`` was resolved to; ``image`` is named by its digest.

    One that ``is_direct`` is not approved, so that SageMaker makes no model of the package itself.
    """

    asked: ModelPackage
    arn: str
    image: str
    data: ModelData
    environment: tuple[tuple[str, str], ...] = ()
    is_direct: bool = False
