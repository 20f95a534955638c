"""The forwarder's entry point in Lambda: answers one route of an HTTP API by invoking one SageMaker endpoint.

``POST`` sends the body to the model, ``GET`` says whether the model answers; what goes wrong is told as
``application/problem+json``. Deployed as ``bundle.build`` packs it: with the standard library, the boto3 of the Lambda
runtime and a ``config.json`` beside this file, without which it cannot be imported.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ephemeral_endpoints.forwarder import messages
from ephemeral_endpoints.forwarder.config import ForwarderConfig
from ephemeral_endpoints.forwarder.invocation import Context, invoke, make_client
from ephemeral_endpoints.forwarder.messages import Answer, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_sagemaker_runtime.type_defs import InvokeEndpointInputTypeDef

CONFIG = ForwarderConfig.from_json(Path(__file__).with_name("config.json").read_bytes())
CLIENT = make_client(CONFIG.region)


def handle(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Answer ``event`` and write its line of the access log; never raises for an event of API Gateway's shape."""
    started = time.monotonic()
    problem = None
    try:
        response = _respond(event, context)
    except Exception as error:  # noqa: BLE001 - raised, it would be logged whole and answered without a body
        problem = error if isinstance(error, Problem) else _unforeseen(error)
        response = messages.render_problem(problem, messages.request_id(event))
    _log(event, response, problem, seconds=time.monotonic() - started)
    return response


def _respond(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    method = messages.method(event)
    if method not in {"GET", "POST"}:
        detail = "POST invokes the model, GET asks whether it is ready."
        raise Problem(HTTPStatus.METHOD_NOT_ALLOWED, "method-not-allowed", detail, {"allow": "GET, POST"})
    sent = messages.headers(event)
    messages.authenticate(sent, CONFIG.token_sha256)
    answer = _ready(context) if method == "GET" else _forward(event, sent, context)
    return messages.render_answer(answer)


def _forward(event: Mapping[str, Any], sent: Mapping[str, str], context: Context) -> Answer:
    arguments: InvokeEndpointInputTypeDef = {
        "EndpointName": CONFIG.endpoint_name,
        "Body": messages.read_body(event, CONFIG.max_body_bytes),
    }
    if content_type := messages.header(sent, "content-type"):
        arguments["ContentType"] = content_type
    if accept := messages.header(sent, "accept"):
        arguments["Accept"] = accept
    return invoke(CLIENT, context, arguments)


def _ready(context: Context) -> Answer:
    """A model that refuses this request is ready too: it answered. Raises Problem 503 if it did not."""
    arguments: InvokeEndpointInputTypeDef = {
        "EndpointName": CONFIG.endpoint_name,
        "Body": b"{}",
        "ContentType": "application/json",
    }
    try:
        invoke(CLIENT, context, arguments)
    except Problem as problem:
        headers = {"retry-after": "5", **problem.headers}
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, problem.kind, problem.detail, headers) from problem
    return Answer(HTTPStatus.OK, "application/json", b'{"status":"Ready"}')


def _unforeseen(error: Exception) -> Problem:
    problem = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", "The forwarder failed on this request.")
    problem.__cause__ = error
    return problem


def _log(event: Mapping[str, Any], response: Mapping[str, Any], problem: Problem | None, *, seconds: float) -> None:
    """One line of JSON: names and figures, never a token, a path, a query or a payload."""
    record = {
        "requestId": messages.request_id(event),
        "method": messages.method(event),
        "status": response["statusCode"],
        "problem": problem.kind if problem else None,
        "cause": _cause(problem) if problem else None,
        "milliseconds": round(seconds * 1000, 1),
        "requestBytes": messages.body_bytes(event),
        "responseBytes": messages.body_bytes(response),
    }
    sys.stdout.write(json.dumps(record) + "\n")


def _cause(problem: Problem) -> str | None:
    """What lies behind ``problem``: an AWS error code, or a type and its place; messages may quote the request."""
    error: BaseException = problem
    while error.__cause__:
        error = error.__cause__
    if isinstance(error, Problem):
        return None
    if isinstance(error, ClientError):
        return error.response["Error"].get("Code")
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}, line {frame.lineno}"
