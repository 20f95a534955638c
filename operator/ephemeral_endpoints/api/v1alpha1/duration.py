"""Durations: Go's syntax without fractions, which Kubernetes users write, with days and weeks: 3d, 72h or 1h30m.

The order of the units is that of Prometheus
(https://prometheus.io/docs/prometheus/latest/configuration/configuration/#configuration-file).
"""

import re
from datetime import timedelta
from typing import Final

_SECONDS: Final = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
_AMOUNT: Final = "[0-9]{1,6}"

LONGEST_TEXT: Final = len(_SECONDS) * 7

FORM: Final = "".join(f"({_AMOUNT}{unit})?" for unit in _SECONDS)
"""The syntax, as a regular expression that Python and RE2 read alike. It matches the empty string too, which is none.

Six digits keep every sum within CEL's integers.
"""


def parse_duration(text: str) -> timedelta:
    """Read weeks to seconds, in that order and each at most once, as whole numbers of at most six digits.

    A day has 24 hours. Zero ("0s") is a duration. Raises ValueError where the text is none.
    """
    if not text or re.fullmatch(FORM, text) is None:
        raise ValueError(f"{text[:32]!r} is not a duration: write it as 3d, 72h or 1h30m")
    parts = re.findall("([0-9]+)([a-z])", text)
    return timedelta(seconds=sum(int(amount) * _SECONDS[unit] for amount, unit in parts))


def format_duration(value: timedelta) -> str:
    """Write a duration without the parts that are zero ("72h", "1h30m", "0s"); fractions of a second are cut off.

    The result has no days and weeks, so that Go reads it too. Raises ValueError for a negative duration, which the
    syntax cannot say.
    """
    if value < timedelta(0):
        raise ValueError(f"a duration cannot be negative: {value}")
    minutes, seconds = divmod(value // timedelta(seconds=1), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{amount}{unit}" for amount, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if amount]
    return "".join(parts) or "0s"


def cel_is_duration(value: str) -> str:
    """The CEL expression that tells whether an expression's text is a duration."""
    return f"({value}.matches('^({FORM})$') && {value} != '')"


def cel_seconds(value: str) -> str:
    """The CEL expression of a duration in seconds: CEL's own `duration()` knows neither days nor weeks.

    It evaluates for every text, also for one that is no duration.
    """
    parts = (
        f"int('0' + {value}.find('{_AMOUNT}{unit}').replace('{unit}', '')) * {seconds}"
        for unit, seconds in _SECONDS.items()
    )
    return f"({' + '.join(parts)})"
