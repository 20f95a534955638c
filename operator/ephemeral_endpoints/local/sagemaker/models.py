"""Models: CreateModel, DescribeModel, ListModels, DeleteModel."""

from collections.abc import Mapping
from typing import Any

from ephemeral_endpoints.local.sagemaker.artifacts import refuse_missing
from ephemeral_endpoints.local.sagemaker.aws import Aws
from ephemeral_endpoints.local.sagemaker.endpoints import Deployment, Endpoint, Status
from ephemeral_endpoints.local.sagemaker.errors import validation_exception
from ephemeral_endpoints.local.sagemaker.images import image_name, resolved_digest
from ephemeral_endpoints.local.sagemaker.listing import Fields, listed
from ephemeral_endpoints.local.sagemaker.store import Body, Record, Store
from ephemeral_endpoints.local.sagemaker.tags import tags_of

_FIELDS: Fields[Record[Body]] = Fields(
    name=lambda record: record.name,
    times={"CreationTime": lambda record: record.created},
    sort_keys={"Name": lambda record: record.name, "CreationTime": lambda record: record.created.timestamp()},
)


def primary_container(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """The container that serves a model.

    Raises:
        ServiceError: `ValidationException` for a model with none, with two definitions, or with what this service
            does not run: inference pipelines and model data other than one archive.
    """
    listed_containers = model.get("Containers", [])
    primary = model.get("PrimaryContainer")
    if primary and listed_containers:
        raise validation_exception("You can only specify one of PrimaryContainer or Containers.")
    containers = [primary] if primary else listed_containers
    if len(containers) != 1:
        raise validation_exception("Exactly one container is needed: pipelines of containers are not served here.")
    container: Mapping[str, Any] = containers[0]
    if not container.get("Image"):
        raise validation_exception("Image is needed: models from model packages are not served here.")
    if container.get("ModelDataSource") or container.get("AdditionalModelDataSources"):
        raise validation_exception("Use ModelDataUrl: ModelDataSource is not served here.")
    return container


class ModelOperations:
    """The operations on models."""

    def __init__(self, store: Store, aws: Aws) -> None:
        self._store = store
        self._aws = aws

    async def create_model(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreateModel."""
        container = primary_container(request)
        if not request.get("ExecutionRoleArn"):
            raise validation_exception("ExecutionRoleArn is needed to create a model.")
        image = image_name(container["Image"], self._store.account.region)
        tags = tags_of(request)
        self._store.models.refuse_duplicate(request["ModelName"])
        if self._store.settings.now.create_model_checks:
            if await resolved_digest(image, self._aws) is None:
                raise validation_exception(f"Requested image {image.uri} not found.")
            await refuse_missing(container.get("ModelDataUrl"), self._aws)
        record = self._store.models.add(request["ModelName"], dict(request), tags)
        return {"ModelArn": record.arn}

    async def describe_model(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeModel."""
        record = self._store.models.get(request["ModelName"])
        return {"EnableNetworkIsolation": False} | record.value | _identity(record)

    async def list_models(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListModels."""
        records, token = listed(self._store.models.visible(), request, _FIELDS)
        return {"Models": [_identity(record) for record in records], "NextToken": token}

    async def delete_model(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteModel: always allowed, and noted when an endpoint still needs the model."""
        record = self._store.models.get(request["ModelName"])
        for endpoint in self._store.endpoints:
            if endpoint.value.status not in {Status.DELETING, Status.FAILED} and any(
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
