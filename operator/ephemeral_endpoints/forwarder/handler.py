"""The forwarder's entry point in Lambda: answers one route of an HTTP API by invoking SageMaker endpoints.

``POST`` sends the body to the model, ``GET`` says whether the model answers; what goes wrong is told as
``application/problem+json``. An endpoint for asynchronous inference queues what is posted; ``GET`` with the id that it
gave as the query's ``inference`` fetches the result. Deployed as ``bundle.build`` packs it: with the standard library,
the boto3 of the Lambda runtime and a ``config.json`` beside this file, without which it cannot be imported.
"""

from __future__ import annotations

import json
import random
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ephemeral_endpoints.forwarder import asynchronous, messages, variants
from ephemeral_endpoints.forwarder.config import ForwarderConfig
from ephemeral_endpoints.forwarder.inference_id import InferenceId
from ephemeral_endpoints.forwarder.invocation import PROBE, READ_SECONDS, Context, Request, invoke, make_client
from ephemeral_endpoints.forwarder.messages import VARIANT_HEADER, Answer, Problem, variant_header

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ephemeral_endpoints.forwarder.asynchronous import Queue
    from ephemeral_endpoints.forwarder.config import AsyncConfig
    from ephemeral_endpoints.forwarder.variants import Target


def _make_queue(folders: AsyncConfig) -> Queue:
    store = asynchronous.make_store(CONFIG.region)
    [target] = variants.in_use(CONFIG, None)
    return asynchronous.Queue(CLIENT, store, target, folders)


CONFIG = ForwarderConfig.from_json(Path(__file__).with_name("config.json").read_bytes())
CLIENT = make_client(CONFIG.region, read_seconds=asynchronous.ENQUEUE_SECONDS if CONFIG.asynchronous else READ_SECONDS)
QUEUE = _make_queue(CONFIG.asynchronous) if CONFIG.asynchronous else None
GENERATOR = random.SystemRandom()


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
    if method == "POST":
        return messages.render_answer(_post(event, sent, context))
    inference = messages.parameter(event, "inference")
    answer = _ready(sent, context) if inference is None else _result(inference)
    return messages.render_answer(answer)


def _post(event: Mapping[str, Any], sent: Mapping[str, str], context: Context) -> Answer:
    target = variants.choose(CONFIG, messages.header(sent, VARIANT_HEADER), GENERATOR)
    request = Request(
        messages.read_body(event, CONFIG.max_body_bytes),
        messages.header(sent, "content-type"),
        messages.header(sent, "accept"),
    )
    try:
        if QUEUE:
            return QUEUE.pending(QUEUE.submit(context, request))
        return invoke(CLIENT, context, target, request)
    except Problem as problem:
        problem.headers |= variant_header(target.variant)
        raise


def _result(text: str) -> Answer:
    inference = InferenceId.parse(text)
    if not QUEUE or not inference:
        raise asynchronous.unknown_inference()
    try:
        return QUEUE.result(inference) or QUEUE.pending(inference)
    except Problem as problem:
        problem.headers |= variant_header(QUEUE.target.variant)
        raise


def _ready(sent: Mapping[str, str], context: Context) -> Answer:
    """Raises Problem 503 for the first variant that does not answer; one that refuses the request did answer."""
    targets = variants.in_use(CONFIG, messages.header(sent, VARIANT_HEADER))
    with ThreadPoolExecutor(len(targets)) as pool:
        for _ in pool.map(lambda target: _probe(target, context), targets):
            pass
    return Answer(HTTPStatus.OK, "application/json", b'{"status":"Ready"}')


def _probe(target: Target, context: Context) -> None:
    try:
        if QUEUE:
            QUEUE.probe(context)
        else:
            invoke(CLIENT, context, target, PROBE)
    except Problem as problem:
        detail = f"{target.variant}: {problem.detail}" if len(CONFIG.variants) > 1 else problem.detail
        headers = {"retry-after": "5", **problem.headers, **variant_header(target.variant)}
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, problem.kind, detail, headers) from problem


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
        "variant": response["headers"].get(VARIANT_HEADER),
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
