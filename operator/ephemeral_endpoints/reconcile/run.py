"""What one reconciliation of one object works with."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from ephemeral_endpoints.aws.account import Account, Accounts, Identity
from ephemeral_endpoints.core.desired import Subject
from ephemeral_endpoints.core.errors import Problem, Unauthenticated
from ephemeral_endpoints.core.names import owner_hash
from ephemeral_endpoints.core.plan import Step, Update
from ephemeral_endpoints.core.resources import EndpointSpec, Haves, Key, Kind
from ephemeral_endpoints.kube.client import Kube
from ephemeral_endpoints.kube.store import ObjectKey, Store
from ephemeral_endpoints.reconcile.act import View, converge
from ephemeral_endpoints.reconcile.memory import Memory
from ephemeral_endpoints.reconcile.observe import Observer
from ephemeral_endpoints.reconcile.placements import Placements
from ephemeral_endpoints.reconcile.report import Reporter

ACCOUNT = "account"
IMAGE = "image"
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
        """What waited for the object to give way: its class, and who asks for the same path."""
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
    rolled_back: bool = False

    @property
    def own(self) -> Haves:
        """What the object has in AWS, as far as is known."""
        return self.account.inventory.of(self.identity.owner)

    @property
    def others(self) -> Haves:
        """What it shares with the other objects of its class."""
        klass = self.subject.klass.metadata
        return self.account.inventory.of(owner_hash(klass.uid))

    @property
    def endpoint_key(self) -> Key:
        """The object's endpoint in SageMaker."""
        return Key(Kind.ENDPOINT, self.subject.names.base)

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

    async def act(self, look: Callable[[], View], clock: Callable[[], float]) -> None:
        """Take all steps that can be taken, and remember what failed.

        Raises Unauthenticated, which concerns more than this object.
        """
        memory = self.memory
        memory.had.update(self.own)
        standing = memory.retries.standing(clock())
        self.errors = {what: error for what, error in standing.items() if isinstance(what, Key)}
        stood = frozenset(self.errors)
        await converge(self.account, self.identity, look, self.errors, lambda step: self._took(step, clock()))
        for key, error in self.errors.items():
            if isinstance(error, Unauthenticated):
                raise error
            if key not in stood:
                memory.retries.note(key, error, clock())
        memory.retries.keep_only(frozenset({*self.errors, ACCOUNT, IMAGE}))

    def _took(self, step: Step, at: float) -> None:
        self.memory.last_step_at = at
        self.memory.had.add(step.key)
        self.memory.retries.clear(step.key)
        if isinstance(step, Update) and isinstance(step.want.spec, EndpointSpec):
            self.memory.rollout = self.memory.rollout.begun(step.want.spec.config, step.have.version)
