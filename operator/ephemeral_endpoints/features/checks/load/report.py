"""What the generator has seen, in figures, and how its Job tells them. Pure."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import Field

from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.load import MOST_REQUESTS, LoadResult, VariantLoad
from ephemeral_endpoints.api.v1alpha1.serving import MOST_VARIANTS
from ephemeral_endpoints.features.checks.load.histogram import decoded, encoded
from ephemeral_endpoints.features.checks.load.measurement import Measurement, Sample

MOST_BYTES: Final = 4096
"""Of a termination message, above which Kubernetes cuts it off:
https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/"""

NO_ANSWER: Final = "none"
_MOST_FAILURES: Final = 5
_MOST_MS: Final = 300_000.0
_VARIANT: Final = re.compile("[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")
_FAILURE: Final = re.compile(f"[1-9][0-9][0-9]|{NO_ANSWER}")
_ORDER: Final = ("p50_ms", "p90_ms", "p99_ms", "max_ms")

_Milliseconds = Annotated[float, Field(ge=0, le=_MOST_MS)]


class WarmUpReport(ApiModel):
    """The requests before the load. ``median_ms`` is None if none was answered; ``status`` is that of the last one."""

    sent: Annotated[int, Field(ge=0, le=1000)]
    median_ms: _Milliseconds | None = None
    status: Annotated[int, Field(ge=100, le=999)] | None = None


class LoadReport(ApiModel):
    """All that the generator tells. Without a result the load was not begun, for what the warm-up shows."""

    warm_up: WarmUpReport
    result: LoadResult | None = None

    def to_json(self) -> str:
        """The report as text, in at most ``MOST_BYTES``."""
        text = self.model_dump_json(exclude_none=True)
        if len(text.encode()) > MOST_BYTES and self.result:
            bare = self.result.model_copy(update={"histogram": None})
            return self.model_copy(update={"result": bare}).model_dump_json(exclude_none=True)
        return text


def report(measurement: Measurement) -> LoadReport:
    """The figures of a measurement."""
    median = measurement.warm_up.median
    warm_up = WarmUpReport(
        sent=measurement.warm_up.sent,
        median_ms=None if median is None else _milliseconds(median),
        status=measurement.warm_up.status,
    )
    return LoadReport(warm_up=warm_up, result=_result(measurement) if measurement.samples else None)


def read(text: str, *, planned: int) -> LoadReport:
    """Read what a Job tells of so many planned requests. Raises ValueError unless it can be true.

    Whoever may change Pods of the namespace can have written it.
    """
    told = LoadReport.model_validate_json(text)
    if told.result is not None:
        _check(told.result, planned)
        # Only what the generator itself determines is taken over.
        return told.model_copy(update={"result": told.result.model_copy(update={"base": None})})
    return told


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that so many of the ordered values do not exceed; ``share`` is above 0 and at most 1."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _result(measurement: Measurement) -> LoadResult:
    plan, samples = measurement.plan, measurement.samples
    failures = Counter(_failure(each) for each in samples if not _is_ok(each))
    last = max(start + each.lateness for start, each in zip(plan.starts(), samples, strict=True))
    return LoadResult(
        planned=plan.requests,
        sent=len(samples),
        failed=failures.total(),
        failures=dict(failures.most_common(_MOST_FAILURES)),
        rate=plan.rate,
        seconds=round(last + 1 / plan.rate, 1),
        **_figures(samples),
        lateness_p99_ms=_milliseconds(percentile(sorted(each.lateness for each in samples), 0.99)),
        variants=_variants(samples),
        histogram=encoded(each.latency for each in samples),
    )


def _figures(samples: Sequence[Sample]) -> dict[str, float]:
    ordered = sorted(each.latency for each in samples)
    shares = (0.5, 0.9, 0.99, 1.0)
    return {name: _milliseconds(percentile(ordered, share)) for name, share in zip(_ORDER, shares, strict=True)}


def _variants(samples: Sequence[Sample]) -> tuple[VariantLoad, ...]:
    """The variants that have answered, if there are several; a header that is no name of one is left aside."""
    found = sorted({each.variant for each in samples if _VARIANT.fullmatch(each.variant)})[:MOST_VARIANTS]
    if len(found) < 2:  # noqa: PLR2004 - several
        return ()
    return tuple(_variant(name, [each for each in samples if each.variant == name]) for name in found)


def _variant(name: str, samples: Sequence[Sample]) -> VariantLoad:
    failed = sum(not _is_ok(each) for each in samples)
    return VariantLoad(name=name, answered=len(samples), failed=failed, **_figures(samples))


def _is_ok(sample: Sample) -> bool:
    return sample.status is not None and 200 <= sample.status < 300  # noqa: PLR2004 - RFC 9110, section 15


def _failure(sample: Sample) -> str:
    return NO_ANSWER if sample.status is None else str(sample.status)


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _check(result: LoadResult, planned: int) -> None:
    if not result.planned == result.sent == planned <= MOST_REQUESTS or not 0 <= result.failed <= result.sent:
        raise ValueError("the numbers of requests are not those of the plan")
    if len(result.failures) > _MOST_FAILURES or not all(map(_FAILURE.fullmatch, result.failures)):
        raise ValueError("the failures are not those of requests")
    if min(result.failures.values(), default=0) < 0 or sum(result.failures.values()) > result.failed:
        raise ValueError("the failures are more than there are")
    if not (0 < result.rate <= MOST_REQUESTS and 0 <= result.seconds <= _MOST_MS):
        raise ValueError("the rate or the duration cannot be true")
    if not _are_ordered(result) or not all(map(_is_plausible, result.variants)) or len(result.variants) > MOST_VARIANTS:
        raise ValueError("the latencies cannot be true")
    if result.lateness_p99_ms is None or not 0 <= result.lateness_p99_ms <= _MOST_MS:
        raise ValueError("the lateness cannot be true")
    if result.histogram is not None and decoded(result.histogram).get_total_count() != result.sent:
        raise ValueError("the histogram is not that of the requests")


def _is_plausible(variant: VariantLoad) -> bool:
    is_named = _VARIANT.fullmatch(variant.name) is not None
    return is_named and 0 <= variant.failed <= variant.answered <= MOST_REQUESTS and _are_ordered(variant)


def _are_ordered(figures: LoadResult | VariantLoad) -> bool:
    """Whether the percentiles are all there, grow, and are within bounds; not a number is none of them."""
    values = [getattr(figures, name) for name in _ORDER]
    if None in values:
        return False
    return all(low <= high for low, high in zip([0.0, *values], [*values, _MOST_MS], strict=True))
