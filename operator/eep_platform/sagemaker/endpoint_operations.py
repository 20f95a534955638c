"""Endpoints: the operations to create, describe, list, update, rescale and delete them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from eep_platform.emulation.aws import Aws
from eep_platform.emulation.errors import validation_exception
from eep_platform.sagemaker.alarms import refuse_missing
from eep_platform.sagemaker.configs import refuse_provisioned_excess
from eep_platform.sagemaker.describing import described, summary
from eep_platform.sagemaker.endpoints import Deployment, Endpoint, Variant, creating, deployment
from eep_platform.sagemaker.guardrails import rollout
from eep_platform.sagemaker.lifecycle import EndpointRecord, Lifecycle
from eep_platform.sagemaker.listing import RESOURCE_FIELDS, listed
from eep_platform.sagemaker.quotas import refuse_excess
from eep_platform.sagemaker.scaling import Scaling
from eep_platform.sagemaker.store import Store
from eep_platform.sagemaker.tags import tags_of

_FIELDS = replace(
    RESOURCE_FIELDS,
    times={**RESOURCE_FIELDS.times, "LastModifiedTime": lambda record: record.value.modified},
    sort_keys={**RESOURCE_FIELDS.sort_keys, "Status": lambda record: record.value.status},
)


class EndpointOperations:
    """The operations on endpoints."""

    def __init__(self, store: Store, lifecycle: Lifecycle, aws: Aws, scaling: Scaling) -> None:
        self._store = store
        self._lifecycle = lifecycle
        self._aws = aws
        self._scaling = scaling

    async def create_endpoint(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreateEndpoint."""
        store, name = self._store, request["EndpointName"]
        tags = tags_of(request)
        store.endpoints.refuse_duplicate(name)
        pending = self._deployment(request["EndpointConfigName"])
        config = request.get("DeploymentConfig", {})
        await refuse_missing(self._aws, rollout(config, None, pending).alarms)
        self._refuse_excess(None, pending)
        endpoint = creating(name, store.endpoints.arn(name), pending, config)
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
        return {"Endpoints": [summary(record.value) for record in records], "NextToken": token}

    async def update_endpoint(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """UpdateEndpoint."""
        record = self._store.endpoints.get(request["EndpointName"])
        pending, config = self._asked(record, request)
        plan = rollout(config, record.value.shown, pending)
        await refuse_missing(self._aws, plan.alarms)
        pending = replace(pending, surge=plan.surge)
        self._refuse_excess(record.value, pending)
        endpoint = record.value.update(pending, config, self._store.clock())
        self._lifecycle.begin(record, endpoint, self._lifecycle.update(record, plan))
        return {"EndpointArn": record.arn}

    async def update_endpoint_weights_and_capacities(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """UpdateEndpointWeightsAndCapacities."""
        record = self._store.endpoints.get(request["EndpointName"])
        record.value.refuse_change()
        self._refuse_lost_config(record)
        pending = rescaled(record.value.shown, request["DesiredWeightsAndCapacities"])
        pending = replace(pending, started=self._store.clock(), surge=0)
        self._refuse_excess(record.value, pending)
        endpoint = record.value.update(pending, record.value.deployment_config, self._store.clock())
        self._lifecycle.begin(record, endpoint, self._lifecycle.rescale(record))
        return {"EndpointArn": record.arn}

    async def delete_endpoint(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteEndpoint."""
        record = self._store.endpoints.get(request["EndpointName"])
        endpoint = record.value.delete(self._store.clock())
        self._lifecycle.begin(record, endpoint, self._lifecycle.delete(record))
        await self._scaling.forget(record.name)
        return {}

    def _asked(self, record: EndpointRecord, request: Mapping[str, Any]) -> tuple[Deployment, Mapping[str, Any]]:
        """The deployment that an update requests, and the configuration of its rollout; raises the service's errors."""
        present = record.value.shown
        record.value.refuse_change()
        self._refuse_lost_config(record)
        pending = self._deployment(request["EndpointConfigName"])
        if request.get("RetainAllVariantProperties"):
            excluded = {kind["VariantPropertyType"] for kind in request.get("ExcludeRetainedVariantProperties", ())}
            pending = retaining(pending, present, excluded)
        _refuse_way_back(present, pending)
        self._scaling.refuse_update(record.name, present, pending)
        retained = record.value.deployment_config if request.get("RetainDeploymentConfig") else {}
        return pending, request.get("DeploymentConfig", retained)

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


def rescaled(present: Deployment, desired: list[Mapping[str, Any]]) -> Deployment:
    """The deployment with the requested weights and instance counts; pure.

    Raises:
        ServiceError: A variant does not exist, or the request sets the instance count of a serverless variant.
    """
    variants = {variant.name: variant for variant in present.variants}
    for change in desired:
        name = change["VariantName"]
        if name not in variants:
            raise validation_exception(f'Could not find variant "{name}".')
        variants[name] = _changed(variants[name], change)
    return replace(present, variants=tuple(variants.values()))


def retaining(pending: Deployment, present: Deployment, excluded: set[str]) -> Deployment:
    """The deployment with the present properties of same-named variants, except the `excluded` ones; pure."""
    old = {variant.name: variant for variant in present.variants}

    def kept(variant: Variant) -> Variant:
        before = old.get(variant.name, variant)
        return replace(
            variant,
            weight=variant.weight if "DesiredWeight" in excluded else before.weight,
            instance_count=variant.instance_count if "DesiredInstanceCount" in excluded else before.instance_count,
        )

    capture = pending.data_capture if "DataCaptureConfig" in excluded else present.data_capture
    return replace(pending, variants=tuple(map(kept, pending.variants)), data_capture=capture)


def _changed(variant: Variant, change: Mapping[str, Any]) -> Variant:
    update = change.get("ServerlessUpdateConfig")
    if variant.serverless is None and update:
        raise validation_exception(f"Variant {variant.name} is on instances and has no ServerlessConfig.")
    if variant.serverless and "DesiredInstanceCount" in change:
        raise validation_exception(f"Variant {variant.name} is serverless and has no instances.")
    body = variant.body
    if variant.serverless and update:
        body = {**body, "ServerlessConfig": {**variant.serverless, **update}}
        refuse_provisioned_excess(body)
    return replace(
        variant,
        body=body,
        weight=float(change.get("DesiredWeight", variant.weight)),
        instance_count=int(change.get("DesiredInstanceCount", variant.instance_count)),
    )


def _refuse_way_back(present: Deployment, pending: Deployment) -> None:
    on_instances = any(variant.serverless is None for variant in present.variants)
    if on_instances and any(variant.serverless for variant in pending.variants):
        raise validation_exception("An endpoint on instances cannot be updated to a serverless one.")
