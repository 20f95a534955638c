"""The checks of an object: run once it is ready, through its public URL, and again when what they are about changes."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Final

from ephemeral_endpoints.api import CHECK_AT_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.checks import CheckOutcome, CheckResult, CheckRun
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpointSpec
from ephemeral_endpoints.api.v1alpha1.serving import Serverless
from ephemeral_endpoints.engine.conditions import ConditionUpdate
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.features.checks.contract.sides import Contracts, Sides
from ephemeral_endpoints.features.checks.load.runner import LoadCheck, LoadRunner
from ephemeral_endpoints.features.checks.preparation import (
    ConfigMapData,
    PreparedCheck,
    configmaps_of,
    digest,
    prepare,
    run_id,
)
from ephemeral_endpoints.features.checks.reasons import CHECKS_PASSED, CheckInvalid, CheckUnavailable
from ephemeral_endpoints.features.checks.runner import AT_ONCE, Runner, Target
from ephemeral_endpoints.features.checks.schemas import invalid
from ephemeral_endpoints.features.checks.stage import CheckState, checks_passed
from ephemeral_endpoints.features.follow_up import FollowUp
from ephemeral_endpoints.features.places import Places
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.callers import auth_type, invocation_url, needs_token
from ephemeral_endpoints.features.routing.token import TokenStep
from ephemeral_endpoints.features.runs import Runs
from ephemeral_endpoints.features.serving.forms import served_configs
from ephemeral_endpoints.kube.cache import ObjectKey
from ephemeral_endpoints.kube.configmaps import UNWATCHED_SECONDS, ConfigMaps
from ephemeral_endpoints.kube.errors import KubernetesError

OBJECTS_AT_ONCE: Final = 64
"""Objects with a run under way: one with load waits for a Job, for minutes."""

_SENDING: Final = 8
"""Objects of which requests are sent at once; each holds a few answers in memory."""

RETRY_SECONDS: Final = 15.0
"""How soon ConfigMaps that could not be read are read again."""

REQUEST_SECONDS: Final = 30.0
"""At least between two requests for another run that are heeded, however often somebody changes the annotation."""

LOST_SECONDS: Final = 60.0
"""How soon a run is looked after that did not report its end, as after a fault of the operator."""

_COMPILING: Final = 2
_REQUESTED: Final = 64
_REFERRER: Final = "checks"


@dataclass(frozen=True, slots=True)
class CheckMemory:
    """What the checks of an object come to.

    ``generation`` and ``data`` are what ``digest`` and ``error`` were made from. ``requested`` is the annotation that
    counts, since a moment in monotonic seconds, and ``is_requested`` whether a newer one has to wait. ``run`` is that
    of ``id``, once it has ended. ``key`` is the object's. ``sides`` are the schemas that are compared, if any are.
    """

    key: ObjectKey | None = None
    generation: int = -1
    data: ConfigMapData | None = None
    digest: str = ""
    is_compiled: bool = False
    error: ReconcileError | None = None
    requested: str | None = None
    requested_at: float = float("-inf")
    is_requested: bool = False
    id: str = ""
    run: CheckRun | None = None
    is_ready: bool = False
    sides: Sides | None = None


class ChecksStep(FollowUp[CheckMemory]):
    """Runs the checks of objects in tasks of their own. ``now`` is the time of day in UTC, ``clock`` in seconds."""

    asks_model: ClassVar = CHECKS_PASSED

    def __init__(  # noqa: PLR0913 - its parts
        self,
        runner: Runner,
        runs: Runs[CheckRun],
        tokens: TokenStep,
        configmaps: ConfigMaps,
        now: Callable[[], datetime],
        *,
        clock: Callable[[], float],
        load: LoadRunner,
        contracts: Contracts,
    ) -> None:
        super().__init__(CheckMemory)
        self._runner = runner
        self._load = load
        self._contracts = contracts
        self._sending = Places(_SENDING)
        self._runs = runs
        self._tokens = tokens
        self._configmaps = configmaps
        self._now = now
        self._clock = clock
        self._compiling = Places(_COMPILING)

    async def run(self, reconciliation: Reconciliation, url: str | None) -> None:
        """See ``FollowUp``. Waits for ConfigMaps that are not known, and for schemas to be compiled."""
        uid, spec = reconciliation.uid, reconciliation.subject.endpoint.spec
        if self._contracts.waits(reconciliation):
            return
        sides = await self._contracts.sides(reconciliation)
        if not spec.checks and sides is None:
            self.forget(uid)
            return
        memory = replace(self.memory(uid), is_ready=url is not None, sides=sides)
        memory = await self._prepared(reconciliation, memory)
        if memory.error is None:
            memory = self._identified(reconciliation, self._asked(memory, _requested(reconciliation)))
            if memory.run is None and not memory.is_compiled:
                memory = replace(memory, is_compiled=True, error=await self._invalid(reconciliation, memory))
        self._memories[uid] = memory
        if memory.error or url is None:
            self._runs.cancel(uid)
        elif memory.run is None:
            self._runs.begin(reconciliation.key, uid, memory.id, self._work(reconciliation, memory, url))

    def condition(self, reconciliation: Reconciliation) -> ConditionUpdate | None:
        """See ``FollowUp``."""
        memory, count = self.memory(reconciliation.uid), self._count(reconciliation)
        return checks_passed(CheckState(count, memory.is_ready, memory.error, memory.run)) if count else None

    def status(self, reconciliation: Reconciliation) -> Mapping[str, object]:
        """See ``FollowUp``. The last run stays until another one has ended."""
        endpoint = reconciliation.subject.endpoint
        if not self._count(reconciliation):
            return {"checks": None}
        return {"checks": self.memory(reconciliation.uid).run or endpoint.status.checks}

    def is_busy(self, reconciliation: Reconciliation) -> bool:
        """See ``FollowUp``."""
        return self._runs.is_running(reconciliation.uid)

    def due(self, reconciliation: Reconciliation) -> float | None:
        """See ``Step``."""
        memory = self.memory(reconciliation.uid)
        if not self._count(reconciliation):
            return None
        waits = []
        if memory.data is None:
            waits.append(RETRY_SECONDS)
        elif memory.data and not self._configmaps.is_watched:
            waits.append(UNWATCHED_SECONDS)
        if memory.is_ready and memory.run is None and memory.error is None:
            waits.append(LOST_SECONDS)
        if memory.is_requested:
            waits.append(max(0.0, memory.requested_at + REQUEST_SECONDS - self._clock()))
        return min(waits, default=None)

    def retry(self, uid: str) -> None:
        """See ``Step``. The object was changed or deleted: what is under way is about what it was before."""
        self._runs.cancel(uid)

    def forget(self, uid: str) -> None:
        """See ``Step``."""
        self._runs.cancel(uid)
        if key := self.memory(uid).key:
            self._configmaps.refer(key, (), _REFERRER)
        self._contracts.forget(self.memory(uid).key, uid)
        super().forget(uid)

    async def stop(self) -> None:
        """End all runs. Those that are cut off are begun anew by the next operator."""
        await self._runs.stop()

    def _count(self, reconciliation: Reconciliation) -> int:
        """How many checks there are, the one of the schemas among them."""
        has_sides = self.memory(reconciliation.uid).sides is not None
        return len(reconciliation.subject.endpoint.spec.checks) + has_sides

    async def _prepared(self, reconciliation: Reconciliation, memory: CheckMemory) -> CheckMemory:
        """The memory with a digest of the checks with all that they refer to, or an error."""
        key, endpoint = reconciliation.key, reconciliation.subject.endpoint
        names = sorted(configmaps_of(endpoint.spec.checks))
        self._configmaps.refer(key, names, _REFERRER)
        memory = replace(memory, key=key)
        try:
            data = {name: await self._configmaps.data(key.namespace or "", name) for name in names}
        except KubernetesError as error:
            return replace(memory, data=None, error=error.problem("GetConfigMap"))
        generation = endpoint.metadata.generation
        if (memory.generation, memory.data) == (generation, data):
            return memory
        memory = replace(memory, generation=generation, data=data, is_compiled=False, error=None)
        try:
            return replace(memory, digest=digest(_prepare(endpoint.spec, data)))
        except (CheckInvalid, CheckUnavailable) as error:
            return replace(memory, error=error)

    def _asked(self, memory: CheckMemory, requested: str) -> CheckMemory:
        """The memory with the request for another run that counts now: the newest one, unless it follows too soon."""
        if memory.requested is None:
            return replace(memory, requested=requested)
        if memory.requested == requested:
            return replace(memory, is_requested=False)
        now = self._clock()
        if now < memory.requested_at + REQUEST_SECONDS:
            return replace(memory, is_requested=True)
        return replace(memory, requested=requested, requested_at=now, is_requested=False)

    def _identified(self, reconciliation: Reconciliation, memory: CheckMemory) -> CheckMemory:
        """The memory with the id of the run that there should be, and with that run if it has ended."""
        endpoint = reconciliation.subject.endpoint
        # A tag may have been pushed again: other endpoints than those that were checked serve the same revision then.
        serving = sorted(served_configs(reconciliation.view))
        schemas = [memory.sides.digest] if memory.sides else []
        id_ = run_id(memory.digest, endpoint.revision, serving, memory.requested or "", *schemas)
        written = endpoint.status.checks
        # First what is written: of two operators that have run the same checks, neither replaces the other's result.
        if written is None or written.id != id_:
            return replace(memory, id=id_, run=self._runs.result(reconciliation.uid, id_))
        self._runs.cancel(reconciliation.uid)  # its result would be another copy
        return replace(memory, id=id_, run=written)

    async def _invalid(self, reconciliation: Reconciliation, memory: CheckMemory) -> ReconcileError | None:
        async with self._compiling.of(reconciliation.key.namespace or ""):
            return await invalid(_prepare(reconciliation.subject.endpoint.spec, memory.data or {}))

    def _work(
        self, reconciliation: Reconciliation, memory: CheckMemory, url: str
    ) -> Callable[[], Coroutine[Any, Any, CheckRun]]:
        uid, subject = reconciliation.uid, reconciliation.subject
        spec, namespace = subject.endpoint.spec, reconciliation.key.namespace or ""
        requested, url = (memory.requested or "")[:_REQUESTED], invocation_url(auth_type(subject), url)

        def token() -> str | None:
            return self._tokens.memory(uid).value if needs_token(subject) else None

        async def work() -> CheckRun:
            prepared = _prepare(spec, memory.data or {})
            async with self._sending.of(namespace):
                answered = await self._runner.run(prepared, Target(url, token, namespace), at_once=_at_once(spec))
            # One after the other: two loads on one model would disturb each other.
            results = [
                await self._loaded(reconciliation, check, result, url, memory.id)
                for check, result in zip(prepared, answered, strict=True)
            ]
            if memory.sides:
                results.append(await self._contracts.result(memory.sides))
            revision = subject.endpoint.revision
            return CheckRun(
                id=memory.id, revision=revision, requested=requested, finished_at=self._now(), results=tuple(results)
            )

        return work

    async def _loaded(
        self, reconciliation: Reconciliation, check: PreparedCheck, result: CheckResult, url: str, id_: str
    ) -> CheckResult:
        """The result of a check's load, if it has one and the answer to a single request was as expected."""
        if check.load is None or result.outcome is not CheckOutcome.PASSED:
            return result
        load = LoadCheck(check.name, check.load, check.request)
        return await self._load.run_load(reconciliation.key, reconciliation.subject, load, url, id_)


def _prepare(spec: EphemeralEndpointSpec, data: ConfigMapData) -> tuple[PreparedCheck, ...]:
    return prepare(spec.checks, spec.api.samples, data)


def _requested(reconciliation: Reconciliation) -> str:
    return reconciliation.subject.endpoint.metadata.annotations.get(CHECK_AT_ANNOTATION, "")


def _at_once(spec: EphemeralEndpointSpec) -> int:
    """A serverless endpoint refuses more than its concurrency, and its callers come before checks."""
    size = spec.serving.capacity
    return min(AT_ONCE, size.max_concurrency) if isinstance(size, Serverless) else AT_ONCE
