"""Comparison of a served model with its base: what is asked for, what classes allow, and the results."""

import re
from collections.abc import Sequence
from typing import Annotated, ClassVar, Final

from pydantic import Field, Strict

from ephemeral_endpoints.api.rules import Rule, matches
from ephemeral_endpoints.api.v1alpha1.base import TOLERANT, ApiModel
from ephemeral_endpoints.api.v1alpha1.packed import Packed
from ephemeral_endpoints.api.v1alpha1.samples import MAX_SAMPLES
from ephemeral_endpoints.api.v1alpha1.types import DnsLabel, DnsSubdomain, Integer, S3Prefix, Timestamp

MOST_RECORDED: Final = 200
NAMESPACE_PLACEHOLDER: Final = "{namespace}"
PREVIOUS_REVISION: Final = "previous revision"
"""What the result calls its base if that is no other object."""

_MOST_POINTERS: Final = 20
_POINTER: Final = r"(/([^/~\x00-\x1f\x7f]|~0|~1)*)*"

# https://www.rfc-editor.org/rfc/rfc6901
Pointer = Annotated[
    str,
    Field(max_length=256),
    matches(
        _POINTER,
        "must be a JSON pointer, such as /predictions/-/score, where - stands for every index and * for every member: "
        "empty, or beginning with '/', with ~1 for '/' and ~0 for '~' in names",
    ),
]
Pointers = Annotated[tuple[Pointer, ...], Field(max_length=_MOST_POINTERS)]

RecordingsPrefix = Annotated[
    str,
    Field(max_length=512),
    matches(
        r"s3://[A-Za-z0-9][A-Za-z0-9._-]+[A-Za-z0-9](/([A-Za-z0-9!_.*'()=+,:@-]|\{namespace\})+)*/?",
        f"must be the S3 URL of a folder, in whose path {NAMESPACE_PLACEHOLDER} stands for the namespace of the object",
    ),
    Rule(
        cel="!self.matches('/[.]{1,2}(/|$)')",
        message="must not contain the segments '.' and '..': S3 does not resolve them",
        holds=lambda url: re.search("/[.]{1,2}(/|$)", url) is None,
    ),
]


class ComparisonBase(ApiModel):
    """What the model is compared with; exactly one field is set."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.endpoint) != self.previousRevision",
            message="set exactly one of endpoint, and previousRevision: true",
            holds=lambda base: (base.endpoint is not None) != base.previous_revision,
        ),
    )

    endpoint: DnsSubdomain | None = None
    """Name of another EphemeralEndpoint in the same namespace, such as the one of the main branch."""

    previous_revision: bool = False
    """Compare with the answers of the revision that this object served before. They are kept in S3, so the class must
    have comparisons.reportsS3Uri. Default false."""


class Tolerance(ApiModel):
    """By how much numbers may differ and still count as equal."""

    pointer: Pointer
    """JSON pointer to the numbers, or to what contains them: /predictions/-/score, where - stands for every index of an
    array and * also for every member. The empty pointer stands for all numbers."""

    absolute: Annotated[float, Strict(), Field(ge=0, le=10**15, allow_inf_nan=False)] = 0
    """Difference up to which two numbers are equal, 0 to 1000000000000000. Default 0."""

    relative: Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)] = 0
    """The same as a share of the larger of the two magnitudes, 0 to 1. Two numbers a and b are equal if
    |a - b| <= max(absolute, relative * max(|a|, |b|)). Default 0."""


class Recorded(ApiModel):
    """Recorded requests in S3."""

    s3_uri: S3Prefix
    """S3 URL of a folder, or of one file. Files whose names end with .jsonl have a request on each line, as SageMaker's
    data capture writes them, or as {"request": …, "contentType": …}; any other file is the body of one request with
    the media type that S3 has of it. The class must allow it (comparisons.recordings)."""

    limit: Annotated[Integer, Field(ge=1, le=MOST_RECORDED)] = 50
    """Number of requests that are sent, the first ones in the order of the files' names, 1 to 200. Default 50."""


class Comparison(ApiModel):
    """How the model is compared with another one that gets the same requests."""

    with_: Annotated[ComparisonBase, Field(alias="with")]
    """What the model is compared with."""

    samples: Annotated[tuple[DnsLabel, ...], Field(max_length=MAX_SAMPLES)] = ()
    """Names of the samples (api.samples) that are sent, at most 10. Absent: all of them."""

    recorded: Recorded | None = None
    """Recorded requests in S3 that are sent too. Absent: none."""

    tolerances: Annotated[tuple[Tolerance, ...], Field(max_length=_MOST_POINTERS)] = ()
    """By how much numbers may differ, at most 20; of several that match, the first one counts. Other numbers may differ
    by the rounding of floating-point arithmetic (relative 1e-9)."""

    label: Pointer | None = None
    """JSON pointer to the label of an answer, such as /predictions/-/label; answers with another label are counted as
    flipped. Absent: every text named label, class, category, prediction or predictions."""

    ignore: Pointers = ()
    """JSON pointers to what is not compared, with everything below it, such as /timestamp or /revision; at most 20."""

    redact: Pointers = ()
    """JSON pointers to what is compared but never shown or kept, with everything below it, at most 20. With
    previousRevision it is not compared, because it is not kept."""


class ComparisonPolicy(ApiModel):
    """Where reports of comparisons are written, and which recorded requests may be read."""

    reports_s3_uri: S3Prefix | None = None
    """S3 URL of a folder in the class's region for the reports: s3://<bucket>/<prefix>. The operator writes
    <namespace>/<name>/<revision>.json below it and never deletes it: set a lifecycle rule on the bucket. The operator's
    role must be able to read and write there. Absent: no reports, and no comparisons with previous revisions."""

    recordings: Annotated[tuple[RecordingsPrefix, ...], Field(max_length=20)] = ()
    """S3 URLs of folders in the class's region from which objects may have recorded requests sent to their models, at
    most 20: s3://<bucket>/<prefix>/{namespace}, where {namespace} stands for the object's own. The operator's role must
    be able to read there. Default none."""


class NumericDifference(ApiModel):
    """How far the numbers at one place of the answers are apart."""

    model_config = TOLERANT

    pointer: str
    """JSON pointer to the numbers; indexes of arrays are replaced by -."""

    count: int
    """Number of pairs that differ by more than the tolerance."""

    median: float
    """Median of the absolute differences."""

    max: float
    """Largest absolute difference."""


class LabelFlip(ApiModel):
    """How often the base answers one label and this object another."""

    model_config = TOLERANT

    base: str
    """The base's label."""

    head: str
    """This object's label."""

    count: int
    """How often."""


class AnswerDifference(ApiModel):
    """A request that the two models answer differently, redacted."""

    model_config = TOLERANT

    request: str
    """The name of the sample, or the number of the recorded request."""

    pointer: str = ""
    """JSON pointer to the largest difference; empty for the answer as a whole."""

    base: str
    """What the base answers there, or the beginning of it."""

    head: str
    """What this object answers there, or the beginning of it."""


class ComparisonResult(ApiModel):
    """What the model answers differently than its base."""

    model_config = TOLERANT

    id: str
    """Identifies what was compared: the requests, both revisions, and the request for it."""

    revision: str
    """The Git commit that was compared."""

    base: str
    """The other object's name, or previous revision."""

    base_revision: str | None = None
    """The Git commit that it was compared with."""

    finished_at: Timestamp
    """When the comparison ended."""

    requests: int = 0
    """Number of requests that both answered."""

    changed: int = 0
    """Number of answers that differ by more than the tolerance."""

    flipped: int = 0
    """Number of answers whose label differs."""

    failed: int = 0
    """Number of requests that only one of the two answered, or neither."""

    errors: int = 0
    """Number of requests that this object did not answer with a status of 2xx."""

    base_errors: int = 0
    """Number of requests that the base did not answer with a status of 2xx."""

    skipped: int = 0
    """Number of requests that were not sent or not compared, such as recordings that are no requests."""

    flips: Annotated[Sequence[LabelFlip], Packed()] = ()
    """Which labels differ, the most frequent first, at most 10."""

    numbers: Annotated[Sequence[NumericDifference], Packed()] = ()
    """Differences of numbers, the largest first, at most 10."""

    worst: Annotated[Sequence[AnswerDifference], Packed()] = ()
    """The largest differences, at most 5."""

    latency_ratio: float | None = None
    """Median latency of this object divided by that of the base."""

    base_hourly_usd: Annotated[str | None, Field(alias="baseHourlyUSD")] = None
    """Hourly cost of the base in USD."""

    hourly_usd: Annotated[str | None, Field(alias="hourlyUSD")] = None
    """Hourly cost of this object in USD."""

    base_per_thousand_usd: Annotated[str | None, Field(alias="basePerThousandUSD")] = None
    """Cost of a thousand requests to the base in USD, at most, if it is charged by use and the price is known."""

    per_thousand_usd: Annotated[str | None, Field(alias="perThousandUSD")] = None
    """Cost of a thousand requests to this object in USD, at most, if it is charged by use and the price is known."""

    report_uri: str | None = None
    """S3 URL of the JSON file with all differences."""

    report_error: str | None = None
    """Why there is no such file although the class has a place for it."""
