"""What can be set on the running service: delays, failures and limits; changed as a JSON merge patch (RFC 7396)."""

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from ephemeral_endpoints.local.sagemaker.settings import merge_patch
from ephemeral_endpoints.local.sagemaker.signals import Signal


class Settings(BaseModel):
    """The settings of the service."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provisioning_seconds: NonNegativeFloat = 0.2
    fail_provisioning: NonNegativeInt = 0
    """How many of the next builds end as FAULT while they are provisioned."""
    concurrency: NonNegativeInt = 2
    """How many builds run at once; the others are queued."""
    most_queued: NonNegativeInt | None = None
    """How many builds may be queued (AWS: five times the concurrency); None allows any number."""
    minute_seconds: PositiveFloat = 60.0
    """How long a minute of a build's timeouts lasts."""
    grace_seconds: NonNegativeFloat = 2.0
    """How long processes that are told to end may take before they are killed."""
    log_interval_seconds: PositiveFloat = 0.5
    """How often output is delivered while a build runs."""
    page_size: PositiveInt = 100


class SettingsHolder:
    """The settings now in force, and word of their changes."""

    def __init__(self) -> None:
        self.now = Settings()
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

    def take_provisioning_failure(self) -> bool:
        """Whether a provisioning that begins now is to fail; it counts."""
        left = self.now.fail_provisioning
        if left:
            self.replace(self.now.model_copy(update={"fail_provisioning": left - 1}))
        return left > 0

    def recheck(self) -> None:
        """Have conditions looked at again that depend on more than settings."""
        self._changed.send()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds, looked at after every change and every `recheck`."""
        while not condition():
            await self._changed.wait()
