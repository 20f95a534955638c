"""A second model, which gets the answers of the first one; callers get both.

Whatever the second model does, the first answer is delivered: a failure is told beside it, as a problem of its own.
Only models are invoked, so that objects that name each other do not ask each other in circles.
"""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from ephemeral_endpoints.features.routing.forwarder import messages
from ephemeral_endpoints.features.routing.forwarder.config import REVISION_DIGITS
from ephemeral_endpoints.features.routing.forwarder.exchange import RESERVE_SECONDS, Exchange
from ephemeral_endpoints.features.routing.forwarder.invocation import CONNECT_SECONDS, Request, invoke
from ephemeral_endpoints.features.routing.forwarder.json_text import NotJsonError, read_json
from ephemeral_endpoints.features.routing.forwarder.messages import Answer, Problem
from ephemeral_endpoints.features.routing.forwarder.readiness import MAX_WORDS
from ephemeral_endpoints.features.routing.forwarder.validation import is_json
from ephemeral_endpoints.features.routing.forwarder.variants import Target, choose

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from ephemeral_endpoints.features.routing.forwarder.config import Postprocess
    from ephemeral_endpoints.features.routing.forwarder.invocation import Clients
    from ephemeral_endpoints.features.routing.forwarder.nodes import Json

HEADER = "eep-postprocess"
"""``done`` or ``failed``."""

VARIANT_HEADER = "eep-postprocess-variant"
REVISION_HEADER = "eep-postprocess-revision"
HEADERS = (HEADER, VARIANT_HEADER, REVISION_HEADER)

LEAST_SECONDS = 0.5
"""A model that had less time would hardly answer."""

# The connection may take its time, and the client waits a little longer than it is given.
_MARGIN_SECONDS = RESERVE_SECONDS + CONNECT_SECONDS + 0.5
_READING_SECONDS = 5


class _First(NamedTuple):
    """The first answer as a part of the joint one: its text as JSON, further members, and what it says."""

    text: bytes
    members: dict[str, str]
    document: Json
    is_json: bool


@dataclass(frozen=True, slots=True)
class Postprocessor:
    """Asks the second model. ``revision_of`` returns the commit that an object serves, by its function's name."""

    config: Postprocess
    clients: Clients
    generator: random.Random
    revision_of: Callable[[str], str | None]

    def join(self, exchange: Exchange, answer: Answer) -> Answer:
        """Both answers as one; that of the first model alone if it is a refusal. Raises nothing."""
        if answer.status // 100 != 2:  # noqa: PLR2004 - RFC 9110, section 15
            return answer
        first, began = _first(answer), time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            # Asked beside the model, it costs no time of its own.
            revision = pool.submit(self._revision, exchange).result
            try:
                joint = self._joint(answer, first, self._ask(exchange, answer, first), revision())
                _check_size(joint)
                exchange.postprocess = "done"
            except Exception as error:  # noqa: BLE001 - the first answer must not be lost, whatever it was
                problem = error if isinstance(error, Problem) else _unforeseen()
                exchange.postprocess = problem.kind
                joint = self._joint(answer, first, self._described(exchange, problem), revision())
            finally:
                exchange.post_seconds += time.monotonic() - began
        return joint

    def _ask(self, exchange: Exchange, answer: Answer, first: _First) -> Answer:
        """The second answer, which is JSON; raises Problem."""
        if self.config.refusal is not None:
            raise Problem(HTTPStatus.BAD_GATEWAY, "postprocess-unavailable", self.config.refusal)
        request = self._request(answer, first)
        lambda_seconds = exchange.context.get_remaining_time_in_millis() / 1000 - _MARGIN_SECONDS
        seconds = min(self.config.timeout_seconds, exchange.left, lambda_seconds)
        if seconds < LEAST_SECONDS:
            detail = "The first model has left no time for the second one."
            raise Problem(HTTPStatus.GATEWAY_TIMEOUT, "model-timeout", detail)
        asking = Exchange(exchange.event, exchange.context, exchange.child, {})
        second = asking.ask(partial(self._send, exchange, self._target(), request), seconds, self.generator)
        _check(second)
        return second

    def _request(self, answer: Answer, first: _First) -> Request:
        if self.config.input is None:
            return Request(answer.body, {"ContentType": messages.media_type(answer), "Accept": "application/json"})
        found = _at(first.document, self.config.input) if first.is_json else None
        if found is None:
            detail = f"The first answer has nothing at {self.config.input or 'its root'}."
            raise Problem(HTTPStatus.BAD_GATEWAY, "postprocess-no-input", detail)
        content = {self.config.member: found[0]} if self.config.member else found[0]
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        return Request(body, {"ContentType": "application/json", "Accept": "application/json"})

    def _target(self) -> Target:
        if self.config.variants:
            return choose(self.config, None, self.generator)
        return Target(self.config.name, None, shared=True)

    def _send(self, exchange: Exchange, target: Target, request: Request, seconds: float) -> Answer:
        client = self.clients.within(seconds)
        return invoke(client, exchange.context, target, request, read_seconds=seconds)

    def _revision(self, exchange: Exchange) -> str | None:
        """The commit of the second model, unless it is not known, or reading it could cost the first answer."""
        function = self.config.function
        if function is None or exchange.context.get_remaining_time_in_millis() < _READING_SECONDS * 1000:
            return None
        return (self.revision_of(function) or "")[:REVISION_DIGITS] or None

    def _described(self, exchange: Exchange, problem: Problem) -> dict[str, object]:
        if self.config.refusal is None:
            problem.detail = f"{self.config.name} did not answer. {problem.detail}"
        return messages.problem_document(problem, messages.request_id(exchange.event))

    def _joint(self, answer: Answer, first: _First, second: Answer | dict[str, object], revision: str | None) -> Answer:
        about: dict[str, object] = {"endpoint": self.config.name}
        headers = {**answer.headers, HEADER: "done" if isinstance(second, Answer) else "failed"}
        if isinstance(second, Answer) and second.variant:
            about["variant"] = headers[VARIANT_HEADER] = second.variant
        if revision:
            about["revision"] = headers[REVISION_HEADER] = revision
        content = (
            b'"answer":' + second.body if isinstance(second, Answer) else b'"problem":' + json.dumps(second).encode()
        )
        told = json.dumps(about)[1:-1].encode()
        further = "".join(f",{json.dumps(name)}:{json.dumps(value)}" for name, value in first.members.items()).encode()
        body = b"".join((b'{"answer":', first.text, further, b',"postprocess":{', told, b",", content, b"}}"))
        return answer._replace(content_type="application/json", body=body, headers=headers)


def _check(second: Answer) -> None:
    """Raises Problem for a refusal, and for what is no JSON: it would not stay within its place in the joint answer."""
    if second.status != HTTPStatus.OK:
        members = {"modelStatus": second.status, "modelMessage": second.body.decode(errors="replace")[:MAX_WORDS]}
        detail = f"The second model refused its input with {second.status}."
        raise Problem(HTTPStatus.BAD_GATEWAY, "postprocess-refused", detail, members=members)
    error = None
    if is_json(second.content_type):
        try:
            read_json(second.body)
        except NotJsonError as found:
            error = found
        else:
            return
    detail = f"The answer of the second model {error or 'has another media type than JSON'}."
    raise Problem(HTTPStatus.BAD_GATEWAY, "postprocess-not-json", detail) from error


def _check_size(joint: Answer) -> None:
    if not messages.fits(joint):
        detail = "The answers of both models are together larger than 6 MB, the most that the endpoint can return."
        raise Problem(HTTPStatus.BAD_GATEWAY, "answer-too-large", detail)


def _first(answer: Answer) -> _First:
    """The first answer byte for byte if it is JSON, else as text, else in base64."""
    if is_json(answer.content_type):
        try:
            return _First(answer.body, {}, read_json(answer.body), is_json=True)
        except NotJsonError:
            pass
    told = {"answerContentType": messages.media_type(answer)}
    try:
        text = answer.body.decode()
    except UnicodeDecodeError:
        text, told["answerEncoding"] = base64.b64encode(answer.body).decode("ascii"), "base64"
    return _First(json.dumps(text).encode(), told, None, is_json=False)


def _at(document: Json, pointer: str) -> tuple[Json] | None:
    """What a JSON pointer (RFC 6901) leads to, in a tuple; None where it leads to nothing."""
    found = document
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and _is_index(name) and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return (found,)


def _is_index(text: str) -> bool:
    return text == "0" or (text.isascii() and text.isdigit() and text[0] != "0" and len(text) < len("1000000000"))


def _unforeseen() -> Problem:
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", "The forwarder failed on its answer.")
