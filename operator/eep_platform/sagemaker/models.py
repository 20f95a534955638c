"""Models: CreateModel, DescribeModel, ListModels, DeleteModel."""

from collections.abc import Mapping
from typing import Any

from eep_platform.emulation.aws import Aws
from eep_platform.emulation.errors import validation_exception
from eep_platform.sagemaker.artifacts import Source, refuse_absent
from eep_platform.sagemaker.endpoints import Deployment, Endpoint, EndpointStatus
from eep_platform.sagemaker.errors import manifest_refused
from eep_platform.sagemaker.images import image_name, resolved_image
from eep_platform.sagemaker.listing import RESOURCE_FIELDS, listed
from eep_platform.sagemaker.registry.package import deployable
from eep_platform.sagemaker.store import Body, Collection, Record, Store
from eep_platform.sagemaker.tags import tags_of


def primary_container(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """The container that serves a model.

    Raises:
        ServiceError: `ValidationException` for a model with no container, with two definitions of it, or with what this
            service does not support: inference pipelines, multi-model containers and images from private registries.
    """
    container = _only_container(model)
    if not container.get("Image"):
        raise validation_exception("Image or ModelPackageName is needed.")
    for member, served in (("Mode", "SingleModel"), ("ImageConfig", {"RepositoryAccessMode": "Platform"})):
        if container.get(member, served) != served:
            raise validation_exception(f"Only {member} {served} is served here.")
    return container


def unpacked(request: Mapping[str, Any], packages: Collection[Body]) -> dict[str, Any]:
    """A CreateModel request with what its model package says of the container, if it names one.

    Raises:
        ServiceError: `ValidationException` for no such package, one that may not be deployed, and a container that
            says itself what is its package's to say.
    """
    given = _only_container(request)
    if not given.get("ModelPackageName"):
        return dict(request)
    container = deployable(packages.named(given["ModelPackageName"]), given)
    if request.get("Containers"):
        return {**request, "Containers": [container]}
    return {**request, "PrimaryContainer": container}


def _only_container(model: Mapping[str, Any]) -> Mapping[str, Any]:
    listed_containers = model.get("Containers", [])
    primary = model.get("PrimaryContainer")
    if primary and listed_containers:
        raise validation_exception("You can only specify one of PrimaryContainer or Containers.")
    containers = [primary] if primary else listed_containers
    if len(containers) != 1:
        raise validation_exception("Exactly one container is needed: pipelines of containers are not served here.")
    container: Mapping[str, Any] = containers[0]
    return container


def data_of(container: Mapping[str, Any]) -> Source | None:
    """Where the data of a container is; None if the image contains it.

    Raises:
        ServiceError: `ValidationException` for two definitions of it, see also `Source.of`.
    """
    url, definition = container.get("ModelDataUrl"), container.get("ModelDataSource")
    if url and definition:
        raise validation_exception("You can only specify one of ModelDataUrl or ModelDataSource.")
    if definition:
        return Source.of(definition)
    return Source(url) if url else None


def additional_data_of(container: Mapping[str, Any]) -> dict[str, Source]:
    """Where the additional data of a container is, by the names of the channels; raises like `data_of`."""
    definitions = container.get("AdditionalModelDataSources", [])
    found = {each["ChannelName"]: Source.of(each) for each in definitions}
    if len(found) < len(definitions):
        raise validation_exception("The ChannelNames of AdditionalModelDataSources must be unique.")
    return found


class ModelOperations:
    """The operations on models."""

    def __init__(self, store: Store, aws: Aws) -> None:
        self._store = store
        self._aws = aws

    async def create_model(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreateModel."""
        model = unpacked(request, self._store.packages)
        container = primary_container(model)
        if not request.get("ExecutionRoleArn"):
            raise validation_exception("ExecutionRoleArn is needed to create a model.")
        image = image_name(container["Image"], self._store.account.region)
        tags = tags_of(request)
        data, additional = data_of(container), additional_data_of(container)
        self._store.models.refuse_duplicate(request["ModelName"])
        found = await resolved_image(image, self._aws)
        if found is not None and not found.is_servable:
            raise validation_exception(manifest_refused(found.media_type, image.uri))
        if self._store.settings.now.create_model_checks:
            if found is None:
                raise validation_exception(f"Requested image {image.uri} not found.")
            for source in (data, *additional.values()):
                await refuse_absent(source, self._aws)
        record = self._store.models.add(request["ModelName"], model, tags)
        return {"ModelArn": record.arn}

    async def describe_model(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeModel."""
        record = self._store.models.get(request["ModelName"])
        return {"EnableNetworkIsolation": False} | record.value | _identity(record)

    async def list_models(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListModels."""
        records, token = listed(self._store.models.visible(), request, RESOURCE_FIELDS)
        return {"Models": [_identity(record) for record in records], "NextToken": token}

    async def delete_model(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteModel: always allowed; records a violation if an endpoint still needs the model."""
        record = self._store.models.get(request["ModelName"])
        for endpoint in self._store.endpoints:
            if endpoint.value.status not in {EndpointStatus.DELETING, EndpointStatus.FAILED} and any(
                _uses(deployment, record.name) for deployment in _deployments(endpoint.value)
            ):
                detail = f"endpoint {endpoint.name} is {endpoint.value.status} with this model"
                self._store.note("ModelInUseDeleted", record.arn, detail)
        self._store.models.remove(record.name)
        return {}


def _identity(record: Record[Body]) -> dict[str, Any]:
    return {"ModelName": record.name, "ModelArn": record.arn, "CreationTime": record.created}


def _deployments(endpoint: Endpoint) -> list[Deployment]:
    return [deployment for deployment in (endpoint.current, endpoint.pending) if deployment]


def _uses(deployment: Deployment, model: str) -> bool:
    return any(str(variant.body["ModelName"]).lower() == model.lower() for variant in deployment.variants)
