"""How the models of one object are hosted: what its class sets, and what the object chooses within that."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClassSpec
from ephemeral_endpoints.api.v1alpha1.hosting import HostingSettings, has_own_disks
from ephemeral_endpoints.api.v1alpha1.model_data import AdditionalData
from ephemeral_endpoints.api.v1alpha1.network import Encryption, Network
from ephemeral_endpoints.api.v1alpha1.serving import Instances, Serverless, Serving
from ephemeral_endpoints.features.serving.specs import InstanceSpec, ServerlessSpec, VpcSpec
from ephemeral_endpoints.features.subject import Subject


@dataclass(frozen=True, slots=True)
class Hosting:
    """What all models of an object have in common, with the defaults of the class."""

    role_arn: str
    capacity: ServerlessSpec | InstanceSpec
    environment: Mapping[str, str]
    additional_data: tuple[AdditionalData, ...]
    vpc: VpcSpec | None
    isolated: bool
    encryption: Encryption

    @classmethod
    def of(cls, subject: Subject, environment: Mapping[str, str]) -> Self:
        """The hosting of an object; ``environment`` are the variables from elsewhere."""
        spec, policy = subject.endpoint.spec, subject.endpoint_class.spec
        network = spec.serving.network or Network()
        return cls(
            role_arn=spec.serving.execution_role_arn or policy.execution_role_arn,
            capacity=_capacity(spec.serving, policy),
            environment=environment,
            additional_data=spec.model.additional_data,
            vpc=_vpc(network, policy),
            isolated=network.isolation or policy.network.isolation,
            encryption=policy.encryption,
        )


def longest_start(subject: Subject) -> timedelta:
    """How long SageMaker may take at most to start the object's instances, as far as that is set."""
    instances = subject.endpoint.spec.serving.instances
    if instances is None:
        return timedelta(0)
    chosen = _settings(instances, subject.endpoint_class.spec)
    timeouts = (chosen.capacity_timeout, chosen.model_download_timeout, chosen.startup_timeout)
    return sum((each for each in timeouts if each), timedelta(0))


def _capacity(serving: Serving, policy: EphemeralEndpointClassSpec) -> ServerlessSpec | InstanceSpec:
    capacity = serving.capacity
    if isinstance(capacity, Serverless):
        return ServerlessSpec(capacity.memory_size_mb, capacity.max_concurrency, capacity.provisioned_concurrency)
    chosen = _settings(capacity, policy)
    return InstanceSpec(
        capacity.type,
        capacity.count,
        fallback_types=capacity.fallback_types,
        capacity_timeout=_seconds(chosen.capacity_timeout),
        startup_timeout=_seconds(chosen.startup_timeout),
        download_timeout=_seconds(chosen.model_download_timeout),
        volume_size_gb=chosen.volume_size_gb,
        ami_version=chosen.ami_version,
        routing=chosen.routing_strategy,
    )


def _settings(instances: Instances, policy: EphemeralEndpointClassSpec) -> HostingSettings:
    """The object's settings, with the class's defaults for those that it does not choose."""
    defaults = policy.instances.defaults
    if any(map(has_own_disks, instances.types)):
        defaults = defaults.model_copy(update={"volume_size_gb": None})
    names = HostingSettings.model_fields
    chosen = {name: getattr(instances, name) for name in names if getattr(instances, name) is not None}
    return defaults.model_copy(update=chosen)


def _vpc(network: Network, policy: EphemeralEndpointClassSpec) -> VpcSpec | None:
    vpc = policy.network.vpc
    if vpc is None:
        return None
    return VpcSpec(
        security_group_ids=tuple(sorted(network.security_group_ids or vpc.security_group_ids)),
        subnet_ids=tuple(sorted(network.subnet_ids or vpc.subnet_ids)),
    )


def _seconds(time: timedelta | None) -> int | None:
    return int(time.total_seconds()) if time else None
