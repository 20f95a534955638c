"""A comparison as text."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from ephemeral_endpoints.api.v1alpha1.comparison import ComparisonResult
from ephemeral_endpoints.cli.output import age, table


def rendered(
    title: str, result: ComparisonResult, requests: Sequence[Mapping[str, Any]] | None, now: datetime
) -> list[str]:
    """The lines about a comparison; ``requests`` are those of its report, in place of the worst differences."""
    return [*_head(title, result, now), *_labels(result), *_numbers(result), *_differences(result, requests)]


def _head(title: str, result: ComparisonResult, now: datetime) -> Iterator[str]:
    revision, base_revision = (f" ({each[:7]})" if each else "" for each in (result.revision, result.base_revision))
    yield f"{title}{revision} compared with {result.base}{base_revision}, {age(result.finished_at, now)} ago"
    yield (
        f"{result.changed} of {result.requests} answers changed, {result.flipped} with another label; "
        f"{result.errors} failed here, {result.base_errors} at the base; {result.skipped} skipped"
    )
    if result.latency_ratio is not None:
        yield f"latency: {result.latency_ratio:g} x that of the base"
    yield from _cost("an hour", result.hourly_usd, result.base_hourly_usd)
    yield from _cost("a thousand requests, at most", result.per_thousand_usd, result.base_per_thousand_usd)
    if result.report_uri:
        yield f"report: {result.report_uri}"
    if result.report_error:
        yield f"no report: {result.report_error}"


def _cost(what: str, own: str | None, base: str | None) -> Iterator[str]:
    if own or base:
        here, there = (f"${each}" if each else "unknown" for each in (own, base))
        yield f"cost of {what}: {here}, of the base: {there}"


def _labels(result: ComparisonResult) -> list[str]:
    return _section(("BASE LABEL", "LABEL", "COUNT"), ((each.base, each.head, each.count) for each in result.flips))


def _numbers(result: ComparisonResult) -> list[str]:
    rows = ((each.pointer or "/", each.count, f"{each.median:g}", f"{each.max:g}") for each in result.numbers)
    return _section(("NUMBERS AT", "COUNT", "MEDIAN", "MAX"), rows)


def _differences(result: ComparisonResult, requests: Sequence[Mapping[str, Any]] | None) -> list[str]:
    if requests is None:
        rows: Iterable[Sequence[Any]] = ((each.request, each.pointer, each.base, each.head) for each in result.worst)
    else:
        rows = (row for each in requests for row in _of_request(each))
    return _section(("REQUEST", "AT", "BASE", "HERE"), rows)


def _of_request(request: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    """The rows of one request of a report, which somebody else may have written."""
    name, base, head = (request.get(each) for each in ("request", "base", "head"))
    replies = [each.get("error") or each.get("status") if isinstance(each, dict) else each for each in (base, head)]
    listed = request.get("differences")
    found = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    if not found and replies[0] != replies[1]:
        yield (name, "", *replies)
    for each in found:
        yield (name, *(each.get(member) for member in ("pointer", "base", "head")))


def _section(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    lines = [[str(cell) for cell in row] for row in rows]
    return ["", *table([head, *lines])] if lines else []
