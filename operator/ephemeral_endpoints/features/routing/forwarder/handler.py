"""The forwarder's entry point in Lambda: answers one route of an HTTP API by invoking SageMaker endpoints.

``POST`` sends the body to the model, ``GET`` checks whether requests reach it (see ``readiness``); errors are
``application/problem+json``. An endpoint for asynchronous inference queues POST requests; ``GET`` with the returned id
as the query parameter ``inference`` fetches the result. ``bundle.build`` packs this module: it needs the standard
library, the boto3 of the Lambda runtime, and at import a ``config.json`` beside this file.
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

from ephemeral_endpoints.features.routing.forwarder import asynchronous, messages, parameters, readiness, variants
from ephemeral_endpoints.features.routing.forwarder.config import ForwarderConfig
from ephemeral_endpoints.features.routing.forwarder.inference_id import InferenceId
from ephemeral_endpoints.features.routing.forwarder.invocation import (
    READ_SECONDS,
    Context,
    Request,
    invoke,
    make_client,
)
from ephemeral_endpoints.features.routing.forwarder.messages import VARIANT_HEADER, Answer, Problem, variant_header

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ephemeral_endpoints.features.routing.forwarder.asynchronous import Queue
    from ephemeral_endpoints.features.routing.forwarder.config import AsyncConfig
    from ephemeral_endpoints.features.routing.forwarder.variants import Target


def _make_queue(folders: AsyncConfig) -> Queue:
    store = asynchronous.make_store(CONFIG.region)
    [target] = variants.in_use(CONFIG, None)
    return asynchronous.Queue(CLIENT, store, target, folders)


CONFIG = ForwarderConfig.from_json(Path(__file__).with_name("config.json").read_bytes())
CLIENT = make_client(
    CONFIG.region,
    read_seconds=asynchronous.ENQUEUE_SECONDS if CONFIG.asynchronous else READ_SECONDS,
    # Older clients insist on the InputLocation that the proof of readiness leaves out.
    checks_parameters=not CONFIG.asynchronous,
)
QUEUE = _make_queue(CONFIG.asynchronous) if CONFIG.asynchronous else None
GENERATOR = random.SystemRandom()


def handle(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Answer ``event`` and write its access log line; never raises for an event of API Gateway."""
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
        detail = "Use POST to invoke the model, or GET to check whether it is ready."
        raise Problem(HTTPStatus.METHOD_NOT_ALLOWED, "method-not-allowed", detail, {"allow": "GET, POST"})
    sent = messages.headers(event)
    messages.authenticate(sent, CONFIG.token_sha256)
    if method == "POST":
        return messages.render_answer(_post(event, sent, context))
    answer = _ready(sent, context) if _is_readiness(event) else _result(str(messages.parameter(event, "inference")))
    return messages.render_answer(answer)


def _is_readiness(event: Mapping[str, Any]) -> bool:
    """Whether the request is no traffic, but asks whether there could be any."""
    return messages.method(event) == "GET" and messages.parameter(event, "inference") is None


def _post(event: Mapping[str, Any], sent: Mapping[str, str], context: Context) -> Answer:
    asked = parameters.variant(sent)
    taken = parameters.read(sent, parameters.ASYNCHRONOUS if QUEUE else parameters.SYNCHRONOUS)
    if "SessionId" in taken and asked is None and variants.are_apart(CONFIG):
        detail = f"Name the variant of the session in the {VARIANT_HEADER} header: each has sessions of its own."
        raise Problem(HTTPStatus.BAD_REQUEST, "malformed-request", detail)
    target = variants.choose(CONFIG, asked, GENERATOR)
    request = Request(messages.read_body(event, CONFIG.max_body_bytes), taken)
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
    """Raises Problem 503 for the first variant that requests do not reach, or that does not answer the sample."""
    targets = variants.in_use(CONFIG, parameters.variant(sent))
    with ThreadPoolExecutor(len(targets)) as pool:
        for _ in pool.map(lambda target: _check(target, context), targets):
            pass
    return Answer(HTTPStatus.OK, "application/json", b'{"status":"Ready"}')


def _check(target: Target, context: Context) -> None:
    sample = CONFIG.sample
    # What a model says is for those who may call it.
    tell = CONFIG.token_sha256 is not None
    try:
        if sample is None:
            QUEUE.prove(context) if QUEUE else readiness.prove(CLIENT, context, target)
        elif QUEUE:
            QUEUE.send_sample(context, sample, tell=tell)
        else:
            readiness.send_sample(CLIENT, context, target, sample, tell=tell)
    except Problem as problem:
        detail, members = problem.detail, problem.members
        if len(CONFIG.variants) > 1:
            detail, members = f"{target.variant}: {detail}", {**members, "variant": target.variant}
        headers = {"retry-after": "5", **problem.headers, **variant_header(target.variant)}
        unready = HTTPStatus.SERVICE_UNAVAILABLE
        raise Problem(unready, problem.kind, detail, headers, members=members) from problem


def _unforeseen(error: Exception) -> Problem:
    problem = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", "The forwarder failed on this request.")
    problem.__cause__ = error
    return problem


def _log(event: Mapping[str, Any], response: Mapping[str, Any], problem: Problem | None, *, seconds: float) -> None:
    """Write one line of JSON with names and figures, never a token, path, query or payload."""
    record = {
        "requestId": messages.request_id(event),
        "method": messages.method(event),
        "readiness": _is_readiness(event),
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
    """The cause of ``problem``: an AWS error code, or a type and its place; messages may quote the request."""
    error: BaseException = problem
    while error.__cause__:
        error = error.__cause__
    if isinstance(error, Problem):
        return None
    if isinstance(error, ClientError):
        return error.response["Error"].get("Code")
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {frame.name}, line {frame.lineno}"
