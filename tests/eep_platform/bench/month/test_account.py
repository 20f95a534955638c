"""The model of an account answers as the embedded AWS does, which answers as AWS does."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import pytest
from tests.aws.cloud import REFERRED, Cloud, with_spec

from eep_platform.aws.faults import Fault as EmbeddedFault
from eep_platform.aws.faults import FaultError
from eep_platform.bench.month.account import AccountModel, Fault, Times
from ephemeral_endpoints.aws.component import Component, Scope
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, ResourceKind
from ephemeral_endpoints.engine.tags import UID
from ephemeral_endpoints.features.monitoring.specs import ALARM, LOG_GROUP
from ephemeral_endpoints.features.routing.specs import FUNCTION, INTEGRATION, ROUTE
from ephemeral_endpoints.features.serving.specs import ENDPOINT, ENDPOINT_CONFIG, MODEL

SCOPE = Scope("c1", "000000000000", "us-east-1")
NEW = ("new", "1")
SLOW = 1.5
"""Seconds that a change of an endpoint takes in the model; in the embedded AWS it takes until the endpoint may rest."""


class Side(Protocol):
    """One of the two accounts, by what can be done to a resource of a kind. ReconcileError is a refusal."""

    @property
    def resources(self) -> dict[ResourceKind, DesiredResource]: ...
    async def apply(self, resource: DesiredResource, observed: ObservedResource | None) -> ObservedResource: ...
    async def delete(self, observed: ObservedResource) -> ObservedResource | None: ...
    async def describe(self, key: Key) -> ObservedResource | None: ...
    async def list_all(self, kind: ResourceKind) -> list[ObservedResource]: ...
    async def tags(self, observed: ObservedResource) -> Any: ...  # noqa: ANN401 - a mapping, or None
    async def add_tags(self, observed: ObservedResource) -> None: ...
    async def rest(self, key: Key) -> None: ...
    async def fail(self, fault: Fault) -> None: ...
    async def heal(self) -> None: ...


@dataclass
class Model:
    resources: dict[ResourceKind, DesiredResource]
    now: float = 0.0
    faults: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        def fault(_: Key) -> Fault | None:
            return self.faults[-1] if self.faults else None

        self.account = AccountModel(SCOPE.cluster_id, lambda: self.now, Times(SLOW, SLOW, SLOW), fault)

    async def apply(self, resource: DesiredResource, observed: ObservedResource | None) -> ObservedResource:
        return self.account.apply(resource, observed)

    async def delete(self, observed: ObservedResource) -> ObservedResource | None:
        return self.account.delete(observed)

    async def describe(self, key: Key) -> ObservedResource | None:
        return self.account.describe(key)

    async def list_all(self, kind: ResourceKind) -> list[ObservedResource]:
        return self.account.list_all(kind)

    async def tags(self, observed: ObservedResource) -> Any:  # noqa: ANN401
        return self.account.tags(observed)

    async def add_tags(self, observed: ObservedResource) -> None:
        self.account.add_tags(observed, (NEW,))

    async def rest(self, _: Key) -> None:
        self.now += SLOW

    async def fail(self, fault: Fault) -> None:
        self.faults.append(fault)

    async def heal(self) -> None:
        self.faults.clear()


@dataclass
class Embedded:
    cloud: Cloud

    @property
    def resources(self) -> dict[ResourceKind, DesiredResource]:
        return self.cloud.resources

    def _component(self, key: Key) -> Component:
        return self.cloud.components[key.kind]

    async def apply(self, resource: DesiredResource, observed: ObservedResource | None) -> ObservedResource:
        cloud = self.cloud
        found = await self._component(resource.key).apply(cloud.calls, resource, observed, cloud.known)
        cloud.known[resource.key] = found
        return found

    async def delete(self, observed: ObservedResource) -> ObservedResource | None:
        return await self._component(observed.key).delete(self.cloud.calls, observed, self.cloud.known)

    async def describe(self, key: Key) -> ObservedResource | None:
        return await self._component(key).describe(self.cloud.calls, key, self.cloud.known)

    async def list_all(self, kind: ResourceKind) -> list[ObservedResource]:
        return list((await self.cloud.listed(kind)).values())

    async def tags(self, observed: ObservedResource) -> Any:  # noqa: ANN401
        return await self._component(observed.key).tags(self.cloud.calls, observed)

    async def add_tags(self, observed: ObservedResource) -> None:
        await self._component(observed.key).add_tags(self.cloud.calls, observed, (NEW,))

    async def rest(self, key: Key) -> None:
        self.stick(stuck=False)
        if await self.describe(key) is not None:
            try:
                await self.cloud.rest(key)
            except AssertionError:
                assert await self.describe(key) is None
        self.stick(stuck=True)

    def stick(self, *, stuck: bool) -> None:
        """Let changes of endpoints take until they are let go on."""
        self.cloud.aws.control.patch_sagemaker_settings({"behaviour": {"stuck": stuck}})

    async def fail(self, fault: Fault) -> None:
        how: Any = {
            Fault.THROTTLED: {"error": FaultError(code="ThrottlingException")},
            Fault.REFUSED: {"error": FaultError(code="InternalFailure", status=500)},
            Fault.LOST: {"answer_lost": True},
        }[fault]
        # The operator's own calls repeat what is throttled.
        self.cloud.aws.control.add_faults(EmbeddedFault(service="*", **how))

    async def heal(self) -> None:
        self.cloud.aws.control.clear_faults()


@dataclass
class Play:
    """Does to a resource what words say; what is gone is still known, as from old lists."""

    side: Side
    kind: ResourceKind
    known: ObservedResource | None = None

    async def prepare(self) -> None:
        for kind, resource in self.side.resources.items():
            if kind in REFERRED[self.kind]:
                await self.side.apply(resource, None)
                await self.side.rest(resource.key)

    async def outcome(self, word: str) -> str:
        act: Callable[[], Awaitable[str]] = getattr(self, f"_{word}")
        try:
            return await act()
        except ReconcileError as error:
            return type(error).__name__
        finally:
            if word not in _FAULTS:
                await self.side.heal()

    @property
    def _wanted(self) -> DesiredResource:
        return self.side.resources[self.kind]

    async def _create(self) -> str:
        self.known = await self.side.apply(self._wanted, None)
        return self.known.phase

    async def _update(self) -> str:
        assert self.known
        changed = (
            with_spec(self._wanted, recreates=True) if self.kind is ENDPOINT else _CHANGED[self.kind](self._wanted)
        )
        return (await self.side.apply(changed, self.known)).phase

    async def _delete(self) -> str:
        assert self.known
        left = await self.side.delete(self.known)
        return left.phase if left else "gone"

    async def _see(self) -> str:
        found = await self.side.describe(self._wanted.key)
        listed = {each.key: each for each in await self.side.list_all(self.kind)}
        assert (self._wanted.key in listed) == (found is not None), "lists and descriptions agree"
        self.known = found or self.known
        return found.phase if found else "gone"

    async def _tags(self) -> str:
        assert self.known
        found = await self.side.tags(self.known)
        return "none" if found is None else ",".join(sorted({UID, NEW[0]} & found.keys()))

    async def _tag(self) -> str:
        assert self.known
        await self.side.add_tags(self.known)
        return "done"

    async def _rest(self) -> str:
        await self.side.rest(self._wanted.key)
        return "done"

    async def _throttled(self) -> str:
        await self.side.fail(Fault.THROTTLED)
        return "done"

    async def _refused(self) -> str:
        await self.side.fail(Fault.REFUSED)
        return "done"

    async def _lost(self) -> str:
        await self.side.fail(Fault.LOST)
        return "done"


_FAULTS = {"throttled", "refused", "lost"}
_CHANGED: dict[ResourceKind, Callable[[DesiredResource], DesiredResource]] = {
    LOG_GROUP: lambda wanted: with_spec(wanted, retention_days=14),
    ALARM: lambda wanted: with_spec(wanted, threshold=1.0),
}

CASES: list[tuple[str, tuple[ResourceKind, ...], list[tuple[str, str]]]] = [
    (
        "what AWS makes at once is there, is made once, and is gone at once, and a second deletion changes nothing",
        (LOG_GROUP, MODEL, ENDPOINT_CONFIG, FUNCTION),
        [
            ("create", "Ready"),
            ("see", "Ready"),
            ("create", "AlreadyExists"),
            ("delete", "gone"),
            ("see", "gone"),
            ("delete", "gone"),
        ],
    ),
    # AWS refuses a second route with the same key; the embedded AWS does not.
    (
        "a route is there at once too",
        (ROUTE,),
        [("create", "Ready"), ("see", "Ready"), ("delete", "gone"), ("see", "gone")],
    ),
    (
        "an alarm is overwritten",
        (ALARM,),
        [("create", "Ready"), ("create", "Ready"), ("see", "Ready"), ("delete", "gone")],
    ),
    (
        "an endpoint takes its time to come and to go, and neither changes nor goes meanwhile",
        (ENDPOINT,),
        [
            ("create", "Busy"),
            ("see", "Busy"),
            ("create", "AlreadyExists"),
            ("delete", "InProgress"),
            ("update", "InProgress"),
            ("rest", "done"),
            ("see", "Ready"),
            ("delete", "Deleting"),
            ("see", "Deleting"),
            ("rest", "done"),
            ("see", "gone"),
            ("delete", "gone"),
        ],
    ),
    ("what can change does", (LOG_GROUP, ALARM), [("create", "Ready"), ("update", "Ready"), ("see", "Ready")]),
    (
        "tags are those of the creation and what is added",
        (LOG_GROUP, MODEL, ENDPOINT_CONFIG, FUNCTION, ALARM),
        [("create", "Ready"), ("tags", UID), ("tag", "done"), ("tags", f"{UID},{NEW[0]}")],
    ),
    ("API Gateway tags no routes", (ROUTE, INTEGRATION), [("create", "Ready"), ("tags", "none"), ("tag", "done")]),
    (
        "what is gone has no tags",
        (MODEL, ENDPOINT_CONFIG, FUNCTION, LOG_GROUP),
        [("create", "Ready"), ("delete", "gone"), ("tags", "NotFound"), ("tag", "NotFound")],
    ),
    (
        "a call that is throttled or refused has done nothing",
        (MODEL, FUNCTION, LOG_GROUP),
        [
            ("throttled", "done"),
            ("create", "Throttled"),
            ("see", "gone"),
            ("refused", "done"),
            ("create", "Transient"),
            ("see", "gone"),
            ("create", "Ready"),
            ("throttled", "done"),
            ("delete", "Throttled"),
            ("see", "Ready"),
        ],
    ),
    (
        "one whose answer is lost has",
        (MODEL, FUNCTION, LOG_GROUP),
        [
            ("lost", "done"),
            ("create", "Transient"),
            ("see", "Ready"),
            ("create", "AlreadyExists"),
            ("lost", "done"),
            ("delete", "Transient"),
            ("see", "gone"),
        ],
    ),
]
ROWS = [pytest.param(kind, script, id=f"{kind}: {reason}") for reason, kinds, script in CASES for kind in kinds]


@pytest.mark.parametrize(("kind", "script"), ROWS)
async def test_the_model_answers_so(kind: ResourceKind, script: list[tuple[str, str]]) -> None:
    unconnected: Any = None
    await _play(Model(Cloud(unconnected, unconnected, unconnected, SCOPE).resources), kind, script)


@pytest.mark.parametrize(("kind", "script"), ROWS)
async def test_and_so_does_the_embedded_aws(kind: ResourceKind, script: list[tuple[str, str]], cloud: Cloud) -> None:
    side = Embedded(cloud)
    side.stick(stuck=True)

    async def at_once(_: float) -> None:
        """Calls that are throttled are repeated without a pause."""

    cloud.calls = replace(cloud.calls, sleep=at_once)
    await _play(side, kind, script)


async def _play(side: Side, kind: ResourceKind, script: list[tuple[str, str]]) -> None:
    play = Play(side, kind)
    await play.prepare()
    assert [(word, await play.outcome(word)) for word, _ in script] == script


async def test_an_endpoint_that_fails_can_only_be_deleted() -> None:
    unconnected: Any = None
    now = 0.0
    resources = Cloud(unconnected, unconnected, unconnected, SCOPE).resources
    account = AccountModel(SCOPE.cluster_id, lambda: now, fails=lambda _: True)
    for kind in (MODEL, ENDPOINT_CONFIG, ENDPOINT):
        account.apply(resources[kind], None)
    now = Times().create
    [failed] = account.list_all(ENDPOINT)
    assert failed.phase == "Failed"
    left = account.delete(failed)
    assert left
    assert left.phase == "Deleting"
