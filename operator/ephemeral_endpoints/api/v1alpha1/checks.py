"""Checks of a served model: requests with what is expected of the answers, and their results."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Self

from pydantic import ConfigDict, Field, Strict, model_validator

from ephemeral_endpoints.api.rules import Rule
from ephemeral_endpoints.api.v1alpha1.base import STRICT, TOLERANT, ApiModel
from ephemeral_endpoints.api.v1alpha1.json_values import AnyJson, JsonPointer, JsonSchema
from ephemeral_endpoints.api.v1alpha1.load import MOST_LOAD_CHECKS, Load, LoadResult
from ephemeral_endpoints.api.v1alpha1.model_data import ConfigMapKeyRef
from ephemeral_endpoints.api.v1alpha1.packed import Packed
from ephemeral_endpoints.api.v1alpha1.samples import MediaType
from ephemeral_endpoints.api.v1alpha1.types import DnsLabel, Integer, Timestamp

MOST_CHECKS: Final = 50
MAX_REQUEST_BYTES: Final = 64 * 1024
MAX_INLINE_BYTES: Final = 128 * 1024
"""Of the requests that stand in the checks of one object, which has to fit into etcd with all else."""

MAX_TIME_LIMIT_MS: Final = 30_000
"""An HTTP API of API Gateway waits for an answer no longer."""

# The API server compares whole numbers with bounds as 64-bit integers. RFC 7493 names this as the largest exact one.
_LARGEST: Final = 2**53 - 1
Number = Annotated[float, Strict(), Field(ge=-_LARGEST, le=_LARGEST, allow_inf_nan=False)]


class CheckRequest(ApiModel):
    """A request that stands in the object."""

    body: Annotated[str, Field(max_length=MAX_REQUEST_BYTES)]
    """Body of the request, as text in UTF-8, at most 64 KiB. The bodies of all checks together have at most 128 KiB:
    put larger ones into a ConfigMap."""

    content_type: MediaType = "application/json"
    """Media type of the request. Default application/json."""


class CheckRequestSource(ApiModel):
    """A request whose body is elsewhere."""

    config_map_key_ref: ConfigMapKeyRef
    """The body: a key of a ConfigMap in the object's namespace, at most 64 KiB. When it changes, the checks run
    again."""

    content_type: MediaType = "application/json"
    """Media type of the request. Default application/json."""


class SchemaSource(ApiModel):
    """A JSON Schema that is elsewhere."""

    config_map_key_ref: ConfigMapKeyRef
    """The schema as JSON: a key of a ConfigMap in the object's namespace, at most 64 KiB. When it changes, the checks
    run again."""


class ExpectedValue(ApiModel):
    """What is expected at one place of an answer. All that is given must hold, and something must be given."""

    # Rules cannot see equals, which may be any JSON: this counts what is given beside the pointer.
    model_config = ConfigDict(**{**STRICT, "json_schema_extra": {"minProperties": 2}})
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.min) || !has(self.max) || self.min <= self.max",
            message="min must not be greater than max: no number can be expected",
            holds=lambda value: value.min is None or value.max is None or value.min <= value.max,
        ),
    )

    pointer: JsonPointer
    """JSON pointer (RFC 6901) to the value in the answer, such as /predictions/0/label, at most 256 characters. Empty
    for the whole answer."""

    equals: AnyJson = None
    """The value, which may be any JSON: a text, a number, an object, null. Numbers are equal if their values are, such
    as 1 and 1.0, or if they differ by tolerance at most; objects are equal whatever the order of their members."""

    one_of: Annotated[tuple[AnyJson, ...], Field(min_length=1, max_length=50)] | None = None
    """Values one of which it equals, at most 50."""

    min: Number | None = None
    """The least number that it may be."""

    max: Number | None = None
    """The greatest number that it may be."""

    tolerance: Annotated[float, Strict(), Field(ge=0, le=_LARGEST, allow_inf_nan=False)] | None = None
    """How far numbers in equals and oneOf may be off. Default 0."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: object) -> object:
        """Leave the null of equals, which is a value."""
        if isinstance(data, Mapping):
            return {name: value for name, value in data.items() if value is not None or name == "equals"}
        return data

    @model_validator(mode="after")
    def _expects_something(self) -> Self:
        if not self.model_fields_set - {"pointer"}:
            raise ValueError("set at least one of equals, oneOf, min and max")
        return self

    @property
    def has_equals(self) -> bool:
        """Whether ``equals`` is given, which may be null."""
        return "equals" in self.model_fields_set


class Expectation(ApiModel):
    """What is expected of an answer."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!(has(self.schema) && has(self.schemaFrom))",
            message="set only one of schema, which stands in the object, and schemaFrom",
            holds=lambda expected: expected.json_schema is None or expected.schema_from is None,
        ),
    )

    status: Annotated[Integer, Field(ge=100, le=599)] | None = None
    """HTTP status of the answer, 100 to 599. Absent: any of 200 to 299."""

    time_limit_ms: Annotated[Integer, Field(ge=1, le=MAX_TIME_LIMIT_MS)] = MAX_TIME_LIMIT_MS
    """How long the answer may take, in milliseconds, 1 to 30000. Retries while the model is being started do not count.
    Default 30000."""

    json_schema: Annotated[JsonSchema | None, Field(alias="schema")] = None
    """JSON Schema (draft 2020-12) that the answer must match, at most 64 KiB. References lead to places within the
    schema only. Formats that the draft defines are asserted, others are not."""

    schema_from: SchemaSource | None = None
    """The same, in a ConfigMap."""

    values: Annotated[tuple[ExpectedValue, ...], Field(max_length=50)] = ()
    """Values in the answer, at most 50. The answer must then be JSON in UTF-8."""


class Check(ApiModel):
    """A request to the model, and what is expected of the answer."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="[has(self.sample), has(self.request), has(self.requestFrom)].filter(given, given).size() == 1",
            message="set exactly one of sample (the name of one of api.samples), request (which stands here) and "
            "requestFrom (a key of a ConfigMap)",
            holds=lambda check: [check.sample, check.request, check.request_from].count(None) == 2,  # noqa: PLR2004 - of three
        ),
    )

    name: DnsLabel
    """Name of the check, unique in the list."""

    sample: DnsLabel | None = None
    """Name of the sample of api.samples that is sent."""

    request: CheckRequest | None = None
    """The request that is sent."""

    request_from: CheckRequestSource | None = None
    """The request that is sent, in a ConfigMap."""

    expect: Expectation = Expectation()
    """What is expected of the answer. Default: a status of 200 to 299 within 30 s."""

    load: Load | None = None
    """Load of such requests, once the answer to the first is as expected, at most in 3 checks. Absent: none."""


def _inline_bytes(checks: Sequence[Check]) -> int:
    return sum(len(each.request.body.encode()) for each in checks if each.request)


Checks = Annotated[
    Sequence[Check],
    Field(
        max_length=MOST_CHECKS,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    ),
    Rule(
        cel=f"self.filter(each, has(each.load)).size() <= {MOST_LOAD_CHECKS}",
        message=f"at most {MOST_LOAD_CHECKS} checks may have load: each takes minutes, one after the other",
        holds=lambda checks: sum(each.load is not None for each in checks) <= MOST_LOAD_CHECKS,
    ),
    Rule(
        cel=f"self.map(each, has(each.request) ? bytes(each.request.body).size() : 0).sum() <= {MAX_INLINE_BYTES}",
        message="the requests that stand in checks must be at most 128 KiB together: put larger ones into a ConfigMap "
        "(requestFrom)",
        holds=lambda checks: _inline_bytes(checks) <= MAX_INLINE_BYTES,
    ),
    Packed(),
]


class CheckOutcome(StrEnum):
    """How a check ended."""

    PASSED = "Passed"
    FAILED = "Failed"
    INCONCLUSIVE = "Inconclusive"


class CheckResult(ApiModel):
    """The result of one check."""

    model_config = TOLERANT

    name: str
    """Name of the check."""

    outcome: CheckOutcome
    """Passed, Failed, or Inconclusive: the check itself could not be carried out as it should be."""

    message: str = ""
    """What was expected and what was found, if it did not pass."""

    latency_ms: int | None = None
    """How long the answer took, in milliseconds."""

    load: LoadResult | None = None
    """The figures of a load check."""


class CheckRun(ApiModel):
    """The last run of the checks."""

    model_config = TOLERANT

    id: str
    """Identifies what was run: the checks, the revision, and the request for it."""

    revision: str
    """The Git commit that was checked."""

    requested: str = ""
    """The value, or its beginning, of the annotation ephemeral-endpoints.io/check-at with which it was run."""

    finished_at: Timestamp
    """When the run ended."""

    results: Annotated[Sequence[CheckResult], Packed()] = ()
    """The result of each check, in the order of the spec."""
