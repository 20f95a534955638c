"""The settings of the running service: limits, troubles, the webhook, and its clock."""

from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from eep_platform.emulation.clock import Clock
from eep_platform.emulation.settings import FrozenModel, LiveSettings

Effect = Literal["error", "html", "empty", "reset", "answer_lost", "primary_limit", "secondary_limit"]


class Trouble(FrozenModel):
    """Which requests go wrong, and how.

    Chosen are requests of ``operation``, a shell pattern of GitHub's operation ids such as ``repos/create-deployment``
    (GraphQL is ``graphql``), on a ``repository`` of this pattern (GraphQL has none); of these, the first ``times``
    after the first ``skip``. First the request waits: if ``held`` until the troubles change, then ``delay_seconds``.
    Then it ends by at most one ``effect``: an ``error`` of this ``status``; an ``html`` page with status 200, or an
    ``empty`` body; a ``reset`` connection; a refusal by the ``primary_limit`` or the ``secondary_limit``, with
    ``retry_after`` seconds if given (the primary one says so by its reset, in an hour by default). Nothing was done
    then. But with ``answer_lost``, all was done before the connection ends.
    """

    operation: str = "*"
    repository: str = "*"
    times: PositiveInt | None = None
    skip: NonNegativeInt = 0
    held: bool = False
    delay_seconds: NonNegativeFloat = 0.0
    effect: Effect | None = None
    status: Annotated[int, Field(ge=400, le=599)] = 500
    retry_after: NonNegativeInt | None = None

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.effect is None and not self.held and not self.delay_seconds:
            raise ValueError("say what happens: effect, held or delay_seconds")
        return self


class Limits(FrozenModel):
    """The rate limits, by user or installation.

    Source: https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api. Content is whatever a POST,
    PATCH, PUT or DELETE makes.
    """

    core_per_hour: NonNegativeInt = 5000
    graphql_per_hour: NonNegativeInt = 5000
    anonymous_per_hour: NonNegativeInt = 60
    content_per_minute: NonNegativeInt = 80
    content_per_hour: NonNegativeInt = 500
    rest_points_per_minute: NonNegativeInt = 900
    graphql_points_per_minute: NonNegativeInt = 2000
    concurrent: NonNegativeInt = 100
    tokens_per_hour: NonNegativeInt = 2000


class Webhook(FrozenModel):
    """Where events are delivered to, and the secret that signs them."""

    url: str
    secret: str
    timeout_seconds: NonNegativeFloat = 10.0


class Settings(FrozenModel):
    """The settings of the service."""

    limits: Limits = Limits()
    troubles: tuple[Trouble, ...] = ()
    webhook: Webhook | None = None
    strict: bool = False
    """Whether an answer that is not as GitHub's schema says becomes an error 500, besides a line in the log."""
    ahead_seconds: NonNegativeFloat = 0.0
    """How far the service's clock is ahead of the machine's."""


class GitHubSettings(LiveSettings[Settings]):
    """The settings in force."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(Settings())
        self._clock = clock

    def clock(self) -> datetime:
        """The time of the service."""
        return self._clock() + timedelta(seconds=self.now.ahead_seconds)
