"""What the URL tells about itself: the discovery document and its OpenAPI description. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ephemeral_endpoints.features.routing.forwarder import messages, negotiation, postprocess
from ephemeral_endpoints.features.routing.forwarder.feedback import CURSOR, DIRECTIONS, ID_HEADER, MAX_REASON
from ephemeral_endpoints.features.routing.forwarder.messages import BASE, TARGET_HEADER, VARIANT_HEADER, Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ephemeral_endpoints.features.routing.forwarder.config import ForwarderConfig
    from ephemeral_endpoints.features.routing.forwarder.examples import Example

CHILDREN = {"invocations": "invocations", "openapi": "openapi.json", "readyz": "readyz", "healthz": "healthz"}
"""The paths of the links in the discovery document."""

_PROBLEM = "application/problem+json"
_GATEWAY = {"type": "object", "properties": {"message": {"type": ["string", "null"]}}, "required": ["message"]}
_POSSIBLE = {
    400: "The request cannot be read, or asks for what the endpoint does not have.",
    401: "The token or the signature is missing or wrong.",
    403: "The caller is known, and may not call.",
    404: "There is nothing at this path, the inference does not exist, or there is no base.",
    405: "The path does not have this method; the allow header names those that it has.",
    406: "The answer has no media type that the Accept header allows.",
    413: "The body is too large.",
    415: "The body has a type or an encoding that the endpoint does not take.",
    429: "There are too many requests; the answer is API Gateway's own.",
    500: "The forwarder or API Gateway failed.",
    502: "The model failed on the request, or may not be invoked.",
    503: "The model does not take requests now; retry-after says when to try again.",
    504: "The model did not answer in time.",
}
_SCHEMES = {
    "token": {"type": "http", "scheme": "bearer"},
    "jwt": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-authtype.html
    "iam": {
        "type": "apiKey",
        "in": "header",
        "name": "authorization",
        "description": "AWS Signature Version 4 of the service execute-api.",
        "x-amazon-apigateway-authtype": "awsSigv4",
    },
}
"""How callers authenticate."""

_READING = (401, 403, 404, 405, 406, 429, 500, 503)
_CALLING = tuple(_POSSIBLE)


def discovery(config: ForwarderConfig, folder: str, asked: str, expires_at: str | None) -> dict[str, Any]:
    """What the object is, with links relative to a request for the child ``asked`` below a folder."""
    about = config.about
    return {
        "name": about.name,
        "namespace": about.namespace,
        "revision": about.revision,
        "repository": about.repository,
        "pullRequest": about.pull_request,
        "pullRequestUrl": about.pull_request_url,
        "expiresAt": expires_at,
        "variants": [{"name": variant.name, "weight": variant.weight} for variant in config.variants],
        "links": {name: messages.reference(folder, asked, child) for name, child in _children(config).items()},
    }


def _children(config: ForwarderConfig) -> dict[str, str]:
    return {**CHILDREN, **({"feedback": "feedback"} if config.feedback else {})}


def answer_openapi(
    config: ForwarderConfig,
    folder: str,
    sent: Mapping[str, str],
    expires_at: str | None,
    answered: tuple[Example, ...] = (),
) -> Answer:
    """The OpenAPI description, or 304 for a caller that has it (RFC 9110, section 13.1.2)."""
    body, tag = _openapi(config, folder, expires_at, answered)
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    known = {each.strip().removeprefix("W/") for each in sent.get("if-none-match", "").split(",")}
    if known & {tag, "*"}:
        return Answer(HTTPStatus.NOT_MODIFIED, "application/json", b"", headers=headers)
    return Answer(HTTPStatus.OK, "application/json", body, headers=headers)


@lru_cache(maxsize=1)
def _openapi(
    config: ForwarderConfig, folder: str, expires_at: str | None, answered: tuple[Example, ...]
) -> tuple[bytes, str]:
    body = json.dumps(openapi(config, folder, expires_at, answered), separators=(",", ":")).encode()
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def openapi(
    config: ForwarderConfig, folder: str, expires_at: str | None = None, answered: tuple[Example, ...] = ()
) -> dict[str, Any]:
    """The OpenAPI 3.1 description of the URL that ends with ``folder``, and of how callers authenticate there.

    Its server is relative to the document, which holds behind every host. ``answered`` are its examples of answers.
    """
    scheme = _scheme_name(config, folder)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": config.about.name,
            "version": config.about.revision,
            "x-ephemeral-endpoint": _about(config, folder, expires_at),
        },
        "servers": [{"url": f"../{folder}"}],
        "security": [{scheme: []}] if config.token_sha256 else [],
        "paths": _paths(config, answered),
        "components": {
            "securitySchemes": {scheme: _SCHEMES[scheme]},
            "schemas": {"Problem": _problem_schema(), "GatewayProblem": _GATEWAY},
        },
    }


def _about(config: ForwarderConfig, folder: str, expires_at: str | None) -> dict[str, Any]:
    """What the page needs to know of the object."""
    return {
        **discovery(config, folder, CHILDREN["openapi"], expires_at),
        "playground": asdict(config.playground) if config.playground else None,
        "feedback": config.feedback is not None,
        "asynchronous": config.asynchronous is not None,
        "compare": config.base is not None,
        "postprocess": config.postprocess.name if config.postprocess else None,
    }


def _paths(config: ForwarderConfig, answered: tuple[Example, ...]) -> dict[str, Any]:
    paths: dict[str, Any] = {
        "/invocations": {"post": _invocation(config, answered)},
        "/healthz": {"get": _health()},
        "/readyz": {"get": _readiness(config)},
        "/openapi.json": {"get": _description()},
    }
    if config.asynchronous:
        paths["/invocations/{id}"] = {"get": _result()}
    if config.feedback:
        paths["/feedback"] = {"get": _votes(), "post": _vote()}
    return paths


def _health() -> dict[str, Any]:
    return {
        "operationId": "healthz",
        "summary": "Whether the URL answers; the model is not asked.",
        "responses": {
            "200": _json("The URL answers.", _constant("ok")),
            **_problems((404, 405, 406, 429, 500)),
        },
        "security": [],
    }


def _readiness(config: ForwarderConfig) -> dict[str, Any]:
    return {
        "operationId": "readyz",
        "summary": "Whether requests reach every variant in use.",
        "parameters": [_variant_parameter(config)],
        "responses": {"200": _json("They do.", _constant("Ready")), **_problems((400, *_READING))},
    }


def _description() -> dict[str, Any]:
    return {
        "operationId": "openapi",
        "summary": "This document.",
        "responses": {
            "200": _json("The document.", {"type": "object"}),
            "304": {"description": "The caller has it."},
            **_problems(_READING),
        },
    }


def _scheme_name(config: ForwarderConfig, folder: str) -> str:
    """The gateway authenticates callers of the object's own path alone."""
    is_own = folder == config.path.rpartition("/")[2]
    return config.gateway_auth.type.lower() if config.gateway_auth and is_own else "token"


def _invocation(config: ForwarderConfig, answered: tuple[Example, ...]) -> dict[str, Any]:
    by_type: dict[str, dict[str, Any]] = {each: {} for each in config.content_types or ("application/json",)}
    for sample in config.samples:
        by_type.setdefault(negotiation.media_type(sample.content_type), {})[sample.name] = _example(
            sample.description, sample.content_type, sample.request
        )
    content = {
        content_type: {
            "schema": _schema(config.request_schema) if negotiation.is_json(content_type) else {},
            **({"examples": examples} if examples else {}),
        }
        for content_type, examples in by_type.items()
    }
    return {
        "operationId": "invoke",
        "summary": "Send a request to the model.",
        "parameters": [
            _variant_parameter(config),
            *([_TARGET_PARAMETER] if config.base else []),
            {
                "name": "prefer",
                "in": "header",
                "description": "wait=N: the most seconds to spend on the answer.",
                "schema": {"type": "string"},
            },
        ],
        "requestBody": {"content": content, "required": config.request_schema is not None},
        "responses": {
            **_success(config, answered),
            **_problems(_CALLING),
            "4XX": {"description": "The model refuses the request.", "content": {"*/*": {"schema": {}}}},
        },
    }


def _success(config: ForwarderConfig, answered: tuple[Example, ...]) -> dict[str, Any]:
    if config.asynchronous:
        queued = _json("The request is queued.", {"type": "object"})
        return {"202": {**queued, "headers": _headers("location", "retry-after")}}
    further = ([TARGET_HEADER] if config.base else []) + ([ID_HEADER] if config.feedback else [])
    further += postprocess.HEADERS if config.postprocess else ()
    return {
        "200": {
            "description": "The answer of the model.",
            "content": _answers(config, answered),
            "headers": _headers(*_ANSWERED, *further),
        }
    }


def _answers(config: ForwarderConfig, answered: tuple[Example, ...]) -> dict[str, dict[str, Any]]:
    answers: dict[str, dict[str, Any]] = {
        "application/json": {"schema": _schema(config.response_schema)},
        "*/*": {"schema": {}},
    }
    if config.postprocess:
        answers = {"application/json": {"schema": _joint_schema(config)}}
    for each in answered:
        about = answers.setdefault(negotiation.media_type(each.content_type), {"schema": {}})
        told = f"What the variant {each.variant} answered." if each.variant else None
        about.setdefault("examples", {})[each.sample] = _example(told, each.content_type, each.body)
    return answers


def _joint_schema(config: ForwarderConfig) -> dict[str, Any]:
    """That of both answers."""
    text = {"type": "string"}
    second = {
        "type": "object",
        "properties": {
            "endpoint": text,
            "variant": text,
            "revision": text,
            "answer": {},
            "problem": {"$ref": "#/components/schemas/Problem"},
        },
        "required": ["endpoint"],
        "oneOf": [{"required": ["answer"]}, {"required": ["problem"]}],
    }
    return {
        "type": "object",
        "properties": {
            "answer": _schema(config.response_schema),
            "answerContentType": {**text, "description": "Of a first answer that is no JSON, and given as text."},
            "answerEncoding": {"const": "base64", "description": "Of a first answer that is no text."},
            "postprocess": second,
        },
        "required": ["answer", "postprocess"],
    }


def _result() -> dict[str, Any]:
    return {
        "operationId": "result",
        "summary": "The result of a queued request.",
        "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
        "responses": {
            "200": {"description": "The answer of the model.", "content": {"*/*": {"schema": {}}}},
            "202": {**_json("It is pending.", {"type": "object"}), "headers": _headers("location", "retry-after")},
            **_problems((401, 403, 404, 405, 429, 500, 502, 503)),
        },
    }


def _vote() -> dict[str, Any]:
    text = {"type": "string"}
    ballot = {
        "type": "object",
        "properties": {
            "id": {**text, "description": f"The {ID_HEADER} header of the answer."},
            "vote": {"enum": [*DIRECTIONS]},
            "reason": {**text, "maxLength": MAX_REASON},
        },
        "required": ["id", "vote"],
    }
    return {
        "operationId": "vote",
        "summary": "Vote on an answer; a further vote on it replaces the one before.",
        "requestBody": {"content": {"application/json": {"schema": ballot}}, "required": True},
        "responses": {
            "200": _json("The vote is counted.", _counts()),
            **_problems((400, 401, 403, 404, 405, 413, 429, 500, 503)),
        },
    }


def _votes() -> dict[str, Any]:
    listed = _counts()
    listed["properties"] |= {"votes": {"type": "array"}, "next": {"type": ["string", "null"]}}
    after = {
        "name": "after",
        "in": "query",
        "description": "The next of the list before.",
        "schema": {"type": "string", "pattern": f"^{CURSOR.pattern}$"},
    }
    return {
        "operationId": "votes",
        "summary": "The votes, and their counts by variant.",
        "parameters": [after],
        "responses": {"200": _json("The votes.", listed), **_problems((400, *_READING))},
    }


def _counts() -> dict[str, Any]:
    number = {"type": "integer"}
    variant = {"type": "object", "properties": dict.fromkeys(DIRECTIONS, number)}
    return {"type": "object", "properties": {"counts": {"type": "object", "additionalProperties": variant}}}


_ANSWERED = (VARIANT_HEADER, "eep-attempts", "eep-inference-id")
_TARGET_PARAMETER = {
    "name": TARGET_HEADER,
    "in": "header",
    "description": "The base answers, the object that this one is compared with.",
    "schema": {"type": "string", "enum": [BASE]},
}


def _headers(*names: str) -> dict[str, Any]:
    return {
        name: {"schema": {"type": "string"}} for name in (*names, "eep-request-id", "eep-revision", "server-timing")
    }


def _problems(statuses: tuple[int, ...]) -> dict[str, Any]:
    return {str(status): _failure(status) for status in statuses}


def _failure(status: int) -> dict[str, Any]:
    gateway = {"application/json": {"schema": {"$ref": "#/components/schemas/GatewayProblem"}}}
    own = {_PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    names = {405: ("allow",), 503: ("retry-after",)}.get(status, ())
    return {
        "description": _POSSIBLE[status],
        "content": gateway if status == HTTPStatus.TOO_MANY_REQUESTS else {**own, **gateway},
        **({"headers": {name: {"schema": {"type": "string"}} for name in names}} if names else {}),
    }


def _json(description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}, "headers": _headers()}


def _constant(status: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"status": {"const": status}}, "required": ["status"]}


def _variant_parameter(config: ForwarderConfig) -> dict[str, Any]:
    return {
        "name": VARIANT_HEADER,
        "in": "header",
        "description": "The variant that is to answer.",
        "schema": {"type": "string", "enum": [variant.name for variant in config.variants]},
    }


def _schema(text: str | None) -> Any:
    return {} if text is None else json.loads(text)


def _example(about: str | None, content_type: str, text: str) -> dict[str, Any]:
    summary = {"summary": about} if about else {}
    if negotiation.is_json(content_type):
        try:
            return {**summary, "value": json.loads(text)}
        except (ValueError, RecursionError):
            pass
    return {**summary, "value": text}


def _problem_schema() -> dict[str, Any]:
    text = {"type": "string"}
    error = {"type": "object", "properties": {"pointer": text, "keyword": text, "detail": text}}
    return {
        "type": "object",
        "properties": {
            "type": {"type": "string", "pattern": "^urn:ephemeral-endpoints:problem:[a-z-]+$"},
            "title": text,
            "status": {"type": "integer"},
            "detail": text,
            "instance": text,
            "errors": {"type": "array", "items": error, "maxItems": 20},
        },
        "required": ["type", "title", "status", "detail", "instance"],
    }
