"""The forwarder's entry point in Lambda: answers the routes of one object by invoking SageMaker endpoints.

``ROUTES`` is the table of what it answers, by method and path below the object's own; errors are
``application/problem+json``. ``bundle.build`` packs this module: it needs the standard library, the botocore of the
Lambda runtime, and at import a ``config.json`` beside this file.
"""

from __future__ import annotations

import json
import random
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ephemeral_endpoints.features.routing.forwarder import (
    asynchronous,
    callers,
    capture,
    cors,
    documents,
    examples,
    messages,
    negotiation,
    notices,
    outlet,
    page,
    parameters,
    readiness,
    results,
    routes,
    sleep,
    validation,
    variants,
)
from ephemeral_endpoints.features.routing.forwarder.config import REVISION_DIGITS, Base, ForwarderConfig
from ephemeral_endpoints.features.routing.forwarder.exchange import Exchange
from ephemeral_endpoints.features.routing.forwarder.expiry import Expiry
from ephemeral_endpoints.features.routing.forwarder.feedback import ID_HEADER, MAX_VOTE_BYTES, Feedback
from ephemeral_endpoints.features.routing.forwarder.inference_id import InferenceId
from ephemeral_endpoints.features.routing.forwarder.invocation import (
    SESSION,
    Clients,
    Context,
    Request,
    invoke,
    make_client,
)
from ephemeral_endpoints.features.routing.forwarder.messages import (
    BASE,
    TARGET_HEADER,
    VARIANT_HEADER,
    Answer,
    Problem,
    variant_header,
)
from ephemeral_endpoints.features.routing.forwarder.postprocess import Postprocessor
from ephemeral_endpoints.features.routing.forwarder.revision import Revision
from ephemeral_endpoints.features.routing.forwarder.routes import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ephemeral_endpoints.features.routing.forwarder.asynchronous import Queue
    from ephemeral_endpoints.features.routing.forwarder.config import AsyncConfig, FeedbackConfig, Postprocess, Sample
    from ephemeral_endpoints.features.routing.forwarder.variants import Target


def _make_queue(folders: AsyncConfig) -> Queue:
    [target] = variants.in_use(CONFIG, None)
    return asynchronous.Queue(CLIENTS.longest, target, folders, cache(partial(asynchronous.make_store, CONFIG.region)))


def _make_feedback(config: FeedbackConfig) -> Feedback:
    return Feedback(config, cache(partial(make_client, "dynamodb", CONFIG.region, CALL_SECONDS, attempts=2)))


def _make_postprocessor(config: Postprocess) -> Postprocessor:
    if config.function:
        # Made later, it would take the time of the first request.
        LAMBDA()
    return Postprocessor(config, CLIENTS, GENERATOR, Revision(LAMBDA).of)


def _make_examples(table: str | None) -> examples.Examples:
    client = cache(partial(make_client, "dynamodb", CONFIG.region, examples.CALL_SECONDS))
    return examples.Examples(CONFIG.samples, REVISION, table, client)


CONFIG = ForwarderConfig.from_json(Path(__file__).with_name("config.json").read_bytes())
CLIENTS = Clients(
    CONFIG.region,
    asynchronous.ENQUEUE_SECONDS if CONFIG.asynchronous else CONFIG.timeout_seconds,
    # Older clients insist on the InputLocation that the proof of readiness leaves out.
    checks_parameters=not CONFIG.asynchronous,
)
QUEUE = _make_queue(CONFIG.asynchronous) if CONFIG.asynchronous else None
GENERATOR = random.SystemRandom()
REVISION = CONFIG.about.revision[:REVISION_DIGITS]
CALL_SECONDS = 3
"""How long services other than SageMaker may take for each of the few calls that an answer needs."""

LAMBDA = cache(partial(make_client, "lambda", CONFIG.region, CALL_SECONDS))
EXPIRY = Expiry(LAMBDA)
BASE_REVISION = Revision(LAMBDA)
FEEDBACK = _make_feedback(CONFIG.feedback) if CONFIG.feedback else None
POSTPROCESSOR = _make_postprocessor(CONFIG.postprocess) if CONFIG.postprocess else None
# With a second model, whose answer may be missing, no answer is a whole example.
_HAS_EXAMPLES = CONFIG.samples and not QUEUE and not CONFIG.postprocess
EXAMPLES = _make_examples(CONFIG.feedback.table if CONFIG.feedback else None) if _HAS_EXAMPLES else None
OUTLETS = [each for each in (capture.outlet(CONFIG, SESSION), results.outlet(CONFIG, SESSION)) if each]
NOTICES = notices.Notices.of(CONFIG, SESSION)

validation.prepare(CONFIG)


def handle(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Answer ``event`` and write its access log line; never raises for an event of API Gateway."""
    exchange = Exchange.of(event, context, CONFIG.path)
    problem = None
    try:
        response = _response(exchange)
    except Exception as error:  # noqa: BLE001 - raised, it would be logged whole and answered without a body
        problem = error if isinstance(error, Problem) else _unforeseen(error)
        response = messages.render_problem(problem, messages.request_id(event))
        if sleep.is_browser(exchange.sent):
            response = sleep.shown(response, problem)
    response["headers"] |= _common_headers(exchange)
    _log(exchange, response, problem)
    return response


def _response(exchange: Exchange) -> dict[str, Any]:
    if not exchange.child and page.is_asked_for(exchange.event, enabled=CONFIG.playground is not None):
        return page.render(exchange.event, _page(), CONFIG.domain)
    return messages.render_answer(_answer(exchange))


@cache
def _page() -> str:
    return page.unpacked(Path(__file__).with_name(page.PACKED).read_bytes())


def _answer(exchange: Exchange) -> Answer:
    method, found = messages.method(exchange.event), routes.at(ROUTES, exchange.child)
    if method == "OPTIONS":
        methods = routes.allowed(found)
        allowed = {"allow": methods, **cors.preflight(CONFIG.cors, exchange.sent, methods)}
        return Answer(HTTPStatus.NO_CONTENT, "text/plain", b"", headers=allowed)
    route = routes.of(found, method)
    if route.needs_auth:
        callers.authenticate(exchange.event, exchange.sent, CONFIG, time.time())
    return route.answer(exchange, routes.variable(route, exchange.child) or "")


def _common_headers(exchange: Exchange) -> dict[str, str]:
    """The headers of every response. Times are in milliseconds (Server-Timing, W3C)."""
    total, model = 1000 * exchange.seconds, 1000 * exchange.model_seconds
    asked = {"eep-attempts": str(exchange.attempts)} if exchange.attempts else {}
    if exchange.base:
        asked[TARGET_HEADER] = BASE
    if exchange.attempts and exchange.preferred_wait:
        asked["preference-applied"] = f"wait={exchange.preferred_wait}"
    if revision := exchange.base_revision if exchange.base else REVISION:
        asked["eep-revision"] = revision
    return {
        **asked,
        **cors.headers(CONFIG.cors, exchange.sent),
        "eep-request-id": messages.request_id(exchange.event),
        "server-timing": (f"model;dur={model:.1f}, " if exchange.attempts else "")
        + (f"post;dur={1000 * exchange.post_seconds:.1f}, " if exchange.postprocess else "")
        + f"total;dur={total:.1f}",
    }


def _call(exchange: Exchange, _: str) -> Answer:
    if NOTICES and messages.PURPOSE_HEADER not in exchange.sent:
        NOTICES.tell(notices.USED, notices.USED_SECONDS)
    try:
        answer = _invoke(exchange)
    except Problem as problem:
        if not CONFIG.sleeps or exchange.base:
            raise
        raise _asleep(exchange, problem) from problem.__cause__
    return POSTPROCESSOR.join(exchange, answer) if POSTPROCESSOR else answer


def _asleep(exchange: Exchange, refused: Problem) -> Problem:
    problem = sleep.asleep(refused, wakes=CONFIG.wakes)
    if NOTICES and CONFIG.wakes and problem is not refused and messages.PURPOSE_HEADER not in exchange.sent:
        NOTICES.insist(notices.WAKE, notices.WAKE_SECONDS)
    return problem


def _invoke(exchange: Exchange) -> Answer:
    sent = exchange.sent
    exchange.base = _base(sent.get(TARGET_HEADER))
    split = exchange.base or CONFIG
    negotiation.check_content(sent, CONFIG.content_types)
    asked = parameters.variant(sent)
    taken = parameters.read(sent, parameters.ASYNCHRONOUS if QUEUE else parameters.SYNCHRONOUS)
    if not QUEUE:
        # One id joins what SageMaker, the records and the votes tell of an inference.
        taken.setdefault(parameters.INFERENCE_ID, messages.request_id(exchange.event))
    if "SessionId" in taken and asked is None and variants.are_apart(split):
        detail = f"Name the variant of the session in the {VARIANT_HEADER} header: each has sessions of its own."
        raise Problem(HTTPStatus.BAD_REQUEST, "malformed-request", detail)
    target = variants.choose(split, asked, GENERATOR, sent.get(CONFIG.sticky_header or ""))
    request = Request(messages.read_body(exchange.event, CONFIG.max_body_bytes), taken)
    negotiation.refuse_streaming(request.body, sent.get("content-type", ""), streams=CONFIG.streams)
    validation.check_request(CONFIG, request.body, str(taken.get("ContentType", "")))
    for each in OUTLETS:
        each.begin(exchange)
    try:
        if QUEUE:
            inference = QUEUE.submit(exchange.context, request)
            return QUEUE.pending(inference, _location(exchange, inference))
        ask = partial(exchange.ask, partial(_send, exchange, target, request), CONFIG.timeout_seconds, GENERATOR)
        if exchange.base:
            # The schema is the pull request's: what the base answers shows what it changes.
            return _of_base(exchange, exchange.base, ask)
        answer = ask()
        validation.check_answer(CONFIG, answer)
        if EXAMPLES:
            EXAMPLES.keep(request.body, sent.get("content-type", ""), answer)
    except Problem as problem:
        problem.headers |= variant_header(target.variant)
        if exchange.base:
            problem.detail = f"The base {exchange.base.name} did not answer. {problem.detail}"
        raise
    outlet.deliver(OUTLETS, exchange, target, request, answer)
    identified = {**answer.headers, capture.ID_HEADER: str(taken[parameters.INFERENCE_ID])}
    return _votable(exchange, answer._replace(headers=identified))


def _base(target: str | None) -> Base | None:
    """The base, if the request is for it; raises Problem 400 for another target, and 404 where there is no base."""
    if target is None:
        return None
    if target != BASE:
        detail = f"The {TARGET_HEADER} header can only be {BASE}; without it, the endpoint itself answers."
        raise Problem(HTTPStatus.BAD_REQUEST, "unknown-target", detail)
    if CONFIG.base is None:
        detail = "The endpoint has no base that could answer: spec.compare.with.endpoint of its object names one."
        raise Problem(HTTPStatus.NOT_FOUND, "no-base", detail)
    return CONFIG.base


def _of_base(exchange: Exchange, base: Base, ask: Callable[[], Answer]) -> Answer:
    """The answer of ``ask``. Meanwhile the base says what it serves, so that it costs no time of its own."""
    LAMBDA()  # botocore makes no two clients at once
    with ThreadPoolExecutor(1) as pool:
        revision = pool.submit(BASE_REVISION.of, base.function)
        try:
            return ask()
        finally:
            exchange.base_revision = revision.result()


def _votable(exchange: Exchange, answer: Answer) -> Answer:
    """The answer with the id that votes on it name, if votes are taken and it is no refusal."""
    if FEEDBACK is None or answer.status != HTTPStatus.OK:
        return answer
    id_ = FEEDBACK.id_of(messages.request_id(exchange.event), answer.variant, REVISION)
    return answer._replace(headers={**answer.headers, ID_HEADER: id_})


def _vote(votes: Feedback, exchange: Exchange, _: str) -> Answer:
    return votes.vote(messages.read_body(exchange.event, MAX_VOTE_BYTES))


def _votes(votes: Feedback, exchange: Exchange, _: str) -> Answer:
    return votes.votes(messages.parameter(exchange.event, "after"))


def _send(exchange: Exchange, target: Target, request: Request, seconds: float) -> Answer:
    return invoke(CLIENTS.within(seconds), exchange.context, target, request, read_seconds=seconds)


def _location(exchange: Exchange, inference: InferenceId) -> str:
    return messages.reference(exchange.folder, exchange.child, f"invocations/{inference}")


def _expires_at(exchange: Exchange) -> str | None:
    return EXPIRY.of(exchange.context.invoked_function_arn)


def _discover(exchange: Exchange, _: str) -> Answer:
    """The discovery document; the result of an inference for callers of an earlier release."""
    if (inference := messages.parameter(exchange.event, "inference")) is not None:
        return _result(exchange, inference)
    if CONFIG.sleeps and sleep.is_browser(exchange.sent):
        _require_awake(exchange)
    negotiation.require_json(exchange.sent)
    return _document(documents.discovery(CONFIG, exchange.folder, exchange.child, _expires_at(exchange)))


def _require_awake(exchange: Exchange) -> None:
    """Raise what callers of the model are told while the endpoint is asleep: who opens its URL wants it awake."""
    try:
        readiness.prove(CLIENTS.longest, exchange.context, variants.in_use(CONFIG, None)[0], CLIENTS.longest_seconds)
    except Problem as problem:
        asleep = _asleep(exchange, problem)
        if asleep is not problem:
            raise asleep from problem.__cause__


def _describe(exchange: Exchange, _: str) -> Answer:
    negotiation.require_json(exchange.sent)
    answered = EXAMPLES.answered() if EXAMPLES else ()
    return documents.answer_openapi(CONFIG, exchange.folder, exchange.sent, _expires_at(exchange), answered)


def _live(exchange: Exchange, _: str) -> Answer:
    negotiation.require_json(exchange.sent)
    return _document({"status": "ok"})


def _document(content: Mapping[str, object]) -> Answer:
    return Answer(HTTPStatus.OK, "application/json", json.dumps(content, separators=(",", ":")).encode())


def _result(exchange: Exchange, text: str) -> Answer:
    inference = InferenceId.parse(text)
    if not QUEUE or not inference:
        raise asynchronous.unknown_inference()
    try:
        answer = QUEUE.result(inference)
        if answer is None:
            return QUEUE.pending(inference, _location(exchange, inference))
        validation.check_answer(CONFIG, answer)
    except Problem as problem:
        problem.headers |= variant_header(QUEUE.target.variant)
        raise
    return answer


def _ready(exchange: Exchange, _: str) -> Answer:
    """Raises Problem 503 for the first variant that requests do not reach, or that does not answer the sample."""
    negotiation.require_json(exchange.sent)
    targets = variants.in_use(CONFIG, parameters.variant(exchange.sent))
    with ThreadPoolExecutor(len(targets)) as pool:
        list(pool.map(partial(_check, exchange.context), targets))
    return _document({"status": "Ready"})


def _check(context: Context, target: Target) -> None:
    sample, client, seconds = CONFIG.sample, CLIENTS.longest, CLIENTS.longest_seconds
    # What a model says is for those who may call it.
    tell = CONFIG.token_sha256 is not None
    try:
        if sample is None:
            QUEUE.prove(context) if QUEUE else readiness.prove(client, context, target, seconds)
        elif QUEUE:
            QUEUE.send_sample(context, sample, tell=tell)
        else:
            send = partial(invoke, client, context, target, read_seconds=seconds)
            _keep(sample, readiness.send_sample(send, sample, tell=tell))
    except Problem as problem:
        detail, members = problem.detail, problem.members
        if len(CONFIG.variants) > 1:
            detail, members = f"{target.variant}: {detail}", {**members, "variant": target.variant}
        headers = {"retry-after": "5", **problem.headers, **variant_header(target.variant)}
        unready = HTTPStatus.SERVICE_UNAVAILABLE
        raise Problem(unready, problem.kind, detail, headers, members=members) from problem


def _keep(sample: Sample, answer: Answer) -> None:
    """Keep the answer to the sample as an example, unless the model breaks its promise."""
    if EXAMPLES:
        with suppress(Problem):
            validation.check_answer(CONFIG, answer)
            EXAMPLES.keep(sample.request.encode(), sample.content_type, answer)


def _feedback_routes(votes: Feedback) -> tuple[Route, ...]:
    return (
        Route("POST", "feedback", needs_auth=True, answer=partial(_vote, votes)),
        Route("GET", "feedback", needs_auth=True, answer=partial(_votes, votes)),
    )


ROUTES = (
    Route("POST", "", needs_auth=True, answer=_call),
    Route("GET", "", needs_auth=True, answer=_discover),
    Route("POST", "invocations", needs_auth=True, answer=_call),
    Route("GET", f"invocations/{routes.VARIABLE}", needs_auth=True, answer=_result),
    Route("GET", "healthz", needs_auth=False, answer=_live),
    Route("GET", "readyz", needs_auth=True, answer=_ready),
    Route("GET", "openapi.json", needs_auth=True, answer=_describe),
    *(_feedback_routes(FEEDBACK) if FEEDBACK else ()),
)


def _unforeseen(error: Exception) -> Problem:
    problem = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", "The forwarder failed on this request.")
    problem.__cause__ = error
    return problem


def _log(exchange: Exchange, response: Mapping[str, Any], problem: Problem | None) -> None:
    """Write one line of JSON with names and figures, never a token, path, query or payload."""
    event = exchange.event
    known = next((each.child for each in ROUTES if routes.variable(each, exchange.child) is not None), None)
    record = {
        "requestId": messages.request_id(event),
        "method": messages.method(event),
        "route": known,
        "readiness": known == "readyz",
        "status": response["statusCode"],
        "base": exchange.base is not None,
        "variant": response["headers"].get(VARIANT_HEADER),
        "problem": problem.kind if problem else None,
        "cause": _cause(problem) if problem else None,
        "violations": validation.violations_of(problem),
        "attempts": exchange.attempts,
        "milliseconds": round(1000 * exchange.seconds, 1),
        "modelMilliseconds": round(1000 * exchange.model_seconds, 1),
        "requestBytes": messages.body_bytes(event),
        "responseBytes": messages.body_bytes(response),
        **outlet.log_members(OUTLETS, exchange),
        **({"noticeCause": NOTICES.error} if NOTICES and NOTICES.error else {}),
    }
    if exchange.postprocess:
        record |= {"postprocess": exchange.postprocess, "postMilliseconds": round(1000 * exchange.post_seconds, 1)}
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
