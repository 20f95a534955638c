"""The network, the encryption keys and the role of models: what a class sets, and how an object narrows it."""

from typing import Annotated

from pydantic import Field

from ephemeral_endpoints.api.rules import matches
from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.image_types import KeyArn

# https://docs.aws.amazon.com/vpc/latest/userguide/resource-ids.html; the lists' bounds are those of
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_VpcConfig.html.
SecurityGroupId = Annotated[
    str,
    Field(max_length=32),
    matches("sg-[0-9a-f]{8,17}", "must be the ID of a security group, such as sg-0123456789abcdef0"),
]
SubnetId = Annotated[
    str,
    Field(max_length=32),
    matches("subnet-[0-9a-f]{8,17}", "must be the ID of a subnet, such as subnet-0123456789abcdef0"),
]


class Vpc(ApiModel):
    """The private network that models are connected to."""

    security_group_ids: Annotated[tuple[SecurityGroupId, ...], Field(min_length=1, max_length=5)]
    """Security groups of the models' network interfaces, 1 to 5."""

    subnet_ids: Annotated[tuple[SubnetId, ...], Field(min_length=1, max_length=16)]
    """Subnets of the models' network interfaces, 1 to 16, best in several availability zones."""


class NetworkPolicy(ApiModel):
    """The network of models."""

    vpc: Vpc | None = None
    """The VPC that models are connected to, through which they read S3 and reach whatever they call. The execution role
    must be able to create network interfaces. Serverless endpoints are then refused, because SageMaker supports no VPC
    for them. Absent: none."""

    isolation: bool = False
    """Whether the containers of models can make no network calls at all; SageMaker downloads their data for them.
    Serverless endpoints are then refused, because SageMaker cannot isolate them. Default false."""

    @property
    def needs_instances(self) -> bool:
        """Whether serverless endpoints cannot have this network."""
        return self.vpc is not None or self.isolation


class Network(ApiModel):
    """A narrower network than the class's."""

    subnet_ids: Annotated[tuple[SubnetId, ...], Field(max_length=16)] = ()
    """Subnets to use of those that the class names, at most 16. Absent: all of them."""

    security_group_ids: Annotated[tuple[SecurityGroupId, ...], Field(max_length=5)] = ()
    """Security groups to use of those that the class names, at most 5. Absent: all of them."""

    isolation: bool = False
    """Whether the container of the model can make no network calls, even if the class lets it. Default false."""


class Encryption(ApiModel):
    """Keys of AWS KMS in place of AWS's own. Their key policies must admit the roles that use them."""

    volume_key_arn: KeyArn | None = None
    """ARN of the key for the volumes of instances, and for the images of serverless endpoints. The operator's role must
    be able to create grants for it. Disks that an instance type has of its own are always encrypted by their hardware.
    Absent: SageMaker's own key."""

    capture_key_arn: KeyArn | None = None
    """ARN of the key for captured requests and answers, which the execution role uses. Absent: the bucket's default."""

    result_key_arn: KeyArn | None = None
    """ARN of the key for the results of queued requests, which the execution role writes and the forwarder role reads.
    Absent: the bucket's default."""
