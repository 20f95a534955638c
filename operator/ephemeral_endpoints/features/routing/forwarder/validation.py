"""What goes through one forwarder against the JSON Schemas of its object: requests, and the model's answers.

A schema is compiled when it is first needed; ``prepare`` does so when the process starts, before any request.
"""

from __future__ import annotations

import json
import re
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING

from ephemeral_endpoints.features.routing.forwarder.json_text import NotJsonError, read_json
from ephemeral_endpoints.features.routing.forwarder.messages import Problem, variant_header
from ephemeral_endpoints.features.routing.forwarder.schema import Schema, TooDeepError, compile_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ephemeral_endpoints.features.routing.forwarder.config import ForwarderConfig
    from ephemeral_endpoints.features.routing.forwarder.messages import Answer
    from ephemeral_endpoints.features.routing.forwarder.nodes import Json, Violation

# RFC 6839, section 3.1.
_JSON = re.compile(r"application/(json|[^;,\s]+\+json)\s*(;.*)?", re.IGNORECASE)


def prepare(config: ForwarderConfig) -> None:
    """Compile the schemas. Takes about a millisecond for one of fifty members."""
    for text in filter(None, (config.request_schema, config.response_schema)):
        _compiled(text)


def check_request(config: ForwarderConfig, body: bytes, content_type: str) -> None:
    """Check the body of a request; raises Problem 400 or 415 with what is not as the schema asks.

    A request without a media type is read as JSON.
    """
    if config.request_schema is None:
        return
    if content_type and not is_json(content_type):
        detail = "Send JSON, with the header 'content-type: application/json'."
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
    try:
        found = _violations(config.request_schema, read_json(body))
    except NotJsonError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, "not-json", f"The body {error}.") from error
    except TooDeepError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, "request-invalid", "The body is nested too deeply.") from error
    if found:
        raise _problem(HTTPStatus.BAD_REQUEST, "request-invalid", "The body does not match the request schema.", found)


def check_answer(config: ForwarderConfig, answer: Answer) -> None:
    """Check an answer with a status of 2xx; raises Problem 502 if the model breaks its promise."""
    if config.response_schema is None or answer.status // 100 != 2:  # noqa: PLR2004 - RFC 9110, section 15
        return
    found: Sequence[Violation] = ()
    if not is_json(answer.content_type):
        detail = "The model answered with another media type than JSON."
    else:
        try:
            found = _violations(config.response_schema, read_json(answer.body))
        except NotJsonError as error:
            detail = f"The answer of the model {error}."
        except TooDeepError:
            detail = "The answer of the model is nested too deeply."
        else:
            if not found:
                return
            detail = "The answer of the model does not match the response schema."
    raise _problem(HTTPStatus.BAD_GATEWAY, "response-invalid", detail, found, variant_header(answer.variant))


def is_json(content_type: str) -> bool:
    """Whether a media type is JSON."""
    return _JSON.fullmatch(content_type.strip()) is not None


def violations_of(problem: Problem | None) -> list[str]:
    """The violations of a problem for the log: pointers and keywords, never values."""
    errors = problem.members.get("errors") if problem else None
    return [f"{each['pointer']} {each['keyword']}" for each in errors] if isinstance(errors, list) else []


@cache
def _compiled(text: str) -> Schema:
    return compile_schema(json.loads(text))


def _violations(schema: str, document: Json) -> Sequence[Violation]:
    return _compiled(schema).violations(document)


def _problem(
    status: HTTPStatus, kind: str, detail: str, found: Sequence[Violation], headers: dict[str, str] | None = None
) -> Problem:
    return Problem(status, kind, detail, headers, members={"errors": [each._asdict() for each in found]})
