"""The one address of the embedded AWS: routes every call to what serves it, and meters it on the way.

    python -m eep_platform.aws.front --port P --upstream URL --sagemaker URL --codebuild URL

Control calls are routed by their signature's credential scope: SageMaker, its runtime and the automatic scaling of its
endpoints to `--sagemaker`, CodeBuild to `--codebuild`, all others to `--upstream`, the emulator. The index of the tags
of all services is here. Beside them it serves, unmetered, the image registry (`/v2/`) and the control interfaces of all
four (`/_meter/`, `/_sagemaker/`, `/_codebuild/`, `/_ministack/`), and below `/_api/<id>` the HTTP APIs, counted as
`execute-api`; whether a signer may invoke them is decided here, and counts on routes that ask for it. Of signatures
only the time is checked, and none is renewed: the emulator does not ask for them. Calls that are signed with a key that
is held to policies are authorised before all else.
"""

import argparse
import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

import aiohttp
from aiohttp import web
from microburst.core.context import RequestContext

from eep_platform.aws import clock, control, domains, httpapi, signatures, tagging
from eep_platform.aws.authorizers import DENIED_HEADER
from eep_platform.aws.domains import DomainTable
from eep_platform.aws.guard import control as guard_control
from eep_platform.aws.guard.guard import Guard
from eep_platform.aws.guard.lookups import Lookups
from eep_platform.aws.inputs import check
from eep_platform.aws.ledger import Outcome
from eep_platform.aws.meter import Meter
from eep_platform.aws.relay import (
    Passage,
    UpstreamGoneError,
    UpstreamUnreachableError,
    cut,
    new_session,
    relay,
)
from eep_platform.aws.roles import RoleCheck
from eep_platform.aws.throttling import RouteThrottle
from eep_platform.aws.wire import Request, data_plane_call, error_response, identify, is_registry

_HOST = "127.0.0.1"
_CODEBUILD = "codebuild"
_SAGEMAKER = frozenset({"application-autoscaling", "pricing", "sagemaker", "sagemaker-runtime", "service-quotas"})
_READ_BODY_UP_TO_BYTES = 4 * 1024 * 1024
"""A larger body is streamed unseen: its operation is known by path or header, its resource maybe not."""

_log = logging.getLogger(__name__)


class Front:
    """The routing of one front. `public_url` is where clients reach it; the others, where the services are."""

    def __init__(self, *, public_url: str, upstream: str, sagemaker: str, codebuild: str, meter: Meter) -> None:
        self._public_url = public_url
        self._upstream = upstream.rstrip("/")
        self._sagemaker = sagemaker.rstrip("/")
        self._codebuild = codebuild.rstrip("/")
        self._meter = meter
        lookups = cache(partial(Lookups, upstream=self._upstream, sagemaker=self._sagemaker))
        self._guard = Guard(lookups)
        self._roles = RoleCheck(lookups)
        self._tag_index = tagging.TagIndex(lookups)
        self._throttle = RouteThrottle()
        self._clock = clock.Clock()
        self._domains = DomainTable(lookups)
        self._session: aiohttp.ClientSession

    def application(self) -> web.Application:
        """The front as an application for aiohttp's server."""
        app = web.Application(client_max_size=0)
        app.cleanup_ctx.append(self._with_session)
        app.add_routes(control.routes(self._meter))
        app.add_routes(guard_control.routes(self._guard, control.PREFIX))
        app.add_routes(tagging.routes(self._tag_index, control.PREFIX))
        app.add_routes(self._clock.routes(control.PREFIX))
        app.on_response_prepare.append(self._clock.stamp)
        app.add_routes(
            [
                web.route("*", r"/_sagemaker/{tail:.*}", self._to_sagemaker),
                web.route("*", r"/_codebuild/{tail:.*}", self._to_codebuild),
                web.route("*", r"/_ministack/{tail:.*}", self._to_emulator),
                web.route("*", httpapi.PREFIX + r"/{api_id:[a-z0-9]+}{path:(/.*)?}", self._to_http_api),
                web.route("*", r"/{tail:.*}", self._to_service),
            ]
        )
        return app

    async def _with_session(self, _: web.Application) -> AsyncIterator[None]:
        async with new_session() as self._session:
            yield

    async def _to_sagemaker(self, request: web.Request) -> web.StreamResponse:
        return await self._unmetered(request, self._sagemaker)

    async def _to_codebuild(self, request: web.Request) -> web.StreamResponse:
        return await self._unmetered(request, self._codebuild)

    async def _to_emulator(self, request: web.Request) -> web.StreamResponse:
        self._roles.forget()
        return await self._unmetered(request, self._upstream)

    async def _to_http_api(self, request: web.Request) -> web.StreamResponse:
        api_id = request.match_info["api_id"]
        raw_path = request.rel_url.raw_path.removeprefix(f"{httpapi.PREFIX}/{api_id}")
        return await self._to_api(request, api_id, raw_path)

    async def _to_domain(self, request: web.Request, mappings: list[Any]) -> web.StreamResponse:
        found = domains.target(mappings, request.rel_url.raw_path)
        if found is None:
            return web.json_response({"message": "Forbidden"}, status=403)
        return await self._to_api(request, *found)

    async def _to_api(self, request: web.Request, api_id: str, raw_path: str) -> web.StreamResponse:
        ctx = data_plane_call(_head(request), f"{api_id}{raw_path}")
        if refusal := await httpapi.refusal(request, raw_path):
            self._meter.ledger.record(ctx.service, ctx.operation, ctx.resource, Outcome.DENIED, refusal.status)
            return refusal
        if refusal := self._throttle.refusal(api_id, request.method, raw_path):
            self._meter.ledger.record(ctx.service, ctx.operation, ctx.resource, Outcome.THROTTLED, refusal.status)
            return refusal
        target = httpapi.emulator_target(api_id, raw_path, request.rel_url.raw_query_string)
        body = await request.read() if request.content_length is None and request.can_read_body else None
        invoked = f"{api_id}/{httpapi.STAGE}/{request.method}{raw_path}"
        is_allowed = await self._guard.allows(_head(request), "execute-api", "Invoke", invoked)
        beside = {} if is_allowed else {DENIED_HEADER: "true"}
        correct = httpapi.page_policy(f"{request.host}{request.rel_url.raw_path.rstrip('/')}")
        passage = Passage(target, body, headers=beside, correct=correct)
        return await self._metered(request, ctx, self._upstream, passage)

    async def _to_service(self, request: web.Request) -> web.StreamResponse:
        if (domain := domains.domain_of(request)) and (mappings := await self._domains.mappings(domain)) is not None:
            return await self._to_domain(request, mappings)
        if is_registry(request.rel_url.raw_path) and "Credential=" not in request.headers.get("Authorization", ""):
            return await self._to_emulator(request)
        body = await _small_body(request)
        head = _head(request, body)
        ctx = identify(head)
        if refusal := signatures.refusal(head, ctx, datetime.now(UTC)) or await self._guard.refusal(head, ctx):
            self._meter.ledger.record(ctx.service, ctx.operation, ctx.resource, Outcome.DENIED, refusal.status)
            return refusal
        if ctx.service == tagging.SERVICE and ctx.operation in tagging.OPERATIONS:
            return await self._to_tag_index(request, head, ctx)
        rewrite = (
            httpapi.rewriter(ctx.service, ctx.operation, self._public_url)
            or self._throttle.learner(ctx.service, ctx.operation, head.path)
            or self._guard.learner(head, ctx)
        )
        refuse = partial(self._refusal, head, ctx)
        passage = Passage(request.rel_url.raw_path_qs, body, rewrite, refuse)
        with self._tag_index.changing(head, ctx):
            return await self._metered(request, ctx, self._base(ctx.service), passage)

    async def _refusal(self, head: Request, ctx: RequestContext) -> web.Response | None:
        return check.refusal(head, ctx) or await self._roles.refusal(head, ctx)

    async def _to_tag_index(self, request: web.Request, head: Request, ctx: RequestContext) -> web.StreamResponse:
        judgement = await self._meter.judge(request, ctx)
        if judgement.answer is not None:
            return judgement.answer
        answer = await asyncio.to_thread(self._tag_index.answer, head, ctx)
        if judgement.lose_answer:
            return cut(request)
        judgement.call.status = answer.status
        return answer

    def _base(self, service: str | None) -> str:
        if service == _CODEBUILD:
            return self._codebuild
        return self._sagemaker if service in _SAGEMAKER else self._upstream

    async def _metered(
        self, request: web.Request, ctx: RequestContext, base: str, passage: Passage
    ) -> web.StreamResponse:
        judgement = await self._meter.judge(request, ctx)
        if judgement.answer is not None:
            return judgement.answer
        try:
            if refusal := await passage.refuse():
                answer: web.StreamResponse = cut(request) if judgement.lose_answer else refusal
            else:
                answer = await relay(request, self._session, base, passage, lose_answer=judgement.lose_answer)
        except UpstreamUnreachableError as error:
            _log.warning("%s %s: %s", ctx.service, ctx.operation, error)
            answer = error_response(ctx, "ServiceUnavailable", f"The service does not run: {error}", 503)
        except UpstreamGoneError as error:
            _log.warning("%s %s: %s", ctx.service, ctx.operation, error)
            return cut(request)
        judgement.call.status = None if judgement.lose_answer else answer.status
        return answer

    async def _unmetered(self, request: web.Request, base: str) -> web.StreamResponse:
        try:
            return await relay(request, self._session, base, Passage(request.rel_url.raw_path_qs))
        except UpstreamUnreachableError as error:
            raise web.HTTPBadGateway(text=str(error)) from error
        except UpstreamGoneError:
            return cut(request)


def _head(request: web.Request, body: bytes | None = None) -> Request:
    url = request.rel_url
    return Request(request.method, url.raw_path, url.query, request.headers, body)


async def _small_body(request: web.Request) -> bytes | None:
    """The request's body, where it says that it is small enough to be looked at; None leaves it unread."""
    length = request.content_length
    if not request.can_read_body or length is None or length > _READ_BODY_UP_TO_BYTES:
        return None
    return await request.read()


async def serve(front: Front, port: int, *, until: asyncio.Event) -> None:
    """Serve on the loopback interface until the event is set."""
    # Bodies pass as they are: the server must not decode what the caller compressed.
    runner = web.AppRunner(front.application(), access_log=None, auto_decompress=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, _HOST, port, shutdown_timeout=1, backlog=1024).start()
        await until.wait()
    finally:
        await runner.cleanup()


async def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m eep_platform.aws.front", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True, help="URL of the emulator of all other services")
    parser.add_argument("--sagemaker", required=True, help="URL of SageMaker, its runtime and its automatic scaling")
    parser.add_argument("--codebuild", required=True, help="URL of CodeBuild")
    arguments = parser.parse_args()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    front = Front(
        public_url=f"http://{_HOST}:{arguments.port}",
        upstream=arguments.upstream,
        sagemaker=arguments.sagemaker,
        codebuild=arguments.codebuild,
        meter=Meter(),
    )
    await serve(front, arguments.port, until=stopped)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
