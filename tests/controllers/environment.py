"""An operator on an embedded AWS, with a dictionary in place of the API server, and no watch.

What the dictionary cannot show: validation and defaults, admission, what a lost connection or a slow watch does, the
rights that requests need, and Secrets. tests/kube shows these against a real API server, tests/integration with the
operator as a process on one. It is here because it lets a test stop an operator between two writes, and count every
write.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from types import MappingProxyType
from typing import Any, cast

import aiohttp
from tests.aws.cloud import eventually
from tests.controllers.sessions import InheritedSessions
from tests.engine.objects import merged
from yarl import URL

from eep_platform.aws import ministack
from ephemeral_endpoints.api import API_VERSION
from ephemeral_endpoints.aws.freshness import poll
from ephemeral_endpoints.engine.clocks import Clocks
from ephemeral_endpoints.engine.reasons import Reason
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.features.routing.answers import Answer
from ephemeral_endpoints.kube.cache import FINALIZER, ObjectKey, class_key, endpoint_key
from ephemeral_endpoints.kube.client import KubeClient
from ephemeral_endpoints.kube.errors import Conflict, Gone
from ephemeral_endpoints.kube.rest import Raw
from ephemeral_endpoints.kube.tokens import ApiToken
from ephemeral_endpoints.settings import Settings
from ephemeral_endpoints.telemetry.metrics import Metrics
from ephemeral_endpoints.wiring.operator import Operator

CLUSTER = "c1"
IMAGE = f"{ministack.ACCOUNT}.dkr.ecr.{ministack.REGION}.amazonaws.com/models:1"
REVISION = "1f0c2a9"
POLL_SECONDS = 0.02

Object = dict[str, Any]


@dataclass(frozen=True)
class EmittedEvent:
    """An Event."""

    of: str
    kind: str
    reason: str
    message: str


@dataclass
class ApiServer:
    """Objects with versions, generations and finalizers as the API server keeps them; ``Kube`` by its own methods.

    ``watch`` is notified of changes a little later.
    """

    api: None = None
    """No test on it builds by Jobs, which alone need a client of their own."""

    watch: Callable[[Mapping[str, Any]], None] = lambda _: None
    kept: dict[ObjectKey, Object] = field(default_factory=dict)
    events: list[EmittedEvent] = field(default_factory=list)
    writes: int = 0
    written: Counter[ObjectKey] = field(default_factory=Counter)
    """The changes by the operator, of each object."""
    _numbers: Any = field(default_factory=lambda: count(1))

    def put(self, kind: str, namespace: str | None, name: str, spec: Mapping[str, Any], **status: Any) -> Object:  # noqa: ANN401 - members of a status
        """What `kubectl create` does."""
        number = next(self._numbers)
        metadata = {
            "name": name,
            # In their order, which decides between those created in the same second.
            "uid": f"uid-{number:06}",
            "generation": 1,
            "resourceVersion": str(number),
            "creationTimestamp": timestamp(datetime.now(UTC)),
            **({"namespace": namespace} if namespace else {}),
        }
        raw: Object = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec, "status": status}
        self.kept[ObjectKey.of(raw)] = raw
        self._notify("ADDED", raw)
        return raw

    def change(self, key: ObjectKey, change: Mapping[str, Any]) -> Object:
        """What `kubectl patch` does."""
        before = self.kept[key]
        after = _without_nulls(merged(before, change))
        if after["spec"] != before["spec"]:
            after["metadata"] = {**after["metadata"], "generation": before["metadata"]["generation"] + 1}
        return self._keep(key, after)

    def remove(self, key: ObjectKey) -> Object:
        """What `kubectl delete` does."""
        raw = deepcopy(self.kept[key])
        metadata = raw["metadata"]
        if "deletionTimestamp" not in metadata:
            metadata["deletionTimestamp"] = timestamp(datetime.now(UTC))
            metadata["generation"] += 1
        return self._keep(key, raw)

    def vanish(self, key: ObjectKey) -> None:
        """What somebody does who takes the finalizers off an object that is being deleted."""
        self._notify("DELETED", self.kept.pop(key))

    async def objects(self, _: Collection[str]) -> AsyncIterator[Raw]:
        for each in list(self.kept.values()):
            yield each

    async def add_finalizer(self, raw: Raw, class_name: str | None) -> Raw:
        spec = {"spec": {"className": class_name}} if class_name else {}
        return self._patch(raw, {"metadata": {"finalizers": [FINALIZER]}, **spec})

    async def remove_finalizer(self, raw: Raw) -> Raw | None:
        try:
            left = self._patch(raw, {"metadata": {"finalizers": []}})
        except Gone:
            return None
        return left if ObjectKey.of(left) in self.kept else None

    async def annotate(self, raw: Raw, annotations: Mapping[str, str | None]) -> Raw:
        return self._patch(raw, {"metadata": {"annotations": dict(annotations)}})

    async def create(self, manifest: Raw) -> Raw:
        if ObjectKey.of(manifest) in self.kept:
            raise Conflict(str(ObjectKey.of(manifest)))
        self.writes += 1
        metadata = manifest["metadata"]
        raw = self.put(manifest["kind"], metadata.get("namespace"), metadata["name"], manifest["spec"])
        raw["metadata"] |= {name: value for name, value in metadata.items() if name not in {"name", "namespace"}}
        return raw

    async def change_spec(self, raw: Raw, patch: Mapping[str, Any]) -> Raw:
        return self._patch(raw, {"spec": patch})

    async def write_status(self, raw: Raw, patch: Mapping[str, Any]) -> Raw:
        return self._patch(raw, {"status": patch})

    async def delete(self, raw: Raw) -> Raw:
        key = ObjectKey.of(raw)
        if self.kept[key]["metadata"]["resourceVersion"] != raw["metadata"]["resourceVersion"]:
            raise Conflict(str(key))
        return self.remove(key)

    async def token(self, _: Raw) -> ApiToken:
        return ApiToken("a-token")

    async def known_token(self, _: Raw) -> str | None:
        return "a-token"

    async def event(self, raw: Raw, *, type_: str, reason: Reason, message: str) -> None:
        self.events.append(EmittedEvent(raw["metadata"]["name"], type_, reason.name, message))

    def _patch(self, raw: Raw, patch: Mapping[str, Any]) -> Object:
        key, version = ObjectKey.of(raw), raw["metadata"]["resourceVersion"]
        if key not in self.kept:
            raise Gone(str(key))
        if self.kept[key]["metadata"]["resourceVersion"] != version:
            raise Conflict(str(key))
        self.writes += 1
        self.written[key] += 1
        return self.change(key, patch)

    def _keep(self, key: ObjectKey, raw: Object) -> Object:
        raw["metadata"] = {**raw["metadata"], "resourceVersion": str(next(self._numbers))}
        if "deletionTimestamp" in raw["metadata"] and not raw["metadata"].get("finalizers"):
            del self.kept[key]
            self._notify("DELETED", raw)
        else:
            self.kept[key] = raw
            self._notify("MODIFIED", raw)
        return raw

    def _notify(self, what: str, raw: Object) -> None:
        asyncio.get_running_loop().call_soon(lambda: self.watch({"type": what, "object": deepcopy(raw)}))


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return value


@dataclass
class Clock:
    """Monotonic seconds that a test can let pass."""

    passed: float = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.passed

    def advance(self, seconds: float) -> None:
        self.passed += seconds


class Environment:
    """An operator at work; ``restart`` puts another one in its place that knows nothing."""

    def __init__(
        self,
        settings: Mapping[str, str] = MappingProxyType({}),
        api: ApiServer | None = None,
        middlewares: Sequence[aiohttp.ClientMiddlewareType] = (),
    ) -> None:
        """``middlewares`` may lead requests to the URLs of objects elsewhere."""
        self._middlewares = middlewares
        self.settings = Settings.from_environment({"EEP_POLL_SECONDS": "0.05", **settings})
        self.api = api or ApiServer()
        self.clock = Clock()
        self.ahead = timedelta()
        self.clocks = Clocks(lambda: datetime.now(UTC) + self.ahead, time.monotonic)
        self.urls = Urls()
        self.operator = self._started()
        self._polling = self._poll()

    def _started(self) -> Operator:
        kube = cast("KubeClient", self.api)
        self.metrics = Metrics(self.settings.shard)
        self.session = aiohttp.ClientSession(middlewares=self._middlewares or (self.urls.to_model,))
        operator = Operator(
            self.settings,
            CLUSTER,
            kube=kube,
            probe=self.urls,
            session=self.session,
            metrics=self.metrics,
            check=lambda: None,
            clock=self.clock,
            clocks=self.clocks,
            sessions=self._way_in,
        )
        self.watch = self.api.watch = partial(_watched, operator)
        return operator

    def _way_in(self, **arguments: Any) -> InheritedSessions:  # noqa: ANN401 - those of Sessions
        self.sessions = InheritedSessions(**arguments)
        return self.sessions

    def _poll(self) -> asyncio.Task[None]:
        return asyncio.create_task(poll(self.operator.accounts, POLL_SECONDS, self.clock))

    async def stop(self) -> None:
        """End the operator in the midst of whatever it waits for."""
        await self.operator.drain()
        self._polling.cancel()
        with suppress(asyncio.CancelledError):
            await self._polling
        await self.session.close()
        self.sessions.leave()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def start(self) -> None:
        """Have another operator once one was stopped."""
        self.operator, known = self._started(), list(self.api.kept.values())
        await self.operator.initial_list()
        for raw in known:
            self.watch({"type": None, "object": raw})
        self._polling = self._poll()

    def make_class(self, name: str = "default", **spec: Any) -> ObjectKey:  # noqa: ANN401 - members of a spec
        roles = dict.fromkeys(
            ("executionRoleArn", "forwarderRoleArn", "invokeRoleArn"), f"arn:aws:iam::{ministack.ACCOUNT}:role/any"
        )
        self.api.put("EphemeralEndpointClass", None, name, {"region": ministack.REGION, **roles, **spec})
        return class_key(name)

    def make(self, name: str = "pr", namespace: str = "nlp", **spec: Any) -> ObjectKey:  # noqa: ANN401 - members of a spec
        """An object whose image is known already."""
        source = {"repository": "acme/sentiment", "pullRequest": 42, "revision": REVISION}
        self.api.put(
            "EphemeralEndpoint",
            namespace,
            name,
            {"className": "default", "source": source, "model": {"image": IMAGE}, **spec},
            image={"uri": IMAGE, "digest": f"sha256:{'a' * 64}"},
            revision=REVISION,
        )
        return endpoint_key(namespace, name)

    def condition(self, key: ObjectKey, type_: str = "Ready") -> Mapping[str, Any]:
        """A condition of an object; empty if it has none of that type or is gone."""
        found = self.api.kept.get(key, {}).get("status", {}).get("conditions", [])
        return next((each for each in found if each["type"] == type_), {})

    def is_up_to_date(self, key: ObjectKey) -> bool:
        metadata = self.api.kept[key]["metadata"]
        ready = self.condition(key)
        return ready.get("status") == "True" and ready["observedGeneration"] == metadata["generation"]

    async def ready(self, key: ObjectKey) -> Object:
        await self.until(lambda: self.is_up_to_date(key), f"{key} ready")
        await self.rest()
        return self.api.kept[key]

    async def gone(self, key: ObjectKey) -> None:
        await self.until(lambda: key not in self.api.kept, f"{key} gone")
        await self.rest()

    async def reason(self, key: ObjectKey, reason: str, type_: str = "Ready", *, saying: str = "") -> str:
        """Wait for a condition's reason, with a message that has these words in it; returns the message."""

        def is_said() -> bool:
            found = self.condition(key, type_)
            return found.get("reason") == reason and saying in found["message"]

        await self.until(is_said, f"{reason} of {key}: {saying}")
        return str(self.condition(key, type_)["message"])

    async def rest(self) -> None:
        """Wait until nothing is being worked on."""
        for _ in range(3):  # a later notification may enqueue more
            await asyncio.sleep(0)
            await self.until(lambda: self.operator.is_idle, "the operator at rest")

    async def refresh(self, key: ObjectKey) -> None:
        """Have the object reconciled once more."""
        self.operator.enqueue(key)
        await self.rest()

    async def snapshot(self) -> None:
        """Have AWS listed anew."""
        for account in self.operator.accounts.connected:
            await account.refresh(account.kinds, since=self.clock())
        await self.rest()

    async def until(self, check: Callable[[], bool], what: str | Callable[[], str]) -> None:
        async def answer() -> bool:
            return check()

        def missing() -> str:
            return what if isinstance(what, str) else what()

        await eventually(answer, lambda: f"{missing()}: {[each.get('status') for each in self.api.kept.values()]}")


def is_of_object(url: URL) -> bool:
    """Whether it is the URL of an object, and not one of a forge."""
    return url.path.startswith("/_api/")


@dataclass
class Urls:
    """Every URL gives the same answer: what a request of the probe comes to is no concern of these tests."""

    answer: Answer = Answer(ok=True)  # noqa: RUF009 - immutable
    answers: dict[str, Answer] = field(default_factory=dict)
    """Other answers, by the beginning of URLs."""
    requests: int = 0
    model: URL | None = None
    """Where requests to models go, whichever URL they are for."""

    async def request(self, url: str, token: str | None) -> Answer:
        assert (url, token) != ("", "")
        await asyncio.sleep(0)
        self.requests += 1
        return next((answer for begins, answer in self.answers.items() if url.startswith(begins)), self.answer)

    async def to_model(self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        if is_of_object(request.url):
            assert self.model, f"the operator sends a request to {request.url}"
            request.url = self.model
        return await send(request)


def _watched(operator: Operator, event: Mapping[str, Any]) -> None:
    """What the watch does with an event."""
    operator.watch.take(event)
