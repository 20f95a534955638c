"""The page for people at the endpoint's URL: one HTML document, the same for every endpoint, that asks for all else.

It is open to everyone, as a browser sends no token on navigation, and so it says nothing of the endpoint. What it shows
comes from ``openapi.json``, which needs the token. Pure.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import re
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ephemeral_endpoints.features.routing.forwarder import messages
from ephemeral_endpoints.features.routing.forwarder.messages import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKED = "page.html.bz2"
"""The page's file in the bundle: bzip2, whose output is the same on every machine, which gzip's is not."""

_HOST = re.compile(r"[a-z0-9.-]{1,253}(:[0-9]{1,5})?")
_PATH = re.compile(r"(/[A-Za-z0-9._~$-]+)+")
_INNER = re.compile(r"<(script|style)[^>]*>(.*?)</\1>", re.DOTALL)
_FEATURES = ("camera", "geolocation", "microphone", "payment", "usb")
_ANYTHING = {"*/*", "application/*", "application/json"}


def is_asked_for(event: Mapping[str, Any], *, enabled: bool) -> bool:
    """Whether the request is a browser's navigation to the endpoint's URL.

    Raises Problem 406 if the page is not enabled, and the caller takes nothing else.
    """
    if messages.method(event) != "GET" or messages.parameter(event, "inference") is not None:
        return False
    accepted = {each.split(";")[0].strip().lower() for each in messages.headers(event).get("accept", "").split(",")}
    if "text/html" not in accepted:
        return False
    if not enabled and not accepted & _ANYTHING:
        raise Problem(
            HTTPStatus.NOT_ACCEPTABLE, "not-acceptable", "This endpoint has no page: ask for application/json."
        )
    return enabled


def unpacked(content: bytes) -> str:
    """The page of a bundle."""
    return bz2.decompress(content).decode()


def render(event: Mapping[str, Any], html: str, domain: str | None = None) -> dict[str, Any]:
    """The response with the page, compressed for those who take it.

    ``domain`` is the custom domain with the path of it that leads here. Whether API Gateway leaves that path in
    ``rawPath`` is not documented.
    """
    sent, path = messages.headers(event), str(event.get("rawPath", ""))
    name, _, base = (domain or "").partition("/")
    if base and sent.get("host", "").lower() == name and not path.startswith(f"/{base}/"):
        path = f"/{base}{path}"
    headers = {
        "cache-control": "no-store",
        "content-security-policy": _policy(sent.get("host", ""), path, _hashes(html)),
        "content-type": "text/html; charset=utf-8",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": ", ".join(f"{each}=()" for each in _FEATURES),
        "referrer-policy": "no-referrer",
        "vary": "accept, accept-encoding",
        "x-content-type-options": "nosniff",
    }
    response: dict[str, Any] = {"statusCode": 200, "headers": headers}
    if "gzip" in sent.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return response | {"body": _compressed(html), "isBase64Encoded": True}
    return response | {"body": html, "isBase64Encoded": False}


def _policy(host: str, path: str, hashes: Mapping[str, str]) -> str:
    """The content security policy: only this script and style, and calls below the endpoint's own path only.

    The path keeps the page from other endpoints, with which it shares its origin. ``host`` is what the browser asked
    for: nothing else knows the port and a custom domain. It is trusted for its form only, as an answer is not cached.
    """
    path = path.rstrip("/")
    is_known = _HOST.fullmatch(host.lower()) and _PATH.fullmatch(path)
    directives = {
        "default-src": "'none'",
        "script-src": f"'sha256-{hashes['script']}'",
        "style-src": f"'sha256-{hashes['style']}'",
        "connect-src": f"{host.lower()}{path}/" if is_known else "'self'",
        "img-src": "data: blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


@cache
def _hashes(html: str) -> dict[str, str]:
    """The SHA-256 of the page's script and of its style, in base64."""
    return {
        name: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for name, text in _INNER.findall(html)
    }


@cache
def _compressed(html: str) -> str:
    return base64.b64encode(gzip.compress(html.encode(), mtime=0)).decode("ascii")
