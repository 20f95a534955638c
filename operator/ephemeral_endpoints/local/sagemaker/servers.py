"""A variant's model server: started from its image, pinged until it serves, started again when it is gone.

One server stands for a variant whatever its instance count, because one machine gains nothing from several.
"""

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import aiohttp

from ephemeral_endpoints.local.sagemaker.artifacts import unpacked
from ephemeral_endpoints.local.sagemaker.aws import Aws
from ephemeral_endpoints.local.sagemaker.errors import DeploymentFailedError, image_missing, ping_failed
from ephemeral_endpoints.local.sagemaker.logs import LogLine, log_group
from ephemeral_endpoints.local.sagemaker.outbox import Outbox
from ephemeral_endpoints.local.sagemaker.settings import SettingsHolder
from ephemeral_endpoints.local.sagemaker.signals import Signal
from ephemeral_endpoints.local.sagemaker.store import Clock

if TYPE_CHECKING:
    from ephemeral_endpoints.local.containers.runtime import Container, ContainerRuntime

Result = TypeVar("Result")
_log = logging.getLogger(__name__)
_PING_SECONDS = 2.0
_READABLE = 24
_OK = 200


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """What to run: `reference` is the image by digest at the registry."""

    endpoint_name: str
    variant_name: str
    reference: str
    environment: Mapping[str, str]
    model_data_url: str | None
    max_concurrency: int | None
    """None on instances, which have no such limit."""
    provisioned_concurrency: int = 0
    """How many requests a serverless variant is kept warm for."""
    config_name: str = ""
    """The endpoint configuration that it belongs to."""
    data_capture: Mapping[str, Any] | None = None
    """`DataCaptureConfig`, where requests are to be captured."""

    @property
    def always_up(self) -> bool:
        """Whether the server is kept running without requests."""
        return self.max_concurrency is None or self.provisioned_concurrency > 0


@dataclass(slots=True)
class Host:
    """What all servers share. `containers` are those that run, by name."""

    runtime: "ContainerRuntime"
    aws: Aws
    settings: SettingsHolder
    clock: Clock
    logs: Outbox[LogLine]
    data: Path
    http: aiohttp.ClientSession
    starts: asyncio.Semaphore
    containers: "dict[str, Container]" = field(default_factory=dict)


class VariantServer:
    """The server of one variant. It is up, or down until the next `ensure`."""

    def __init__(self, spec: ServerSpec, host: Host) -> None:
        self.spec = spec
        self.in_flight = 0
        self.retired = False
        self._over = False
        self.last_used = asyncio.get_running_loop().time()
        self._host = host
        self._name = ""
        self._starting: asyncio.Task[str] | None = None
        self._released = Signal()

    @property
    def serverless(self) -> bool:
        """Whether the server is started on demand."""
        return self.spec.max_concurrency is not None

    def allow(self, serverless: Mapping[str, int]) -> None:
        """Take requests from now on as a `ServerlessConfig` has it."""
        self.spec = replace(
            self.spec,
            max_concurrency=serverless["MaxConcurrency"],
            provisioned_concurrency=serverless.get("ProvisionedConcurrency", 0),
        )

    async def ensure(self) -> str:
        """Return the server's base URL, after starting it if it is down; several callers share one start.

        Raises:
            DeploymentFailedError: It cannot be started.
        """
        if self._starting is None and self.is_up():
            return self._host.containers[self._name].base_url
        return await asyncio.shield(self.begin())

    def begin(self) -> "asyncio.Task[str]":
        """Start the server without waiting for it, unless it is starting already; what comes of it is `ensure`'s.

        Raises:
            DeploymentFailedError: The server has been stopped for good.
        """
        if self._over:
            raise ping_failed(self.spec.variant_name)
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
            self._starting.add_done_callback(self._started)
        return self._starting

    def is_up(self) -> bool:
        """Whether the server's process runs."""
        container = self._host.containers.get(self._name)
        return container is not None and container.exit_code() is None

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep the server from being stopped while a request is in flight."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            self.last_used = asyncio.get_running_loop().time()
            self._released.send()

    async def retire(self, seconds: float) -> None:
        """Stop the server for good, when no request is in flight any more or `seconds` have passed."""
        self.retired = True
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.in_flight:
                    await self._released.wait()
        self._over = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        await self.stop()

    async def discard(self, base_url: str) -> None:
        """End the server's process if it is still the one at this URL."""
        container = self._host.containers.get(self._name)
        if container is not None and container.base_url == base_url:
            await self.stop()

    async def stop(self) -> None:
        """End the server's process; `ensure` starts another."""
        await _end(self._host, self._name)

    def _started(self, task: "asyncio.Task[str]") -> None:
        self._starting = None
        if not task.cancelled():
            task.exception()

    async def _start(self) -> str:
        await self.stop()
        now = self._host.clock()
        identity = uuid4().hex[:17]
        # A process name is a DNS label; the identity makes it unique, the rest is for the reader.
        readable = self.spec.endpoint_name.lower()[:_READABLE].rstrip("-")
        self._name = name = f"model-{readable}-{identity}"
        stamp = f"{now:%Y-%m-%d-%H-%M-%S}-{identity}" if self.serverless else f"i-{identity}"
        try:
            async with self._host.starts:
                base_url = await self._run(name, f"{self.spec.variant_name}/{stamp}")
            await self._wait_for_ping(name, base_url)
        except BaseException:
            await _end(self._host, name)
            raise
        return base_url

    async def _run(self, name: str, stream: str) -> str:
        host, spec = self._host, self.spec
        data = host.data / name if spec.model_data_url else None
        if spec.model_data_url and data:
            await unpacked(spec.model_data_url, data, host.aws)

        def on_log(line: str) -> None:
            milliseconds = int(host.clock().timestamp() * 1000)
            host.logs.put(LogLine(log_group(spec.endpoint_name), stream, milliseconds, line))

        image = await self._attempt(lambda: host.runtime.pull(spec.reference), image_missing(spec.variant_name))

        def run() -> str:
            container = host.runtime.run(image, name=name, environment=spec.environment, model_data=data, on_log=on_log)
            host.containers[name] = container
            return container.base_url

        return await self._attempt(run, ping_failed(spec.variant_name))

    async def _attempt(self, function: Callable[[], Result], failure: DeploymentFailedError) -> Result:
        work = asyncio.ensure_future(self._host.aws.thread(function))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            # A thread cannot be cancelled: what it still starts has to be seen, to be ended again.
            await asyncio.gather(work, return_exceptions=True)
            raise
        except Exception as error:
            _log.warning("%s of %s: %s", self.spec.variant_name, self.spec.endpoint_name, error)
            raise failure from error

    async def _wait_for_ping(self, name: str, base_url: str) -> None:
        settings = self._host.settings.now
        try:
            async with asyncio.timeout(settings.ping_timeout_seconds):
                while not await self._pings(base_url):
                    if self._host.containers[name].exit_code() is not None:
                        raise ping_failed(self.spec.variant_name)
                    await asyncio.sleep(settings.ping_interval_seconds)
        except TimeoutError as error:
            raise ping_failed(self.spec.variant_name) from error

    async def _pings(self, base_url: str) -> bool:
        limit = aiohttp.ClientTimeout(total=_PING_SECONDS)
        try:
            async with self._host.http.get(f"{base_url}/ping", timeout=limit, allow_redirects=False) as answer:
                return answer.status == _OK
        except (aiohttp.ClientError, TimeoutError):
            return False


async def _end(host: Host, name: str) -> None:
    container = host.containers.pop(name, None)
    if container is not None:
        await host.aws.thread(container.stop)
    if name:
        await host.aws.thread(lambda: shutil.rmtree(host.data / name, ignore_errors=True))


async def stop_all(host: Host) -> None:
    """End every server's process, also one whose start was abandoned halfway."""
    while host.containers:
        await asyncio.gather(*(_end(host, name) for name in list(host.containers)), return_exceptions=True)
