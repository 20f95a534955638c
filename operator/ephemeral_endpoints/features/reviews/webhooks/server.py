"""The HTTP endpoint for GitHub's webhooks. A delivery wakes the operator, and is never believed beyond that."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import aiohttp
from aiohttp import web

from ephemeral_endpoints.features.reviews.errors import ForgeSecretMissing, ForgeUnavailable
from ephemeral_endpoints.features.reviews.secret import ClassSecret
from ephemeral_endpoints.features.reviews.webhooks.deliveries import MAX_BODY_BYTES, Envelope, News, Seen, news

logger = logging.getLogger(__name__)

PATH: Final = "/webhooks/github/{class_name}"
READ_SECONDS: Final = 5.0
SECRET_SECONDS: Final = 1.0
"""GitHub gives up after 10 s; the Secret is read from the API server once in five minutes."""

HAND_OVER_SECONDS: Final = 3.0
"""For the leader's answer; GitHub gives up after 10 s."""

FORWARDED: Final = "X-EEP-Forwarded"
"""Marks what another replica hands over, which is not handed over again."""

CONCURRENT: Final = 16
"""Requests whose bodies are read at once: more callers get a 503, so that 16 MB is what strangers can take."""

SECRET_KEY: Final = "webhookSecret"  # noqa: S105 - a key of a Secret


class Webhooks:
    """Takes deliveries for the classes of this operator, as long as it leads.

    ``secret_of`` gives the Secret of a class's forge, None if it has none; ``wake`` is called with the news of each
    authentic delivery, and returns at once.
    """

    def __init__(self, secret_of: Callable[[str], ClassSecret | None], wake: Callable[[News], None]) -> None:
        self._secret_of = secret_of
        self._wake = wake
        self._seen = Seen()

    async def take(self, class_name: str, envelope: Envelope, body: bytes) -> HTTPStatus:
        """Verify a delivery and pass its news on; returns the status to answer. Never raises."""
        try:
            async with asyncio.timeout(SECRET_SECONDS):
                secret = await self._secret(class_name)
        except (ForgeUnavailable, TimeoutError):
            return HTTPStatus.SERVICE_UNAVAILABLE
        if not secret:
            return HTTPStatus.NOT_FOUND
        if not envelope.is_signed(body, secret):
            return HTTPStatus.FORBIDDEN
        return self._pass_on(envelope, body)

    async def _secret(self, class_name: str) -> bytes:
        """What signs the class's deliveries; empty if it takes none. Raises ForgeUnavailable."""
        secret = self._secret_of(class_name)
        try:
            return (await secret.data()).get(SECRET_KEY, b"").strip() if secret else b""
        except ForgeSecretMissing:
            return b""

    def _pass_on(self, envelope: Envelope, body: bytes) -> HTTPStatus:
        """What an authentic delivery tells of, once."""
        try:
            told = news(envelope.event, body)
        except ValueError:
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        if told is None:
            return HTTPStatus.NO_CONTENT
        if not self._seen.is_new(envelope):
            return HTTPStatus.CONFLICT
        self._wake(told)
        return HTTPStatus.ACCEPTED


_WORDS: Final[Mapping[HTTPStatus, str]] = {
    HTTPStatus.FORBIDDEN: "the signature is wrong: the secret of the webhook and that of the class differ",
    HTTPStatus.NOT_FOUND: f"no class of this name has {SECRET_KEY} in the Secret of its spec.reviews.secretName",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "the body is no JSON: choose the content type application/json",
    HTTPStatus.CONFLICT: "this delivery was taken before",
    HTTPStatus.SERVICE_UNAVAILABLE: "no replica leads, or it is busy: what it missed is seen by polling",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"the body has more than {MAX_BODY_BYTES} bytes",
    HTTPStatus.REQUEST_TIMEOUT: f"the body was not sent within {READ_SECONDS:g} s",
    HTTPStatus.BAD_REQUEST: "this is not a signed delivery of GitHub, or not a whole one",
}


def webhook_app(
    leader: Callable[[], Webhooks | None],
    count: Callable[[str], None],
    leader_url: Callable[[], str | None] = lambda: None,
) -> web.Application:
    """The endpoint: POST /webhooks/github/<class>, and /healthz for load balancers, which is 200 where it leads.

    ``leader`` gives who takes deliveries, None in a replica that stands by, which hands them over to ``leader_url``:
    GitHub does not repeat what is refused. ``count`` is called with the name of every answer's status, such as
    ``Accepted``.
    """
    places = asyncio.Semaphore(CONCURRENT)

    async def deliver(request: web.Request) -> web.Response:
        status = await _deliver(request, leader(), leader_url(), places)
        count(status.phrase)
        return web.Response(status=status, text=_WORDS.get(status))

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok") if leader() else web.Response(status=503, text="this replica stands by")

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_post(PATH, deliver)
    app.router.add_get("/healthz", healthz)
    return app


async def _deliver(
    request: web.Request, webhooks: Webhooks | None, leader_url: str | None, places: asyncio.Semaphore
) -> HTTPStatus:
    if FORWARDED in request.headers:
        leader_url = None
    if (webhooks is None and leader_url is None) or places.locked():
        return HTTPStatus.SERVICE_UNAVAILABLE
    envelope = Envelope.of(request.headers)
    if envelope is None:
        return HTTPStatus.BAD_REQUEST
    if (request.content_length or 0) > MAX_BODY_BYTES:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    async with places:
        body = await _read(request)
        if isinstance(body, HTTPStatus):
            return body
        receive = webhooks.take if webhooks else partial(_hand_over, leader_url or "")
        return await receive(request.match_info["class_name"], envelope, body)


async def _read(request: web.Request) -> bytes | HTTPStatus:
    """The body, or why there is none."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    except TimeoutError:
        return HTTPStatus.REQUEST_TIMEOUT
    except (web.RequestPayloadError, ConnectionError):
        return HTTPStatus.BAD_REQUEST


async def _hand_over(leader_url: str, class_name: str, envelope: Envelope, body: bytes) -> HTTPStatus:
    """Send a delivery on as it came, to the replica that can judge its signature; returns the answer."""
    url = leader_url + PATH.format(class_name=quote(class_name, safe=""))
    timeout = aiohttp.ClientTimeout(total=HAND_OVER_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, data=body, headers={**envelope.headers, FORWARDED: "1"}, allow_redirects=False) as answer,
        ):
            return HTTPStatus(answer.status)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        logger.warning("a webhook cannot be handed over to the leader", extra={"error": type(error).__name__})
        return HTTPStatus.SERVICE_UNAVAILABLE
