"""The settings of the running service: delays, failures, quotas and time limits. Tests use every field."""

from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from eep_platform.emulation.settings import FrozenModel, LiveSettings


class Behaviour(FrozenModel):
    """How endpoints behave; all times are in seconds.

    A time is the minimum duration of a transition, by the settings at its end, and includes the start of the model
    server. A failure is the `FailureReason` to fail with ("" fails without one, as AWS can). A `stuck` endpoint stays
    in its transition, and a rollout in its step, until the setting changes. `forgets_failures` drops the
    `FailureReason` of an update once its rollback is done, as AWS sometimes does.
    """

    create_seconds: NonNegativeFloat = 0.3
    update_seconds: NonNegativeFloat = 0.3
    delete_seconds: NonNegativeFloat = 0.3
    rollback_seconds: NonNegativeFloat = 0.1
    cold_start_seconds: NonNegativeFloat = 0.0
    create_failure: Annotated[str, Field(max_length=1024)] | None = None
    update_failure: Annotated[str, Field(max_length=1024)] | None = None
    rollback_fails: bool = False
    forgets_failures: bool = False
    delete_failure: Annotated[str, Field(max_length=1024)] | None = None
    stuck: bool = False


Limit = NonNegativeInt | Literal["unlimited"]


class Quotas(FrozenModel):
    """Quotas of the account and region. `instances` is by instance type."""

    endpoints: Limit = "unlimited"
    serverless_endpoints: Limit = 50
    serverless_concurrency: Limit = 1000
    serverless_memory_mb: Limit = 6144
    instances: dict[str, Limit] = Field(default_factory=dict)
    instances_of_any_other_type: Limit = 4
    pipelines: Limit = 500
    pipeline_executions: Limit = 20
    job_instances: dict[str, Limit] = Field(default_factory=dict)
    """By the name of the quota, such as `ml.m5.large for training job usage`."""
    job_instances_of_any_other_type: Limit = 4
    training_seconds: Limit = 432_000


class Settings(FrozenModel):
    """The settings of the service.

    `overrides` maps shell patterns of endpoint names to different behaviour; later patterns win over earlier ones.
    `containers: "off"` runs the states without model servers, for benchmarks with more endpoints than one machine could
    host: such endpoints reach InService and answer no invocation.
    """

    behaviour: Behaviour = Behaviour()
    overrides: dict[str, Behaviour] = Field(default_factory=dict)
    quotas: Quotas = Quotas()
    capacity_shortages: frozenset[str] = frozenset()
    """The instance types of which AWS has no capacity: creations and updates that need more of them fail."""
    containers: Literal["on", "off"] = "on"
    consistency_lag_seconds: NonNegativeFloat = 0.0
    """How long requests other than its creation do not find a new resource."""
    create_model_checks: bool = False
    """Whether CreateModel itself rejects a missing image or missing model data, as AWS mostly does."""
    ping_interval_seconds: PositiveFloat = 0.05
    ping_timeout_seconds: PositiveFloat = 60.0
    missing_dependency_seconds: NonNegativeFloat = 3600.0
    """How long an endpoint hangs if its configuration or model is deleted during a deployment (AWS: about an hour)."""
    start_seconds_per_second: PositiveFloat = 1.0
    """How many seconds of the time limits for downloads and health checks of variants pass in one second."""
    invocation_timeout_seconds: PositiveFloat = 60.0
    cold_start_limit_seconds: PositiveFloat = 30.0
    """How long an invocation waits for a cold start before the answer is ModelNotReadyException."""
    scale_to_zero_seconds: PositiveFloat | None = None
    """How long the server of an idle serverless endpoint keeps running; None: forever."""
    side_channel_seconds: PositiveFloat = 1.0
    """The interval between deliveries of logs, metrics, events and captured data."""
    held_jobs: frozenset[str] = frozenset()
    """Jobs whose names match one of these shell patterns stay in Starting until the setting changes."""
    job_seconds_per_second: PositiveFloat = 1.0
    """How many seconds of the time limits of jobs, and of their time to end after SIGTERM, pass in one second."""
    server_starts_at_once: PositiveInt = 4
    guardrail_seconds_per_second: PositiveFloat = 1.0
    """How many seconds of the guardrails' waits and limits pass in one second."""
    pipeline_seconds_per_second: PositiveFloat = 1.0
    """How many seconds of the intervals and limits of retry policies pass in one second."""
    autoscaling_seconds_per_second: PositiveFloat = 1.0
    """How many seconds of automatic scaling's periods and cooldowns pass in one second."""


def behaviour_of(settings: Settings, endpoint_name: str) -> Behaviour:
    """The behaviour of one endpoint with overrides applied."""
    merged: dict[str, Any] = settings.behaviour.model_dump()
    for pattern, override in settings.overrides.items():
        if fnmatchcase(endpoint_name.lower(), pattern.lower()):
            merged |= override.model_dump(exclude_unset=True)
    return Behaviour.model_validate(merged)


class HostingSettings(LiveSettings[Settings]):
    """The settings in force."""

    def __init__(self) -> None:
        super().__init__(Settings())

    def holds(self, job_name: str) -> bool:
        """Whether a job is not to start now."""
        return any(fnmatchcase(job_name, pattern) for pattern in self.now.held_jobs)

    def behaviour(self, endpoint_name: str) -> Behaviour:
        """The behaviour of one endpoint now."""
        return behaviour_of(self.now, endpoint_name)
