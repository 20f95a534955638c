"""Durations as Kubernetes users write them: Go's syntax without fractions, such as 72h, 30m or 1h30m."""

import re
from datetime import timedelta

FORM = "([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?"
"""The syntax, as a regular expression that Python and RE2 read alike. It matches the empty string too, which is none.

Six digits keep every sum within what Go's time.ParseDuration, and so CEL's `duration()`, can hold.
"""


def parse_duration(text: str) -> timedelta:
    """Read hours, minutes and seconds, in that order and each at most once, as whole numbers of at most six digits.

    Zero ("0s") is a duration. Raises ValueError where the text is none.
    """
    if not text or re.fullmatch(FORM, text) is None:
        raise ValueError(f"{text[:32]!r} is not a duration: write it like 72h, 30m or 1h30m")
    parts = {unit: int(amount) for amount, unit in re.findall("([0-9]+)([hms])", text)}
    return timedelta(hours=parts.get("h", 0), minutes=parts.get("m", 0), seconds=parts.get("s", 0))


def format_duration(value: timedelta) -> str:
    """Write a duration without the parts that are zero ("72h", "1h30m", "0s"); fractions of a second are cut off.

    Raises ValueError for a negative duration, which the syntax cannot say.
    """
    if value < timedelta(0):
        raise ValueError(f"a negative duration cannot be written: {value}")
    minutes, seconds = divmod(value // timedelta(seconds=1), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{amount}{unit}" for amount, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if amount]
    return "".join(parts) or "0s"
