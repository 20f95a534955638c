"""Training: started once for what is trained, followed, and superseded by the next commit.

SageMaker has the truth: the names of executions say of which object they are and what they train. Whatever this
process remembers only saves calls.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from ephemeral_endpoints.api.v1alpha1.training import OnGateFailure, TrainedStep, Training, TrainingStatus
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.engine.backoff import poll_delay
from ephemeral_endpoints.engine.conditions import Cause
from ephemeral_endpoints.engine.errors import Denied, Invalid, ReconcileError, Unauthenticated
from ephemeral_endpoints.engine.retries import Retries
from ephemeral_endpoints.features.images.observe import ImagesStep
from ephemeral_endpoints.features.images.policy import image_of
from ephemeral_endpoints.features.images.reasons import ImageProblem
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.step import Step
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.features.training import outcome
from ephemeral_endpoints.features.training.custom import parsed
from ephemeral_endpoints.features.training.desired import desired, own_definition, pipeline_name
from ephemeral_endpoints.features.training.job_log import JobLog
from ephemeral_endpoints.features.training.outcome import Package, Progress, Run
from ephemeral_endpoints.features.training.pipelines import Pipelines
from ephemeral_endpoints.features.training.policy import refusal
from ephemeral_endpoints.features.training.reasons import DefinitionInvalid
from ephemeral_endpoints.features.training.specs import Definition, TrainingSpec, runs_of
from ephemeral_endpoints.kube.cache import ObjectKey
from ephemeral_endpoints.kube.configmaps import UNWATCHED_SECONDS, ConfigMaps
from ephemeral_endpoints.kube.errors import KubernetesError

POLL_SECONDS: Final = (2.0, 30.0)
NOTIFIED_SECONDS: Final = 60.0
"""How often a pipeline is looked at of which events are heard, in case that one is lost."""

_REFERRER: Final = "training"
_TRAINING: Final = "training"
_UNDER_WAY: Final = frozenset({ImageProblem.QUEUED, ImageProblem.BUILDING, ImageProblem.RETRIED})


@dataclass(slots=True)
class TrainingMemory:
    """What is known of an object's training. Times are monotonic seconds.

    ``asked`` is what ``progress`` is about: the commit and the spec. ``started_for`` is the commit of the execution.
    """

    asked: tuple[str, Training] | None = None
    spec: TrainingSpec | None = None
    progress: Progress | None = None
    started_for: str = ""
    started_at: float = 0.0
    looked_at: float = 0.0
    looks: int = 0
    has_begun_step: bool = False
    """Whether a step has begun since: then its execution goes on, and only its steps are looked at."""

    refused: tuple[TrainingSpec, DefinitionInvalid] | None = None
    """What SageMaker has refused, and why: the same is not asked for again."""

    is_settled: bool = False
    is_asked_again: bool = False
    is_withdrawn: bool = False
    key: ObjectKey | None = None
    custom: tuple[str, Definition] | None = None
    retries: Retries[str] = field(default_factory=Retries)

    def begin(self, revision: str) -> None:
        """Start over: something else is trained from now on, for this commit."""
        self.started_for = revision
        self.looks, self.looked_at, self.is_settled, self.has_begun_step = 0, 0.0, False, False
        self.progress = None


class TrainingStep(Step[TrainingMemory]):
    """Trains models by SageMaker Pipelines.

    ``is_heard`` says whether events of an account can be expected, ``enqueue`` has an object reconciled; ``clock`` is
    monotonic seconds.
    """

    def __init__(
        self,
        images: ImagesStep,
        configmaps: ConfigMaps,
        *,
        is_heard: Callable[[Account], bool],
        enqueue: Callable[[ObjectKey], None],
        clock: Callable[[], float],
    ) -> None:
        super().__init__(TrainingMemory)
        self._images = images
        self._configmaps = configmaps
        self._is_heard = is_heard
        self._enqueue = enqueue
        self._clock = clock
        self._pipelines = Pipelines(clock)
        self._changed_at: dict[str, float] = {}

    async def run(self, reconciliation: Reconciliation) -> None:
        """Bring the training one step further. Failures are part of the progress, and retried when due.

        Raises Unauthenticated, which concerns more than this object.
        """
        memory, subject = self.memory(reconciliation.uid), reconciliation.subject
        training = subject.endpoint.spec.model.training
        memory.key, memory.is_withdrawn = reconciliation.key, False
        if training is None:
            memory.asked = memory.spec = memory.progress = None
            await self._guarded(reconciliation, lambda: self._stop_recorded(reconciliation, None))
            return
        base, asked = Progress(training.gate.metric, training.gate.at_least), (subject.endpoint.revision, training)
        is_same, memory.asked = memory.asked == asked, asked
        try:
            spec = await self._spec(reconciliation, training)
        except ReconcileError as error:
            # What is known of another commit is of no use to this one.
            memory.spec = memory.spec if is_same else None
            memory.progress = replace(memory.progress if is_same and memory.progress else base, error=error)
            return
        if memory.refused and memory.refused[0] == spec:
            memory.progress = replace(memory.progress or base, error=memory.refused[1])
            return
        memory.refused = None
        if not spec.image:
            memory.spec, memory.progress = None, replace(base, is_waiting=True)
            # What does not depend on the image is then ready when it is.
            if self._is_made(reconciliation):
                account, calls = reconciliation.account, reconciliation.calls
                await self._guarded(reconciliation, lambda: self._pipelines.prepare(account, calls, spec), spec)
            return
        if memory.spec is None or memory.spec.content != spec.content:
            known = subject.endpoint.status.training
            is_known = known is not None and known.content == spec.content
            memory.begin(known.revision if known and is_known else subject.endpoint.revision)
        memory.spec, memory.progress = spec, replace(memory.progress or base, error=None, is_waiting=False)
        await self._guarded(reconciliation, lambda: self._follow(reconciliation, spec), spec)

    async def withdraw(self, reconciliation: Reconciliation) -> None:
        """Have what runs for an object that ends stopped; ``is_withdrawn`` says once that is done."""
        memory = self.memory(reconciliation.uid)
        if not memory.is_withdrawn:
            await self._guarded(reconciliation, lambda: self._withdraw(reconciliation))

    def withdraws_in(self, reconciliation: Reconciliation) -> float | None:
        """In how many seconds to try again to have it stopped; None if that is done, or was not tried."""
        return self.memory(reconciliation.uid).retries.due(self._clock())

    def is_withdrawn(self, reconciliation: Reconciliation) -> bool:
        """Whether nothing is trained for the object any more."""
        return self.memory(reconciliation.uid).is_withdrawn

    def data_url(self, uid: str, subject: Subject) -> str | None:
        """The S3 URL of the trained model for exactly this commit and spec; None while there is none."""
        progress = self._of(uid, subject)
        return progress.package.data_url if progress and progress.package else None

    def withdrawn_by(self, uid: str, subject: Subject) -> Cause | None:
        """Why nothing may serve: the gate has refused the model, and the object asks for nothing older."""
        progress, training = self._of(uid, subject), subject.endpoint.spec.model.training
        if training is None or progress is None or training.on_gate_failure is not OnGateFailure.FAIL:
            return None
        return outcome.cause_of(progress) if progress.is_refused else None

    def progress(self, uid: str) -> Progress | None:
        """What is known of the training; None for an object that trains nothing."""
        return self.memory(uid).progress

    def status(self, reconciliation: Reconciliation) -> Mapping[str, object]:
        """The fields of the status that it determines."""
        memory = self.memory(reconciliation.uid)
        if memory.asked is None:
            return {"training": None} if reconciliation.subject.endpoint.status.training else {}
        progress, spec = memory.progress, memory.spec
        if progress is None or progress.run is None or spec is None:
            return {}
        shown = TrainingStatus(
            pipeline=spec.pipeline,
            execution_arn=progress.run.arn,
            revision=memory.started_for,
            content=spec.content,
            steps=tuple(each.shown for each in progress.steps),
            metric=progress.value,
            package=progress.package.arn if progress.package else None,
        )
        return {"training": shown}

    def changed(self, pipeline: str) -> None:
        """An event says that an execution of the pipeline has changed: have all look that follow one."""
        self._changed_at[pipeline] = self._clock()
        for memory in self._memories.values():
            if memory.spec and memory.spec.pipeline == pipeline and memory.key and not memory.is_settled:
                self._enqueue(memory.key)

    def step_begun(self, execution: str) -> None:
        """An event says that a step of an execution has begun: have the steps shown where it is followed."""
        for memory in self._memories.values():
            run = memory.progress.run if memory.progress else None
            if run and run.arn == execution and memory.key and not memory.is_settled:
                memory.has_begun_step = True
                self._enqueue(memory.key)

    def due(self, reconciliation: Reconciliation) -> float | None:
        """See ``Step``."""
        memory, now = self.memory(reconciliation.uid), self._clock()
        training = reconciliation.subject.endpoint.spec.model.training
        log_due_at = memory.progress.log.due_at if memory.progress else None
        log_wait = None if log_due_at is None else max(0.0, log_due_at - now)
        waits = [wait for wait in (memory.retries.due(now), log_wait) if wait is not None]
        if training and training.pipeline and not self._configmaps.is_watched:
            waits.append(UNWATCHED_SECONDS)
        if memory.spec and not (memory.is_settled or memory.refused or memory.retries.failures):
            waits.append(max(0.0, self._next_look(reconciliation, memory) - now))
        return min(waits, default=None)

    def retry(self, uid: str) -> None:
        """See ``Step``."""
        self.memory(uid).retries.keep_only(())

    def refresh(self, uid: str) -> None:
        """See ``Step``. What has failed is trained again."""
        self.retry(uid)
        memory = self.memory(uid)
        memory.is_asked_again, memory.is_settled, memory.progress, memory.refused = True, False, None, None
        memory.looks, memory.looked_at = 0, 0.0

    def forget(self, uid: str) -> None:
        """See ``Step``."""
        if key := self.memory(uid).key:
            self._configmaps.refer(key, (), _REFERRER)
        super().forget(uid)

    def _of(self, uid: str, subject: Subject) -> Progress | None:
        memory, training = self.memory(uid), subject.endpoint.spec.model.training
        if training is None or memory.asked != (subject.endpoint.revision, training):
            return None
        return memory.progress

    async def _guarded(
        self,
        reconciliation: Reconciliation,
        work: Callable[[], Awaitable[object]],
        spec: TrainingSpec | None = None,
    ) -> None:
        """Do some of the work for a spec, unless it has failed and is not due yet."""
        memory = self.memory(reconciliation.uid)
        try:
            if blocked := memory.retries.blocked(self._clock()):
                raise blocked[_TRAINING]
            await work()
        except Unauthenticated:
            raise
        except ReconcileError as error:
            if isinstance(error, DefinitionInvalid) and spec:
                memory.retries.clear(_TRAINING)
                memory.refused = (spec, error)
            elif memory.retries.error(_TRAINING) is not error:
                memory.retries.note(_TRAINING, error, self._clock())
            if memory.progress:
                memory.progress = replace(memory.progress, error=error)
        else:
            memory.retries.clear(_TRAINING)

    def _is_made(self, reconciliation: Reconciliation) -> bool:
        """Whether the image is on its way: refused and unapproved ones are not."""
        images, image = self._images.memory(reconciliation.uid), image_of(reconciliation.subject)
        state = images.states.get(image) if images.revision == reconciliation.subject.endpoint.revision else None
        return state is not None and state.problem in _UNDER_WAY

    async def _spec(self, reconciliation: Reconciliation, training: Training) -> TrainingSpec:
        """What is to be trained, without ``image`` while that is not pinned. Raises a ReconcileError."""
        subject = reconciliation.subject
        policy, refused = subject.endpoint_class.spec.training, refusal(subject)
        if refused or policy is None:
            raise refused or DefinitionInvalid("the class trains no models")
        definition = await self._definition(reconciliation, training)
        digests = self._images.memory(reconciliation.uid).digests(subject.endpoint.revision)
        digest = digests.get(image_of(subject))
        return desired(subject, training, policy, digest, definition)

    async def _definition(self, reconciliation: Reconciliation, training: Training) -> Definition:
        key, subject = reconciliation.key, reconciliation.subject
        reference = training.pipeline.config_map_ref if training.pipeline else None
        self._configmaps.refer(key, [reference.name] if reference else (), _REFERRER)
        policy = subject.endpoint_class.spec.training
        if reference is None or policy is None:
            return own_definition(subject, training)
        try:
            data = await self._configmaps.data(key.namespace or "", reference.name)
        except KubernetesError as error:
            raise error.problem("GetConfigMap") from error
        if data is None:
            raise DefinitionInvalid(f"the ConfigMap {reference.name} does not exist: create it")
        text = data.get(reference.key)
        if text is None:
            raise DefinitionInvalid(f"the ConfigMap {reference.name} has no key {reference.key}: add it")
        place = f"the definition in the ConfigMap {reference.name}, key {reference.key}"
        try:
            return replace(parsed(text, policy), place=place)
        except DefinitionInvalid as error:
            raise DefinitionInvalid(f"{place}, cannot be used: {error.message}") from error

    async def _follow(self, reconciliation: Reconciliation, spec: TrainingSpec) -> None:
        """Start what is not running, look at what is, and fetch its results once it has ended."""
        memory, now = self.memory(reconciliation.uid), self._clock()
        if memory.is_settled:
            await self._read_log(reconciliation)
            return
        if memory.looked_at and now < self._next_look(reconciliation, memory):
            await self._follow_steps(reconciliation, spec)
            return
        memory.has_begun_step = False
        if not memory.looks and await self._restore(reconciliation, spec):
            return
        await self._stop_recorded(reconciliation, spec.pipeline)
        since = max(memory.started_at, self._changed_at.get(spec.pipeline, 0.0), now if not memory.looks else 0.0)
        fresh = now - self._pace(reconciliation, memory) / 2
        own = await self._own_runs(reconciliation, spec.pipeline, since=max(since, fresh))
        others = (each for each in own if not each.name.startswith(spec.run_names))
        if superseded := [each for each in others if each.status == outcome.EXECUTING]:
            # A definition that SageMaker refuses supersedes nothing.
            await self._pipelines.prepare(reconciliation.account, reconciliation.calls, spec)
        for each in superseded:
            await self._pipelines.stop(reconciliation.account, reconciliation.calls, each.arn)
        same = (each for each in own if each.name.startswith(spec.run_names))
        last = max(same, key=lambda each: each.attempt, default=None)
        if last:
            await self._look(reconciliation, spec, last)
        if last is None or self._starts_again(reconciliation, last):
            await self._start(reconciliation, spec, last.attempt + 1 if last else 1)
        memory.looks, memory.looked_at, memory.is_asked_again = memory.looks + 1, now, False

    async def _follow_steps(self, reconciliation: Reconciliation, spec: TrainingSpec) -> None:
        """Look at the steps of the execution that goes on, if another one has begun."""
        memory = self.memory(reconciliation.uid)
        run = memory.progress.run if memory.progress else None
        if run and memory.has_begun_step:
            memory.has_begun_step = False
            await self._look(reconciliation, spec, run)

    async def _start(self, reconciliation: Reconciliation, spec: TrainingSpec, attempt: int) -> None:
        memory = self.memory(reconciliation.uid)
        # Even if the answer is lost, no list from before shows what there is to be stopped.
        memory.started_at = self._clock()
        run = await self._pipelines.start(reconciliation.account, reconciliation.calls, spec, attempt)
        memory.started_at, memory.started_for = self._clock(), reconciliation.subject.endpoint.revision
        memory.looks, memory.is_settled = 0, False
        if memory.progress:
            memory.progress = Progress(memory.progress.metric, memory.progress.bound, run)

    def _starts_again(self, reconciliation: Reconciliation, last: Run) -> bool:
        """Whether an execution that has ended is to be repeated: on request, or if a later commit had it stopped."""
        memory = self.memory(reconciliation.uid)
        if last.status in outcome.RUNNING or (memory.progress and memory.progress.package):
            return False
        known = reconciliation.subject.endpoint.status.training
        superseded = last.status == outcome.STOPPED and (known is None or known.execution_arn != last.arn)
        return superseded or memory.is_asked_again

    async def _look(self, reconciliation: Reconciliation, spec: TrainingSpec, run: Run) -> None:
        """Have the progress of an execution, with its results once it has ended."""
        memory, account, calls = self.memory(reconciliation.uid), reconciliation.account, reconciliation.calls
        if memory.progress is None:
            return
        steps = await self._pipelines.steps(account, calls, run.arn)
        progress = replace(memory.progress, run=run, steps=steps)
        if run.status == outcome.SUCCEEDED:
            arn = outcome.registered(steps)
            package = await self._package(reconciliation, spec, arn) if arn else None
            value = await self._value(reconciliation, progress.metric, package.evaluation if package else None)
            progress = replace(progress, package=package, value=value)
        elif run.status == outcome.FAILED:
            if outcome.failed_job(steps):
                progress = replace(progress, log=JobLog(due_at=self._clock()))
            elif outcome.was_refused(steps):
                progress = replace(progress, value=await self._refused_value(reconciliation, progress.metric, steps))
        memory.progress, memory.is_settled = progress, run.status not in outcome.RUNNING
        await self._read_log(reconciliation)

    async def _read_log(self, reconciliation: Reconciliation) -> None:
        """Have the last lines of the job that failed, if it is time to read them; the failure counts without them."""
        memory, account, calls = self.memory(reconciliation.uid), reconciliation.account, reconciliation.calls
        progress = memory.progress
        failed = outcome.failed_job(progress.steps) if progress else None
        if progress is None or failed is None or not progress.log.is_due(self._clock()):
            return
        try:
            log = progress.log.read(await self._pipelines.last_lines(account, calls, failed), self._clock())
        except Unauthenticated:
            raise
        except ReconcileError as error:
            log = progress.log.unreadable(error, self._clock())
        memory.progress = replace(progress, log=log)

    async def _restore(self, reconciliation: Reconciliation, spec: TrainingSpec) -> bool:
        """Take a result from the status, if SageMaker still has that very package; returns whether it was there."""
        memory, known = self.memory(reconciliation.uid), reconciliation.subject.endpoint.status.training
        if memory.progress is None or known is None or known.content != spec.content or known.package is None:
            return False
        package = await self._package(reconciliation, spec, known.package)
        if package is None:
            return False
        run = Run(known.execution_arn, spec.run_names, outcome.SUCCEEDED)
        steps = tuple(_restored(each) for each in known.steps)
        memory.progress = replace(memory.progress, run=run, steps=steps, value=known.metric, package=package)
        memory.started_for, memory.is_settled, memory.is_asked_again = known.revision, True, False
        return True

    async def _package(self, reconciliation: Reconciliation, spec: TrainingSpec, arn: str) -> Package | None:
        """A package of this group with this very image; others are not what was trained here."""
        found = await self._pipelines.package(reconciliation.account, reconciliation.calls, arn)
        is_it = found and found.data_url and (found.group, found.image) == (spec.group, spec.image)
        return found if is_it else None

    async def _refused_value(
        self, reconciliation: Reconciliation, metric: str, steps: tuple[outcome.Step, ...]
    ) -> float | None:
        """The metric of a model that was not registered; not known if it may not be found, as in ``_value``."""
        try:
            url = await self._pipelines.evaluation(reconciliation.account, reconciliation.calls, steps)
        except (Denied, Invalid):
            return None
        return await self._value(reconciliation, metric, url)

    async def _value(self, reconciliation: Reconciliation, metric: str, url: str | None) -> float | None:
        """The metric in the figures at a URL; not known if they may not be read, as the model is judged without."""
        try:
            content = await self._pipelines.read(reconciliation.account, reconciliation.calls, url) if url else None
        except (Denied, Invalid):
            return None
        return outcome.number_at(content, metric) if content else None

    async def _withdraw(self, reconciliation: Reconciliation) -> None:
        memory, known = self.memory(reconciliation.uid), reconciliation.subject.endpoint.status.training
        subject = reconciliation.subject
        training = subject.endpoint.spec.model.training
        pipelines = {
            *((pipeline_name(subject, training),) if training else ()),
            *((known.pipeline,) if known and known.package is None else ()),
        }
        for pipeline in pipelines if not memory.is_settled else ():
            await self._stop_all(reconciliation, pipeline)
        memory.is_withdrawn = True

    async def _stop_recorded(self, reconciliation: Reconciliation, pipeline: str | None) -> None:
        """Have what runs in an earlier pipeline of the object stopped."""
        known = reconciliation.subject.endpoint.status.training
        if known and known.pipeline != pipeline and known.package is None:
            await self._stop_all(reconciliation, known.pipeline)

    async def _stop_all(self, reconciliation: Reconciliation, pipeline: str) -> None:
        since = self.memory(reconciliation.uid).started_at
        for each in await self._own_runs(reconciliation, pipeline, since=since):
            if each.status == outcome.EXECUTING:
                await self._pipelines.stop(reconciliation.account, reconciliation.calls, each.arn)

    async def _own_runs(self, reconciliation: Reconciliation, pipeline: str, *, since: float) -> list[Run]:
        runs = await self._pipelines.runs(reconciliation.account, pipeline, since=since)
        return [each for each in runs if each.name.startswith(runs_of(reconciliation.subject.names.owner))]

    def _pace(self, reconciliation: Reconciliation, memory: TrainingMemory) -> float:
        """Seconds between looks at an execution."""
        if self._is_heard(reconciliation.account):
            return NOTIFIED_SECONDS
        first, longest = POLL_SECONDS
        return poll_delay(max(1, memory.looks), first=first, longest=longest)

    def _next_look(self, reconciliation: Reconciliation, memory: TrainingMemory) -> float:
        """When to look at an execution again: at once after an event."""
        pipeline = memory.spec.pipeline if memory.spec else ""
        changed_at = self._changed_at.get(pipeline, 0.0)
        if changed_at > memory.looked_at:
            return changed_at
        return memory.looked_at + self._pace(reconciliation, memory)


def _restored(step: TrainedStep) -> outcome.Step:
    is_cached = step.status == "Cached"
    status = outcome.SUCCEEDED if is_cached else step.status
    return outcome.Step(step.name, status, step.job_arn, is_cached=is_cached, failure=step.message or "")
