"""Clients of the AWS services that an emulated service calls; boto3 runs in threads, so the event loop never blocks."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from eep_platform.emulation.account import Account

Result = TypeVar("Result")
_THREADS = 8


class Aws:
    """Clients of the AWS at one address, and the threads for their calls and for other blocking work.

    The service calls with credentials of its own, as AWS does on behalf of its customers.
    """

    def __init__(self, endpoint_url: str, account: Account) -> None:
        self.endpoint_url = endpoint_url
        self._session = boto3.Session(
            aws_access_key_id=account.id,
            aws_secret_access_key="emulated",  # noqa: S106 - an emulator's, which checks none
            region_name=account.region,
        )
        self._config = Config(
            connect_timeout=2,
            read_timeout=20,
            retries={"mode": "standard", "total_max_attempts": 3},
            s3={"addressing_style": "path"},
            max_pool_connections=_THREADS,
        )
        self._clients: dict[str, Any] = {}
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="aws")

    async def call(self, service: str, operation: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - any service's
        """Call an operation (in snake case) of a service; raises what boto3 raises."""

        def in_thread() -> dict[str, Any]:
            answer: dict[str, Any] = getattr(self._client(service), operation)(**arguments)
            return answer

        return await self.thread(in_thread)

    def error(self, service: str, code: str) -> type[Exception]:
        """The exception class that boto3 raises for an error code of a service."""
        raised: type[Exception] = getattr(self._client(service).exceptions, code)
        return raised

    async def thread(self, function: Callable[[], Result]) -> Result:
        """Run a blocking function outside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)

    def close(self) -> None:
        """Shut the threads down without waiting for running calls."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _client(self, service: str) -> Any:  # noqa: ANN401 - any service's
        with self._lock:
            if service not in self._clients:
                factory: Any = self._session.client
                self._clients[service] = factory(service, endpoint_url=self.endpoint_url, config=self._config)
            return self._clients[service]
