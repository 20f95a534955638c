"""The states of an endpoint and the transitions between them; pure, with the time passed in.

Source: DescribeEndpoint in the SageMaker API reference, member `EndpointStatus`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from ephemeral_endpoints.local.sagemaker.errors import in_progress, validation_exception


class Status(StrEnum):
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
    {Status.CREATING, Status.UPDATING, Status.SYSTEM_UPDATING, Status.ROLLING_BACK, Status.DELETING}
)
SERVING = frozenset(
    {
        Status.IN_SERVICE,
        Status.UPDATING,
        Status.SYSTEM_UPDATING,
        Status.ROLLING_BACK,
        Status.UPDATE_ROLLBACK_FAILED,
    }
)


class Stage(StrEnum):
    """How far a deployment has come: values of `VariantStatus`."""

    CREATING = "Creating"
    ACTIVATING_TRAFFIC = "ActivatingTraffic"
    BAKING = "Baking"


@dataclass(frozen=True, slots=True)
class Variant:
    """A production variant of a deployment: `body` is the configuration's, the rest is what changes while it lives."""

    body: Mapping[str, Any]
    weight: float
    instance_count: int
    images: tuple[Mapping[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """The variant's name."""
        return str(self.body["VariantName"])

    @property
    def serverless(self) -> Mapping[str, int] | None:
        """`ServerlessConfig`, or None for a variant on instances."""
        config: Mapping[str, int] | None = self.body.get("ServerlessConfig")
        return config


@dataclass(frozen=True, slots=True)
class Deployment:
    """What an endpoint serves, or is about to serve: a configuration as it was when it was asked for.

    `surge` is how many instances run, while it replaces another deployment, beyond those that the larger of the two
    needs: none if that one only changes its size; None if there is a whole second fleet.
    """

    config_name: str
    variants: tuple[Variant, ...]
    started: datetime
    data_capture: Mapping[str, Any] | None = None
    async_inference: Mapping[str, Any] | None = None
    surge: int | None = None

    @property
    def in_place(self) -> bool:
        """Whether it is the deployment that it replaces in another size, with no second fleet."""
        return self.surge == 0

    def variant(self, name: str) -> Variant | None:
        """The variant of this name, if there is one."""
        return next((variant for variant in self.variants if variant.name == name), None)


def deployment(config_name: str, config: Mapping[str, Any], now: datetime) -> Deployment:
    """A deployment of a configuration that begins now."""
    variants = tuple(
        Variant(body, float(body.get("InitialVariantWeight", 1.0)), int(body.get("InitialInstanceCount", 0)))
        for body in config["ProductionVariants"]
    )
    return Deployment(config_name, variants, now, config.get("DataCaptureConfig"), config.get("AsyncInferenceConfig"))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint at one moment; each transition returns the next.

    `current` is what serves (None until it was first in service), `pending` what is being deployed and `stage` how far
    that has come.
    """

    name: str
    arn: str
    status: Status
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
        """The deployment that DescribeEndpoint shows: the one that serves, else the first."""
        shown = self.current or self.pending
        assert shown is not None  # noqa: S101 - an endpoint is created with a pending deployment
        return shown

    def refuse_change(self) -> None:
        """Raise the service's refusal if the endpoint can be neither updated nor scaled now."""
        self.refuse_in_progress()
        if self.status is Status.FAILED:
            raise validation_exception(
                f'Cannot update endpoint "{self.arn}" with status Failed. Delete the endpoint and create it again.'
            )

    def refuse_in_progress(self) -> None:
        """Raise the service's refusal if a transition is under way."""
        if self.status in IN_PROGRESS:
            raise in_progress(self.arn)

    def update(self, pending: Deployment, deployment_config: Mapping[str, Any], now: datetime) -> "Endpoint":
        """InService, OutOfService or UpdateRollbackFailed -> Updating; raises the refusal in every other state."""
        self.refuse_change()
        return replace(
            self,
            status=Status.UPDATING,
            pending=pending,
            failure_reason="",
            deployment_config=deployment_config,
            stage=Stage.CREATING,
            stage_since=now,
            modified=now,
        )

    def system_update(self, now: datetime) -> "Endpoint":
        """InService -> SystemUpdating, which changes nothing that the caller specified."""
        self.refuse_change()
        return replace(self, status=Status.SYSTEM_UPDATING, modified=now)

    def deployed(self, now: datetime) -> "Endpoint":
        """Creating, Updating or SystemUpdating -> InService, with the pending deployment if there is one."""
        return replace(self, status=Status.IN_SERVICE, current=self.pending or self.current, pending=None, modified=now)

    def with_pending(self, pending: Deployment) -> "Endpoint":
        """The same state, with the pending deployment known better: its images resolved."""
        return replace(self, pending=pending)

    def with_stage(self, stage: Stage, now: datetime) -> "Endpoint":
        """The same state, with the pending deployment come further."""
        return replace(self, stage=stage, stage_since=now)

    def failed(self, reason: str, now: datetime) -> "Endpoint":
        """Creating or Deleting -> Failed, from where only deletion leads on."""
        return replace(self, status=Status.FAILED, failure_reason=reason, modified=now)

    def roll_back(self, reason: str, now: datetime) -> "Endpoint":
        """Updating -> RollingBack."""
        return replace(self, status=Status.ROLLING_BACK, failure_reason=reason, modified=now)

    def rolled_back(self, now: datetime) -> "Endpoint":
        """RollingBack -> InService on the old configuration, with the reason of the failed update."""
        return replace(self, status=Status.IN_SERVICE, pending=None, modified=now)

    def rollback_failed(self, now: datetime) -> "Endpoint":
        """RollingBack -> UpdateRollbackFailed."""
        return replace(self, status=Status.UPDATE_ROLLBACK_FAILED, pending=None, modified=now)

    def take_out_of_service(self, now: datetime) -> "Endpoint":
        """InService -> OutOfService."""
        self.refuse_change()
        return replace(self, status=Status.OUT_OF_SERVICE, modified=now)

    def delete(self, now: datetime) -> "Endpoint":
        """Any state without a transition under way -> Deleting; raises the refusal otherwise."""
        self.refuse_in_progress()
        return replace(self, status=Status.DELETING, modified=now)


def creating(name: str, arn: str, pending: Deployment, deployment_config: Mapping[str, Any]) -> Endpoint:
    """A new endpoint, in Creating."""
    now = pending.started
    return Endpoint(name, arn, Status.CREATING, now, now, None, pending, "", deployment_config)
