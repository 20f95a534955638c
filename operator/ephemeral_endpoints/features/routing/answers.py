"""What the public URL answers to the operator's request. Pure."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from ephemeral_endpoints.engine.redaction import redacted

MAX_BYTES: Final = 16 * 1024
"""How much of an answer is read; a Problem of the forwarder is smaller."""

MAX_WORDS: Final = 300
"""How much of a model's message a condition repeats, in characters."""

_KINDS: Final = "urn:ephemeral-endpoints:problem:"


@dataclass(frozen=True, slots=True)
class SampleAnswer:
    """How a model answered the sample instead of with 2xx.

    ``variant`` is None for the only one. ``status`` is 0 if there was no answer, None if it is not known.
    """

    sample: str
    variant: str | None
    status: int | None
    words: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether the URL leads to the models, and if not, the answer or error instead.

    ``kind`` is the forwarder's name for the problem, None for an answer that is not the forwarder's.
    """

    ok: bool
    message: str = ""
    kind: str | None = None
    sample: SampleAnswer | None = None


def read_answer(status: int, reason: str, body: bytes) -> Answer:
    """The answer with that status line and body, which nobody vouches for."""
    if status == HTTPStatus.OK:
        return Answer(ok=True)
    message = f"the URL answers {status} {reason}"
    problem = _problem(body)
    kind = problem.get("type")
    if not isinstance(kind, str) or not kind.startswith(_KINDS):
        return Answer(ok=False, message=message)
    detail = problem.get("detail")
    message = f"{message}: {_bounded(detail)}" if isinstance(detail, str) else message
    kind = kind.removeprefix(_KINDS)
    return Answer(ok=False, message=message, kind=kind, sample=_sample(problem))


def _problem(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _sample(problem: dict[str, Any]) -> SampleAnswer | None:
    members = (problem.get(name) for name in ("sample", "variant", "modelStatus", "modelMessage"))
    sample, variant, status, words = members
    if not isinstance(sample, str):
        return None
    return SampleAnswer(
        _bounded(sample),
        _bounded(variant) if isinstance(variant, str) else None,
        status if isinstance(status, int) else None,
        _bounded(words) if isinstance(words, str) else "",
    )


def _bounded(text: str) -> str:
    """One line of the text, with credentials masked."""
    return " ".join(redacted(text).split())[:MAX_WORDS]
