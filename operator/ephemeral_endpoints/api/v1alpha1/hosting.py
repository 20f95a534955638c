"""How SageMaker starts and reaches the instances of a model: settings of an object, and their defaults in the class."""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field

from ephemeral_endpoints.api.rules import Rule, cel_string, matches
from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.types import Duration, InstanceType, Integer, between

_LOCAL_STORAGE: Final = r"ml[.]([a-z]+[0-9]+[a-z]*d[a-z]*|dl1|g5|g6e?|g7e?|p5[a-z]*|p6[a-z0-9-]*|trn[0-9]+n?)[.].+"
"""Matches the instance types with disks of their own, to which SageMaker attaches no volume of a requested size.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/host-instance-storage.html and the instance store volumes of
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-store-volumes.html.
"""

_NO_VOLUME: Final = f"matches({cel_string(f'^({_LOCAL_STORAGE})$')})"

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html
StartTimeout = Annotated[
    Duration,
    between(
        timedelta(minutes=1), timedelta(hours=1), "must be between 1m and 1h: SageMaker accepts no other start timeouts"
    ),
]
CapacityTimeout = Annotated[
    Duration,
    between(
        timedelta(minutes=5),
        timedelta(hours=1),
        "must be between 5m and 1h: SageMaker waits no other time for capacity",
    ),
]
VolumeSize = Annotated[Integer, Field(ge=1, le=512)]
AmiVersion = Annotated[
    str,
    Field(max_length=64),
    matches(
        "al[0-9]{1,4}-ami-sagemaker-inference-[a-z0-9-]+",
        "must be the name of an AMI version of SageMaker, such as al2023-ami-sagemaker-inference-gpu-4-1",
    ),
]


class RoutingStrategy(StrEnum):
    """How requests are distributed to the instances of a variant."""

    LEAST_OUTSTANDING_REQUESTS = "LeastOutstandingRequests"
    RANDOM = "Random"


class HostingSettings(ApiModel):
    """How instances are started and reached."""

    startup_timeout: StartTimeout | None = None
    """How long the container may take until it answers GET /ping, 1m to 1h. Absent: the class's default, otherwise
    SageMaker's."""

    model_download_timeout: StartTimeout | None = None
    """How long the model's data may take to be downloaded and unpacked on an instance, 1m to 1h. Absent: the class's
    default, otherwise SageMaker's."""

    volume_size_gb: Annotated[VolumeSize | None, Field(alias="volumeSizeGB")] = None
    """Size of the EBS volume of each instance in GB, 1 to 512; instance types with disks of their own have none.
    Absent: the class's default, otherwise SageMaker's."""

    ami_version: AmiVersion | None = None
    """The machine image of the instances, which decides the versions of the GPU or Neuron driver:
    al2023-ami-sagemaker-inference-gpu-4-1. A change replaces the instances. Absent: the class's default, otherwise
    SageMaker's."""

    routing_strategy: RoutingStrategy | None = None
    """How requests are distributed to the instances. LeastOutstandingRequests: to the one with the fewest in progress,
    which suits models whose answers take differently long. Random: to any. Absent: the class's default, otherwise
    SageMaker's, which is Random."""

    capacity_timeout: CapacityTimeout | None = None
    """How long SageMaker looks for instances before a deployment fails for lack of capacity, 5m to 1h. Absent: the
    class's default, otherwise SageMaker's."""


def has_own_disks(instance_type: str) -> bool:
    """Whether instances of the type have disks of their own, and so no volume of a requested size."""
    return re.fullmatch(_LOCAL_STORAGE, instance_type) is not None


class InstanceHosting(HostingSettings):
    """The settings that only an object can choose, because they depend on its instance type."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"!has(self.volumeSizeGB) || !(self.type.{_NO_VOLUME}"
            f" || (has(self.fallbackTypes) && self.fallbackTypes.exists(type, type.{_NO_VOLUME})))",
            message="volumeSizeGB does not apply to instance types with disks of their own, such as ml.g5 and ml.m5d: "
            "remove it, or choose other types",
            holds=lambda instances: instances.volume_size_gb is None or not any(map(has_own_disks, instances.types)),
        ),
        Rule(
            cel="!has(self.fallbackTypes) || self.fallbackTypes.all(type, type != self.type"
            " && self.fallbackTypes.exists_one(other, other == type))",
            message="fallbackTypes must differ from type and from one another",
            holds=lambda instances: len(set(instances.types)) == len(instances.types),
        ),
    )

    type: InstanceType
    """Type of the instances, such as ml.t2.medium. The class says which are allowed."""

    fallback_types: Annotated[tuple[InstanceType, ...], Field(max_length=4)] = ()
    """Types that SageMaker uses instead where it has no capacity of type, at most 4, the preferred one first. The class
    must allow all of them. status.cost is that of the dearest, since any of them may run."""

    @property
    def types(self) -> tuple[str, ...]:
        """All types that may run, the preferred one first."""
        return (self.type, *self.fallback_types)
