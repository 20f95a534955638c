"""What can be set on the running service: delays, failures, quotas and limits of time. Every field has a use in tests.

Changed as a JSON merge patch (RFC 7396), so that a test states only what it wants otherwise.
"""

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from ephemeral_endpoints.local.sagemaker.signals import Signal


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Behaviour(_Frozen):
    """How endpoints behave, all times in seconds.

    A time is the least that a transition takes; the model server's own start counts towards it. A failure is the
    `FailureReason` to fail with ("" fails without one, as AWS can). An endpoint that is `stuck` stays in the transition
    that it is in until the setting changes.
    """

    create_seconds: NonNegativeFloat = 0.3
    update_seconds: NonNegativeFloat = 0.3
    delete_seconds: NonNegativeFloat = 0.3
    rollback_seconds: NonNegativeFloat = 0.1
    cold_start_seconds: NonNegativeFloat = 0.0
    create_failure: Annotated[str, Field(max_length=1024)] | None = None
    update_failure: Annotated[str, Field(max_length=1024)] | None = None
    rollback_fails: bool = False
    delete_failure: Annotated[str, Field(max_length=1024)] | None = None
    stuck: bool = False


Limit = NonNegativeInt | Literal["unlimited"]


class Quotas(_Frozen):
    """Limits of the account and region. `instances` is by instance type."""

    endpoints: Limit = "unlimited"
    serverless_endpoints: Limit = 50
    serverless_concurrency: Limit = 1000
    serverless_memory_mb: Limit = 6144
    instances: dict[str, Limit] = Field(default_factory=dict)
    instances_of_any_other_type: Limit = 4


class Settings(_Frozen):
    """The settings of the service.

    `overrides` maps shell patterns of endpoint names to what differs for them; of several that match, later ones win.
    `containers: "off"` runs the states without model servers, for benchmarks of the control plane at a scale that one
    machine could not host: such endpoints reach InService and answer no invocation.
    """

    behaviour: Behaviour = Behaviour()
    overrides: dict[str, Behaviour] = Field(default_factory=dict)
    quotas: Quotas = Quotas()
    containers: Literal["on", "off"] = "on"
    consistency_lag_seconds: NonNegativeFloat = 0.0
    """For how long a resource just created is not found by requests other than its creation."""
    create_model_checks: bool = False
    """Whether CreateModel itself refuses a missing image or missing model data, as AWS does for most of them."""
    ping_interval_seconds: PositiveFloat = 0.05
    ping_timeout_seconds: PositiveFloat = 60.0
    missing_dependency_seconds: NonNegativeFloat = 3600.0
    """How long an endpoint hangs whose configuration or model was deleted under it (AWS: about an hour)."""
    invocation_timeout_seconds: PositiveFloat = 60.0
    cold_start_limit_seconds: PositiveFloat = 30.0
    """How long an invocation waits for a cold start before it is answered ModelNotReadyException."""
    scale_to_zero_seconds: PositiveFloat | None = None
    """After how long without an invocation a serverless endpoint's server is stopped; None keeps it."""
    side_channel_seconds: PositiveFloat = 1.0
    """How often logs, metrics, events and captured data are delivered."""
    server_starts_at_once: PositiveInt = 4
    guardrail_seconds_per_second: PositiveFloat = 1.0
    """How many seconds of the waits and limits of deployment guardrails pass in one second."""
    autoscaling_seconds_per_second: PositiveFloat = 1.0
    """How many seconds of automatic scaling's periods and cooldowns pass in one second."""


def behaviour_of(settings: Settings, endpoint_name: str) -> Behaviour:
    """The behaviour of one endpoint, overrides applied."""
    merged: dict[str, Any] = settings.behaviour.model_dump()
    for pattern, override in settings.overrides.items():
        if fnmatchcase(endpoint_name.lower(), pattern.lower()):
            merged |= override.model_dump(exclude_unset=True)
    return Behaviour.model_validate(merged)


def merge_patch(target: object, patch: object) -> object:
    """The JSON value that results from a merge patch; neither argument is mutated (RFC 7396, section 2)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


class SettingsHolder:
    """The settings now in force, and word of their changes."""

    def __init__(self, settings: Settings) -> None:
        self.now = settings
        self._changed = Signal()

    def patch(self, patch: object) -> Settings:
        """Apply a merge patch; null resets a member to its default.

        Raises:
            pydantic.ValidationError: The result would not be valid; nothing is changed.
        """
        self.replace(Settings.model_validate(merge_patch(self.now.model_dump(mode="json", exclude_unset=True), patch)))
        return self.now

    def replace(self, settings: Settings) -> None:
        """Put other settings in force."""
        self.now = settings
        self._changed.send()

    def behaviour(self, endpoint_name: str) -> Behaviour:
        """The behaviour of one endpoint now."""
        return behaviour_of(self.now, endpoint_name)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition on the settings holds."""
        while not condition():
            await self._changed.wait()
