"""What the operator writes to Kubernetes, and the little that it reads beside the watch."""

import asyncio
import base64
import contextlib
import hashlib
import json
import re
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.exceptions import ApiException

from ephemeral_endpoints.api import GROUP, VERSION
from ephemeral_endpoints.core.errors import SecretTaken
from ephemeral_endpoints.core.tags import timestamp
from ephemeral_endpoints.kube.rest import MERGE_PATCH, Conflict, Gone, Raw, Rest
from ephemeral_endpoints.kube.store import CLASS_ANNOTATION, FINALIZER

ENDPOINTS: Final = "ephemeralendpoints"
CLASSES: Final = "ephemeralendpointclasses"
_PAGE: Final = 100
"""Objects a list: all of thousands at once would take hundreds of MB for a moment."""

_TOKEN: Final = re.compile("[!-~]{16,1024}")
"""Whoever may write Secrets may choose the token: one that passes in a header, and that is not soon guessed."""

_NAME_LENGTH: Final = 253
_TOKEN_BYTES: Final = 32
_COMPONENT: Final = "ephemeral-endpoints"
_EVENT_PREFIX: Final = 200
_EVENT_MESSAGE: Final = 1024
_EVENT_ATTEMPTS: Final = 3
_EVENT_PAUSE_SECONDS: Final = 0.1
_REFUSED: Final = range(400, 429)
_GROUP_PATH: Final = f"/apis/{GROUP}/{VERSION}"


class Kube(Protocol):
    """What the reconciler needs of Kubernetes. Every method may raise Conflict, Gone or the client's ApiException."""

    async def adopt(self, raw: Raw, class_name: str | None) -> Raw:
        """Put our finalizer on the object, and the class that it resolved to; returns the object after the write."""
        ...

    async def release(self, raw: Raw) -> Raw | None:
        """Take our finalizer off the object; returns what is left of it, None if it is gone."""
        ...

    async def write_status(self, raw: Raw, patch: Mapping[str, Any]) -> Raw:
        """Merge ``patch`` into the object's status; returns the object after the write."""
        ...

    async def delete(self, raw: Raw) -> Raw:
        """Delete exactly this object; returns it as it is then, with its deletion time."""
        ...

    async def token(self, raw: Raw) -> str:
        """The object's API token, from the Secret that it owns, which is made if there is none.

        Raises SecretTaken too.
        """
        ...

    async def event(self, raw: Raw, *, kind: str, reason: str, message: str) -> None:
        """Emit an Event of type ``kind`` (Normal or Warning) about the object.

        The same Event upon the same status is emitted once, however often it is asked for. Where the API server
        refuses it, or fails several times, it is let go.
        """
        ...


def secret_name(name: str) -> str:
    """The name of the Secret with an object's token; long names are cut and told apart by a hash."""
    suffix = "-endpoint-token"
    if len(name) + len(suffix) <= _NAME_LENGTH:
        return name + suffix
    digest = hashlib.sha256(name.encode()).hexdigest()[:10]
    return f"{name[: _NAME_LENGTH - len(suffix) - 11].rstrip('-.')}-{digest}{suffix}"


class KubeClient:
    """``Kube`` on a real API server."""

    def __init__(self, api: ApiClient, now: Callable[[], datetime]) -> None:
        self.api = api
        self._rest = Rest(api)
        self._now = now

    async def cluster_id(self) -> str:
        """Eight characters that stand for this cluster: a hash of the UID of its kube-system namespace."""
        namespace = await self._rest("GET", "/api/v1/namespaces/kube-system")
        return hashlib.sha256(namespace["metadata"]["uid"].encode()).hexdigest()[:8]

    async def objects(self, namespaces: Collection[str]) -> AsyncIterator[Raw]:
        """All classes, and the objects of those namespaces, of all if there are none given; page by page.

        Raises what the other methods raise, also in the midst of it: what came before is not all.
        """
        within = [f"/namespaces/{namespace}" for namespace in namespaces] or [""]
        for path in (f"/{CLASSES}", *(f"{each}/{ENDPOINTS}" for each in within)):
            async for item in listed(self._rest, path):
                yield item

    async def adopt(self, raw: Raw, class_name: str | None) -> Raw:
        """See ``Kube``."""
        metadata: dict[str, Any] = {"finalizers": [*raw["metadata"].get("finalizers", []), FINALIZER]}
        if class_name:
            metadata["annotations"] = {CLASS_ANNOTATION: class_name}
        return await self._patch(path_of(raw), {"metadata": _locked(raw, metadata)})

    async def release(self, raw: Raw) -> Raw | None:
        """See ``Kube``."""
        remaining = [each for each in raw["metadata"].get("finalizers", []) if each != FINALIZER]
        try:
            left = await self._patch(path_of(raw), {"metadata": _locked(raw, {"finalizers": remaining})})
        except Gone:
            return None
        return left if remaining else None

    async def write_status(self, raw: Raw, patch: Mapping[str, Any]) -> Raw:
        """See ``Kube``."""
        # The API server ignores a UID that is sent to /status: the version alone tells an object from its successor.
        return await self._patch(f"{path_of(raw)}/status", {"metadata": _locked(raw, {}), "status": patch})

    async def delete(self, raw: Raw) -> Raw:
        """See ``Kube``."""
        return await self._rest("DELETE", path_of(raw), exactly(raw))

    async def token(self, raw: Raw) -> str:
        """See ``Kube``."""
        name = secret_name(raw["metadata"]["name"])
        path = f"/api/v1/namespaces/{raw['metadata']['namespace']}/secrets"
        for _ in range(2):
            with contextlib.suppress(Gone):  # made below
                secret = await self._rest("GET", f"{path}/{name}")
                if not _is_predecessors(secret, raw):
                    return _token_of(secret, raw)
                await self._rest("DELETE", f"{path}/{name}", exactly(secret))
            with contextlib.suppress(Conflict):
                await self._rest("POST", path, _new_secret(name, raw))
        raise SecretTaken(f"the Secret {name} comes and goes")

    async def event(self, raw: Raw, *, kind: str, reason: str, message: str) -> None:
        """See ``Kube``."""
        path = f"/api/v1/namespaces/{raw['metadata'].get('namespace', 'default')}/events"
        body = _event(raw, kind, reason, message, self._now())
        for attempt in range(_EVENT_ATTEMPTS):
            await asyncio.sleep(_EVENT_PAUSE_SECONDS * attempt)
            try:
                await self._rest("POST", path, body)
            except (Conflict, Gone):
                return
            except ApiException as error:
                if error.status in _REFUSED:
                    return
            except (aiohttp.ClientError, TimeoutError):
                # A connection that was kept may just have been closed; whether the Event arrived its name will tell.
                continue
            else:
                return

    async def _patch(self, path: str, body: Raw) -> Raw:
        return await self._rest("PATCH", path, body, content_type=MERGE_PATCH)


async def listed(rest: Rest, folder: str) -> AsyncIterator[Raw]:
    """All objects in a folder of our API group, page by page. Raises what ``Rest`` raises, also in the midst of it."""
    following: str | None = ""
    while following is not None:
        query = urlencode({"limit": _PAGE, "continue": following} if following else {"limit": _PAGE})
        page = await rest("GET", f"{_GROUP_PATH}{folder}?{query}")
        for item in page["items"]:
            yield item
        following = page["metadata"].get("continue") or None


def path_of(raw: Raw) -> str:
    """Where the API server has an object of ours."""
    metadata = raw["metadata"]
    if "namespace" not in metadata:
        return f"{_GROUP_PATH}/{CLASSES}/{metadata['name']}"
    return f"{_GROUP_PATH}/namespaces/{metadata['namespace']}/{ENDPOINTS}/{metadata['name']}"


def _locked(raw: Raw, metadata: Raw) -> Raw:
    return {"uid": raw["metadata"]["uid"], "resourceVersion": raw["metadata"]["resourceVersion"], **metadata}


def exactly(raw: Raw) -> Raw:
    """Options that let a deletion reach this very object only."""
    return {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": raw["metadata"]["uid"]}}


def _is_predecessors(secret: Raw, raw: Raw) -> bool:
    """Whether the Secret belonged to an object of the same name that is gone.

    Kubernetes will collect it, but takes half a minute to do so.
    """
    return any(
        (owner["apiVersion"], owner["kind"], owner["name"]) == (raw["apiVersion"], raw["kind"], raw["metadata"]["name"])
        and owner["uid"] != raw["metadata"]["uid"]
        for owner in secret["metadata"].get("ownerReferences", [])
    )


def _token_of(secret: Raw, raw: Raw) -> str:
    name = secret["metadata"]["name"]
    owners = secret["metadata"].get("ownerReferences", [])
    if not any(owner["uid"] == raw["metadata"]["uid"] for owner in owners):
        raise SecretTaken(f"the Secret {name} belongs to something else: delete or rename it")
    token = base64.b64decode(secret.get("data", {}).get("token", "")).decode("ascii", errors="replace")
    if not _TOKEN.fullmatch(token):
        raise SecretTaken(
            f"the Secret {name} holds no token: delete it, and a new one is made; one of your own must have 16 to 1024 "
            "printable characters of ASCII without blanks"
        )
    return token


def _new_secret(name: str, raw: Raw) -> Raw:
    metadata = raw["metadata"]
    owner = {**_reference(raw), "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": {"app.kubernetes.io/managed-by": "ephemeral-endpoints"},
            "ownerReferences": [owner],
        },
        "type": "Opaque",
        "stringData": {"token": secrets.token_urlsafe(_TOKEN_BYTES)},
    }


def _event(raw: Raw, kind: str, reason: str, message: str, moment: datetime) -> Raw:
    metadata, stamp = raw["metadata"], timestamp(moment)
    namespace = metadata.get("namespace")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name'][:_EVENT_PREFIX].rstrip('-.')}.{_digest(raw, kind, reason, message)}",
            "namespace": namespace or "default",
        },
        "involvedObject": {**_reference(raw), **({"namespace": namespace} if namespace else {})},
        "type": kind,
        "reason": reason,
        "message": message[:_EVENT_MESSAGE],
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
        "source": {"component": _COMPONENT},
        "reportingComponent": _COMPONENT,
        "reportingInstance": _COMPONENT,
    }


def _digest(raw: Raw, *parts: str) -> str:
    """What tells an Event from others about the same object: what it says, and of which status it is the news."""
    content = json.dumps([raw["metadata"]["uid"], raw.get("status"), *parts], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _reference(raw: Raw) -> dict[str, str]:
    metadata = raw["metadata"]
    return {"apiVersion": raw["apiVersion"], "kind": raw["kind"], "name": metadata["name"], "uid": metadata["uid"]}
