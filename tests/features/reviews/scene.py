"""A publisher with the objects of a store, on an embedded GitHub, whose clocks only the test moves."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import aiohttp
from tests.engine.objects import CLASS, CLUSTER, ENDPOINT, merged
from tests.features.reviews.github.clients import HeldSecret, Time
from tests.features.reviews.publications import FAILURES, NOW, REVIEWS
from tests.fixtures.github import REPOSITORY

from eep_platform.github.client import GitHubClient as Service
from eep_platform.github.client import sha_of
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.features.reviews.forge import Published, PublishingForge
from ephemeral_endpoints.features.reviews.github.client import GitHubClient
from ephemeral_endpoints.features.reviews.github.forge import GitHub
from ephemeral_endpoints.features.reviews.publishing.delivery import condition, review_of
from ephemeral_endpoints.features.reviews.publishing.publisher import Publisher
from ephemeral_endpoints.kube.cache import ObjectKey, Store, endpoint_key

_VERSIONS = count(100)


@dataclass
class Scene:
    """The operator's part in it: objects are reported as soon as the publisher asks for that."""

    service: Service
    session: aiohttp.ClientSession
    secret: HeldSecret
    time: Time = field(default_factory=lambda: Time(began=NOW))
    store: Store = field(default_factory=Store)
    forges: dict[str, PublishingForge] = field(default_factory=dict)
    raws: dict[ObjectKey, dict[str, Any]] = field(default_factory=dict)
    owns: Callable[[str], bool] = lambda _: True

    def __post_init__(self) -> None:
        self.add_class("default")
        self.publisher = self.start()

    def add_class(self, name: str, **reviews: Any) -> None:  # noqa: ANN401 - members of spec.reviews
        """A class that publishes, or the same one with other settings."""
        metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": str(next(_VERSIONS))}
        self.store.put(merged(CLASS, {"metadata": metadata, "spec": {"reviews": {**REVIEWS, **reviews}}}))

    def start(self) -> Publisher:
        """Start the operator anew, with nothing but what objects say of themselves."""
        self.forges = {}
        self.publisher = Publisher(
            CLUSTER,
            self.store,
            self._forge_of,
            owns=self.owns,
            objects=self._objects,
            enqueue=self._report,
            failures=FAILURES,
            now=self.time.now,
            clock=self.time.monotonic,
        )
        return self.publisher

    def add(
        self,
        name: str = "pr-42",
        status: Mapping[str, Any] | None = None,
        *,
        namespace: str = "nlp",
        class_name: str = "default",
        uid: str = "",
        **source: Any,  # noqa: ANN401 - members of spec.source
    ) -> ObjectKey:
        """An object of pull request 42 with its first commit."""
        own = {"repository": REPOSITORY, "pullRequest": 42, "revision": sha_of("first"), **source}
        metadata = {
            "name": name,
            "namespace": namespace,
            "uid": uid or f"uid-{namespace}-{name}",
            "creationTimestamp": timestamp(self.time.now()),
        }
        raw = merged(ENDPOINT, {"metadata": metadata, "spec": {"source": own, "className": class_name}})
        self.raws[endpoint_key(namespace, name)] = raw
        self.change(endpoint_key(namespace, name), status or {})
        return endpoint_key(namespace, name)

    def change(self, key: ObjectKey, status: Mapping[str, Any], **source: Any) -> None:  # noqa: ANN401
        """The object is reported with another status, which keeps what was said of its pull request."""
        before = self.raws[key]
        review = before.get("status", {}).get("review")
        raw = merged(before, {"spec": {"source": source}})
        said = [each for each in before.get("status", {}).get("conditions", ()) if each["type"] == "Published"]
        kept = {"review": review} if review else {}
        raw["status"] = {**status, **kept, "conditions": [*status.get("conditions", ()), *said]}
        self._put(key, raw)
        self.publisher.reported(key, self.endpoint(key), ())

    def said(self, key: ObjectKey, digest: str) -> None:
        """The status says what was published."""
        status = {**self.raws[key]["status"], "review": {"revision": self.endpoint(key).revision, "published": digest}}
        self._put(key, {**self.raws[key], "status": status})

    def delete(self, key: ObjectKey) -> None:
        """The object is gone, and the finalizer was taken off by the operator."""
        endpoint = self.endpoint(key)
        self.publisher.gone(key, endpoint)
        self.vanish(key)

    def vanish(self, key: ObjectKey) -> None:
        """The object goes while the operator is not running."""
        uid = self.raws.pop(key)["metadata"]["uid"]
        self.store.remove(key, uid)
        self.publisher.forget(uid)

    def endpoint(self, key: ObjectKey) -> EphemeralEndpoint:
        found = self.store.endpoint(key)
        assert found is not None
        return found

    def says(self, key: ObjectKey) -> tuple[str, str, str]:
        """The condition Published of the object: status, reason and message."""
        (found,) = (each for each in self.endpoint(key).status.conditions if each.type == "Published")
        return found.status, found.reason, found.message

    async def settle(self, seconds: float = 30.0) -> None:
        """Let so much time pass, and publish meanwhile what has its turn."""
        end = self.time.seconds + seconds
        while self.time.seconds < end:
            turns = [await lane.turn() for lane in list(self.publisher.lanes.values())]
            if not any(turns):
                self.time.seconds += 1.0

    def offer_all(self) -> None:
        """What the publisher does at its start, and hourly."""
        for key in self.raws:
            self.publisher.offer(key)
        self.publisher.search()

    def _forge_of(self, endpoint_class: EphemeralEndpointClass) -> PublishingForge | None:
        if endpoint_class.spec.reviews is None:
            return None
        name = endpoint_class.metadata.name
        if name not in self.forges:
            client = GitHubClient(
                self.session,
                self.service.url,
                self.secret,
                now=self.time.now,
                clock=self.time.monotonic,
                sleep=self.time.sleep,
            )
            self.forges[name] = GitHub(client)
        return self.forges[name]

    async def _objects(self) -> AsyncIterator[Mapping[str, Any]]:
        for each in list(self.raws.values()):
            yield each

    def _report(self, key: ObjectKey) -> None:
        """What a reconciliation of the object does."""
        endpoint = self.store.endpoint(key)
        if endpoint is None:
            return
        memory = self.publisher.memory(endpoint)
        update = condition(endpoint, memory)
        raw = self.raws[key]
        others = [each for each in raw["status"].get("conditions", ()) if each["type"] != "Published"]
        said = {
            "type": update.type,
            "status": update.status.value,
            "reason": update.reason.name,
            "message": update.message,
            "lastTransitionTime": timestamp(self.time.now()),
        }
        review = review_of(memory.published) if memory.published != Published() else {}
        before = raw["status"].get("review", {})
        status = {**raw["status"], "conditions": [*others, said], "review": {**before, **review}}
        self._put(key, {**raw, "status": status})
        self.publisher.reported(key, self.endpoint(key), (update,))

    def _put(self, key: ObjectKey, raw: dict[str, Any]) -> None:
        metadata = {**raw["metadata"], "resourceVersion": str(next(_VERSIONS))}
        self.raws[key] = {**raw, "metadata": metadata}
        self.store.put(self.raws[key])
