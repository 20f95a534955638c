"""Compares an object with its base once it is Ready: once for each revision of both, and on request."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from typing_extensions import override

from ephemeral_endpoints.api.v1alpha1.authentication import AuthType
from ephemeral_endpoints.api.v1alpha1.comparison import Comparison, ComparisonResult
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.engine.conditions import Cause, ConditionUpdate
from ephemeral_endpoints.engine.errors import ReconcileError, SecretTaken
from ephemeral_endpoints.engine.reasons import Finality
from ephemeral_endpoints.features.checks.comparison import policy, stage
from ephemeral_endpoints.features.checks.comparison.comparer import Comparer, Task
from ephemeral_endpoints.features.checks.comparison.exchange import LiveSide
from ephemeral_endpoints.features.checks.comparison.policy import Base, RunId
from ephemeral_endpoints.features.checks.comparison.reasons import (
    BASE_NOT_READY,
    COMPARED,
    RECORDINGS_UNAVAILABLE,
)
from ephemeral_endpoints.features.checks.comparison.storage import Storage
from ephemeral_endpoints.features.checks.requests import ModelClient
from ephemeral_endpoints.features.follow_up import FollowUp
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.callers import auth_type, invocation_url
from ephemeral_endpoints.features.routing.token import TokenStep
from ephemeral_endpoints.features.runs import Runs
from ephemeral_endpoints.kube.cache import ObjectKey, Store, endpoint_key
from ephemeral_endpoints.kube.client import Kube, secret_name
from ephemeral_endpoints.kube.errors import KubernetesError

RETRY_SECONDS: Final = 300.0
"""After a comparison that could not be carried out."""

PAUSE_SECONDS: Final = 30.0
"""At least between two beginnings: an annotation may change hundreds of times a second."""

LOOK_SECONDS: Final = 900.0
"""How soon a run is looked at that has not ended: it should have by then."""

MOST_RUNS: Final = 4
"""Comparisons at once."""

Outcome = ComparisonResult | Cause
"""A result, or why there is none."""


@dataclass(slots=True)
class ComparisonMemory:
    """What is known of an object's comparison. ``problem`` is why there is no result as everything is now.

    Times are monotonic seconds.
    """

    problem: Cause | None = None
    result: ComparisonResult | None = None
    begun: RunId | None = None
    began_at: float | None = None
    failed_at: float | None = None
    due_at: float | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A comparison that is to be carried out. ``other`` is the object to compare with; None: the previous revision."""

    id: RunId
    spec: Comparison
    base: Base
    other: EphemeralEndpoint | None


class ComparisonStep(FollowUp[ComparisonMemory]):
    """Compares objects with ``spec.compare``. ``now`` is the time of day in UTC, ``clock`` monotonic seconds."""

    asks_model: ClassVar = COMPARED

    def __init__(  # noqa: PLR0913 - where tokens, objects and answers come from, and two clocks
        self,
        runs: Runs[Outcome],
        client: ModelClient,
        tokens: TokenStep,
        *,
        kube: Kube,
        store: Store,
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        super().__init__(ComparisonMemory)
        self._runs = runs
        self._client = client
        self._tokens = tokens
        self._kube = kube
        self._store = store
        self._comparer = Comparer(now, clock)
        self._now = now
        self._clock = clock

    @override
    async def run(self, reconciliation: Reconciliation, url: str | None) -> None:
        memory, endpoint = self.memory(reconciliation.uid), reconciliation.subject.endpoint
        memory.due_at = None
        written = endpoint.status.comparison
        if memory.result is None or memory.result == written:
            memory.result = written  # one copy, which the cache of objects has anyway
        if endpoint.spec.compare is None:
            self._runs.cancel(reconciliation.uid)
            memory.problem = memory.result = None
            return
        outcome = self._outcome(reconciliation, endpoint.spec.compare, url)
        if isinstance(outcome, ComparisonResult):
            memory.result, memory.problem = outcome, None
        else:
            memory.problem = outcome

    @override
    def condition(self, reconciliation: Reconciliation) -> ConditionUpdate | None:
        memory = self.memory(reconciliation.uid)
        if memory.problem:
            return stage.of_cause(memory.problem)
        return stage.of_result(memory.result) if memory.result else None

    @override
    def status(self, reconciliation: Reconciliation) -> Mapping[str, object]:
        return {"comparison": self.memory(reconciliation.uid).result}

    @override
    def is_busy(self, reconciliation: Reconciliation) -> bool:
        return self._runs.is_running(reconciliation.uid)

    @override
    def due(self, reconciliation: Reconciliation) -> float | None:
        due_at = self.memory(reconciliation.uid).due_at
        return None if due_at is None else max(0.0, due_at - self._clock())

    @override
    def retry(self, uid: str) -> None:
        self.memory(uid).failed_at = None

    @override
    def forget(self, uid: str) -> None:
        self._runs.cancel(uid)
        super().forget(uid)

    def _outcome(self, reconciliation: Reconciliation, spec: Comparison, url: str | None) -> Outcome:
        """The result as everything is now, or why there is none; begins what there is to do."""
        subject, namespace = reconciliation.subject, reconciliation.key.namespace or ""
        memory = self.memory(reconciliation.uid)
        if refusal := policy.refusal(spec, subject.endpoint_class.spec.comparisons, namespace):
            self._runs.cancel(reconciliation.uid)
            return refusal
        name = spec.with_.endpoint
        other = self._store.endpoint(endpoint_key(namespace, name)) if name else None
        base = policy.base_of(name, other, memory.result, subject.endpoint.revision)
        wanted = Wanted(RunId.of(subject.endpoint, spec, base, other), spec, base, other)
        problem = policy.base_problem(name, other, namespace, self._now()) if name else None
        outcome = problem or self._result_of(reconciliation, wanted, url)
        is_passing = isinstance(outcome, Cause) and outcome.reason.finality is Finality.TRANSIENT
        # While a base rolls out, what was compared with it stands; else each push to main would write every object.
        return memory.result if is_passing and memory.result and wanted.id.is_own_of(memory.result) else outcome

    def _result_of(self, reconciliation: Reconciliation, wanted: Wanted, url: str | None) -> Outcome:
        memory = self.memory(reconciliation.uid)
        if memory.result and wanted.id.is_of(memory.result):
            self._runs.cancel(reconciliation.uid)  # its result would be another copy
            return memory.result
        if url is None:
            return stage.not_ready()
        found = self._runs.result(reconciliation.uid, str(wanted.id))
        if isinstance(found, ComparisonResult):
            return found
        if found and memory.failed_at is not None and self._waits(memory, memory.failed_at + RETRY_SECONDS):
            return found
        return self._begun(reconciliation, wanted, url)

    def _begun(self, reconciliation: Reconciliation, wanted: Wanted, url: str) -> Cause:
        """Begin the comparison, or wait for the time when it may begin."""
        memory, revision = self.memory(reconciliation.uid), reconciliation.subject.endpoint.revision
        if memory.begun == wanted.id and self._runs.is_running(reconciliation.uid):
            self._waits(memory, self._clock() + LOOK_SECONDS)
            return stage.comparing(wanted.base)
        settling = policy.wait_for_base(memory.result, revision, wanted.base, self._now())
        if self._waits(memory, self._clock() + settling):
            return stage.settling(wanted.base)
        if memory.began_at is not None and self._waits(memory, memory.began_at + PAUSE_SECONDS):
            return stage.comparing(wanted.base)
        self._runs.cancel(reconciliation.uid)
        memory.begun, memory.began_at, memory.failed_at = wanted.id, self._clock(), None
        task = self._task(reconciliation, wanted, url)
        self._runs.begin(
            reconciliation.key, reconciliation.uid, str(wanted.id), lambda: self._compared(task, reconciliation.uid)
        )
        self._waits(memory, self._clock() + LOOK_SECONDS)
        return stage.comparing(wanted.base)

    def _waits(self, memory: ComparisonMemory, until: float) -> bool:
        """Whether that time is still to come; the step is then due at it."""
        if until <= self._clock():
            return False
        memory.due_at = until
        return True

    def _task(self, reconciliation: Reconciliation, wanted: Wanted, url: str) -> Task:
        calls, clients = reconciliation.calls, reconciliation.account.clients
        token = self._tokens.memory(reconciliation.uid).value
        return Task(
            str(wanted.id),
            reconciliation.subject,
            wanted.spec,
            wanted.base,
            wanted.other,
            LiveSide(self._client, invocation_url(auth_type(reconciliation.subject), url), token),
            token=lambda: self._token(reconciliation.key, wanted.other),
            storage=lambda: Storage.of(calls, clients),
        )

    async def _token(self, key: ObjectKey, other: EphemeralEndpoint | None) -> str | None:
        """The token of the base, which is in the object's own namespace; None if it asks for none.

        Raises SecretTaken and KubernetesError. The Secret is only read: the base's own reconciliation makes it.
        """
        if other is None or other.served_auth is AuthType.NONE:
            return None
        name = other.metadata.name
        base_key = endpoint_key(key.namespace or "", name)
        is_there = self._store.endpoint(base_key) is not None
        token = await self._kube.known_token(self._store.raw(base_key)) if is_there else None
        if token is None:
            raise SecretTaken(f"the Secret {secret_name(name)} does not exist: the operator makes it for {name}")
        return token

    async def _compared(self, task: Task, uid: str) -> Outcome:
        try:
            return await self._comparer.compare(task)
        except (KubernetesError, SecretTaken) as error:
            cause = Cause(BASE_NOT_READY, f"the token of {task.base.title} cannot be read: {error}")
        except ReconcileError as error:
            cause = Cause(RECORDINGS_UNAVAILABLE, error.described)
        self.memory(uid).failed_at = self._clock()
        return cause
