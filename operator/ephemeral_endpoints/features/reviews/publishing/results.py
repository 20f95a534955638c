"""The results that a comment shows: the comparison with the base, the checks, and the figures under load. Pure."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from ephemeral_endpoints.api.v1alpha1.checks import CheckOutcome, CheckResult
from ephemeral_endpoints.api.v1alpha1.comparison import ComparisonResult
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.load import BaseLoad, LoadResult, VariantLoad
from ephemeral_endpoints.api.v1alpha1.serving import MOST_VARIANTS
from ephemeral_endpoints.features.capacity.cost import usd
from ephemeral_endpoints.features.reviews.publishing.figures import counted, milliseconds, money, number, ratio
from ephemeral_endpoints.features.reviews.publishing.markdown import cell, code, commit, details, joined, table

_MOST_WORST: Final = 5
_MOST_FLIPS: Final = 10
_MOST_NUMBERS: Final = 10
_MOST_CHECKS: Final = 50
_NAME: Final = 64
_LABEL: Final = 80
_ANSWER: Final = 240
_MESSAGE: Final = 300

_MARKS: Final = {CheckOutcome.PASSED: "✅", CheckOutcome.FAILED: "❌", CheckOutcome.INCONCLUSIVE: "❔"}


def comparison(endpoint: EphemeralEndpoint, *, is_open: bool) -> str:
    """What the model answers differently than its base; empty without a comparison. ``is_open``: unfolded."""
    found = endpoint.status.comparison
    if found is None:
        return ""
    at = f" at {commit(found.base_revision)}" if found.base_revision else ""
    older = _older(endpoint, found.revision)
    title = f"**Compared with {code(found.base)}{at}{older}:** {_outcome(found)}"
    parts = [title, _ratios(found), _flips(found), _worst(found)]
    further = joined((_numbers(found), f"All differences: {code(found.report_uri, 1024)}" if found.report_uri else ""))
    if further:
        parts.append(details("More differences", further) if is_open else further)
    return joined(parts)


def checks(endpoint: EphemeralEndpoint, *, is_open: bool) -> str:
    """The checks, the failed ones first; empty without any. ``is_open``: those that passed are folded."""
    run = endpoint.status.checks
    if run is None or not run.results:
        return ""
    results = run.results[:_MOST_CHECKS]
    passed = [each for each in results if each.outcome is CheckOutcome.PASSED]
    others = [each for each in results if each.outcome is not CheckOutcome.PASSED]
    title = f"**Checks{_older(endpoint, run.revision)}:** {len(passed)} of {len(results)} passed"
    below = "\n".join(map(_check, others))
    good = "\n".join(map(_check, passed))
    if good and is_open:
        good = details(f"{counted(len(passed), 'check')} passed", good)
    return joined((title, below, _load(results), good))


def _older(endpoint: EphemeralEndpoint, revision: str) -> str:
    """A note that results are of another commit than the object is about now."""
    return "" if revision == endpoint.revision else f" (results of {commit(revision)})"


def _outcome(found: ComparisonResult) -> str:
    if not found.requests:
        said = "no request was answered by both"
    elif not found.changed:
        said = f"all {counted(found.requests, 'answer')} are the same"
    else:
        said = f"{found.changed:,} of {counted(found.requests, 'answer')} differ{'s' if found.changed == 1 else ''}"
    parts = [said]
    if found.flipped:
        parts.append(f"**{counted(found.flipped, 'label')} flipped**")
    if found.failed and found.requests:
        parts.append(f"{counted(found.failed, 'request')} not answered by both")
    return ", ".join(parts)


def _ratios(found: ComparisonResult) -> str:
    parts = [] if found.latency_ratio is None else [f"median latency {ratio(found.latency_ratio)} the base's"]
    parts += _prices("an hour", usd(found.base_hourly_usd), usd(found.hourly_usd))
    parts += _prices("per thousand requests", usd(found.base_per_thousand_usd), usd(found.per_thousand_usd))
    text = " · ".join(parts)
    return text[:1].upper() + text[1:]


def _prices(unit: str, base: Decimal | None, own: Decimal | None) -> Iterator[str]:
    if base is None or own is None or not (base or own):
        return
    yield f"{money(own)} {unit}, as the base" if base == own else f"{money(own)} {unit} instead of {money(base)}"


def _worst(found: ComparisonResult) -> str:
    rows = [
        (
            cell(each.request, _NAME) + (f" {cell(each.pointer, _NAME)}" if each.pointer else ""),
            cell(each.base, _ANSWER),
            cell(each.head, _ANSWER),
        )
        for each in found.worst[:_MOST_WORST]
    ]
    return table(("Request", "Base", "This pull request"), rows) if rows else ""


def _flips(found: ComparisonResult) -> str:
    """Which labels flipped: a reviewer sees at a glance whether the errors lie on one side."""
    rows = [(cell(each.base, _LABEL), cell(each.head, _LABEL), f"{each.count:,}") for each in found.flips[:_MOST_FLIPS]]
    return table(("Label of the base", "Of this pull request", "Answers"), rows) if rows else ""


def _numbers(found: ComparisonResult) -> str:
    rows = [
        (cell(each.pointer or "/", _NAME), f"{each.count:,}", number(each.median), number(each.max))
        for each in found.numbers[:_MOST_NUMBERS]
    ]
    return table(("Numbers at", "That differ", "Median difference", "Largest"), rows) if rows else ""


def _check(result: CheckResult) -> str:
    took = "" if result.latency_ms is None else f" {milliseconds(result.latency_ms)}"
    why = f": {code(result.message, _MESSAGE)}" if result.message and result.outcome is not CheckOutcome.PASSED else ""
    return f"- {_MARKS[result.outcome]} {code(result.name, _NAME)}{took}{why}"


def _load(results: Sequence[CheckResult]) -> str:
    rows = [row for each in results if each.load for row in _load_rows(each.name, each.load)]
    return table(("Load", "Sent", "p50", "p90", "p99", "Max", "Failed"), rows) if rows else ""


def _load_rows(name: str, load: LoadResult) -> Iterator[tuple[str, ...]]:
    """The figures, and below them those of each variant, and of the base if they were compared with one."""
    yield cell(name, _NAME), counted(load.sent, "request"), *_latencies(load), f"{load.failed:,}"
    for each in load.variants[:MOST_VARIANTS]:
        answers = counted(each.answered, "answer")
        yield f"variant {cell(each.name, _NAME)}", answers, *_latencies(each), f"{each.failed:,}"
    if base := load.base:
        whose = cell(base.endpoint, _NAME) if base.endpoint else "the previous revision"
        at = commit(base.revision.replace("|", "¦"))
        yield f"{whose} at {at}", "", *_latencies(base), ""


def _latencies(load: LoadResult | VariantLoad | BaseLoad) -> tuple[str, ...]:
    return tuple(map(milliseconds, (load.p50_ms, load.p90_ms, load.p99_ms, load.max_ms)))
