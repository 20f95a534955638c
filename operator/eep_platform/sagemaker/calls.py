"""Requests to model servers, for synchronous and asynchronous invocations."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO

import aiohttp

from eep_platform.emulation.account import Account
from eep_platform.emulation.errors import ServiceError
from eep_platform.sagemaker import errors
from eep_platform.sagemaker.endpoints import SERVING, Endpoint
from eep_platform.sagemaker.fleets import Router
from eep_platform.sagemaker.hosting import Hosting
from eep_platform.sagemaker.servers import VariantServer, log_group
from eep_platform.sagemaker.settings import HostingSettings
from eep_platform.sagemaker.store import Record, Store

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
SESSION_ID = "X-Amzn-SageMaker-Session-Id"
NEW_SESSION_ID = "X-Amzn-SageMaker-New-Session-Id"
CLOSED_SESSION_ID = "X-Amzn-SageMaker-Closed-Session-Id"
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A container's answer; status 0 means that it gave none."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether it is a prediction."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


def serving(store: Store, hosting: Hosting, name: str) -> tuple[Record[Endpoint], Router]:
    """The endpoint that serves under a name, and the router of its requests.

    Raises:
        ServiceError: There is no such endpoint, or it has no model server.
    """
    # Control plane requests disregard the case of endpoint names, invocations do not.
    record = store.endpoints.find(name)
    if record is None or record.name != name or record.value.status not in SERVING:
        raise errors.endpoint_not_found(name, store.account.id)
    router = hosting.router(record.arn)
    if router is None:
        raise errors.service_unavailable(f"Endpoint {name} has no model server: containers are off.")
    return record, router


class ModelCaller:
    """Forwards requests to model servers."""

    def __init__(self, settings: HostingSettings, http: aiohttp.ClientSession) -> None:
        self._settings = settings
        self._http = http

    async def call(self, server: VariantServer, headers: Mapping[str, str], body: bytes, seconds: float) -> Answer:
        """The answer of a server to /invocations within `seconds`.

        Starts the server again if its port is closed, because then its process is ending. Where a container has a
        network of its own, a closed port resets connections.

        Raises:
            ServiceError: No server accepts the request.
        """
        base_url = await self._ready(server)
        try:
            return await self._ask(base_url, headers, body, seconds)
        except aiohttp.ClientOSError:
            await server.discard(base_url)
        base_url = await self._ready(server)
        try:
            return await self._ask(base_url, headers, body, seconds)
        except aiohttp.ClientOSError as error:
            raise errors.service_unavailable("The model server of the variant does not accept requests.") from error

    async def _ready(self, server: VariantServer) -> str:
        if server.serverless:
            return await self._warm(server)
        if not server.is_up():
            raise errors.service_unavailable("The model server of the variant is not running; it is being restarted.")
        return await server.ensure()

    async def _warm(self, server: VariantServer) -> str:
        """The server's URL, after a cold start if it is down; waits no longer than the limit of the settings."""
        settings = self._settings
        try:
            async with asyncio.timeout(settings.now.cold_start_limit_seconds):
                if not server.is_up():
                    await asyncio.sleep(settings.behaviour(server.spec.endpoint_name).cold_start_seconds)
                return await server.ensure()
        except TimeoutError as error:
            raise errors.model_not_ready() from error
        except errors.DeploymentFailedError as error:
            raise errors.service_unavailable(str(error)) from error

    async def _ask(self, base_url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> Answer:
        began = time.perf_counter()
        limit = aiohttp.ClientTimeout(total=seconds)
        url = f"{base_url}/invocations"
        try:
            async with self._http.post(
                url, data=BytesIO(body), headers=headers, timeout=limit, allow_redirects=False
            ) as answer:
                content = await answer.read()
                return Answer(answer.status, answer.headers, content, time.perf_counter() - began)
        except TimeoutError:
            return Answer(0, {}, _TIMED_OUT.encode(), time.perf_counter() - began)
        except aiohttp.ClientOSError:
            raise
        except aiohttp.ClientError:
            return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, {}, b"", time.perf_counter() - began)


def model_error(account: Account, name: str, answer: Answer) -> ServiceError:
    """InvokeEndpoint's error for an answer of the container that is not a prediction."""
    group = log_group(name)
    text = answer.body.decode(errors="replace")
    kind = "client" if HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR else "server"
    detail = f'with message "{text}"' if answer.headers or text else "and could not load the entire response body"
    console = f"https://{account.region}.console.aws.amazon.com/cloudwatch/home?region={account.region}"
    return ServiceError(
        "ModelError",
        f"Received {kind} error ({answer.status}) from primary {detail}. See {console}#logEventViewer:group={group} "
        f"in account {account.id} for more information.",
        status=HTTPStatus.FAILED_DEPENDENCY,
        members={
            "OriginalStatusCode": answer.status,
            "OriginalMessage": text,
            "LogStreamArn": account.arn("logs", f"log-group:{group}"),
        },
    )
