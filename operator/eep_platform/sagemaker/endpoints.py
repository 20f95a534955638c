"""The states of an endpoint and the transitions between them; pure, the time is a parameter.

Source: DescribeEndpoint in the SageMaker API reference, member `EndpointStatus`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from eep_platform.emulation.errors import validation_exception
from eep_platform.sagemaker.errors import in_progress, insufficient_capacity


class EndpointStatus(StrEnum):
    """The values of `EndpointStatus`."""

    OUT_OF_SERVICE = "OutOfService"
    CREATING = "Creating"
    UPDATING = "Updating"
    SYSTEM_UPDATING = "SystemUpdating"
    ROLLING_BACK = "RollingBack"
    IN_SERVICE = "InService"
    DELETING = "Deleting"
    FAILED = "Failed"
    UPDATE_ROLLBACK_FAILED = "UpdateRollbackFailed"


IN_PROGRESS = frozenset(
    {
        EndpointStatus.CREATING,
        EndpointStatus.UPDATING,
        EndpointStatus.SYSTEM_UPDATING,
        EndpointStatus.ROLLING_BACK,
        EndpointStatus.DELETING,
    }
)
SERVING = frozenset(
    {
        EndpointStatus.IN_SERVICE,
        EndpointStatus.UPDATING,
        EndpointStatus.SYSTEM_UPDATING,
        EndpointStatus.ROLLING_BACK,
        EndpointStatus.UPDATE_ROLLBACK_FAILED,
    }
)


class Stage(StrEnum):
    """The progress of a deployment: values of `VariantStatus`."""

    CREATING = "Creating"
    ACTIVATING_TRAFFIC = "ActivatingTraffic"
    BAKING = "Baking"


@dataclass(frozen=True, slots=True)
class Variant:
    """A production variant of a deployment: `body` is from the configuration, the other fields change over time."""

    body: Mapping[str, Any]
    weight: float
    instance_count: int
    images: tuple[Mapping[str, Any], ...] = ()
    pool: str | None = None
    """The instance type of the pool that had capacity."""

    @property
    def instance_types(self) -> tuple[str, ...]:
        """The instance types in the order in which they are tried; none for a serverless variant."""
        if "InstanceType" in self.body:
            return (str(self.body["InstanceType"]),)
        pools = sorted(self.body.get("InstancePools", []), key=lambda pool: int(pool["Priority"]))
        return tuple(str(pool["InstanceType"]) for pool in pools)

    @property
    def instance_type(self) -> str:
        """The instance type that runs, or that is tried first."""
        return self.pool or self.instance_types[0]

    @property
    def name(self) -> str:
        """The variant's name."""
        return str(self.body["VariantName"])

    @property
    def serverless(self) -> Mapping[str, int] | None:
        """`ServerlessConfig`; None for a variant on instances."""
        config: Mapping[str, int] | None = self.body.get("ServerlessConfig")
        return config


@dataclass(frozen=True, slots=True)
class Deployment:
    """What an endpoint serves or will serve: a configuration as it was at the time of the request.

    `surge` is how many instances run, while it replaces another deployment, in addition to those of the larger of the
    two: 0 if the endpoint only changes its size; None if there is a complete second fleet.
    """

    config_name: str
    variants: tuple[Variant, ...]
    started: datetime
    data_capture: Mapping[str, Any] | None = None
    async_inference: Mapping[str, Any] | None = None
    surge: int | None = None

    @property
    def in_place(self) -> bool:
        """Whether it only changes the size of the deployment that it replaces, without a second fleet."""
        return self.surge == 0

    def provisioned(self, exhausted: Collection[str]) -> "Deployment":
        """The same on the first instance types of its pools that are not `exhausted`.

        Raises:
            DeploymentFailedError: There is none.
        """
        return replace(self, variants=tuple(_provisioned(variant, exhausted) for variant in self.variants))

    def variant(self, name: str) -> Variant | None:
        """The variant of this name; None if there is none."""
        return next((variant for variant in self.variants if variant.name == name), None)


def _provisioned(variant: Variant, exhausted: Collection[str]) -> Variant:
    if variant.serverless:
        return variant
    found = next((each for each in variant.instance_types if each not in exhausted), None)
    if found is None:
        raise insufficient_capacity()
    return replace(variant, pool=found)


def deployment(config_name: str, config: Mapping[str, Any], now: datetime) -> Deployment:
    """A deployment of a configuration that starts now."""
    variants = tuple(
        Variant(body, float(body.get("InitialVariantWeight", 1.0)), int(body.get("InitialInstanceCount", 0)))
        for body in config["ProductionVariants"]
    )
    return Deployment(config_name, variants, now, config.get("DataCaptureConfig"), config.get("AsyncInferenceConfig"))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint in one state; each transition returns the next state.

    `current` is the serving deployment (None until the endpoint was first in service), `pending` the one being rolled
    out, and `stage` its progress.
    """

    name: str
    arn: str
    status: EndpointStatus
    created: datetime
    modified: datetime
    current: Deployment | None
    pending: Deployment | None
    failure_reason: str = ""
    deployment_config: Mapping[str, Any] = field(default_factory=dict)
    stage: Stage = Stage.CREATING
    stage_since: datetime | None = None

    @property
    def shown(self) -> Deployment:
        """The deployment that DescribeEndpoint shows: the serving one, otherwise the pending one."""
        shown = self.current or self.pending
        assert shown is not None  # noqa: S101 - an endpoint is created with a pending deployment
        return shown

    def refuse_change(self) -> None:
        """Raise the service's error if the endpoint cannot be updated or scaled now."""
        self.refuse_in_progress()
        if self.status is EndpointStatus.FAILED:
            raise validation_exception(
                f'Cannot update endpoint "{self.arn}" with status Failed. Delete the endpoint and create it again.'
            )

    def refuse_in_progress(self) -> None:
        """Raise the service's error if a transition is in progress."""
        if self.status in IN_PROGRESS:
            raise in_progress(self.arn)

    def update(self, pending: Deployment, deployment_config: Mapping[str, Any], now: datetime) -> "Endpoint":
        """InService, OutOfService or UpdateRollbackFailed -> Updating; raises the error in every other state."""
        self.refuse_change()
        return replace(
            self,
            status=EndpointStatus.UPDATING,
            pending=pending,
            failure_reason="",
            deployment_config=deployment_config,
            stage=Stage.CREATING,
            stage_since=now,
            modified=now,
        )

    def system_update(self, now: datetime) -> "Endpoint":
        """InService -> SystemUpdating; what the caller specified stays the same."""
        self.refuse_change()
        return replace(self, status=EndpointStatus.SYSTEM_UPDATING, modified=now)

    def deployed(self, now: datetime) -> "Endpoint":
        """Creating, Updating or SystemUpdating -> InService, on the pending deployment if there is one."""
        return replace(
            self, status=EndpointStatus.IN_SERVICE, current=self.pending or self.current, pending=None, modified=now
        )

    def with_pending(self, pending: Deployment) -> "Endpoint":
        """The same state with the images of the pending deployment resolved."""
        return replace(self, pending=pending)

    def with_stage(self, stage: Stage, now: datetime) -> "Endpoint":
        """The same state with the pending deployment in another stage."""
        return replace(self, stage=stage, stage_since=now)

    def failed(self, reason: str, now: datetime) -> "Endpoint":
        """Creating or Deleting -> Failed, which allows only deletion."""
        return replace(self, status=EndpointStatus.FAILED, failure_reason=reason, modified=now)

    def roll_back(self, reason: str, now: datetime) -> "Endpoint":
        """Updating -> RollingBack."""
        return replace(self, status=EndpointStatus.ROLLING_BACK, failure_reason=reason, modified=now)

    def rolled_back(self, now: datetime, *, forgets: bool = False) -> "Endpoint":
        """RollingBack -> InService on the old configuration, with the reason of the failed update unless it forgets."""
        reason = "" if forgets else self.failure_reason
        return replace(self, status=EndpointStatus.IN_SERVICE, pending=None, failure_reason=reason, modified=now)

    def rollback_failed(self, now: datetime) -> "Endpoint":
        """RollingBack -> UpdateRollbackFailed."""
        return replace(self, status=EndpointStatus.UPDATE_ROLLBACK_FAILED, pending=None, modified=now)

    def take_out_of_service(self, now: datetime) -> "Endpoint":
        """InService -> OutOfService."""
        self.refuse_change()
        return replace(self, status=EndpointStatus.OUT_OF_SERVICE, modified=now)

    def delete(self, now: datetime) -> "Endpoint":
        """Any state without a transition in progress -> Deleting; raises the error otherwise."""
        self.refuse_in_progress()
        return replace(self, status=EndpointStatus.DELETING, modified=now)


def creating(name: str, arn: str, pending: Deployment, deployment_config: Mapping[str, Any]) -> Endpoint:
    """A new endpoint, in Creating."""
    now = pending.started
    return Endpoint(name, arn, EndpointStatus.CREATING, now, now, None, pending, "", deployment_config)
