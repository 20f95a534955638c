"""What stages and promotions name alike: versions, and the periods in which nothing is promoted."""

import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from ephemeral_endpoints.api.rules import Rule, matches
from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.packages import GROUP_NAME
from ephemeral_endpoints.api.v1alpha1.sleep import AwakeHours
from ephemeral_endpoints.api.v1alpha1.types import TimeZone

VERSION_NAME = f"{GROUP_NAME}/[1-9][0-9]{{0,8}}"

VersionName = Annotated[
    str,
    Field(max_length=73),
    matches(
        VERSION_NAME,
        "must be a model package group and a version of it, such as wine/7",
    ),
]
"""A version of a model: the part of a package's ARN that differs within an account and region."""


def _is_version(text: str) -> str:
    if re.fullmatch(VERSION_NAME, text) is None:
        raise ValueError("is no version of a model package group")
    return text


WrittenVersion = Annotated[str, AfterValidator(_is_version)]
"""A version in a status, whose output needs no rule of the API server."""

Day = Annotated[
    str,
    Field(max_length=10),
    matches("20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])", "must be a day such as 2026-12-24, in quotes"),
]


class FrozenDays(ApiModel):
    """Whole days in which nothing is promoted."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.from <= self.to",
            message="from must not be later than to",
            holds=lambda days: days.from_ <= days.to,
        ),
    )

    from_: Annotated[Day, Field(alias="from")]
    """The first day, such as "2026-12-23"."""

    to: Day
    """The last day, which is frozen too."""


class Freeze(ApiModel):
    """When nothing is promoted. What runs already goes on, and rollbacks are never frozen."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="(has(self.hours) && size(self.hours) > 0) || (has(self.days) && size(self.days) > 0)",
            message="set hours, days or both",
            holds=lambda freeze: bool(freeze.hours or freeze.days),
        ),
    )

    hours: Annotated[tuple[AwakeHours, ...], Field(max_length=14)] = ()
    """Days of the week and hours, at most 14, such as Fri 16:00-24:00 or Sat,Sun 00:00-24:00. Default none."""

    days: Annotated[tuple[FrozenDays, ...], Field(max_length=20)] = ()
    """Days of the calendar, at most 20 periods. Default none."""

    time_zone: TimeZone = "UTC"
    """Time zone of hours and days, such as Europe/Berlin, with its daylight saving time. Default UTC."""
