"""Reconciles objects: a living one towards what its spec says, one that is deleted or expired towards nothing."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from ephemeral_endpoints.api.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import Account, Accounts, Identity
from ephemeral_endpoints.core import conditions
from ephemeral_endpoints.core.conditions import Situation
from ephemeral_endpoints.core.desired import NOTHING, Resolved, Subject, desired
from ephemeral_endpoints.core.errors import AwsError, Problem, Unauthenticated
from ephemeral_endpoints.core.lifecycle import is_retired_on_expiry
from ephemeral_endpoints.core.names import api_name, owner_of
from ephemeral_endpoints.core.paths import Claim, holder_of
from ephemeral_endpoints.core.plan import Desired, Step, Update, is_ready
from ephemeral_endpoints.core.resources import EndpointSpec, Haves, Key, Kind, Phase
from ephemeral_endpoints.kube.client import Conflict, Gone, Kube
from ephemeral_endpoints.kube.store import FINALIZER, ObjectKey, Store
from ephemeral_endpoints.reconcile.act import View, converge
from ephemeral_endpoints.reconcile.memory import Memory
from ephemeral_endpoints.reconcile.observe import Observer, probe_delay
from ephemeral_endpoints.reconcile.report import Facts, Reporter

logger = logging.getLogger(__name__)

ACCOUNT: Final = "account"
CONFLICT_SECONDS: Final = 0.5
IMAGE: Final = "image"
_SERVING: Final = frozenset({Kind.MODEL, Kind.ENDPOINT_CONFIG, Kind.ENDPOINT})


@dataclass(slots=True)
class Run:
    """One reconciliation of one object, whose spec may change under it."""

    key: ObjectKey
    subject: Subject
    account: Account
    memory: Memory
    identity: Identity
    errors: dict[Key, Problem]
    path_holder: str | None = None
    rolled_back: bool = False

    @property
    def own(self) -> Haves:
        """What the object has in AWS, as far as is known."""
        return self.account.inventory.of(self.identity.owner)

    @property
    def others(self) -> Haves:
        """What it shares with the other objects of its class."""
        klass = self.subject.klass.metadata
        shared = owner_of(self.subject.cluster_id, api_name(self.subject.cluster_id, klass.name, klass.uid))
        return self.account.inventory.of(shared or "")


class EndpointReconciler:
    """Reconciles EphemeralEndpoints. ``now`` is the time of day in UTC, ``clock`` monotonic seconds."""

    def __init__(  # noqa: PLR0913 - the two edges, what is known, and two clocks
        self,
        *,
        cluster_id: str,
        store: Store,
        accounts: Accounts,
        kube: Kube,
        observer: Observer,
        wake: Callable[[ObjectKey], None],
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        self._cluster_id = cluster_id
        self._store = store
        self._accounts = accounts
        self._kube = kube
        self._observer = observer
        self._wake = wake
        self._reporter = Reporter(kube, store, now)
        self._now = now
        self._clock = clock
        self._memories: dict[ObjectKey, Memory] = {}

    async def __call__(self, key: ObjectKey) -> float | None:
        """Reconcile the object; returns in how many seconds it is due again, None if only a change can make it so."""
        try:
            return await self._dispatch(key)
        except Conflict:
            return CONFLICT_SECONDS
        except Gone:
            return None

    async def _dispatch(self, key: ObjectKey) -> float | None:
        endpoint = self._store.endpoint(key)
        if endpoint is None or _is_released(endpoint):
            self._memories.pop(key, None)
            if endpoint is not None:
                self._store.remove(key, endpoint.metadata.uid)
            return None
        class_name = self._store.class_name_of(endpoint)
        klass = self._store.named_class(class_name) if class_name else None
        if klass is None:
            await self._without_class(key, endpoint, class_name)
            return None
        memory = self._remember(key, endpoint)
        try:
            account = await self._accounts.of_region(klass.spec.region)
        except AwsError as error:
            return await self._without_account(key, endpoint, memory, error)
        endpoint = await self._adopted(key, endpoint, klass)
        return await self._reconcile(key, endpoint, klass, account, memory)

    async def _reconcile(
        self,
        key: ObjectKey,
        endpoint: EphemeralEndpoint,
        klass: EphemeralEndpointClass,
        account: Account,
        memory: Memory,
    ) -> float | None:
        subject = Subject(self._cluster_id, endpoint, klass)
        leaving = self._is_leaving(subject)
        identity = Identity(subject.names.owner, endpoint.metadata.uid, leaving)
        failed = {
            what: error for what, error in memory.retries.standing(self._clock()).items() if isinstance(what, Key)
        }
        run = Run(key, subject, account, memory, identity, failed)
        try:
            await account.settle(identity.owner)
            due = await (self._leave(run) if leaving else self._live(run))
        except Problem as problem:
            if isinstance(problem, Unauthenticated):
                self._accounts.forget(account)
            return await self._without_account(key, endpoint, memory, problem)
        memory.retries.clear(ACCOUNT)
        return due

    async def _live(self, run: Run) -> float | None:
        run.path_holder = self._path_holder(run)
        await asyncio.gather(
            self._look_up_image(run), self._observer.token(run.subject, self._store.raw(run.key), run.memory)
        )
        await self._act(run)
        if self._is_leaving(self._current(run)):
            return 0.0
        view = self._view(run)
        url = _url(run, view.desired)
        if (
            url
            and not run.errors
            and all(is_ready(want, {**view.others, **view.own}) for want in view.desired.wants)
            and not view.desired.hold
        ):
            await self._observer.answer(run.subject, url, _serving(run, url), run.memory)
        await self._read_last_lines(run, view)
        await self._report_living(run, view, url)
        return self._due(run, url)

    async def _leave(self, run: Run) -> float | None:
        endpoint = run.subject.endpoint
        is_deleted = endpoint.metadata.deletion_timestamp is not None
        if not is_deleted and not is_retired_on_expiry(
            endpoint.spec.lifecycle.on_expiry, endpoint.metadata.labels, endpoint.metadata.annotations
        ):
            raw = self._store.raw(run.key)
            await self._kube.event(
                raw, kind="Normal", reason="Expired", message="the time to live is over: the object is deleted"
            )
            self._store.put(await self._kube.delete(raw))
        await self._act(run)
        if not run.own:
            await run.account.refresh(run.account.kinds, since=run.memory.last_step_at)
        left = run.own
        if not left and is_deleted:
            await self._release(run)
            return None
        await self._report_leaving(run, left, is_deleted=is_deleted)
        if not left:
            self._wake_neighbours(run)
        return self._retry_due(run.memory)

    async def _act(self, run: Run) -> None:
        tried_before = dict(run.errors)
        await converge(
            run.account, run.identity, lambda: self._view(run), run.errors, lambda step: self._took(run, step)
        )
        now = self._clock()
        for key, error in run.errors.items():
            if key not in tried_before:
                run.memory.retries.note(key, error, now)
        run.memory.retries.keep_only(frozenset({*run.errors, ACCOUNT, IMAGE}))

    def _took(self, run: Run, step: Step) -> None:
        run.memory.last_step_at = self._clock()
        run.memory.retries.clear(step.key)
        if isinstance(step, Update) and isinstance(step.want.spec, EndpointSpec):
            run.memory.rollout = run.memory.rollout.begun(step.want.spec.config)

    def _view(self, run: Run) -> View:
        subject = self._current(run)
        if self._is_leaving(subject):
            return View(NOTHING, run.own, run.others)
        memory = run.memory
        fits = memory.image_of == (subject.endpoint.spec.model.image, subject.endpoint.spec.source.revision)
        digest = memory.image.digest if memory.image and fits else None
        wanted = desired(subject, Resolved(digest, memory.token_sha256, owns_path=run.path_holder is None))
        return View(self._without_failed_rollout(run, wanted), run.own, run.others)

    def _without_failed_rollout(self, run: Run, wanted: Desired) -> Desired:
        """A revision that SageMaker rolled back is not tried again.

        What serves is left alone until the spec changes.
        """
        run.memory.rollout = run.memory.rollout.seen(run.own.get(Key(Kind.ENDPOINT, run.subject.names.base)))
        config = next((want.spec.config for want in wanted.wants if isinstance(want.spec, EndpointSpec)), None)
        run.rolled_back = config is not None and run.memory.rollout.failed == config
        if not run.rolled_back:
            return wanted
        kept = tuple(want for want in wanted.wants if want.key.kind not in _SERVING)
        return Desired(kept, wanted.hold | _SERVING)

    async def _look_up_image(self, run: Run) -> None:
        if IMAGE in run.memory.retries.standing(self._clock()):
            return
        try:
            await self._observer.image(run.subject, run.account, run.memory)
        except Unauthenticated:
            raise
        except AwsError as error:
            run.memory.retries.note(IMAGE, error, self._clock())
        else:
            run.memory.retries.clear(IMAGE)

    async def _read_last_lines(self, run: Run, view: View) -> None:
        endpoint = view.own.get(Key(Kind.ENDPOINT, run.subject.names.base))
        if endpoint and (endpoint.phase is Phase.FAILED or run.rolled_back):
            await self._observer.last_lines(run.subject, run.account, endpoint, run.memory)

    async def _report_living(self, run: Run, view: View, url: str | None) -> None:
        memory, subject = run.memory, run.subject
        image_failure = memory.retries.failures.get(IMAGE)
        situation = Situation(
            desired=view.desired,
            own=view.own,
            others=view.others,
            image=memory.image,
            errors=run.errors,
            problems=(image_failure.error,) if image_failure else (),
            path_holder=run.path_holder,
            answered=url is not None and memory.answered_by == _serving(run, url),
            answer=memory.answer,
            last_lines=memory.last_lines,
            rolled_back=run.rolled_back,
            note=_note(subject),
        )
        verdicts = conditions.of_living(situation)
        facts = Facts(
            verdicts,
            own=view.own,
            subject=subject,
            digest=memory.image.digest if memory.image else None,
            url=url,
            serves=verdicts[0].truth is conditions.Truth.TRUE,
        )
        await self._reporter.tell(run.key, subject.endpoint, facts)

    async def _report_leaving(self, run: Run, left: Haves, *, is_deleted: bool) -> None:
        reason, message = (
            ("Deleting", "everything in AWS is being deleted")
            if is_deleted
            else ("Expired", "the time to live is over")
        )
        verdicts = conditions.of_leaving(reason, message, left.values(), tuple(run.errors.values()))
        await self._reporter.tell(run.key, self._current(run).endpoint, Facts(verdicts, own=left, subject=run.subject))

    async def _without_class(self, key: ObjectKey, endpoint: EphemeralEndpoint, name: str | None) -> None:
        message = (
            f"the EphemeralEndpointClass {name} does not exist: make it or choose another"
            if name
            else "spec.className is not set and no EphemeralEndpointClass is marked as default"
        )
        await self._reporter.tell(key, endpoint, Facts(conditions.without_class(message)))

    async def _without_account(
        self, key: ObjectKey, endpoint: EphemeralEndpoint, memory: Memory, problem: Problem
    ) -> float:
        now = self._clock()
        memory.retries.note(ACCOUNT, problem, now)
        await self._reporter.tell(key, endpoint, Facts(conditions.without_account(problem), keep_conditions=True))
        return memory.retries.failures[ACCOUNT].retry_at - now

    async def _adopted(
        self, key: ObjectKey, endpoint: EphemeralEndpoint, klass: EphemeralEndpointClass
    ) -> EphemeralEndpoint:
        if FINALIZER in endpoint.metadata.finalizers:
            return endpoint
        self._store.put(await self._kube.adopt(self._store.raw(key), klass.metadata.name))
        return self._store.endpoint(key) or endpoint

    async def _release(self, run: Run) -> None:
        left = await self._kube.release(self._store.raw(run.key))
        if left is None:
            self._store.remove(run.key, run.identity.uid)
        else:
            self._store.put(left)
        self._wake_neighbours(run)
        logger.info("everything is gone", extra={"object": str(run.key), "uid": run.identity.uid})

    def _wake_neighbours(self, run: Run) -> None:
        """What waited for this object to give way: the class, and who asks for the same path."""
        class_name = run.subject.klass.metadata.name
        self._wake(ObjectKey(None, class_name))
        for key, _ in self._store.sharing_path(run.subject.path, class_name):
            if key != run.key:
                self._wake(key)

    def _remember(self, key: ObjectKey, endpoint: EphemeralEndpoint) -> Memory:
        """The object's memory; failures are forgotten when the object changes.

        So that a corrected spec is tried at once.
        """
        memory = self._memories.get(key)
        if memory is None or memory.uid != endpoint.metadata.uid:
            memory = self._memories[key] = Memory(endpoint.metadata.uid)
        state = (endpoint.metadata.generation, endpoint.metadata.deletion_timestamp is not None)
        if memory.state != state:
            memory.state = state
            memory.retries.keep_only(frozenset())
        return memory

    def _current(self, run: Run) -> Subject:
        newest = self._store.endpoint(run.key)
        same = newest is not None and newest.metadata.uid == run.identity.uid
        return replace(run.subject, endpoint=newest) if same and newest is not None else run.subject

    def _is_leaving(self, subject: Subject) -> bool:
        return subject.endpoint.metadata.deletion_timestamp is not None or subject.lifetime.is_over(self._now())

    def _path_holder(self, run: Run) -> str | None:
        """The other object that has the path, None if it is this one's."""
        subject = self._current(run)
        claims = (
            _claim(key, other)
            for key, endpoint in self._store.sharing_path(subject.path, subject.klass.metadata.name)
            if not self._is_leaving(other := replace(subject, endpoint=endpoint)) or _has_route(run.account, other)
        )
        holder = holder_of(subject.path, claims)
        return holder.holder if holder and holder.uid != run.identity.uid else None

    def _due(self, run: Run, url: str | None) -> float:
        memory, now = run.memory, self._clock()
        waits = [max(0.0, (run.subject.lifetime.expires_at - self._now()) / timedelta(seconds=1))]
        if (retry := self._retry_due(memory)) is not None:
            waits.append(retry)
        if memory.image and memory.image.problem:
            waits.append(max(0.0, memory.image_due - now))
        if url and memory.probes:
            waits.append(probe_delay(memory))
        return min(waits)

    def _retry_due(self, memory: Memory) -> float | None:
        at = memory.retries.next_at()
        return None if at is None else max(0.0, at - self._clock())


def _is_released(endpoint: EphemeralEndpoint) -> bool:
    return endpoint.metadata.deletion_timestamp is not None and FINALIZER not in endpoint.metadata.finalizers


def _has_route(account: Account, subject: Subject) -> bool:
    return any(key.kind is Kind.ROUTE for key in account.inventory.of(subject.names.owner))


def _claim(key: ObjectKey, subject: Subject) -> Claim:
    metadata = subject.endpoint.metadata
    created_at = metadata.creation_timestamp or subject.lifetime.expires_at
    return Claim(created_at, metadata.uid, subject.path, str(key))


def _url(run: Run, wanted: Desired) -> str | None:
    """The public URL, once the route to it is there."""
    api = run.others.get(run.subject.api_key)
    routed = any(want.key.kind is Kind.ROUTE and is_ready(want, run.own) for want in wanted.wants)
    return f"{api.url.rstrip('/')}{run.subject.path}" if api and routed else None


def _serving(run: Run, url: str) -> tuple[str, ...]:
    """Everything that an answer through the URL depends on."""
    specs: Mapping[Kind, Any] = {have.key.kind: have.spec for have in run.own.values()}
    endpoint, function = specs.get(Kind.ENDPOINT), specs.get(Kind.FUNCTION)
    return (url, endpoint.config if endpoint else "", function.code_sha256 if function else "")


def _note(subject: Subject) -> str:
    if not subject.lifetime.capped:
        return ""
    return "the ttl is longer than the class allows and was cut to the class's maxTtl"
