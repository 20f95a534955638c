"""What a person must hear of a reaper, in a stack as from the operator."""

from dataclasses import dataclass
from typing import Final

from ephemeral_endpoints.features.expiry.reaper.report import FAILURES, HELD, RUNS

MINUTES: Final = 15
"""Between two runs."""

SILENCE_PERIODS: Final = 8
"""Runs in two hours: without any, nothing catches what the operator leaves."""


@dataclass(frozen=True, slots=True)
class ReaperAlarm:
    """An alarm over so many periods between two runs. ``is_low`` is one on what there should be."""

    name: str
    metric: str
    text: str
    periods: int
    is_low: bool = False
    of_lambda: bool = False


SILENT: Final = ReaperAlarm(
    "silent",
    RUNS,
    "No run of the reaper has ended well for two hours: nothing catches what the operator leaves",
    SILENCE_PERIODS,
    is_low=True,
)
FAILS: Final = ReaperAlarm("fails", FAILURES, "The reaper cannot read or delete some kinds of resources", 2)
ERRORS: Final = ReaperAlarm("errors", "Errors", "Runs of the reaper end with an error", 2, of_lambda=True)
HOLDS: Final = ReaperAlarm(
    "holds", HELD, "So many objects have expired at once that the reaper holds them for another GraceHours", 1
)
ALARMS: Final = (SILENT, FAILS, ERRORS, HOLDS)
