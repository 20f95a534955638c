"""ConfigMaps that objects refer to: read once, and again when they change.

Only their metadata is watched, and only while any object refers to one: a cluster has many ConfigMaps, up to 1 MiB
each, and few of them matter here.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from kubernetes.aio.client import ApiClient

from ephemeral_endpoints.kube.cache import ObjectKey
from ephemeral_endpoints.kube.errors import Gone, KubernetesError
from ephemeral_endpoints.kube.rest import WATCH_SECONDS, Raw, Rest

logger = logging.getLogger(__name__)

RETRY_SECONDS: Final = 5.0
UNWATCHED_SECONDS: Final = 60.0
"""How often ConfigMaps are read that cannot be watched at the moment."""

RECONNECT_SECONDS: Final = 0.5
"""The pause between two watches, and before the list after a watch whose version has expired."""

_PAGE: Final = 500

# https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-partialobjectmetadata
_LIST_OF_METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

_Name = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class ConfigMap:
    """A ConfigMap as it was read; ``data`` is None if there was none."""

    version: str | None
    data: Mapping[str, str] | None


class ConfigMaps:
    """Reads ConfigMaps, and calls ``on_change`` for each object that refers to one that changes."""

    def __init__(self, api: ApiClient, namespaces: Collection[str], on_change: Callable[[ObjectKey], None]) -> None:
        """``namespaces`` are those that the operator watches; none: all."""
        self._api = api
        self._rest = Rest(api)
        self._folders = [f"/api/v1/namespaces/{each}/configmaps" for each in namespaces] or ["/api/v1/configmaps"]
        self._on_change = on_change
        self._references: dict[tuple[ObjectKey, str], frozenset[str]] = {}
        self._known: dict[_Name, ConfigMap] = {}
        self._changes: dict[_Name, int] = {}
        self._synced: set[str] = set()
        self._needed = asyncio.Event()

    @property
    def is_watched(self) -> bool:
        """Whether changes are noticed by themselves."""
        return len(self._synced) == len(self._folders)

    def refer(self, key: ObjectKey, names: Collection[str], referrer: str) -> None:
        """The part of the object that ``referrer`` names refers to these ConfigMaps of its namespace, and no others."""
        if names:
            self._references[key, referrer] = frozenset(names)
            self._needed.set()
        elif self._references.pop((key, referrer), None):
            referred = {(each.namespace or "", name) for (each, _), of in self._references.items() for name in of}
            self._known = {name: each for name, each in self._known.items() if name in referred}
            self._changes = {name: count for name, count in self._changes.items() if name in referred}
            if not self._references:
                self._needed.clear()

    async def data(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """The data of a ConfigMap that an object refers to; None if there is none. Raises KubernetesError."""
        known = self._known.get((namespace, name))
        if known and self.is_watched:
            return known.data
        while True:
            changes = self._changes.get((namespace, name), 0)
            found = await self._read(namespace, name)
            if changes == self._changes.get((namespace, name), 0):
                self._known[namespace, name] = found
                return found.data

    async def run(self) -> None:
        """Watch whenever any object refers to a ConfigMap, until cancelled."""
        while True:
            await self._needed.wait()
            configuration = copy(self._api.configuration)
            # A watch keeps its connection, which the operator's requests would lack.
            configuration.connection_pool_maxsize = len(self._folders)
            async with ApiClient(configuration) as api, asyncio.TaskGroup() as group:
                for folder in self._folders:
                    group.create_task(self._follow(Rest(api), folder))

    async def _follow(self, rest: Rest, folder: str) -> None:
        """List and watch, again and again, as long as that is needed."""
        while self._needed.is_set():
            try:
                version = await self._list(rest, folder)
                self._synced.add(folder)
                await self._watch(rest, folder, version)
                await asyncio.sleep(RECONNECT_SECONDS)
            except KubernetesError as error:
                logger.warning(
                    "the operator cannot watch ConfigMaps; it reads them instead", extra={"error": str(error)}
                )
                self._synced.discard(folder)
                await asyncio.sleep(RETRY_SECONDS)
        self._synced.discard(folder)

    async def _list(self, rest: Rest, folder: str) -> str:
        """Compare the versions of all ConfigMaps with those that were read; returns the version of the list."""
        found: dict[_Name, str] = {}
        async for page in rest.pages(folder, limit=_PAGE, accept=_LIST_OF_METADATA):
            found |= {_name(each): each["metadata"]["resourceVersion"] for each in page["items"]}
        for name, known in list(self._known.items()):
            if found.get(name) != known.version and self._is_in(name, folder):
                self._changed(name)
        return str(page["metadata"]["resourceVersion"])

    async def _watch(self, rest: Rest, folder: str, version: str) -> None:
        """Take changes until versions have expired, or nothing is referred to any more."""
        while self._needed.is_set():
            query = {
                "watch": "1",
                "resourceVersion": version,
                "allowWatchBookmarks": "true",
                "timeoutSeconds": WATCH_SECONDS,
            }
            async for event in rest.events(f"{folder}?{urlencode(query)}", accept=_METADATA):
                if event["type"] == "ERROR":
                    # The version has expired: https://kubernetes.io/docs/reference/using-api/api-concepts/#410-gone-responses
                    return
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._seen(_name(event["object"]), version, is_deleted=event["type"] == "DELETED")
            await asyncio.sleep(RECONNECT_SECONDS)

    def _seen(self, name: _Name, version: str, *, is_deleted: bool) -> None:
        known = self._known.get(name)
        if is_deleted or known is None or known.version != version:
            self._changed(name)

    def _changed(self, name: _Name) -> None:
        """Forget what was read, and have the objects that refer to it read it again."""
        concerned = {
            key for (key, _), names in self._references.items() if key.namespace == name[0] and name[1] in names
        }
        if concerned:
            self._known.pop(name, None)
            self._changes[name] = self._changes.get(name, 0) + 1
        for key in concerned:
            self._on_change(key)

    async def _read(self, namespace: str, name: str) -> ConfigMap:
        try:
            found = await self._rest("GET", f"/api/v1/namespaces/{namespace}/configmaps/{name}")
        except Gone:
            return ConfigMap(None, None)
        return ConfigMap(found["metadata"]["resourceVersion"], found.get("data", {}))

    def _is_in(self, name: _Name, folder: str) -> bool:
        return len(self._folders) == 1 or f"/namespaces/{name[0]}/" in folder


def _name(raw: Raw) -> _Name:
    return raw["metadata"]["namespace"], raw["metadata"]["name"]
