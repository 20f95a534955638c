"""Triggers: events, which EventBridge puts into an SQS queue, say when endpoints, pipelines and builds are looked at.

Forwarders put their notices into the same queue, which are handed on as they come. So are ends of builds and changes
of model packages: what they concern is read again.

An event is never believed: it causes a list, and the list says what is true. Duplicates, disorder and forgeries
therefore cost at most a list, of which there is one for all events that have come in. Without any event the polls of
``aws.freshness`` see the same, only later.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.clients import Access
from ephemeral_endpoints.aws.limits import Sleep
from ephemeral_endpoints.aws.threads import DaemonThreads
from ephemeral_endpoints.engine.backoff import delay
from ephemeral_endpoints.engine.errors import AwsError, ReconcileError, Transient, Unauthenticated
from ephemeral_endpoints.engine.names import owner_of
from ephemeral_endpoints.engine.sharding import WHOLE, Shard
from ephemeral_endpoints.features.serving.event_messages import Changed, Kind, changed_in
from ephemeral_endpoints.features.serving.iam import EVENTS
from ephemeral_endpoints.features.serving.notices import Notice, OnNotice, notice_in
from ephemeral_endpoints.features.serving.reasons import EventsUnavailable
from ephemeral_endpoints.iam.statement import granted

logger = logging.getLogger(__name__)

ACTIONS: Final = granted(EVENTS)
"""DeleteMessageBatch is authorised as sqs:DeleteMessage."""

WAIT_SECONDS: Final = 20
"""The longest that SQS holds an empty answer back."""

VISIBILITY_SECONDS: Final = 5
"""So soon messages come again that were not deleted: an answer may be lost, or go to a process that has just ended."""

BATCH: Final = 10
"""As many messages as SQS hands out or deletes in one call."""

MOST_MESSAGES: Final = 100
TOLERATED_FAILURES: Final = 3
"""Fewer consecutive transient failures are not reported."""


@dataclass(frozen=True, slots=True)
class EventQueue:
    """A queue, by its name and the way to its account and region."""

    access: Access
    name: str

    @classmethod
    def of(cls, endpoint_class: EphemeralEndpointClass, shard: Shard) -> Self | None:
        """The queue that a class names; each further shard has one of its own, with its index behind the name.

        SQS hands a message to one receiver only.
        """
        name = queue_name(endpoint_class, shard)
        return cls(Access.of(endpoint_class), name) if name else None


def queue_name(endpoint_class: EphemeralEndpointClass, shard: Shard) -> str | None:
    """The name of the class's queue that a shard reads; None for a class without one."""
    if endpoint_class.spec.events is None:
        return None
    suffix = "" if shard.is_first else f"-{shard.index}"
    return f"{endpoint_class.spec.events.queue_name}{suffix}"


@dataclass(slots=True)
class _Heard:
    """What messages say that is to be acted on: endpoints of this operator by name, executions of its pipelines."""

    events: int = 0
    endpoints: set[str] = field(default_factory=set)
    pipelines: set[Changed] = field(default_factory=set)
    malformed: list[str] = field(default_factory=list)


class EndpointEvents:
    """Listens to queues. Times are seconds, of a monotonic clock.

    Events cause at most one list in ``seconds`` per queue. ``on_change`` is called with the name of each class whose
    queue's error appeared, changed or was resolved; ``on_notice`` with each notice, once for each class of the queue,
    and ``on_package`` likewise with the group of each model package that has changed; ``on_progress`` with each
    pipeline of which an execution has changed, and with each build that has ended.
    """

    def __init__(  # noqa: PLR0913 - the way into AWS, a callback, and times
        self,
        accounts: Accounts,
        *,
        seconds: float,
        clock: Callable[[], float],
        on_change: Callable[[str], None],
        on_notice: OnNotice,
        on_progress: Callable[[Changed], None],
        on_package: Callable[[str, str], None],
        shard: Shard = WHOLE,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._shard = shard
        self._accounts = accounts
        self._seconds = seconds
        self._clock = clock
        self._on_change = on_change
        self._on_notice = on_notice
        self._on_progress = on_progress
        self._on_package = on_package
        self._sleep = sleep
        self._queues: dict[str, EventQueue] = {}
        self._listeners: dict[EventQueue, Listener] = {}
        self._tasks: dict[EventQueue, asyncio.Task[None]] = {}
        self._stopped = False

    def follow(self, classes: Iterable[EphemeralEndpointClass]) -> None:
        """Listen to exactly the queues that these classes name from now on; returns at once."""
        if self._stopped:
            return
        self._queues = {
            endpoint_class.metadata.name: queue
            for endpoint_class in classes
            if (queue := EventQueue.of(endpoint_class, self._shard))
        }
        queues = frozenset(self._queues.values())
        for queue in self._tasks.keys() - queues:
            self._tasks.pop(queue).cancel()
            del self._listeners[queue]
        for queue in queues - self._tasks.keys():
            self._listeners[queue] = listener = Listener(
                queue,
                self._accounts,
                self._seconds,
                self._clock,
                self._changed,
                self._noticed,
                self._on_progress,
                self._package_changed,
                self._sleep,
            )
            self._tasks[queue] = asyncio.create_task(listener.run(), name=f"events from {queue.name}")

    def events_error(self, endpoint_class: EphemeralEndpointClass) -> ReconcileError | None:
        """The error that keeps the queue of a class from being read."""
        queue = EventQueue.of(endpoint_class, self._shard)
        listener = self._listeners.get(queue) if queue else None
        return listener.events_error if listener else None

    def is_known(self, endpoint_class: EphemeralEndpointClass) -> bool:
        """Whether it was tried already to read the queue of a class, if it has one."""
        queue = EventQueue.of(endpoint_class, self._shard)
        listener = self._listeners.get(queue) if queue else None
        return queue is None or (listener is not None and listener.is_known)

    def is_heard(self, account: Account) -> bool:
        """Whether events of the account's endpoints can be expected."""
        return any(each.is_hearing for each in self._of(account))

    def is_registry_heard(self, account: Account) -> bool:
        """Whether events of the account's model packages can be expected.

        A rule of EventBridge may be older than them, which nothing but the first one of them disproves.
        """
        return any(each.is_hearing and each.has_heard_registry for each in self._of(account))

    def _of(self, account: Account) -> "Iterable[Listener]":
        place = (account.scope.account_id, account.scope.region)
        return (each for queue, each in self._listeners.items() if (queue.access.account, queue.access.region) == place)

    def _changed(self, queue: EventQueue) -> None:
        for name, each in self._queues.items():
            if each == queue:
                self._on_change(name)

    def _noticed(self, queue: EventQueue, notice: Notice) -> None:
        for name, each in self._queues.items():
            if each == queue:
                self._on_notice(name, notice)

    def _package_changed(self, queue: EventQueue, group: str) -> None:
        for name, each in self._queues.items():
            if each == queue:
                self._on_package(name, group)

    async def stop(self) -> None:
        """Stop listening. Messages that were received and not deleted are delivered again to the next receiver."""
        tasks = list(self._tasks.values())
        self.follow(())
        self._stopped = True
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(slots=True)
class Listener:
    """Listens to one queue: ``run`` does, until cancelled."""

    queue: EventQueue
    accounts: Accounts
    seconds: float
    clock: Callable[[], float]
    on_change: Callable[[EventQueue], None]
    on_notice: Callable[[EventQueue, Notice], None]
    on_progress: Callable[[Changed], None]
    on_package: Callable[[EventQueue, str], None]
    sleep: Sleep
    events_error: EventsUnavailable | None = None
    is_known: bool = False
    """Whether the queue was read, or could not be for a reason that ``events_error`` gives."""

    has_heard_registry: bool = False
    """Whether a model package has ever been told of."""

    _undeletable: bool = False
    _readable: bool = False
    _url: str | None = None
    _rest_until: float = 0.0
    _threads: DaemonThreads = field(default_factory=DaemonThreads)

    @property
    def is_hearing(self) -> bool:
        """Whether events arrive, as far as is known."""
        return self._readable and self.events_error is None

    async def run(self) -> None:
        """Receive, look, delete; after a failure again, with growing pauses."""
        failures = 0
        while True:
            try:
                await self._turn()
                failures = 0
            except AwsError as error:
                failures += 1
                self._failed(error, failures)
                await self.sleep(delay(error, failures))

    async def _turn(self) -> None:
        account = await self.accounts.by(self.queue.access)
        try:
            await self._hear(account)
        except Unauthenticated:
            self.accounts.forget(account)
            raise

    async def _hear(self, account: Account) -> None:
        # Whether a queue can be read is to be known at once; only then is there time to wait for messages.
        messages = await self._receive(account, WAIT_SECONDS if self._readable else 0)
        self._readable = True
        if messages:
            await self._heed(account, messages)
        # An empty queue does not prove that messages can be deleted.
        self._undeletable = self._undeletable and not messages
        self._note(self.events_error if self._undeletable else None)

    async def _heed(self, account: Account, messages: list[Any]) -> None:
        heard, cluster_id = _Heard(), account.scope.cluster_id
        self._hear_of(messages, cluster_id, heard)
        if not heard.events:
            await self._delete(account, messages)
            return
        await self.sleep(max(0.0, self._rest_until - self.clock()))
        began = self.clock()
        while len(messages) < MOST_MESSAGES and len(messages) % BATCH == 0:
            more = await self._receive(account, 0)
            if not more:
                break
            messages += more
            self._hear_of(more, cluster_id, heard)
        if heard.malformed:
            logger.warning(
                "dropped messages that are neither events of AWS nor notices",
                extra={"count": len(heard.malformed), "error": heard.malformed[0]},
            )
        for each in heard.pipelines:
            self.on_progress(each)
        if heard.endpoints:
            try:
                await self._refresh(account)
            except Unauthenticated:
                raise
            except AwsError as error:
                # The queue is not the cause. Messages that are not deleted are delivered again.
                logger.warning(
                    "the operator could not list AWS; it tries again",
                    extra={"error": str(error), "region": account.scope.region},
                )
                return
        if heard.endpoints or heard.pipelines:
            self._rest_until = began + self.seconds
        await self._delete(account, messages)

    def _hear_of(self, messages: list[Any], cluster_id: str, heard: _Heard) -> None:
        """Hand on what waits for no list: notices, ends of builds, changes of packages. Add the rest to ``heard``."""
        for message in messages:
            if notice := notice_in(message["Body"]):
                self.on_notice(self.queue, notice)
                continue
            try:
                changed = changed_in(message["Body"])
            except ValueError as error:
                heard.malformed.append(str(error))
                changed = None
            if changed and changed.kind is Kind.PACKAGE_GROUP:
                self.has_heard_registry = True
                self.on_package(self.queue, changed.name)
                continue
            if changed and changed.kind is Kind.BUILD:
                self.on_progress(changed)
                continue
            heard.events += 1
            if changed and owner_of(cluster_id, changed.name):
                if changed.kind is Kind.PIPELINE:
                    heard.pipelines.add(changed)
                else:
                    heard.endpoints.add(changed.name)

    async def _refresh(self, account: Account) -> None:
        """List what changed, for other roles in the same account and region too: a message is received only once."""
        since = self.clock()
        others = (each for each in self.accounts.sharing(account.scope) if each is not account)
        listing = [each.poll(since=since) for each in (account, *others)]
        mine, *theirs = await asyncio.gather(*listing, return_exceptions=True)
        for error in (each for each in theirs if each):
            logger.warning(
                "the operator could not list AWS; it tries again",
                extra={"error": str(error), "region": account.scope.region},
            )
        if mine:
            raise mine

    async def _receive(self, account: Account, wait: int) -> list[Any]:
        sqs = account.clients.sqs
        if self._url is None:
            self._url = (await account.calls(sqs.get_queue_url, QueueName=self.queue.name))["QueueUrl"]
        calls = replace(account.calls, pool=self._threads)
        answer = await calls(
            sqs.receive_message,
            QueueUrl=self._url,
            MaxNumberOfMessages=BATCH,
            VisibilityTimeout=VISIBILITY_SECONDS,
            WaitTimeSeconds=wait,
        )
        return list(answer.get("Messages", ()))

    async def _delete(self, account: Account, messages: list[Any]) -> None:
        for start in range(0, len(messages), BATCH):
            batch = messages[start : start + BATCH]
            answer = await account.calls(
                account.clients.sqs.delete_message_batch,
                QueueUrl=self._url or "",
                Entries=[{"Id": str(at), "ReceiptHandle": each["ReceiptHandle"]} for at, each in enumerate(batch)],
            )
            if failed := answer.get("Failed"):
                logger.warning(
                    "SQS did not delete messages; they are delivered again",
                    extra={"count": len(failed), "code": failed[0]["Code"]},
                )

    def _failed(self, error: AwsError, failures: int) -> None:
        self._readable, self._url = False, None
        self._undeletable = self._undeletable or error.operation == "DeleteMessageBatch"
        if isinstance(error, Transient) and failures < TOLERATED_FAILURES:
            return
        self._note(EventsUnavailable.of(self.queue.name, error))

    def _note(self, error: EventsUnavailable | None) -> None:
        """Keep what keeps the queue from being read, and pass on what was not known before."""
        if self.is_known and str(error) == str(self.events_error):
            return
        if error:
            logger.warning(
                "the operator cannot read the queue of events; it polls",
                extra={"queue": self.queue.name, "error": str(error)},
            )
        elif self.events_error:
            logger.info("events are heard again", extra={"queue": self.queue.name})
        self.events_error, self.is_known = error, True
        self.on_change(self.queue)
