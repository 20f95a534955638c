"""The figures of a load check as text."""

from collections.abc import Iterator
from typing import Final

from ephemeral_endpoints.api.v1alpha1.load import BaseLoad, LoadResult, VariantLoad
from ephemeral_endpoints.cli.output import table
from ephemeral_endpoints.features.checks.load.histogram import bars

_WIDTH: Final = 40
_ROWS: Final = 10


def lines(result: LoadResult, base: BaseLoad | None) -> list[str]:
    """What was sent, the latencies beside those of the base, and how they are distributed."""
    return [_summary(result), "", *table([*_rows(result, base)]), "", *_distribution(result)]


def _summary(result: LoadResult) -> str:
    told = ", ".join(f"{count} with {status}" for status, count in result.failures.items())
    failed = f", {result.failed} failed ({told})" if result.failed else ""
    late = f"; the generator was late by {result.lateness_p99_ms:g} ms (p99)" if result.lateness_p99_ms else ""
    return f"{result.sent} requests in {result.seconds:g} s{failed}{late}"


def _rows(result: LoadResult, base: BaseLoad | None) -> Iterator[list[str]]:
    yield ["LATENCY", "P50", "P90", "P99", "MAX"]
    yield ["all", *map(_milliseconds, _latencies(result))]
    for each in result.variants:
        yield [f"variant {each.name}", *map(_milliseconds, _latencies(each))]
    if base:
        yield ["base", *map(_milliseconds, _latencies(base))]
        yield ["ratio", *map(_ratio, _latencies(result), _latencies(base))]


def _latencies(figures: LoadResult | VariantLoad | BaseLoad) -> tuple[float | None, ...]:
    return figures.p50_ms, figures.p90_ms, figures.p99_ms, figures.max_ms


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:g} ms"


def _ratio(value: float | None, base: float | None) -> str:
    return f"{value / base:.2f}" if value is not None and base else "-"


def _distribution(result: LoadResult) -> Iterator[str]:
    found = bars(result.histogram, _ROWS) if result.histogram else []
    most = max((each.requests for each in found), default=1)
    for each in found:
        bar = "█" * round(_WIDTH * each.requests / most) or ("▏" if each.requests else "")
        yield f"{each.low_ms:>9.1f} to {each.high_ms:>9.1f} ms {each.requests:>5}  {bar}".rstrip()
