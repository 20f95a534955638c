"""Load checks of a served model, and their figures."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Final

from pydantic import Field, Strict

from ephemeral_endpoints.api.rules import Rule
from ephemeral_endpoints.api.v1alpha1.base import TOLERANT, ApiModel
from ephemeral_endpoints.api.v1alpha1.duration import cel_is_duration, cel_seconds
from ephemeral_endpoints.api.v1alpha1.types import DnsSubdomain, Duration, Integer, between

MOST_REQUESTS: Final = 3000
"""Requests of one load check: they are paid for, and a preview is no target for more."""

MOST_LOAD_CHECKS: Final = 3
"""Load checks of one object: they run one after the other, and each takes minutes."""

FEWEST_REQUESTS: Final = 10
FEWEST_FOR_P99: Final = 100
"""With fewer requests the 99th percentile is the slowest one, which a single hiccup decides."""

_LONGEST: Final = timedelta(seconds=120)
_SECOND: Final = timedelta(seconds=1)
_RATIOS: Final = ("p50_ratio_to_base", "p90_ratio_to_base", "p99_ratio_to_base", "max_ratio_to_base")

Milliseconds = Annotated[Integer, Field(ge=1, le=60_000)]
Ratio = Annotated[float, Strict(), Field(ge=0.1, le=100)]


def _requests(load: "Load") -> int:
    return load.rate * (load.duration // _SECOND)


def _of_requests(comparison: str, unless: str, message: str, holds: Callable[["Load"], bool]) -> Rule:
    """The rule for the number of requests; a malformed duration has its own rule and message."""
    conditions = [f"!{cel_is_duration('self.duration')}", *([unless] if unless else [])]
    cel = f"{' || '.join(conditions)} || self.rate * {cel_seconds('self.duration')} {comparison}"
    return Rule(cel=cel, message=message, holds=holds)


class LoadBase(ApiModel):
    """What the latencies of a load check are compared with."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.previousRevision != has(self.endpoint)",
            message="set either previousRevision: true or endpoint",
            holds=lambda base: base.previous_revision != (base.endpoint is not None),
        ),
    )

    previous_revision: bool = False
    """Compare with the last other revision of this object that was measured. Nothing is compared while there is none.
    Default false."""

    endpoint: DnsSubdomain | None = None
    """Name of another EphemeralEndpoint of the namespace, such as that of the main branch. It must have a load check of
    the same name, and its last result counts."""


class Load(ApiModel):
    """Load on the model: requests at a constant rate, whether the model keeps up or not.

    A latency is counted from the moment at which the request was due, so that a model that stops answering for a while
    delays all requests that were due meanwhile.
    """

    rules: ClassVar[tuple[Rule, ...]] = (
        _of_requests(
            f"<= {MOST_REQUESTS}",
            "",
            f"rate times duration must be at most {MOST_REQUESTS} requests: lower rate or shorten duration",
            lambda load: _requests(load) <= MOST_REQUESTS,
        ),
        _of_requests(
            f">= {FEWEST_REQUESTS}",
            "",
            f"rate times duration must be at least {FEWEST_REQUESTS} requests: raise rate or lengthen duration",
            lambda load: _requests(load) >= FEWEST_REQUESTS,
        ),
        _of_requests(
            f">= {FEWEST_FOR_P99}",
            "(!has(self.p99Ms) && !has(self.p99RatioToBase))",
            f"p99Ms and p99RatioToBase need at least {FEWEST_FOR_P99} requests, rate times duration: with fewer the "
            "slowest request alone decides",
            lambda load: (load.p99_ms or load.p99_ratio_to_base) is None or _requests(load) >= FEWEST_FOR_P99,
        ),
        Rule(
            cel="has(self.base) || !(has(self.p50RatioToBase) || has(self.p90RatioToBase) || has(self.p99RatioToBase)"
            " || has(self.maxRatioToBase))",
            message="ratios to the base need base: set base.previousRevision or base.endpoint",
            holds=lambda load: load.base is not None or all(getattr(load, name) is None for name in _RATIOS),
        ),
    )

    rate: Annotated[Integer, Field(ge=1, le=50)]
    """Requests per second, 1 to 50."""

    duration: Annotated[Duration, between(_SECOND, _LONGEST, "must be at most 2m")] = timedelta(seconds=30)
    """For how long requests are sent, at most 2m. Rate times duration is at most 3000 requests. Default 30s."""

    warm_up: Annotated[Integer, Field(ge=1, le=100)] = 5
    """Requests before that, one after the other, which do not count, 1 to 100. The first is repeated for up to 2m until
    it is answered: a serverless endpoint may have to start. Default 5."""

    p50_ms: Milliseconds | None = None
    """Longest median latency with which the check passes, in milliseconds, 1 to 60000. Absent: any."""

    p90_ms: Milliseconds | None = None
    """Longest latency of 90 % of the requests with which the check passes, in milliseconds, 1 to 60000. Absent: any."""

    p99_ms: Milliseconds | None = None
    """Longest latency of 99 % of the requests with which the check passes, in milliseconds, 1 to 60000. Absent: any."""

    max_ms: Milliseconds | None = None
    """Longest latency of any request with which the check passes, in milliseconds, 1 to 60000. Absent: any."""

    error_percent: Annotated[float, Strict(), Field(ge=0, le=100)] = 1
    """Largest share of failed requests with which the check passes, in percent. Failed are requests without an answer
    within 30 s, and with another status than 2xx. Default 1."""

    base: LoadBase | None = None
    """What the latencies are compared with. Absent: nothing."""

    p50_ratio_to_base: Ratio | None = None
    """Largest ratio of the median latency to that of the base with which the check passes, such as 1.2. Absent: any."""

    p90_ratio_to_base: Ratio | None = None
    """The same for the latency that 90 % of the requests did not exceed."""

    p99_ratio_to_base: Ratio | None = None
    """The same for the latency that 99 % of the requests did not exceed."""

    max_ratio_to_base: Ratio | None = None
    """The same for the longest latency."""


class VariantLoad(ApiModel):
    """The figures of one of several models behind the URL."""

    model_config = TOLERANT

    name: str
    """Name of the variant that answered."""

    answered: int
    """Number of requests that it answered, whatever the status."""

    failed: int
    """Number of these that it answered with another status than 2xx."""

    p50_ms: float
    """The median latency."""

    p90_ms: float
    """The latency that 90 % of the requests did not exceed."""

    p99_ms: float
    """The latency that 99 % of the requests did not exceed."""

    max_ms: float
    """The longest latency."""


class BaseLoad(ApiModel):
    """The figures of the base that a load check was compared with."""

    model_config = TOLERANT

    endpoint: str | None = None
    """Name of the other object; absent for the previous revision of this one."""

    revision: str
    """The Git commit that was measured."""

    rate: float
    """Requests per second that were planned."""

    p50_ms: float
    """The median latency."""

    p90_ms: float
    """The latency that 90 % of the requests did not exceed."""

    p99_ms: float
    """The latency that 99 % of the requests did not exceed."""

    max_ms: float
    """The longest latency."""


class LoadResult(ApiModel):
    """The figures of a load check. Latencies are counted from the planned start of each request, in milliseconds."""

    model_config = TOLERANT

    planned: int
    """Number of requests that were planned."""

    sent: int
    """Number of requests that were sent."""

    failed: int
    """Number of requests without an answer, or with another status than 2xx."""

    failures: Mapping[str, int] = Field(default_factory=dict)
    """The number of failed requests by their status, and by none where there was no answer; at most 5 of them."""

    rate: float
    """Requests per second that were planned."""

    seconds: float
    """How long the requests were sent for."""

    p50_ms: float | None = None
    """The median latency."""

    p90_ms: float | None = None
    """The latency that 90 % of the requests did not exceed."""

    p99_ms: float | None = None
    """The latency that 99 % of the requests did not exceed."""

    max_ms: float | None = None
    """The longest latency."""

    lateness_p99_ms: float | None = None
    """How late the generator itself sent 99 % of the requests, or less."""

    variants: tuple[VariantLoad, ...] = ()
    """The figures of each model behind the URL, if there are several."""

    histogram: str | None = None
    """All latencies as a compressed HDR histogram in base64, so that revisions can be compared."""

    base: BaseLoad | None = None
    """What the latencies were compared with."""
