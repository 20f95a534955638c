"""The condition ``Compared``, which does not decide whether the object is Ready."""

from typing import Final

from ephemeral_endpoints.api.v1alpha1.comparison import PREVIOUS_REVISION, ComparisonResult
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionUpdate
from ephemeral_endpoints.engine.reasons import Finality
from ephemeral_endpoints.features.checks.comparison.policy import Base
from ephemeral_endpoints.features.checks.comparison.reasons import (
    ANSWERS_CHANGED,
    COMPARED,
    COMPARING,
    COMPARISON_WAITS,
    FIRST_REVISION,
    NO_DIFFERENCE,
    NOTHING_COMPARED,
)

_SHORT_REVISION: Final = 7
_MOST_FLIPS: Final = 3


def of_result(result: ComparisonResult) -> ConditionUpdate:
    """The condition of an object that was compared as everything is now."""
    if result.base == PREVIOUS_REVISION and result.requests == result.failed == 0:
        earlier = _revision(result.base_revision) if result.base_revision else "an earlier revision"
        message = f"no answers of {earlier} are kept; those of {_revision(result.revision)} are, for the next"
        return _update(ConditionStatus.UNKNOWN, Cause(FIRST_REVISION, f"{message}{_notes(result)}"))
    if result.requests == 0:
        return _update(ConditionStatus.FALSE, Cause(NOTHING_COMPARED, _nothing(result)))
    if result.changed == 0 and result.failed == 0:
        message = f"all {_answers(result.requests)} are those of {_base(result)}"
        return _update(ConditionStatus.TRUE, Cause(NO_DIFFERENCE, f"{message}{_notes(result)}"))
    parts = [f"{result.changed} of {_answers(result.requests)} changed, compared with {_base(result)}"]
    parts += [f"{result.flipped} with another label ({_flips(result)})"] if result.flipped else []
    parts += [_failures(result)] if result.failed else []
    return _update(ConditionStatus.TRUE, Cause(ANSWERS_CHANGED, f"{'; '.join(parts)}{_notes(result)}"))


def of_cause(cause: Cause) -> ConditionUpdate:
    """The condition of an object that is not compared: False if somebody must act first, else Unknown."""
    is_lasting = cause.reason.is_failure and cause.reason.finality is not Finality.TRANSIENT
    return _update(ConditionStatus.FALSE if is_lasting else ConditionStatus.UNKNOWN, cause)


def not_ready() -> Cause:
    """The object is not Ready as everything is now."""
    return Cause(COMPARISON_WAITS, "the comparison begins when this object is Ready")


def settling(base: Base) -> Cause:
    """The base has changed a moment ago, and may change again."""
    message = (
        f"{base.title} has changed a moment ago ({_revision(base.revision)}): the comparison begins within a minute"
    )
    return Cause(COMPARISON_WAITS, message)


def comparing(base: Base) -> Cause:
    """The requests are being sent."""
    return Cause(COMPARING, f"comparing with {base.title}{f' ({_revision(base.revision)})' if base.revision else ''}")


def _update(status: ConditionStatus, cause: Cause) -> ConditionUpdate:
    return ConditionUpdate.of(COMPARED, status, cause)


def _base(result: ComparisonResult) -> str:
    return f"{result.base} ({_revision(result.base_revision)})" if result.base_revision else result.base


def _revision(revision: str | None) -> str:
    return (revision or "")[:_SHORT_REVISION]


def _answers(count: int) -> str:
    return f"{count} answer{'' if count == 1 else 's'}"


def _flips(result: ComparisonResult) -> str:
    shown = [f"{each.base}→{each.head} {each.count}" for each in result.flips[:_MOST_FLIPS]]
    return ", ".join([*shown, *(["…"] if len(result.flips) > _MOST_FLIPS else [])])


def _failures(result: ComparisonResult) -> str:
    return f"{result.errors} failed here and {result.base_errors} at the base"


def _nothing(result: ComparisonResult) -> str:
    if not result.failed:
        return (
            f"no request could be sent ({result.skipped} skipped): see spec.compare.samples and spec.compare.recorded"
        )
    return (
        f"no request was answered by both: of {result.failed}, {_failures(result)} ({_base(result)}). See `eep logs` "
        "of the one that fails; a new revision is compared by itself"
    )


def _notes(result: ComparisonResult) -> str:
    parts = [f"{result.skipped} skipped"] if result.skipped else []
    parts += [f"the report could not be written to S3: {result.report_error}"] if result.report_error else []
    return "".join(f"; {each}" for each in parts)
