"""Whether an answer is as expected. Pure.

A JSON Schema is judged elsewhere (``schemas``), because judging one can take for ever.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ephemeral_endpoints.api.v1alpha1.checks import Expectation, ExpectedValue
from ephemeral_endpoints.features.checks.documents import (
    MISSING,
    Json,
    NotJsonError,
    equal,
    find,
    is_finite,
    line,
    parse,
    shown,
)
from ephemeral_endpoints.features.checks.requests import ModelAnswer

MAX_JUDGED_BYTES: Final = 1024 * 1024
"""How much of an answer is read. A longer one can have the expected status and time, but no expected content."""

MAX_MESSAGE: Final = 500
"""Characters of the message of a check that did not pass."""

_MOST_FAILURES: Final = 3
_WORDS: Final = 100
_READ: Final = 4096
_WHOLE: Final = "the answer"


@dataclass(frozen=True, slots=True)
class Failure:
    """What is not as expected: ``where`` is a JSON pointer, or names the status, the time or the whole answer.

    ``expected`` and ``found`` are safe to show.
    """

    where: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, found {self.found}"


class _UnreadableError(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that is not as expected, but for a schema. ``is_json`` says whether one can be applied to the answer."""

    failures: tuple[Failure, ...]
    is_json: bool = False


def evaluate(answer: ModelAnswer, expected: Expectation, *, needs_json: bool = False) -> Evaluation:
    """Compare an answer with what is expected. One of another status is not looked into.

    ``needs_json`` is whether the answer has to be JSON although no values are expected.
    """
    if answer.status is None:
        found = line(answer.error, _WORDS) or "none"
        return Evaluation((Failure(_WHOLE, f"one within {expected.time_limit_ms} ms", found),))
    if not _is_expected_status(answer.status, expected.status):
        return Evaluation((Failure("status", str(expected.status or "200 to 299"), _status_found(answer)),))
    late = tuple(_time_failures(answer, expected))
    if not (needs_json or expected.values):
        return Evaluation(late)
    try:
        document = _document(answer)
    except _UnreadableError as error:
        return Evaluation((*late, error.failure))
    values = (failure for each in expected.values for failure in _value_failures(each, find(document, each.pointer)))
    return Evaluation((*late, *values), is_json=True)


def message_of(found: Sequence[Failure]) -> str:
    """The first failures as one line, and how many more there are."""
    parts = [str(each) for each in found[:_MOST_FAILURES]]
    if more := len(found) - len(parts):
        parts.append(f"and {more} more")
    return line("; ".join(parts), MAX_MESSAGE)


def milliseconds(answer: ModelAnswer) -> int:
    """How long the answer took."""
    return round(answer.seconds * 1000)


def _is_expected_status(status: int, expected: int | None) -> bool:
    return status == expected if expected else 200 <= status < 300  # noqa: PLR2004 - RFC 9110, section 15


def _status_found(answer: ModelAnswer) -> str:
    words = _beginning(answer)
    return f"{answer.status} ({words})" if words else str(answer.status)


def _time_failures(answer: ModelAnswer, expected: Expectation) -> Iterator[Failure]:
    if milliseconds(answer) > expected.time_limit_ms:
        yield Failure("time", f"at most {expected.time_limit_ms} ms", f"{milliseconds(answer)} ms")


def _document(answer: ModelAnswer) -> Json:
    """Raises _UnreadableError."""
    if answer.is_truncated:
        most = f"{MAX_JUDGED_BYTES // 1024} KiB"
        raise _UnreadableError(Failure(_WHOLE, f"at most {most}, or its content is not checked", f"more than {most}"))
    try:
        return parse(answer.body)
    except NotJsonError as error:
        raise _UnreadableError(Failure(_WHOLE, "JSON", _not_json(answer, error))) from error


def _not_json(answer: ModelAnswer, error: NotJsonError) -> str:
    kind = line(answer.content_type, _WORDS) or "no media type"
    return f"{kind} that is not JSON ({line(str(error), _WORDS)}): {_beginning(answer) or 'empty'}"


def _beginning(answer: ModelAnswer) -> str:
    return line(answer.body[:_READ].decode(errors="replace"), _WORDS)


def _value_failures(expected: ExpectedValue, found: Json) -> Iterator[Failure]:
    where, tolerance = line(expected.pointer, _WORDS) or _WHOLE, expected.tolerance or 0.0
    margin = f" ± {shown(expected.tolerance)}" if expected.tolerance else ""
    if expected.has_equals and not equal(expected.equals, found, tolerance):
        yield Failure(where, f"{shown(expected.equals)}{margin}", shown(found))
    if expected.one_of is not None and not any(equal(each, found, tolerance) for each in expected.one_of):
        choices = ", ".join(shown(each) for each in expected.one_of[:_MOST_FAILURES])
        more = len(expected.one_of) - _MOST_FAILURES
        yield Failure(where, f"one of {choices}{f' and {more} more' if more > 0 else ''}{margin}", shown(found))
    if (expected.min is not None or expected.max is not None) and not _is_within(expected, found):
        yield Failure(where, _range(expected), shown(found))


def _is_within(expected: ExpectedValue, found: Json) -> bool:
    if found is MISSING or not is_finite(found):
        return False
    return (expected.min is None or expected.min <= found) and (expected.max is None or found <= expected.max)


def _range(expected: ExpectedValue) -> str:
    match expected.min, expected.max:
        case None, most:
            return f"a number of at most {shown(most)}"
        case least, None:
            return f"a number of at least {shown(least)}"
        case least, most:
            return f"a number from {shown(least)} to {shown(most)}"
