"""What the operator writes to Kubernetes, and the little that it reads beside the watch."""

import base64
import contextlib
import hashlib
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Protocol, cast

import aiohttp
from kubernetes.aio import client
from kubernetes.aio.client.exceptions import ApiException

from ephemeral_endpoints.api import GROUP, VERSION
from ephemeral_endpoints.core.errors import SecretTaken
from ephemeral_endpoints.kube.store import CLASS_ANNOTATION, FINALIZER

ENDPOINTS: Final = "ephemeralendpoints"
CLASSES: Final = "ephemeralendpointclasses"
_MERGE_PATCH: Final = "application/merge-patch+json"
_NAME_LENGTH: Final = 253
_TOKEN_BYTES: Final = 32


class Conflict(Exception):  # noqa: N818 - an everyday outcome of optimistic locking, no fault
    """Somebody else changed the object meanwhile; the watch will bring the newer version."""


class Gone(Exception):  # noqa: N818 - likewise of working on what others may delete
    """The object does not exist any more."""


Raw = Mapping[str, Any]


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
        """Emit an Event of type ``kind`` (Normal or Warning) about the object; failure to do so is ignored."""
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

    def __init__(self, api: client.ApiClient, now: Callable[[], datetime]) -> None:
        self._now = now
        self._objects = client.CustomObjectsApi(api)
        self._core = client.CoreV1Api(api)

    async def cluster_id(self) -> str:
        """Eight characters that stand for this cluster: a hash of the UID of its kube-system namespace."""
        namespace = await self._core.read_namespace("kube-system")
        uid = namespace.metadata.uid if namespace.metadata else None
        return hashlib.sha256(str(uid).encode()).hexdigest()[:8]

    async def objects(self, namespaces: Collection[str]) -> list[Raw]:
        """All classes, and the objects of those namespaces, of all if there are none given."""
        listings = [await self._objects.list_cluster_custom_object(GROUP, VERSION, CLASSES)]
        if namespaces:
            lists = self._objects.list_namespaced_custom_object
            listings += [await lists(GROUP, VERSION, namespace, ENDPOINTS) for namespace in namespaces]
        else:
            listings.append(await self._objects.list_cluster_custom_object(GROUP, VERSION, ENDPOINTS))
        return [item for listing in listings for item in _raw(listing)["items"]]

    async def adopt(self, raw: Raw, class_name: str | None) -> Raw:
        """See ``Kube``."""
        metadata: dict[str, Any] = {"finalizers": [*raw["metadata"].get("finalizers", []), FINALIZER]}
        if class_name:
            metadata["annotations"] = {CLASS_ANNOTATION: class_name}
        return await self._patch(raw, {"metadata": self._locked(raw, metadata)})

    async def release(self, raw: Raw) -> Raw | None:
        """See ``Kube``."""
        remaining = [each for each in raw["metadata"].get("finalizers", []) if each != FINALIZER]
        try:
            left = await self._patch(raw, {"metadata": self._locked(raw, {"finalizers": remaining})})
        except Gone:
            return None
        return left if remaining else None

    async def write_status(self, raw: Raw, patch: Mapping[str, Any]) -> Raw:
        """See ``Kube``."""
        # The API server ignores a UID that is sent to /status: the version alone tells an object from its successor.
        return await self._patch(raw, {"metadata": self._locked(raw, {}), "status": patch}, status=True)

    async def delete(self, raw: Raw) -> Raw:
        """See ``Kube``."""
        namespace, name = raw["metadata"]["namespace"], raw["metadata"]["name"]
        body = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=raw["metadata"]["uid"]))
        with _translated():
            return _raw(
                await self._objects.delete_namespaced_custom_object(
                    GROUP, VERSION, namespace, ENDPOINTS, name, body=body
                )
            )

    async def token(self, raw: Raw) -> str:
        """See ``Kube``."""
        namespace, name = raw["metadata"]["namespace"], secret_name(raw["metadata"]["name"])
        for _ in range(2):
            with contextlib.suppress(Gone), _translated():  # made below
                secret = await self._core.read_namespaced_secret(name, namespace)
                if not _is_predecessors(secret, raw):
                    return _token_of(secret, raw)
                uid = secret.metadata.uid if secret.metadata else None
                exactly = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=uid))
                await self._core.delete_namespaced_secret(name, namespace, body=exactly)
            with contextlib.suppress(Conflict), _translated():
                await self._core.create_namespaced_secret(namespace, _new_secret(name, raw))
        raise SecretTaken(f"the Secret {name} comes and goes")

    async def event(self, raw: Raw, *, kind: str, reason: str, message: str) -> None:
        """See ``Kube``."""
        namespace = raw["metadata"].get("namespace", "default")
        with contextlib.suppress(ApiException, aiohttp.ClientError, TimeoutError):
            await self._core.create_namespaced_event(namespace, _event(raw, kind, reason, message, self._now()))

    async def _patch(self, raw: Raw, body: dict[str, Any], *, status: bool = False) -> Raw:
        objects, name, namespace = self._objects, raw["metadata"]["name"], raw["metadata"].get("namespace")
        with _translated():
            if namespace is None:
                of_class = objects.patch_cluster_custom_object_status if status else objects.patch_cluster_custom_object
                return _raw(await of_class(GROUP, VERSION, CLASSES, name, body, _content_type=_MERGE_PATCH))
            of_object = (
                objects.patch_namespaced_custom_object_status if status else objects.patch_namespaced_custom_object
            )
            return _raw(await of_object(GROUP, VERSION, namespace, ENDPOINTS, name, body, _content_type=_MERGE_PATCH))

    @staticmethod
    def _locked(raw: Raw, metadata: dict[str, Any]) -> dict[str, Any]:
        return {"uid": raw["metadata"]["uid"], "resourceVersion": raw["metadata"]["resourceVersion"], **metadata}


def _raw(answer: object) -> Raw:
    return cast("Raw", answer)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ApiException as error:
        if error.status == HTTPStatus.CONFLICT:
            raise Conflict(str(error.reason)) from error
        if error.status == HTTPStatus.NOT_FOUND:
            raise Gone(str(error.reason)) from error
        raise


def _is_predecessors(secret: client.V1Secret, raw: Raw) -> bool:
    """Whether the Secret belonged to an object of the same name that is gone.

    Kubernetes will collect it, but takes half a minute to do so.
    """
    owners = (secret.metadata.owner_references if secret.metadata else None) or []
    return any(
        (owner.kind, owner.name) == (raw["kind"], raw["metadata"]["name"]) and owner.uid != raw["metadata"]["uid"]
        for owner in owners
    )


def _token_of(secret: client.V1Secret, raw: Raw) -> str:
    name = secret_name(raw["metadata"]["name"])
    owners = (secret.metadata.owner_references if secret.metadata else None) or []
    if not any(owner.uid == raw["metadata"]["uid"] for owner in owners):
        raise SecretTaken(f"the Secret {name} belongs to something else: delete or rename it")
    token = base64.b64decode((secret.data or {}).get("token", "")).decode("ascii", errors="replace")
    if not token or not token.isascii():
        raise SecretTaken(f"the Secret {name} holds no token: delete it, and a new one is made")
    return token


def _new_secret(name: str, raw: Raw) -> client.V1Secret:
    metadata = raw["metadata"]
    owner = client.V1OwnerReference(
        api_version=raw["apiVersion"], kind=raw["kind"], name=metadata["name"], uid=metadata["uid"], controller=True
    )
    return client.V1Secret(
        metadata=client.V1ObjectMeta(
            name=name, labels={"app.kubernetes.io/managed-by": "ephemeral-endpoints"}, owner_references=[owner]
        ),
        string_data={"token": secrets.token_urlsafe(_TOKEN_BYTES)},
        type="Opaque",
    )


def _event(raw: Raw, kind: str, reason: str, message: str, moment: datetime) -> client.CoreV1Event:
    metadata = raw["metadata"]
    reference = client.V1ObjectReference(
        api_version=raw["apiVersion"],
        kind=raw["kind"],
        name=metadata["name"],
        namespace=metadata.get("namespace"),
        uid=metadata["uid"],
    )
    return client.CoreV1Event(
        metadata=client.V1ObjectMeta(generate_name=f"{metadata['name'][:200]}."),
        involved_object=reference,
        type=kind,
        reason=reason,
        message=message[:1024],
        first_timestamp=moment,
        last_timestamp=moment,
        count=1,
        source=client.V1EventSource(component="ephemeral-endpoints"),
        reporting_component="ephemeral-endpoints",
        reporting_instance="operator",
    )
