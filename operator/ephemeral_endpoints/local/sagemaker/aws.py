"""The other AWS services that this one uses, through boto3 in threads so that the event loop never waits for them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

import boto3
from botocore.config import Config

Result = TypeVar("Result")
_THREADS = 8


class Aws:
    """Clients of the AWS at one address, and the threads that wait for them and for containers.

    The service calls as AWS does for its customers, not as one of them: its credentials are its own.
    """

    def __init__(self, endpoint_url: str, *, region: str, account: str) -> None:
        self.endpoint_url = endpoint_url
        self._session = boto3.Session(aws_access_key_id=account, aws_secret_access_key="sagemaker", region_name=region)  # noqa: S106 - an emulator's, which checks none
        self._config = Config(
            connect_timeout=2,
            read_timeout=20,
            retries={"mode": "standard", "total_max_attempts": 3},
            s3={"addressing_style": "path"},
            max_pool_connections=_THREADS,
        )
        self._clients: dict[str, Any] = {}
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sagemaker")

    async def call(self, service: str, operation: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - any service's
        """Call an operation (snake_case) of a service; raises what boto3 raises."""

        def in_thread() -> dict[str, Any]:
            answer: dict[str, Any] = getattr(self._client(service), operation)(**arguments)
            return answer

        return await self.thread(in_thread)

    def error(self, service: str, code: str) -> type[Exception]:
        """The exception that a service's client raises for an error code."""
        raised: type[Exception] = getattr(self._client(service).exceptions, code)
        return raised

    async def thread(self, function: Callable[[], Result]) -> Result:
        """Run a function that blocks, outside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)

    def close(self) -> None:
        """Let go of the threads without waiting for what they do."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _client(self, service: str) -> Any:  # noqa: ANN401 - any service's
        with self._lock:
            if service not in self._clients:
                factory: Any = self._session.client
                self._clients[service] = factory(service, endpoint_url=self.endpoint_url, config=self._config)
            return self._clients[service]
