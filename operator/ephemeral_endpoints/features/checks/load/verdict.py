"""Whether a load check has passed. Pure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ephemeral_endpoints.api.v1alpha1.checks import CheckOutcome
from ephemeral_endpoints.api.v1alpha1.load import FEWEST_FOR_P99, FEWEST_REQUESTS, BaseLoad, Load, LoadResult
from ephemeral_endpoints.features.checks.load.plan import needed
from ephemeral_endpoints.features.checks.load.policy import Capacity
from ephemeral_endpoints.features.checks.load.report import NO_ANSWER, LoadReport

LATENESS_SHARE: Final = 0.1
"""The largest share of a threshold by which the generator itself may be late."""

LEAST_LATENESS_MS: Final = 1.0
"""What a generator is late by in any case: the clock of an event loop is no finer."""

_SAME_RATE: Final = 0.01
_REFUSALS: Final = ("401", "403")
_FIGURES: Final = {"p50": "p50_ms", "p90": "p90_ms", "p99": "p99_ms", "max": "max_ms"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a check ended, and why if it did not simply pass."""

    outcome: CheckOutcome
    message: str = ""


@dataclass(frozen=True, slots=True)
class _Limit:
    """The longest latency of a kind, and where it comes from."""

    name: str
    milliseconds: float
    origin: str = ""


def judge(load: Load, report: LoadReport, base: BaseLoad | str | None, capacity: Capacity | None) -> Verdict:
    """The verdict on a report. ``base`` is a text where figures that were asked for are missing."""
    if report.result is None:
        return _not_begun(load, report, capacity)
    missing = _missing_base(load, report.result, base)
    figures = base if isinstance(base, BaseLoad) and not missing else None
    limits = [*_absolute(load), *(_relative(load, figures) if figures else ())]
    if doubt := _doubt(report.result, limits):
        return Verdict(CheckOutcome.INCONCLUSIVE, doubt)
    if broken := [*_broken(report.result, limits), *_failures(load, report.result)]:
        return Verdict(CheckOutcome.FAILED, "; ".join(broken))
    if missing:
        return Verdict(CheckOutcome.INCONCLUSIVE, missing)
    is_first = load.base is not None and base is None
    return Verdict(CheckOutcome.PASSED, "there is no earlier revision to compare with" if is_first else "")


def _not_begun(load: Load, report: LoadReport, capacity: Capacity | None) -> Verdict:
    warm_up = report.warm_up
    if warm_up.median_ms is not None:
        return Verdict(CheckOutcome.INCONCLUSIVE, _too_much(load, warm_up.median_ms / 1000, capacity))
    said = "none came" if warm_up.status is None else f"the last one was {warm_up.status}"
    if str(warm_up.status) in _REFUSALS:
        return Verdict(CheckOutcome.INCONCLUSIVE, f"the load was not begun: {_refused(warm_up.sent)}")
    return Verdict(
        CheckOutcome.FAILED,
        f"the load was not begun: none of {warm_up.sent} requests of the warm-up was answered with 2xx; {said}",
    )


def _too_much(load: Load, median: float, capacity: Capacity | None) -> str:
    if capacity is None:
        return "the load was not begun, and the generator does not say why: run the checks again"
    possible = math.floor(capacity.concurrency / median) if median else 0
    remedy = f"lower rate to {possible}, or raise" if possible else "raise"
    return (
        f"the load was not begun: at {median * 1000:.0f} ms a request, {load.rate} per second are "
        f"{needed(load.rate, median):.1f} at once, and the endpoint takes {capacity.concurrency:g}: {remedy} "
        f"{capacity.field}"
    )


def _refused(count: int) -> str:
    return (
        f"the URL refused the token of {count} requests (401 or 403), which happens while the token is being changed: "
        "run the checks again"
    )


def _absolute(load: Load) -> Iterator[_Limit]:
    for name, field in _FIGURES.items():
        if (limit := getattr(load, field)) is not None:
            yield _Limit(name, limit)


def _relative(load: Load, base: BaseLoad) -> Iterator[_Limit]:
    origin = f"of {base.endpoint}" if base.endpoint else "of the previous revision"
    for name, field in _FIGURES.items():
        ratio, figure = getattr(load, f"{name}_ratio_to_base"), getattr(base, field)
        if ratio is not None:
            yield _Limit(name, ratio * figure, f", {ratio:g} times the {figure:g} ms {origin}")


def _doubt(result: LoadResult, limits: list[_Limit]) -> str | None:
    """Why the figures say nothing about the model; None if they do."""
    if refused := sum(result.failures.get(status, 0) for status in _REFUSALS):
        return _refused(refused)
    fewest = FEWEST_FOR_P99 if any(limit.name == "p99" for limit in limits) else FEWEST_REQUESTS
    if result.sent < fewest:
        return f"{result.sent} requests are too few, at least {fewest} are needed: raise rate or lengthen duration"
    late, least = result.lateness_p99_ms or 0.0, min((limit.milliseconds for limit in limits), default=math.inf)
    if late > max(LATENESS_SHARE * least, LEAST_LATENESS_MS):
        return (
            f"the generator itself was late by {late:g} ms (p99), more than 10 % of the threshold of {least:g} ms: its "
            "machine is too busy; run the checks again, or lower rate"
        )
    return None


def _broken(result: LoadResult, limits: list[_Limit]) -> Iterator[str]:
    for limit in limits:
        found = getattr(result, _FIGURES[limit.name])
        if found is None or found > limit.milliseconds:
            yield f"{limit.name} is {found:g} ms, expected at most {limit.milliseconds:g} ms{limit.origin}"


def _failures(load: Load, result: LoadResult) -> Iterator[str]:
    share = 100 * result.failed / result.sent
    if share > load.error_percent:
        told = ", ".join(f"{count} {_named(status)}" for status, count in result.failures.items())
        yield (
            f"{result.failed} of {result.sent} requests failed ({told}), {share:.3g} %, expected at most "
            f"{load.error_percent:g} %"
        )


def _named(status: str) -> str:
    return "without an answer" if status == NO_ANSWER else f"with {status}"


def _missing_base(load: Load, result: LoadResult, base: BaseLoad | str | None) -> str | None:
    """Why the comparison that was asked for says nothing; None if it does, or none was."""
    if isinstance(base, str):
        return base
    if base is not None and abs(base.rate - result.rate) > _SAME_RATE * load.rate:
        return (
            f"the base was measured at {base.rate:g} requests per second, this at {result.rate:g}: they cannot be "
            "compared; give both checks the same rate"
        )
    return None
