"""InvokeEndpoint: a request to a model server and what becomes of its answer.

Source: InvokeEndpoint in the SageMaker runtime API reference.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from typing import Any
from uuid import uuid4

import aiohttp
from aiohttp import web

from ephemeral_endpoints.local.sagemaker import errors
from ephemeral_endpoints.local.sagemaker.endpoints import SERVING
from ephemeral_endpoints.local.sagemaker.fleets import Fleet
from ephemeral_endpoints.local.sagemaker.hosting import Hosting
from ephemeral_endpoints.local.sagemaker.logs import log_group
from ephemeral_endpoints.local.sagemaker.metrics import Invocation
from ephemeral_endpoints.local.sagemaker.outbox import Outbox
from ephemeral_endpoints.local.sagemaker.servers import VariantServer
from ephemeral_endpoints.local.sagemaker.store import Store
from ephemeral_endpoints.local.sagemaker.validation import input_shape, refuse_violations, violations

MOST_BODY_BYTES = 6 * 1024 * 1024
MOST_SERVERLESS_BODY_BYTES = 4 * 1024 * 1024
_CUSTOM = "X-Amzn-SageMaker-Custom-Attributes"
_VARIANT = "x-Amzn-Invoked-Production-Variant"
_PASSED_ON = ("Content-Type", "Accept", _CUSTOM, "X-Amzn-SageMaker-Inference-Id")
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)
_MICROSECONDS = 1e6


@dataclass(frozen=True, slots=True)
class Answer:
    """What a container answered; status 0 when it gave no answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class Invoker:
    """Serves invocations."""

    def __init__(
        self, store: Store, hosting: Hosting, http: aiohttp.ClientSession, metrics: Outbox[Invocation]
    ) -> None:
        self._store = store
        self._hosting = hosting
        self._http = http
        self._metrics = metrics

    async def invoke(self, request: web.Request) -> web.Response:
        """Answer one InvokeEndpoint request; raises `ServiceError` for every answer that is an error."""
        began = time.perf_counter()
        name = request.match_info["name"]
        body = await _body(request)
        parameters = _parameters(name, request.headers, body)
        # From here to the server being held nothing may wait: an update must not retire the server in between.
        server = self._fleet(name).choose(parameters.get("TargetVariant"))
        self._refuse(server, body)
        async with server.held():
            answer = await self._forward(server, request.headers, body)
        self._measure(server, answer, time.perf_counter() - began)
        return self._response(name, server, answer)

    def _fleet(self, name: str) -> Fleet:
        # Control plane requests disregard the case of endpoint names, InvokeEndpoint does not.
        record = self._store.endpoints.find(name)
        if record is None or record.name != name or record.value.status not in SERVING:
            raise errors.endpoint_not_found(name, self._store.account.account)
        fleet = self._hosting.serving.get(record.arn)
        if fleet is None:
            raise errors.service_unavailable(f"Endpoint {name} has no model server: containers are off.")
        return fleet

    def _refuse(self, server: VariantServer, body: bytes) -> None:
        limit = server.spec.max_concurrency
        if limit is None:
            return
        if len(body) > MOST_SERVERLESS_BODY_BYTES:
            raise errors.oversize_body(str(uuid4()))
        if server.in_flight >= limit:
            raise errors.throttled()

    async def _ready(self, server: VariantServer) -> str:
        if server.serverless:
            return await self._warm(server)
        if not server.is_up():
            raise errors.service_unavailable("The model server of the variant is not running; it is being restarted.")
        return await server.ensure()

    async def _warm(self, server: VariantServer) -> str:
        """The server's URL, after a cold start if it is down, as long as the limit allows to wait for it."""
        settings = self._store.settings
        try:
            async with asyncio.timeout(settings.now.cold_start_limit_seconds):
                if not server.is_up():
                    await asyncio.sleep(settings.behaviour(server.spec.endpoint_name).cold_start_seconds)
                return await server.ensure()
        except TimeoutError as error:
            raise errors.model_not_ready() from error
        except errors.DeploymentFailedError as error:
            raise errors.service_unavailable(str(error)) from error

    async def _forward(self, server: VariantServer, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer of the server, which is started again if nobody listens any more: its process is ending then."""
        base_url = await self._ready(server)
        try:
            return await self._ask(base_url, headers, body)
        except aiohttp.ClientConnectorError:
            await server.discard(base_url)
        base_url = await self._ready(server)
        try:
            return await self._ask(base_url, headers, body)
        except aiohttp.ClientConnectorError as error:
            raise errors.service_unavailable("The model server of the variant does not accept requests.") from error

    async def _ask(self, base_url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        began = time.perf_counter()
        passed = {name: headers[name] for name in _PASSED_ON if name in headers}
        limit = aiohttp.ClientTimeout(total=self._store.settings.now.invocation_timeout_seconds)
        url = f"{base_url}/invocations"
        try:
            async with self._http.post(
                url, data=BytesIO(body), headers=passed, timeout=limit, allow_redirects=False
            ) as answer:
                content = await answer.read()
                return Answer(answer.status, answer.headers, content, time.perf_counter() - began)
        except TimeoutError:
            return Answer(0, {}, _TIMED_OUT.encode(), time.perf_counter() - began)
        except aiohttp.ClientConnectorError:
            raise
        except aiohttp.ClientError:
            return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, {}, b"", time.perf_counter() - began)

    def _measure(self, server: VariantServer, answer: Answer, seconds: float) -> None:
        self._metrics.put(
            Invocation(
                endpoint_name=server.spec.endpoint_name,
                variant_name=server.spec.variant_name,
                model_status=answer.status,
                model_microseconds=round(answer.seconds * _MICROSECONDS),
                overhead_microseconds=round((seconds - answer.seconds) * _MICROSECONDS),
            )
        )

    def _response(self, name: str, server: VariantServer, answer: Answer) -> web.Response:
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise self._model_error(name, answer)
        headers = {_VARIANT: server.spec.variant_name}
        headers |= {key: answer.headers[key] for key in ("Content-Type", _CUSTOM) if key in answer.headers}
        return web.Response(body=answer.body, headers=headers)

    def _model_error(self, name: str, answer: Answer) -> errors.ServiceError:
        account, group = self._store.account, log_group(name)
        text = answer.body.decode(errors="replace")
        kind = "client" if HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR else "server"
        told = f'with message "{text}"' if answer.headers or text else "and could not load the entire response body"
        console = f"https://{account.region}.console.aws.amazon.com/cloudwatch/home?region={account.region}"
        return errors.ServiceError(
            "ModelError",
            f"Received {kind} error ({answer.status}) from primary {told}. See {console}#logEventViewer:group={group} "
            f"in account {account.account} for more information.",
            status=HTTPStatus.FAILED_DEPENDENCY,
            members={
                "OriginalStatusCode": answer.status,
                "OriginalMessage": text,
                "LogStreamArn": account.arn(f"log-group:{group}", service="logs"),
            },
        )


def _parameters(name: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    shape = input_shape("sagemaker-runtime", "InvokeEndpoint")
    located = {member: str(part.serialization.get("name")) for member, part in shape.members.items()}
    parameters: dict[str, Any] = {member: headers[key] for member, key in located.items() if key in headers}
    parameters |= {"EndpointName": name, "Body": body}
    refuse_violations(violations(shape, parameters), errors.validation_error)
    return parameters


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        limit = f"Member must have length less than or equal to {MOST_BODY_BYTES}"
        raise errors.validation_error(
            f"1 validation error detected: Value at 'body' failed to satisfy constraint: {limit}"
        ) from error
