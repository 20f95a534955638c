"""The operator's writes to Kubernetes, and its few reads beside the watch."""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from kubernetes.aio.client import ApiClient

from ephemeral_endpoints.api import MANAGER
from ephemeral_endpoints.api.kinds import BY_NAME, KINDS
from ephemeral_endpoints.engine.errors import SecretTaken
from ephemeral_endpoints.engine.reasons import Reason
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.kube.cache import FINALIZER, ObjectKey
from ephemeral_endpoints.kube.errors import Conflict, Gone, KubernetesError, Unavailable
from ephemeral_endpoints.kube.rest import MERGE_PATCH, Raw, Rest
from ephemeral_endpoints.kube.tokens import ApiToken, must_rotate, new_secret, rotation, token_of, tokens_of

_PAGE: Final = 25
"""Objects a list: each takes up to 100 KB for a moment, between those that stay, and Python returns little of it."""

_NAME_LENGTH: Final = 253
_EVENT_PREFIX: Final = 200
_EVENT_MESSAGE: Final = 1024
_EVENT_ATTEMPTS: Final = 3
_EVENT_PAUSE_SECONDS: Final = 0.1


class Kube(Protocol):
    """The interface of the reconciler to Kubernetes. Every method may raise KubernetesError."""

    async def add_finalizer(self, raw: Raw, class_name: str | None) -> Raw:
        """Put our finalizer on the object, and the class that it resolved to into its spec; returns it afterwards.

        As Kubernetes does with the default StorageClass of a claim: what is in the spec is immutable for everybody.
        https://kubernetes.io/docs/concepts/storage/persistent-volumes/#retroactive-default-storageclass-assignment
        """
        ...

    async def remove_finalizer(self, raw: Raw) -> Raw | None:
        """Remove our finalizer; returns the updated object, None if it is gone."""
        ...

    async def annotate(self, raw: Raw, annotations: Mapping[str, str | None]) -> Raw:
        """Set annotations of the object, or remove those that are None; returns the object after the write."""
        ...

    async def create(self, manifest: Raw) -> Raw:
        """Create an object of one of our kinds. Raises Conflict where its name is taken, as by an earlier attempt."""
        ...

    async def change_spec(self, raw: Raw, patch: Mapping[str, Any]) -> Raw:
        """Merge ``patch`` into the object's spec; returns the object after the write."""
        ...

    async def write_status(self, raw: Raw, patch: Mapping[str, Any]) -> Raw:
        """Merge ``patch`` into the object's status; returns the object after the write."""
        ...

    async def delete(self, raw: Raw) -> Raw:
        """Delete exactly this version of the object; returns it as it is then, with its deletion time."""
        ...

    async def token(self, raw: Raw) -> ApiToken:
        """The object's API token, from the Secret that it owns, which is made if there is none.

        The token is rotated first if the object asks for that. Raises SecretTaken too.
        """
        ...

    async def known_token(self, raw: Raw) -> str | None:
        """The object's API token, if its Secret exists, which is not made otherwise. Raises SecretTaken too."""
        ...

    async def event(self, raw: Raw, *, type_: str, reason: Reason, message: str) -> None:
        """Emit an Event of ``type_`` Normal or Warning about the object.

        The same Event upon the same status is emitted once, even if requested repeatedly. Where the API server
        refuses it, or fails several times, it is dropped.
        """
        ...


def secret_name(name: str) -> str:
    """The name of the Secret with an object's token; long names are cut and distinguished by a hash."""
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
        """Eight characters that identify this cluster: a hash of the UID of its kube-system namespace."""
        namespace = await self._rest("GET", "/api/v1/namespaces/kube-system")
        return hashlib.sha256(namespace["metadata"]["uid"].encode()).hexdigest()[:8]

    async def objects(self, namespaces: Collection[str]) -> AsyncIterator[Raw]:
        """All objects that are in those namespaces, in any if there are none given, or in none; page by page.

        Kinds that others depend on come first. Raises what the other methods raise, also between two pages: the list
        is then incomplete.
        """
        for kind in reversed(KINDS):
            for folder in kind.folders(namespaces):
                async for item in listed(self._rest, folder):
                    yield item

    async def add_finalizer(self, raw: Raw, class_name: str | None) -> Raw:
        """See ``Kube``."""
        finalizers = list(dict.fromkeys([*raw["metadata"].get("finalizers", []), FINALIZER]))
        spec = {"spec": {"className": class_name}} if class_name else {}
        patch = {"metadata": _locked(raw, {"finalizers": finalizers}), **spec}
        return await self._patch(ObjectKey.of(raw).api_path, patch)

    async def remove_finalizer(self, raw: Raw) -> Raw | None:
        """See ``Kube``."""
        remaining = [each for each in raw["metadata"].get("finalizers", []) if each != FINALIZER]
        try:
            left = await self._patch(ObjectKey.of(raw).api_path, {"metadata": _locked(raw, {"finalizers": remaining})})
        except Gone:
            return None
        return left if remaining else None

    async def annotate(self, raw: Raw, annotations: Mapping[str, str | None]) -> Raw:
        """See ``Kube``."""
        return await self._patch(
            ObjectKey.of(raw).api_path, {"metadata": _locked(raw, {"annotations": dict(annotations)})}
        )

    async def create(self, manifest: Raw) -> Raw:
        """See ``Kube``."""
        folder = BY_NAME[manifest["kind"]].folder(manifest["metadata"].get("namespace"))
        return await self._rest("POST", folder, manifest)

    async def change_spec(self, raw: Raw, patch: Mapping[str, Any]) -> Raw:
        """See ``Kube``."""
        return await self._patch(ObjectKey.of(raw).api_path, {"metadata": _locked(raw, {}), "spec": patch})

    async def write_status(self, raw: Raw, patch: Mapping[str, Any]) -> Raw:
        """See ``Kube``."""
        # The API server ignores a UID that is sent to /status: only the version identifies the object.
        return await self._patch(
            f"{ObjectKey.of(raw).api_path}/status", {"metadata": _locked(raw, {}), "status": patch}
        )

    async def delete(self, raw: Raw) -> Raw:
        """See ``Kube``."""
        options = exactly(raw)
        version = {"resourceVersion": raw["metadata"]["resourceVersion"]}
        options = {**options, "preconditions": {**options["preconditions"], **version}}
        return await self._rest("DELETE", ObjectKey.of(raw).api_path, options)

    async def token(self, raw: Raw) -> ApiToken:
        """See ``Kube``."""
        name = secret_name(raw["metadata"]["name"])
        path = f"/api/v1/namespaces/{raw['metadata']['namespace']}/secrets"
        for _ in range(2):
            with contextlib.suppress(Gone):  # made below
                secret = await self._rest("GET", f"{path}/{name}")
                if not _is_predecessors(secret, raw):
                    if must_rotate(secret, raw):
                        secret = await self._patch(f"{path}/{name}", rotation(secret, raw, self._now()))
                    return tokens_of(secret, raw)
                await self._rest("DELETE", f"{path}/{name}", exactly(secret))
            with contextlib.suppress(Conflict):
                await self._rest("POST", path, new_secret(name, raw, _reference(raw)))
        raise SecretTaken(f"something keeps deleting the Secret {name}: find out what does")

    async def known_token(self, raw: Raw) -> str | None:
        """See ``Kube``."""
        metadata = raw["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/secrets/{secret_name(metadata['name'])}"
        try:
            return token_of(await self._rest("GET", path), raw)
        except Gone:
            return None

    async def event(self, raw: Raw, *, type_: str, reason: Reason, message: str) -> None:
        """See ``Kube``."""
        path = f"/api/v1/namespaces/{raw['metadata'].get('namespace', 'default')}/events"
        body = _event(raw, type_, reason.name, message, self._now())
        for attempt in range(_EVENT_ATTEMPTS):
            await asyncio.sleep(_EVENT_PAUSE_SECONDS * attempt)
            try:
                await self._rest("POST", path, body)
            except Unavailable:
                # A kept connection may just have been closed; a repeated name shows whether the Event arrived.
                continue
            except KubernetesError:
                return
            return

    async def _patch(self, path: str, body: Raw) -> Raw:
        return await self._rest("PATCH", path, body, content_type=MERGE_PATCH)


async def listed(rest: Rest, folder: str) -> AsyncIterator[Raw]:
    """All objects in a folder of the API server, page by page. Raises what ``Rest`` raises, also between two pages."""
    async for page in rest.pages(folder, limit=_PAGE):
        for item in page["items"]:
            yield item


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


def _event(raw: Raw, type_: str, reason: str, message: str, moment: datetime) -> Raw:
    metadata, stamp = raw["metadata"], timestamp(moment)
    namespace = metadata.get("namespace")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name'][:_EVENT_PREFIX].rstrip('-.')}.{_digest(raw, type_, reason, message)}",
            "namespace": namespace or "default",
        },
        "involvedObject": {**_reference(raw), **({"namespace": namespace} if namespace else {})},
        "type": type_,
        "reason": reason,
        "message": message[:_EVENT_MESSAGE],
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
        "source": {"component": MANAGER},
        "reportingComponent": MANAGER,
        "reportingInstance": MANAGER,
    }


def _digest(raw: Raw, *parts: str) -> str:
    """The identity of an Event among others about the same object: its content, and the status that it reports."""
    content = json.dumps([raw["metadata"]["uid"], raw.get("status"), *parts], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _reference(raw: Raw) -> dict[str, str]:
    metadata = raw["metadata"]
    return {"apiVersion": raw["apiVersion"], "kind": raw["kind"], "name": metadata["name"], "uid": metadata["uid"]}
