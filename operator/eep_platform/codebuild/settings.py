"""The settings of the running service: delays, failures and limits."""

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from eep_platform.emulation.settings import FrozenModel, LiveSettings


class Settings(FrozenModel):
    """The settings of the service."""

    provisioning_seconds: NonNegativeFloat = 0.2
    fail_provisioning: NonNegativeInt = 0
    """How many of the next builds fail with FAULT during provisioning."""
    concurrency: NonNegativeInt = 2
    """How many builds run at once; further builds are queued."""
    most_queued: NonNegativeInt | None = None
    """How many builds can be queued (AWS: five times the concurrency); None: any number."""
    minute_seconds: PositiveFloat = 60.0
    """How many seconds a minute of a build's timeouts lasts, also for running builds."""
    grace_seconds: NonNegativeFloat = 2.0
    """How long processes have to end after SIGTERM before SIGKILL."""
    log_interval_seconds: PositiveFloat = 0.5
    """The interval between deliveries of a running build's output."""
    side_channel_seconds: PositiveFloat = 1.0
    """The interval between deliveries of events."""
    page_size: PositiveInt = 100


class BuildSettings(LiveSettings[Settings]):
    """The settings in force."""

    def __init__(self) -> None:
        super().__init__(Settings())

    def take_provisioning_failure(self) -> bool:
        """Whether the provisioning that begins now fails; counts `fail_provisioning` down."""
        left = self.now.fail_provisioning
        if left:
            self.replace(self.now.model_copy(update={"fail_provisioning": left - 1}))
        return left > 0
