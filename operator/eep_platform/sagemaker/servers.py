"""A variant's model server: starts it from its image, pings it until it serves, and restarts it.

One server stands in for all instances of a variant: several on one machine would gain nothing.
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

from eep_platform.emulation.aws import Aws
from eep_platform.emulation.clock import Clock
from eep_platform.emulation.logs import LogLine
from eep_platform.emulation.outbox import Outbox
from eep_platform.emulation.signals import Signal
from eep_platform.sagemaker.artifacts import Source, fetched
from eep_platform.sagemaker.errors import (
    DeploymentFailedError,
    cannot_start,
    image_missing,
    model_data_late,
    ping_failed,
)
from eep_platform.sagemaker.settings import HostingSettings

if TYPE_CHECKING:
    from eep_platform.containers.runtime import Container, ContainerRuntime

Result = TypeVar("Result")
_log = logging.getLogger(__name__)
_PING_SECONDS = 2.0
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
_ARGUMENT = "serve"
# https://docs.docker.com/reference/cli/docker/container/run/#exit-status
_NOT_STARTED = frozenset({125, 126, 127})
_READABLE = 24
_OK = 200


def log_group(endpoint_name: str) -> str:
    """The log group that the servers of an endpoint log to.

    Source: "Log groups and streams that Amazon SageMaker AI sends to CloudWatch Logs" in the SageMaker developer guide.
    """
    return f"/aws/sagemaker/Endpoints/{endpoint_name}"


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """What to run; `reference` is the image by digest at the registry."""

    endpoint_name: str
    variant_name: str
    reference: str
    environment: Mapping[str, str]
    model_data: Source | None
    max_concurrency: int | None
    """None for a variant on instances, which has no such limit."""
    provisioned_concurrency: int = 0
    """For how many requests a serverless variant is kept warm."""
    config_name: str = ""
    """The endpoint configuration of the variant."""
    data_capture: Mapping[str, Any] | None = None
    """`DataCaptureConfig`, if requests are captured."""
    additional_data: Mapping[str, Source] = field(default_factory=dict)
    """Additional model data by the names of its channels."""
    startup_timeout: int | None = None
    """Seconds until the server must answer /ping; None: the settings say."""
    download_timeout: int | None = None
    """Seconds until the model data must be there; None: no limit."""
    log_group: str = ""
    """Where its output goes; empty: to the log group of the endpoint."""

    @property
    def always_up(self) -> bool:
        """Whether the server is kept running without requests."""
        return self.max_concurrency is None or self.provisioned_concurrency > 0


@dataclass(slots=True)
class Host:
    """What all servers share. `containers` holds the running ones by name."""

    runtime: "ContainerRuntime"
    aws: Aws
    settings: HostingSettings
    clock: Clock
    logs: Outbox[LogLine]
    data: Path
    http: aiohttp.ClientSession
    starts: asyncio.Semaphore
    containers: "dict[str, Container]" = field(default_factory=dict)


class VariantServer:
    """The server of one variant. If it is down, `ensure` starts it."""

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
        """Apply the concurrency of a `ServerlessConfig`."""
        self.spec = replace(
            self.spec,
            max_concurrency=serverless["MaxConcurrency"],
            provisioned_concurrency=serverless.get("ProvisionedConcurrency", 0),
        )

    async def ensure(self) -> str:
        """Return the server's base URL; starts the server if it is down, once for all concurrent callers.

        Raises:
            DeploymentFailedError: The server cannot be started.
        """
        if self._starting is None and self.is_up():
            return self._host.containers[self._name].base_url
        return await asyncio.shield(self.begin())

    def begin(self) -> "asyncio.Task[str]":
        """Start the server without waiting for it, unless it is already starting; `ensure` reports failures.

        Raises:
            DeploymentFailedError: The server is retired.
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
        """Prevent the server from being retired while a request is in flight."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            self.last_used = asyncio.get_running_loop().time()
            self._released.send()

    async def retire(self, seconds: float) -> None:
        """Stop the server for good when no request is in flight, after `seconds` at the latest."""
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
        """End the server's process if it still has this URL."""
        container = self._host.containers.get(self._name)
        if container is not None and container.base_url == base_url:
            await self.stop()

    async def stop(self) -> None:
        """End the server's process; `ensure` starts a new one."""
        await _end(self._host, self._name)

    def _started(self, task: "asyncio.Task[str]") -> None:
        self._starting = None
        if not task.cancelled():
            task.exception()

    async def _start(self) -> str:
        await self.stop()
        now = self._host.clock()
        identity = uuid4().hex[:17]
        # A process name is a DNS label; the identity makes it unique, the prefix makes it readable.
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
        data, additional = await self._fetch(host.data / name)

        def on_log(line: str) -> None:
            milliseconds = int(host.clock().timestamp() * 1000)
            host.logs.put(LogLine(spec.log_group or log_group(spec.endpoint_name), stream, milliseconds, line))

        image = await self._attempt(lambda: host.runtime.pull(spec.reference), image_missing(spec.variant_name), on_log)

        def run() -> str:
            container = host.runtime.run(
                image.with_arguments(_ARGUMENT),
                name=name,
                environment=spec.environment,
                model_data=data,
                additional_data=additional,
                on_log=on_log,
            )
            host.containers[name] = container
            return container.base_url

        return await self._attempt(run, cannot_start(spec.variant_name), on_log)

    async def _fetch(self, folder: Path) -> tuple[Path | None, Path | None]:
        """The folders of the model's data and of its additional data; None for what it does not have."""
        spec, settings = self.spec, self._host.settings.now
        sources = {folder / "additional" / name: source for name, source in spec.additional_data.items()}
        if spec.model_data:
            sources[folder / "model"] = spec.model_data
        limit = spec.download_timeout and spec.download_timeout / settings.start_seconds_per_second
        for target, source in sources.items():
            try:
                async with asyncio.timeout(limit):
                    await fetched(source, target, self._host.aws)
            except TimeoutError as error:
                raise model_data_late(source.uri, spec.download_timeout or 0) from error
        return (
            folder / "model" if spec.model_data else None,
            folder / "additional" if spec.additional_data else None,
        )

    async def _attempt(
        self, function: Callable[[], Result], failure: DeploymentFailedError, on_log: Callable[[str], None]
    ) -> Result:
        """Call a function in a thread. If it fails, its reason goes to the endpoint's log, where its user reads it."""
        work = asyncio.ensure_future(self._host.aws.thread(function))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            # A thread cannot be cancelled: wait for the container that it may still start, so that it can be stopped.
            await asyncio.gather(work, return_exceptions=True)
            raise
        except Exception as error:
            on_log(f"embedded SageMaker: {error}")
            raise failure from error

    async def _wait_for_ping(self, name: str, base_url: str) -> None:
        settings, own = self._host.settings.now, self.spec.startup_timeout
        try:
            async with asyncio.timeout(
                own / settings.start_seconds_per_second if own else settings.ping_timeout_seconds
            ):
                while not await self._pings(base_url):
                    code = self._host.containers[name].exit_code()
                    if code is not None:
                        failure = cannot_start if code in _NOT_STARTED else ping_failed
                        raise failure(self.spec.variant_name)
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
    """End the processes of all servers, including those whose start was cancelled."""
    while host.containers:
        await asyncio.gather(*(_end(host, name) for name in list(host.containers)), return_exceptions=True)
