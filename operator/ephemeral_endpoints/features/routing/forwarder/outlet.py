"""Where answers go besides their caller: sinks of AWS, each served by a thread of its own.

The answer waits for all sinks together, but for no more than ``WAIT_SECONDS``, and is given whatever becomes of the
messages. A sink holds one message at a time: what comes while it hangs is lost, and counted.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from ephemeral_endpoints.features.routing.forwarder.connection import CallError
from ephemeral_endpoints.features.routing.forwarder.messages import PURPOSE_HEADER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import ClassVar, Protocol

    from ephemeral_endpoints.features.routing.forwarder.exchange import Exchange
    from ephemeral_endpoints.features.routing.forwarder.invocation import Request
    from ephemeral_endpoints.features.routing.forwarder.messages import Answer
    from ephemeral_endpoints.features.routing.forwarder.sink import Message, Sink
    from ephemeral_endpoints.features.routing.forwarder.variants import Target

    class Source(Protocol):
        """What makes the messages of answers."""

        terms: ClassVar[Terms]

        def selects(self, exchange: Exchange) -> bool:
            """Whether the answer to a request is of interest, as far as that is known before it is there."""
            ...

        def selects_answer(self, answer: Answer) -> bool:
            """Whether that answer is."""
            ...

        def message(self, exchange: Exchange, target: Target, request: Request, answer: Answer) -> Message:
            """The message of an answer."""
            ...


WAIT_SECONDS = 0.05
"""The longest that an answer waits for its messages to be taken."""

NAMESPACE = "EphemeralEndpoints"
"""The namespace of the metrics of what is lost."""


class Outcome(StrEnum):
    """What became of a message."""

    DELIVERED = "Delivered"
    LATE = "Late"
    """It was not taken in time. It may be taken yet, unless Lambda ends the process before."""
    LOST = "Lost"


class Delivery(NamedTuple):
    """What became of a message, and why it was lost: a code of AWS, or of ours."""

    outcome: Outcome
    cause: str | None = None


class Terms(NamedTuple):
    """How the log line tells of an outlet.

    Attributes:
        member: the member with the outcome; the cause is in the one with ``Cause`` behind.
        delivered: the outcome of what the sink has taken.
        metric: counts what is lost, or may be.
        dimension: the metric's dimension, whose value is the sink's name.
    """

    member: str
    delivered: str
    metric: str
    dimension: str


class Outlet:
    """Sends the messages of one source. Only the sink knows AWS; it works in a thread of its own."""

    def __init__(self, source: Source, sink: Sink) -> None:
        self.terms, self.target = source.terms, sink.target
        self._source = source
        self._sink = sink
        self._worker = ThreadPoolExecutor(1)
        self._pending: Future[str | None] | None = None

    def begin(self, exchange: Exchange) -> None:
        """Connect to the sink while the model works, if a message is to be expected."""
        if _is_use(exchange) and self._source.selects(exchange) and not self._is_busy():
            self._worker.submit(self._sink.connect)

    def send(self, exchange: Exchange, target: Target, request: Request, answer: Answer) -> Future[str | None] | None:
        """Send the message of an answer; the result is why it was lost. None if there is none to be sent."""
        if not (_is_use(exchange) and self._source.selects(exchange) and self._source.selects_answer(answer)):
            return None
        if self._is_busy():
            # The sink hangs: to wait for it with every answer would help nobody.
            busy: Future[str | None] = Future()
            busy.set_result("Busy")
            return busy
        self._pending = self._worker.submit(self._put, exchange, target, request, answer)
        return self._pending

    def close(self) -> None:
        """End the thread and the connection."""
        self._worker.shutdown()
        self._sink.close()

    def _is_busy(self) -> bool:
        return self._pending is not None and not self._pending.done()

    def _put(self, exchange: Exchange, target: Target, request: Request, answer: Answer) -> str | None:
        try:
            self._sink.put(self._source.message(exchange, target, request, answer))
        except CallError as error:
            return error.code
        except Exception as error:  # noqa: BLE001 - the model has answered, and the caller gets that
            # A TimeoutError must not be taken for that of the wait.
            return type(error).__name__
        return None


def deliver(outlets: Sequence[Outlet], exchange: Exchange, target: Target, request: Request, answer: Answer) -> None:
    """Send the messages of an answer, and note in the exchange what came of them. Never raises."""
    sent = [(each, each.send(exchange, target, request, answer)) for each in outlets]
    until = time.monotonic() + WAIT_SECONDS
    for each, pending in sent:
        if pending:
            exchange.deliveries[each.terms.member] = _outcome(pending, until)


def log_members(outlets: Sequence[Outlet], exchange: Exchange) -> dict[str, object]:
    """What the log line says, with the metrics of what is lost, or may be, in CloudWatch's embedded format.

    A metric costs by the hour in which it has a value: what is delivered is not counted.
    """
    line: dict[str, object] = {}
    directives = []
    for each in outlets:
        if (found := exchange.deliveries.get(each.terms.member)) is None:
            continue
        member, delivered, metric, dimension = each.terms
        is_delivered = found.outcome is Outcome.DELIVERED
        line |= {member: delivered if is_delivered else found.outcome, f"{member}Cause": found.cause}
        if not is_delivered:
            line |= {dimension: each.target, metric: 1}
            counted = [{"Name": metric, "Unit": "Count"}]
            directives.append({"Namespace": NAMESPACE, "Dimensions": [[dimension]], "Metrics": counted})
    if directives:
        line["_aws"] = {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": directives}
    return line


def _is_use(exchange: Exchange) -> bool:
    """Whether a caller asked the object: not the operator, nor for what the base of a comparison answers."""
    return exchange.base is None and PURPOSE_HEADER not in exchange.sent


def _outcome(pending: Future[str | None], until: float) -> Delivery:
    try:
        cause = pending.result(max(0.0, until - time.monotonic()))
    except TimeoutError:
        return Delivery(Outcome.LATE)
    return Delivery(Outcome.LOST, cause) if cause else Delivery(Outcome.DELIVERED)
