"""Requests to the API server as plain dictionaries, with the credentials and the connections of the official client.

The client's typed classes are left aside on purpose: importing those of the core API alone takes a second and 90 MB.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.exceptions import ApiException

MERGE_PATCH: Final = "application/merge-patch+json"
_JSON: Final = "application/json"


class Conflict(Exception):  # noqa: N818 - an everyday outcome of optimistic locking, no fault
    """Somebody else changed the object meanwhile, or took its name; the watch will bring the newer version."""


class Gone(Exception):  # noqa: N818 - likewise of working on what others may delete
    """The object does not exist any more."""


Raw = Mapping[str, Any]


class Rest:
    """An API server. Raises Conflict, Gone, or the client's ApiException, and aiohttp's errors where nobody answers."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    async def __call__(self, method: str, path: str, body: Raw | None = None, *, content_type: str = _JSON) -> Raw:
        """Send one request and return the object that answers it."""
        headers = {"Accept": _JSON, **({"Content-Type": content_type} if body is not None else {})}
        prepared = await self._api.param_serialize(
            method, path, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        answer = await self._api.call_api(*prepared)
        content: bytes = await answer.read()  # type: ignore[no-untyped-call]
        if answer.status == HTTPStatus.CONFLICT:
            raise Conflict(f"{method} {path}")
        if answer.status == HTTPStatus.NOT_FOUND:
            raise Gone(f"{method} {path}")
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise ApiException(status=answer.status, reason=_reason(content) or answer.reason)
        parsed: Raw = json.loads(content)
        return parsed


def _reason(content: bytes) -> str:
    """What the API server says of its refusal (a Status object); empty if it says nothing that can be read."""
    try:
        status = json.loads(content)
    except ValueError:
        return ""
    return str(status.get("message", "")) if isinstance(status, dict) else ""
