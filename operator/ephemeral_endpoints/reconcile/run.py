"""What one reconciliation of one object works with."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from ephemeral_endpoints.aws.account import Account, Identity
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.core.desired import Subject
from ephemeral_endpoints.core.drift import told
from ephemeral_endpoints.core.errors import Problem, Unauthenticated
from ephemeral_endpoints.core.names import owner_hash
from ephemeral_endpoints.core.orphans import leads_to_nothing
from ephemeral_endpoints.core.plan import Delete, Step, Update
from ephemeral_endpoints.core.resources import COMING_BACK, EndpointSpec, Have, Haves, Key, Kind, route_key_name
from ephemeral_endpoints.core.sharding import Shard
from ephemeral_endpoints.core.steering import Steered
from ephemeral_endpoints.kube.client import Kube
from ephemeral_endpoints.kube.store import ObjectKey, Store
from ephemeral_endpoints.reconcile.act import View, converge
from ephemeral_endpoints.reconcile.builds import Builds
from ephemeral_endpoints.reconcile.gate import Gate
from ephemeral_endpoints.reconcile.memory import Memory
from ephemeral_endpoints.reconcile.observe import Observer
from ephemeral_endpoints.reconcile.placements import Placements
from ephemeral_endpoints.reconcile.quotas import Quotas
from ephemeral_endpoints.reconcile.report import Reporter

ACCOUNT = "account"
IMAGE = "image"
TAGS = "tags"
"""What is tried beside resources, as ``Retries`` knows it."""


@dataclass(frozen=True, slots=True)
class Context:
    """The operator around a run: both edges, what is known, and two clocks.

    ``wake`` has something reconciled. ``now`` is the time of day in UTC, ``clock`` monotonic seconds.
    """

    cluster_id: str
    store: Store
    accounts: Accounts
    kube: Kube
    observer: Observer
    reporter: Reporter
    placements: Placements
    quotas: Quotas
    builds: Builds
    is_alone: bool
    """Whether the objects of all namespaces are known, so that no other operator has any that is not."""

    shard: Shard
    """Which of the objects that are known are this operator's."""

    wake: Callable[[ObjectKey], None]
    now: Callable[[], datetime]
    clock: Callable[[], float]

    def is_leaving(self, subject: Subject) -> bool:
        """Whether the object is deleted or expired."""
        return subject.endpoint.metadata.deletion_timestamp is not None or subject.lifetime.is_over(self.now())

    def retry_due(self, memory: Memory) -> float | None:
        """Seconds until something that failed may be tried again; None if nothing failed."""
        at = memory.retries.next_at()
        return None if at is None else max(0.0, at - self.clock())

    def wake_neighbours(self, run: "Run") -> None:
        """What waited for the object to give way: its class, who asks for the same path, and who waits for room."""
        run.notice_room(self)
        class_name = run.subject.klass.metadata.name
        self.wake(ObjectKey(None, class_name))
        for key, _ in self.store.sharing_path(run.subject.path, class_name):
            if key != run.key:
                self.wake(key)


@dataclass(slots=True)
class Run:
    """One reconciliation of one object, whose spec may change under it."""

    key: ObjectKey
    subject: Subject
    account: Account
    memory: Memory
    identity: Identity
    errors: dict[Key, Problem] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    """In how many seconds steps that had to wait may be taken."""

    steered: Steered | None = None
    """What was concluded last from the endpoints."""

    @property
    def own(self) -> Haves:
        """What the object has in AWS, as far as is known.

        A route is told by what it leads to: one that somebody led astray is still the object's by its path.
        """
        inventory = self.account.inventory
        keys = (Key(Kind.ROUTE, route_key_name(api, f"ANY {self.subject.path}")) for api in self._apis())
        routes = (inventory.all[key] for key in keys if key in inventory.all)
        astray = {have.key: have for have in routes if leads_to_nothing(have) or self._was_led_astray(have)}
        return {**inventory.of(self.identity.owner), **astray}

    def _apis(self) -> list[Key]:
        return [key for key in self.others if key.kind is Kind.HTTP_API]

    def _was_led_astray(self, have: Have) -> bool:
        return have.owner is None and have.key in self.memory.had

    @property
    def others(self) -> Haves:
        """What it shares with the other objects of its class."""
        klass = self.subject.klass.metadata
        return self.account.inventory.of(owner_hash(klass.uid))

    def notice_room(self, context: Context) -> None:
        """Call those who wait for room in the account if an endpoint of the object has gone."""
        there = frozenset(key for key in self.own if key.kind is Kind.ENDPOINT)
        if self.memory.serving - there:
            context.quotas.room(self.account.scope)
        self.memory.serving = there

    def current(self, store: Store) -> Subject:
        """The object as it is now, as long as it is the same one."""
        newest = store.endpoint(self.key)
        if newest is None or newest.metadata.uid != self.identity.uid:
            return self.subject
        return replace(self.subject, endpoint=newest)

    def is_gone(self, store: Store) -> bool:
        """Whether the object does not exist any more, though it should have been held by our finalizer."""
        newest = store.endpoint(self.key)
        return newest is None or newest.metadata.uid != self.identity.uid

    async def act(self, look: Callable[[], View], context: Context) -> None:
        """Take all steps that can be taken, and remember what failed.

        Raises Unauthenticated, which concerns more than this object.
        """
        memory, clock, gate = self.memory, context.clock, self._gate(context)
        self.notice_room(context)
        memory.had.update(self.own)
        standing = memory.retries.standing(clock())
        self.errors = {what: error for what, error in standing.items() if isinstance(what, Key)}
        stood = frozenset(self.errors)
        view = await converge(
            self.account,
            self.identity,
            look,
            self.errors,
            lambda step: self._took(step, gate),
            refusal=gate.refusal,
        )
        await self._tell_repairs(gate, context)
        self.errors = {key: gate.judged(key, error) for key, error in self.errors.items()}
        for key, error in self.errors.items():
            if isinstance(error, Unauthenticated):
                raise error
            if key not in stood and key not in gate.held:
                memory.retries.note(key, error, clock())
        gate.conclude()
        self.waits = gate.waits()
        memory.drift = memory.drift.seen(view.desired, {**view.others, **view.own})
        memory.retries.keep_only(frozenset({*self.errors, ACCOUNT, IMAGE, TAGS}))

    def _gate(self, context: Context) -> Gate:
        generation = self.current(context.store).endpoint.metadata.generation
        self.memory.drift = self.memory.drift.of_generation(generation)
        return Gate(
            quotas=context.quotas,
            scope=self.account.scope,
            created_at=self.subject.created_at,
            uid=self.identity.uid,
            memory=self.memory,
            now=context.now,
        )

    async def _tell_repairs(self, gate: Gate, context: Context) -> None:
        if gate.repaired and not self.is_gone(context.store):
            raw, message = context.store.raw(self.key), told(gate.repaired, self.memory.drift.repairs)
            await context.kube.event(raw, kind="Normal", reason="DriftRepaired", message=message)

    def _took(self, step: Step, gate: Gate) -> None:
        gate.took(step)
        if self._is_done_away_with(step):
            self.memory.had.discard(step.key)
        else:
            self.memory.had.add(step.key)
        self.memory.retries.clear(step.key)
        if isinstance(step, Update) and isinstance(step.want.spec, EndpointSpec):
            self.memory.endpoints = self.memory.endpoints.updating(step.have, step.want.spec.config)

    def _is_done_away_with(self, step: Step) -> bool:
        """Whether AWS has just answered that a resource is gone, and nothing brings it back."""
        is_gone = isinstance(step, Delete) and step.key not in self.account.inventory.all
        return is_gone and step.key.kind not in COMING_BACK
