"""Figures as people read them: amounts, times, durations, shares. Pure."""

from datetime import datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Final

from ephemeral_endpoints.features.capacity.cost import amount

_CENT: Final = Decimal("0.01")


def money(value: Decimal) -> str:
    """An amount in US dollars."""
    return f"${amount(value)}"


def cents(value: Decimal) -> str:
    """An amount in US dollars, to the cent."""
    return f"${value.quantize(_CENT)}"


def when(moment: datetime) -> str:
    """A moment in UTC, such as 4 November 2026, 12:00 UTC."""
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment:%Y, %H:%M} UTC"


def lasting(duration: timedelta) -> str:
    """A duration in its two largest units, such as 3 days 4 hours."""
    minutes = max(duration, timedelta(0)) // timedelta(minutes=1)
    parts = ((minutes // 1440, "day"), (minutes // 60 % 24, "hour"), (minutes % 60, "minute"))
    shown = [counted(number, unit) for number, unit in parts if number]
    return " ".join(shown[:2]) or "less than a minute"


def counted(number: int, unit: str) -> str:
    """A number with its unit, such as 1 day or 1,200 requests."""
    return f"{number:,} {unit}" if number == 1 else f"{number:,} {unit}s"


def milliseconds(value: float | None) -> str:
    """A latency, such as 12 ms or 1.4 s."""
    if value is None or not isfinite(value):
        return "—"
    return f"{value / 1000:,.1f} s" if value >= _SECOND_MS else f"{value:,.0f} ms"


def ratio(value: float) -> str:
    """A ratio with two decimals, such as 1.08x."""
    return f"{value:,.2f}x" if isfinite(value) else "an unknown multiple of"


def number(value: float) -> str:
    """A difference of numbers, with four digits that count."""
    return f"{value:.4g}"


_SECOND_MS: Final = 1000.0

_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
