"""Whether SageMaker can start an image: by its configuration, and where that is not enough, by its layers.

SageMaker runs ``docker run <image> serve``: the word replaces CMD, and without an ENTRYPOINT it is the program to
start, as in many of AWS's own images (https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html).
"""

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from botocore.awsrequest import AWSRequest
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session
from urllib3.exceptions import HTTPError

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.engine.errors import AwsError
from ephemeral_endpoints.features.images.archives import UnreadableError, has_program
from ephemeral_endpoints.features.images.references import ImageFacts, ImageReference

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

logger = logging.getLogger(__name__)

MOST_BYTES: Final = 1024**3
"""Layers of more than this together are not searched: what cannot start then fails at its endpoint."""

_PROGRAM: Final = "serve"
_MOST_CONFIG_BYTES: Final = 4 * 1024**2
_CHUNK_BYTES: Final = 1024**2
_MOST_REMEMBERED: Final = 10_000
_TIMEOUT_SECONDS: Final = 30
_OK: Final = 200
_FAILURES: Final = (AwsError, HTTPClientError, HTTPError, OSError, UnreadableError, RecursionError, ValueError)

_Command = tuple[str, ...]


class Commands:
    """Looks into each image once. One that cannot be read is taken for one that starts."""

    def __init__(self, client: "ECRClient") -> None:
        self._client = client
        self._http = URLLib3Session(timeout=_TIMEOUT_SECONDS)
        self._known: dict[str, asyncio.Task[_Command | None]] = {}
        self._searching = asyncio.Lock()

    async def unstartable(
        self, calls: Calls, reference: ImageReference, digest: str, facts: ImageFacts
    ) -> _Command | None:
        """The CMD of the image with that digest if SageMaker cannot start it. Raises nothing."""
        if digest not in self._known:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[digest] = asyncio.create_task(self._look(calls, reference, facts))
        try:
            return await asyncio.shield(self._known[digest])
        except _FAILURES as error:
            logger.debug(
                "the image cannot be looked into", extra={"image": reference.pinned(digest), "error": str(error)}
            )
            return None

    async def _look(self, calls: Calls, reference: ImageReference, facts: ImageFacts) -> _Command | None:
        if not facts.config:
            return None
        url = await self._url(calls, reference, facts.config)
        run = _run_config(await _threaded(calls, partial(self._content, url)))
        if run.get("Entrypoint") or facts.size_bytes is None or facts.size_bytes > MOST_BYTES:
            return None
        # One image at a time: this is for those that most likely cannot start, and takes seconds.
        async with self._searching:
            for layer in reversed(facts.layers):
                url = await self._url(calls, reference, layer)
                if await _threaded(calls, partial(self._has_program, url)):
                    return None
        return tuple(map(str, run.get("Cmd") or ()))

    async def _url(self, calls: Calls, reference: ImageReference, digest: str) -> str:
        answer = await calls(
            self._client.get_download_url_for_layer,
            registryId=reference.registry.account,
            repositoryName=reference.repository,
            layerDigest=digest,
        )
        return answer["downloadUrl"]

    def _has_program(self, url: str) -> bool:
        return has_program(self._chunks(url), _PROGRAM)

    def _content(self, url: str) -> bytes:
        content = b""
        for chunk in self._chunks(url):
            content += chunk
            if len(content) > _MOST_CONFIG_BYTES:
                raise UnreadableError
        return content

    def _chunks(self, url: str) -> Iterator[bytes]:
        response = self._http.send(AWSRequest("GET", url, stream_output=True).prepare())
        with closing(response.raw):
            if response.status_code != _OK:
                raise UnreadableError
            yield from iter(lambda: response.raw.read(_CHUNK_BYTES), b"")


async def _threaded(calls: Calls, function: partial[Any]) -> Any:
    return await asyncio.get_running_loop().run_in_executor(calls.pool, function)


def _run_config(content: bytes) -> dict[str, Any]:
    """How a container of the image is run (https://github.com/opencontainers/image-spec/blob/main/config.md)."""
    document = json.loads(content)
    found = document.get("config") if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}
