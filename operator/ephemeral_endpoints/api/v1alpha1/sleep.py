"""When an endpoint sleeps: nothing is charged by the hour then, while its URL and all else stay."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from ephemeral_endpoints.api.rules import Rule, matches
from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.types import Duration, TimeZone, between

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_DAYS = f"({'|'.join(DAYS)})(-({'|'.join(DAYS)}))?"
_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"

AwakeHours = Annotated[
    str,
    Field(max_length=80),
    matches(
        f"{_DAYS}(,{_DAYS}){{0,6}} {_TIME}-({_TIME}|24:00)",
        "must be days and hours, such as Mon-Fri 08:00-19:00 or Sat,Sun 10:00-24:00",
    ),
    Rule(
        # A malformed value has its own rule and message.
        cel="self.find('[0-9:]{5}-') < self.find('[0-9:]{5}$') + '-'",
        message="must begin before it ends: hours over midnight are two, such as Mon 22:00-24:00 and Tue 00:00-06:00",
        holds=lambda hours: hours[-11:-6] < hours[-5:],
    ),
]


class WakeOn(StrEnum):
    """What wakes an endpoint beside its schedule, commands and changes of its object."""

    REQUEST = "Request"
    COMMAND = "Command"


class AwakeSchedule(ApiModel):
    """Hours in which an endpoint is awake."""

    awake: Annotated[tuple[AwakeHours, ...], Field(min_length=1, max_length=14)]
    """Days and hours in which the endpoint is awake whether it is used or not, 1 to 14, such as Mon-Fri 08:00-19:00."""

    time_zone: TimeZone = "UTC"
    """Time zone of the hours, such as Europe/Berlin, with its daylight saving time. Default UTC."""


class Sleep(ApiModel):
    """When an endpoint that costs by the hour sleeps, and what wakes it."""

    idle_timeout: (
        Annotated[Duration, between(timedelta(minutes=15), timedelta(days=365), "must be at least 15m")] | None
    ) = None
    """After how long without a request the endpoint sleeps, at least 15m; not within the hours of schedule. The class
    needs events, by which use is known. Absent: 30m with a schedule, otherwise it does not sleep by itself."""

    schedule: AwakeSchedule | None = None
    """Hours in which the endpoint is awake. It wakes when they begin, and sleeps after they end, as soon as it was not
    used for idleTimeout. Absent: no hours."""

    wake_on: WakeOn = WakeOn.REQUEST
    """Request: an authenticated request to the URL wakes the endpoint; the class needs events for that. Command: only
    a command, the schedule, or a change of the object does. Default Request."""
