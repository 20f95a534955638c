"""What an object has cost so far: a pure function of the last change of its hourly cost, and of the time since.

So nothing is written while the hourly cost stays the same, and a restart loses nothing.
"""

from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from ephemeral_endpoints.api.v1alpha1.endpoint_status import Cost
from ephemeral_endpoints.features.capacity.cost import PLACES, HourlyCost, amount, usd


def accrued(cost: Cost | None, at: datetime) -> Decimal | None:
    """The USD that capacity has cost until ``at``; None if nothing was recorded.

    It is at least that if the cost ``is_incomplete``. What is charged by use is not part of it.
    """
    so_far = usd(cost.accrued_usd) if cost else None
    if cost is None or so_far is None or cost.since is None:
        return None
    hours = Decimal(max(at - cost.since, timedelta(0)) // timedelta(seconds=1)) / 3600
    return so_far + hours * (usd(cost.hourly_usd) or 0)


def month_start(at: datetime) -> datetime:
    """The beginning of the calendar month of a time in UTC."""
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def month_to_date(cost: Cost | None, at: datetime) -> Decimal | None:
    """The same of the calendar month of ``at`` only; None if that is not known."""
    total, older = accrued(cost, at), _older(cost, month_start(at))
    return None if total is None or older is None else max(total - older, Decimal(0))


def is_incomplete(cost: Cost) -> bool:
    """Whether the price of some capacity is not known, now or earlier, so that ``accrued`` is too low."""
    return cost.incomplete or cost.hourly_usd is None or cost.since is None


def updated(before: Cost | None, hourly: HourlyCost, now: datetime) -> Cost:
    """The cost of a status from ``now`` on, in UTC; the one ``before`` if nothing has changed."""
    if before and before.since and (before.hourly_usd, before.unpriced) == (hourly.hourly, hourly.unpriced):
        return before
    # Rounded so that neither sum becomes less: what is over a budget stays so.
    so_far = (accrued(before, now) or Decimal(0)).quantize(PLACES, ROUND_CEILING)
    older = _older(before, month_start(now)) if before else Decimal(0)
    return Cost(
        hourly_usd=hourly.hourly,
        accrued_usd=amount(so_far),
        since=now.replace(microsecond=0),
        month_start_usd=None if older is None else amount(older.quantize(PLACES, ROUND_FLOOR)),
        unpriced=hourly.unpriced,
        incomplete=before is not None and is_incomplete(before),
    )


def _older(cost: Cost | None, month: datetime) -> Decimal | None:
    """What had accrued before the month; None if that is not known."""
    if cost is None or cost.since is None:
        return None
    return accrued(cost, month) if cost.since < month else usd(cost.month_start_usd)
