"""Endpoint configurations: CreateEndpointConfig, DescribeEndpointConfig, ListEndpointConfigs, DeleteEndpointConfig."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from eep_platform.emulation.errors import validation_exception
from eep_platform.emulation.validation import ConstraintViolation, refuse_violations
from eep_platform.sagemaker.endpoints import EndpointStatus
from eep_platform.sagemaker.listing import RESOURCE_FIELDS, listed
from eep_platform.sagemaker.models import primary_container
from eep_platform.sagemaker.quotas import refuse_memory
from eep_platform.sagemaker.s3 import refuse_elsewhere
from eep_platform.sagemaker.store import Body, Record, Store
from eep_platform.sagemaker.tags import tags_of

_MEMORY_STEPS = tuple(range(1024, 6145, 1024))
_ON_INSTANCES = (
    "InstanceType",
    "InitialInstanceCount",
    "InstancePools",
    "VariantInstanceProvisionTimeoutInSeconds",
    "AcceleratorType",
    "CoreDumpConfig",
    "VolumeSizeInGB",
    "ModelDataDownloadTimeoutInSeconds",
    "ContainerStartupHealthCheckTimeoutInSeconds",
    "EnableSSMAccess",
    "ManagedInstanceScaling",
    "RoutingConfig",
    "InferenceAmiVersion",
    "CapacityReservationConfig",
)
_WITHOUT_VOLUME = re.compile(
    r"ml\.([a-z]+\d+[a-z]*d[a-z]*|dl1|g5|g6e?|g7e?|p5[a-z]*|p6[a-z0-9-]*|trn\d+n?)\.", re.ASCII
)
"""Instance types with disks of their own: "Host instance storage volumes" in the SageMaker developer guide."""


def refuse_unservable(config: Mapping[str, Any]) -> None:
    """Raise an error for a configuration that the service model allows and the service rejects; pure.

    Source: "Serverless endpoints, feature exclusions" in the SageMaker developer guide, and `ProductionVariant` in the
    API reference.
    """
    variants = config["ProductionVariants"]
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) < len(names):
        raise validation_exception("Variant names of an endpoint configuration must be unique.")
    if any("ServerlessConfig" in variant for variant in variants):
        _refuse_with_serverless(config)
    _refuse_destinations(config)
    refuse_violations(_memory_violations(variants))
    for variant in variants:
        _refuse_variant(variant)


def _refuse_with_serverless(config: Mapping[str, Any]) -> None:
    if len(config["ProductionVariants"]) > 1 or config.get("ShadowProductionVariants"):
        raise validation_exception("An endpoint configuration with a serverless variant can have only one variant.")
    for member in ("DataCaptureConfig", "AsyncInferenceConfig", "ExplainerConfig", "VpcConfig"):
        if config.get(member):
            raise validation_exception(f"{member} is not supported for serverless endpoints.")
    if config.get("EnableNetworkIsolation"):
        raise validation_exception("Network isolation is not supported for serverless endpoints.")


def _memory_violations(variants: list[Mapping[str, Any]]) -> Iterator[ConstraintViolation]:
    steps = ", ".join(map(str, _MEMORY_STEPS))
    for number, variant in enumerate(variants, start=1):
        memory = variant.get("ServerlessConfig", {}).get("MemorySizeInMB", _MEMORY_STEPS[0])
        if memory not in _MEMORY_STEPS:
            path = f"productionVariants.{number}.member.serverlessConfig.memorySizeInMB"
            yield ConstraintViolation(path, f"Value '{memory}'", f"Member must satisfy enum value set: [{steps}]")


def _refuse_variant(variant: Mapping[str, Any]) -> None:
    name, serverless = variant["VariantName"], variant.get("ServerlessConfig")
    if not variant.get("ModelName"):
        raise validation_exception(f"ModelName is needed for variant {name}: inference components are not served here.")
    if serverless is None:
        _refuse_instances(variant)
        return
    for member in _ON_INSTANCES:
        if member in variant:
            raise validation_exception(f"Variant {name} can have ServerlessConfig or {member}, not both.")
    refuse_provisioned_excess(variant)


def _refuse_instances(variant: Mapping[str, Any]) -> None:
    name, pools = variant["VariantName"], variant.get("InstancePools", [])
    if "InstanceType" in variant and pools:
        raise validation_exception(f"Variant {name} can have InstanceType or InstancePools, not both.")
    for member in ("InitialInstanceCount",) if pools else ("InstanceType", "InitialInstanceCount"):
        if member not in variant:
            raise validation_exception(f"{member} is needed for variant {name}, which has no ServerlessConfig.")
    _refuse_pools(name, pools)
    if variant.get("ManagedInstanceScaling", {}).get("Status") == "ENABLED":
        # It scales inference components, and every variant here has a model.
        raise validation_exception("ManagedInstanceScaling is not supported with the given EndpointConfig setup.")
    types = [str(pool["InstanceType"]) for pool in pools or [variant]] if "VolumeSizeInGB" in variant else []
    for type_ in filter(_WITHOUT_VOLUME.match, types):
        raise validation_exception(f"VolumeSize parameter is not allowed for the selected Instance type {type_}.")


def _refuse_pools(name: str, pools: list[Mapping[str, Any]]) -> None:
    for member in ("InstanceType", "Priority"):
        if len({pool[member] for pool in pools}) < len(pools):
            raise validation_exception(f"The {member} of each instance pool of variant {name} must be unique.")
    if any("ModelNameOverride" in pool for pool in pools):
        raise validation_exception("ModelNameOverride is not served here.")


def refuse_provisioned_excess(variant: Mapping[str, Any]) -> None:
    """Raise `ValidationException` if a serverless variant's provisioned concurrency exceeds its maximum."""
    serverless = variant["ServerlessConfig"]
    if serverless.get("ProvisionedConcurrency", 0) > serverless["MaxConcurrency"]:
        raise validation_exception(
            f"ProvisionedConcurrency of variant {variant['VariantName']} must not exceed its MaxConcurrency."
        )


def _refuse_destinations(config: Mapping[str, Any]) -> None:
    for member in ("ExecutionRoleArn", "VpcConfig", "EnableNetworkIsolation"):
        if config.get(member):
            raise validation_exception(f"{member} is for inference components, which are not served here.")
    capture, queued = config.get("DataCaptureConfig"), config.get("AsyncInferenceConfig")
    if capture:
        refuse_elsewhere("DestinationS3Uri", capture["DestinationS3Uri"])
    if queued:
        output = queued["OutputConfig"]
        if not output.get("S3OutputPath"):
            raise validation_exception("S3OutputPath is needed: answers by notification alone are not served here.")
        refuse_elsewhere("S3OutputPath", output["S3OutputPath"])
        refuse_elsewhere("S3FailurePath", output.get("S3FailurePath"))


class ConfigOperations:
    """The operations on endpoint configurations."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def create_endpoint_config(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreateEndpointConfig."""
        refuse_unservable(request)
        for variant in request["ProductionVariants"]:
            self._refuse_model(variant)
        record = self._store.configs.add(request["EndpointConfigName"], dict(request), tags_of(request))
        return {"EndpointConfigArn": record.arn}

    async def describe_endpoint_config(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeEndpointConfig."""
        record = self._store.configs.get(request["EndpointConfigName"])
        variants = [{"InitialVariantWeight": 1.0} | variant for variant in record.value["ProductionVariants"]]
        return record.value | _identity(record) | {"ProductionVariants": variants}

    async def list_endpoint_configs(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListEndpointConfigs."""
        records, token = listed(self._store.configs.visible(), request, RESOURCE_FIELDS)
        return {"EndpointConfigs": [_identity(record) for record in records], "NextToken": token}

    async def delete_endpoint_config(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteEndpointConfig: always allowed; records a violation if an endpoint still needs the configuration."""
        record = self._store.configs.get(request["EndpointConfigName"])
        for endpoint in self._store.endpoints:
            deployments = (endpoint.value.current, endpoint.value.pending)
            names = {deployment.config_name.lower() for deployment in deployments if deployment}
            if record.name.lower() in names and endpoint.value.status not in {
                EndpointStatus.DELETING,
                EndpointStatus.FAILED,
            }:
                detail = f"endpoint {endpoint.name} is {endpoint.value.status} with this configuration"
                self._store.note("EndpointConfigInUseDeleted", record.arn, detail)
        self._store.configs.remove(record.name)
        return {}

    def _refuse_model(self, variant: Mapping[str, Any]) -> None:
        model = self._store.models.get(variant["ModelName"]).value
        serverless = variant.get("ServerlessConfig")
        if serverless:
            refuse_memory(self._store.settings.now.quotas, serverless["MemorySizeInMB"])
            if model.get("VpcConfig") or model.get("EnableNetworkIsolation"):
                raise validation_exception(
                    "VpcConfig and network isolation are not supported for serverless endpoints."
                )
            container = primary_container(model)
            for member in ("ModelDataSource", "AdditionalModelDataSources"):
                if container.get(member):
                    raise validation_exception(f"{member} is not supported for serverless endpoints.")


def _identity(record: Record[Body]) -> dict[str, Any]:
    return {"EndpointConfigName": record.name, "EndpointConfigArn": record.arn, "CreationTime": record.created}
