"""The report in S3: all differences, and the answers that the next revision is compared with. Pure."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ephemeral_endpoints.api.v1alpha1.comparison import ComparisonResult
from ephemeral_endpoints.engine.redaction import MASK
from ephemeral_endpoints.features.checks.comparison.differences import Content, Rules, parsed
from ephemeral_endpoints.features.checks.comparison.pointers import Path
from ephemeral_endpoints.features.checks.comparison.summary import Pair, Reply
from ephemeral_endpoints.features.checks.requests import ModelAnswer, ModelRequest

VERSION: Final = 1
MOST_BYTES: Final = 4 * 1024 * 1024
"""A larger report was not written by the operator, and is not read."""

MOST_DIFFERENCES: Final = 2000
MOST_KEPT_BYTES: Final = 64 * 1024
"""A larger answer is not kept: the next revision is not compared with it."""

_MOST_KEPT_IN_ALL: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer as it was kept: without what is redacted."""

    status: int
    seconds: float
    media_type: str
    body: bytes

    @property
    def answer(self) -> ModelAnswer:
        """The same as if it had just arrived."""
        return ModelAnswer(self.status, self.seconds, self.body, self.media_type)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of an earlier revision: its answers by the digests of the requests, and its costs."""

    answers: Mapping[str, KeptAnswer]
    hourly_usd: str | None = None
    per_thousand_usd: str | None = None


def uri(folder: str, namespace: str, name: str, revision: str) -> str:
    """Where the report of a revision is."""
    return f"{folder.rstrip('/')}/{namespace}/{name}/{revision}.json"


def digest(request: ModelRequest) -> str:
    """Identifies a request by its content."""
    content = request.content_type.encode() + b"\n" + request.body
    return hashlib.sha256(content).hexdigest()


def keep(answer: ModelAnswer, rules: Rules) -> KeptAnswer | None:
    """The answer as it is kept; None if it is none, too large, or what is redacted in it cannot be found."""
    if answer.status is None or not answer.is_ok or answer.is_truncated or len(answer.body) > MOST_KEPT_BYTES:
        return None
    body = answer.body
    if rules.redacted:
        try:
            body = json.dumps(_masked((), parsed(Content(body, answer.content_type)), rules)).encode()
        except (ValueError, RecursionError):
            return None
    return KeptAnswer(answer.status, answer.seconds, answer.content_type, body)


def document(
    namespace: str, name: str, result: ComparisonResult, pairs: Sequence[Pair], kept: Mapping[str, KeptAnswer]
) -> bytes:
    """The report, with a note of what is left out because it would be too large."""
    left, rows, cut = MOST_DIFFERENCES, [], []
    for each in pairs:
        shown = each.shown[:left]
        left -= len(shown)
        rows.append(_row(each, len(shown)))
    if missing := sum(each.count for each in pairs) - (MOST_DIFFERENCES - left):
        cut.append(f"{missing} of the differences, which are counted but not listed")
    answers, size = {}, 0
    for id_, answer in kept.items():
        size += len(answer.body)
        if size <= _MOST_KEPT_IN_ALL:
            answers[id_] = _written(answer)
    if len(answers) < len(kept):
        cut.append(f"{len(kept) - len(answers)} of the answers, with which the next revision is not compared")
    content = {
        "version": VERSION,
        "namespace": namespace,
        "name": name,
        "result": result.to_wire(),
        "requests": rows,
        "answers": answers,
        "cut": cut,
    }
    return json.dumps(content, indent=1).encode()


def read(content: bytes) -> Kept | None:
    """What a report keeps; None for one that cannot be read: others may be able to write there."""
    try:
        found = json.loads(content)
        if found["version"] != VERSION:
            return None
        answers = {str(id_): _read(each) for id_, each in found["answers"].items()}
        result = ComparisonResult.model_validate(found["result"])
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None
    return Kept(answers, result.hourly_usd, result.per_thousand_usd)


def differences_of(content: bytes) -> Iterable[Mapping[str, Any]]:
    """The requests of a report with their differences. Raises ValueError for what is no report."""
    found = json.loads(content)
    rows = found.get("requests") if isinstance(found, dict) else None
    if not isinstance(rows, list) or not all(isinstance(each, dict) for each in rows):
        raise ValueError("it is no report of a comparison")
    return rows


def _row(pair: Pair, most: int) -> dict[str, Any]:
    return {
        "request": pair.request,
        "base": _reply(pair.base),
        "head": _reply(pair.head),
        "count": pair.count,
        "differences": [
            {"pointer": each.pointer, "kind": str(each.kind), "base": each.base, "head": each.head}
            for each in pair.shown[:most]
        ],
    }


def _reply(reply: Reply) -> dict[str, Any]:
    return {"status": reply.status, "seconds": round(reply.seconds, 4), "error": reply.error}


def _written(answer: KeptAnswer) -> dict[str, Any]:
    return {
        "status": answer.status,
        "seconds": round(answer.seconds, 4),
        "contentType": answer.media_type,
        "body": base64.b64encode(answer.body).decode(),
    }


def _read(row: Mapping[str, Any]) -> KeptAnswer:
    body = base64.b64decode(row["body"], validate=True)
    return KeptAnswer(int(row["status"]), float(row["seconds"]), str(row["contentType"]), body)


def _masked(path: Path, value: Any, rules: Rules) -> Any:
    """The value with a mask in place of everything that is redacted."""
    if any(each.covers(path) for each in rules.redacted):
        return MASK
    if isinstance(value, dict):
        return {name: _masked((*path, name), each, rules) for name, each in value.items()}
    if isinstance(value, list):
        return [_masked((*path, index), each, rules) for index, each in enumerate(value)]
    return value
