"""Endpoints: the operations to create, describe, list, update, rescale and delete them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ephemeral_endpoints.local.sagemaker.endpoints import (
    IN_PROGRESS,
    Deployment,
    Endpoint,
    Status,
    Variant,
    creating,
    deployment,
)
from ephemeral_endpoints.local.sagemaker.errors import validation_exception
from ephemeral_endpoints.local.sagemaker.lifecycle import EndpointRecord, Lifecycle
from ephemeral_endpoints.local.sagemaker.listing import Fields, listed
from ephemeral_endpoints.local.sagemaker.quotas import refuse_excess
from ephemeral_endpoints.local.sagemaker.store import Store
from ephemeral_endpoints.local.sagemaker.tags import tags_of

_FIELDS: Fields[EndpointRecord] = Fields(
    name=lambda record: record.name,
    times={"CreationTime": lambda record: record.created, "LastModifiedTime": lambda record: record.value.modified},
    sort_keys={
        "Name": lambda record: record.name,
        "CreationTime": lambda record: record.created.timestamp(),
        "Status": lambda record: record.value.status,
    },
)


class EndpointOperations:
    """The operations on endpoints."""

    def __init__(self, store: Store, lifecycle: Lifecycle) -> None:
        self._store = store
        self._lifecycle = lifecycle

    async def create_endpoint(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreateEndpoint."""
        store, name = self._store, request["EndpointName"]
        tags = tags_of(request)
        store.endpoints.refuse_duplicate(name)
        pending = self._deployment(request["EndpointConfigName"])
        self._refuse_excess(None, pending)
        endpoint = creating(name, store.endpoints.arn(name), pending, request.get("DeploymentConfig", {}))
        record = store.endpoints.add(name, endpoint, tags)
        self._lifecycle.begin(record, endpoint, self._lifecycle.create(record))
        return {"EndpointArn": record.arn}

    async def describe_endpoint(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeEndpoint."""
        return described(self._store.endpoints.get(request["EndpointName"]).value)

    async def list_endpoints(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListEndpoints."""
        wanted = request.get("StatusEquals")
        found = (record for record in self._store.endpoints.visible() if wanted in {None, record.value.status})
        records, token = listed(found, request, _FIELDS)
        return {"Endpoints": [_summary(record.value) for record in records], "NextToken": token}

    async def update_endpoint(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """UpdateEndpoint."""
        record = self._store.endpoints.get(request["EndpointName"])
        record.value.refuse_change()
        self._refuse_lost_config(record)
        pending = self._deployment(request["EndpointConfigName"])
        if request.get("RetainAllVariantProperties"):
            excluded = {kind["VariantPropertyType"] for kind in request.get("ExcludeRetainedVariantProperties", ())}
            pending = retaining(pending, record.value.shown, excluded)
        _refuse_way_back(record.value.shown, pending)
        self._refuse_excess(record.value, pending)
        retained = record.value.deployment_config if request.get("RetainDeploymentConfig") else {}
        config = request.get("DeploymentConfig", retained)
        endpoint = record.value.update(pending, config, self._store.clock())
        self._lifecycle.begin(record, endpoint, self._lifecycle.update(record))
        return {"EndpointArn": record.arn}

    async def update_endpoint_weights_and_capacities(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """UpdateEndpointWeightsAndCapacities."""
        record = self._store.endpoints.get(request["EndpointName"])
        record.value.refuse_change()
        self._refuse_lost_config(record)
        pending = rescaled(record.value.shown, request["DesiredWeightsAndCapacities"])
        pending = replace(pending, started=self._store.clock())
        self._refuse_excess(record.value, pending)
        endpoint = record.value.update(pending, record.value.deployment_config, self._store.clock())
        self._lifecycle.begin(record, endpoint, self._lifecycle.rescale(record))
        return {"EndpointArn": record.arn}

    async def delete_endpoint(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteEndpoint."""
        record = self._store.endpoints.get(request["EndpointName"])
        endpoint = record.value.delete(self._store.clock())
        self._lifecycle.begin(record, endpoint, self._lifecycle.delete(record))
        return {}

    def _deployment(self, config_name: str) -> Deployment:
        config = self._store.configs.get(config_name)
        for variant in config.value["ProductionVariants"]:
            self._store.models.get(variant["ModelName"])
        return deployment(config.name, config.value, self._store.clock())

    def _refuse_lost_config(self, record: EndpointRecord) -> None:
        # DeleteEndpointConfig forbids deleting it: without its present configuration an endpoint cannot be changed.
        self._store.configs.get(record.value.shown.config_name)

    def _refuse_excess(self, before: Endpoint | None, after: Deployment) -> None:
        existing = (record.value for record in self._store.endpoints)
        refuse_excess(self._store.settings.now.quotas, existing, before, after)


def described(endpoint: Endpoint) -> dict[str, Any]:
    """DescribeEndpoint's answer; pure. `EndpointConfigName` is the one that serves until an update has succeeded."""
    started = endpoint.status not in {Status.CREATING, Status.FAILED}
    answer = _summary(endpoint) | {
        "EndpointConfigName": endpoint.shown.config_name,
        "ProductionVariants": [_variant(endpoint, variant, started=started) for variant in endpoint.shown.variants],
        "FailureReason": endpoint.failure_reason or None,
        "LastDeploymentConfig": endpoint.deployment_config or None,
    }
    if endpoint.status is Status.UPDATING and endpoint.pending:
        answer["PendingDeploymentSummary"] = {
            "EndpointConfigName": endpoint.pending.config_name,
            "ProductionVariants": [_variant(endpoint, variant, started=False) for variant in endpoint.pending.variants],
            "StartTime": endpoint.pending.started,
        }
    return answer


def rescaled(present: Deployment, desired: list[Mapping[str, Any]]) -> Deployment:
    """The deployment with the weights and instance counts asked for; pure.

    Raises:
        ServiceError: A variant is not there, or is serverless and asked for instances.
    """
    changes = {change["VariantName"]: change for change in desired}
    variants = {variant.name: variant for variant in present.variants}
    for name, change in changes.items():
        if name not in variants:
            raise validation_exception(f'Could not find variant "{name}".')
        if variants[name].serverless and "DesiredInstanceCount" in change:
            raise validation_exception(f"Variant {name} is serverless and has no instances.")
        variants[name] = replace(
            variants[name],
            weight=float(change.get("DesiredWeight", variants[name].weight)),
            instance_count=int(change.get("DesiredInstanceCount", variants[name].instance_count)),
        )
    return replace(present, variants=tuple(variants.values()))


def retaining(pending: Deployment, present: Deployment, excluded: set[str]) -> Deployment:
    """The deployment with the weights and counts of same-named variants kept, but for the `excluded`; pure."""
    old = {variant.name: variant for variant in present.variants}

    def kept(variant: Variant) -> Variant:
        before = old.get(variant.name, variant)
        return replace(
            variant,
            weight=variant.weight if "DesiredWeight" in excluded else before.weight,
            instance_count=variant.instance_count if "DesiredInstanceCount" in excluded else before.instance_count,
        )

    return replace(pending, variants=tuple(map(kept, pending.variants)))


def _refuse_way_back(present: Deployment, pending: Deployment) -> None:
    on_instances = any(variant.serverless is None for variant in present.variants)
    if on_instances and any(variant.serverless for variant in pending.variants):
        raise validation_exception("An endpoint on instances cannot be updated to a serverless one.")


def _summary(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointStatus": endpoint.status,
        "CreationTime": endpoint.created,
        "LastModifiedTime": endpoint.modified,
    }


def _variant(endpoint: Endpoint, variant: Variant, *, started: bool) -> dict[str, Any]:
    status = "Creating" if not started else "Updating"
    in_progress = endpoint.status in IN_PROGRESS
    return {
        "VariantName": variant.name,
        "DeployedImages": list(variant.images) or None,
        "CurrentWeight": variant.weight if started else 0.0,
        "DesiredWeight": variant.weight,
        "CurrentInstanceCount": variant.instance_count if started else 0,
        "DesiredInstanceCount": None if variant.serverless else variant.instance_count,
        "InstanceType": variant.body.get("InstanceType"),
        "CurrentServerlessConfig": variant.serverless if started else None,
        "DesiredServerlessConfig": None if started else variant.serverless,
        "VariantStatus": [{"Status": status, "StartTime": endpoint.modified}] if in_progress else None,
    }
