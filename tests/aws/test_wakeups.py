import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from tests.aws.conftest import CLUSTER
from tests.aws.connectors import HOME, Same
from tests.aws.test_freshness import Fresh, Over
from tests.aws.world import World, eventually

from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws import wakeups
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Access, Role
from ephemeral_endpoints.aws.freshness import poll
from ephemeral_endpoints.aws.wakeups import EventQueue, Wakeups
from ephemeral_endpoints.core.errors import Denied
from ephemeral_endpoints.core.resources import Kind, Phase
from ephemeral_endpoints.core.sharding import WHOLE, Shard
from ephemeral_endpoints.local import bootstrap
from ephemeral_endpoints.local.aws.faults import Fault, FaultError

QUEUE = bootstrap.EVENT_QUEUE
ROLE = "arn:aws:iam::000000000000:role/any"
PROMPT_SECONDS = 1.0
DENIED = FaultError(code="AccessDenied", message="no", status=403)


def class_named(name: str, queue: str | None = QUEUE) -> EphemeralEndpointClass:
    events = {"events": {"queueName": queue}} if queue else {}
    roles = dict.fromkeys(("executionRoleArn", "forwarderRoleArn", "invokeRoleArn"), ROLE)
    return EphemeralEndpointClass.model_validate(
        {"metadata": {"name": name, "uid": name}, "spec": {"region": "us-east-1", **roles, **events}}
    )


class Ears:
    """Wake-ups at work on the embedded AWS."""

    def __init__(self, world: World, calls: Calls, told: list[tuple[str, str, str]]) -> None:
        self.world = world
        self.told = told
        self.woken: list[str] = []
        self.changed: list[str] = []
        self.slept: list[float] = []
        self.accounts = Accounts(
            CLUSTER,
            connector=Same(world.clients),
            calls=lambda _: calls,
            clock=time.monotonic,
            on_change=self.woken.append,
        )
        self.wakeups = Wakeups(
            self.accounts, seconds=0, clock=time.monotonic, on_change=self.changed.append, sleep=self._sleep
        )
        self._url = ""

    async def prepare(self) -> None:
        """Have a queue with its rule, and the account listed."""
        await self.accounts.by(HOME)
        self.make_queue()

    def make_queue(self) -> None:
        bootstrap.event_queue(self.world.clients.sqs, self.world.aws.client("events"))
        self._url = self.world.clients.sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]

    async def listen(self) -> None:
        self.begin()
        await self.eventually("events are heard", lambda: self.wakeups.is_heard(self.accounts.connected[0]))

    def begin(self) -> None:
        self.told.clear()
        self.wakeups.follow([class_named("default")])

    def send(self, bodies: Iterable[str]) -> None:
        for body in bodies:
            self.world.clients.sqs.send_message(QueueUrl=self._url, MessageBody=body)

    def left(self) -> int:
        """How many messages the queue holds, hidden ones too."""
        names: list[Any] = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.world.clients.sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)["Attributes"]
        return sum(map(int, found.values()))

    def count(self, operation: str) -> int:
        """How many such calls have succeeded."""
        return sum(name == operation and outcome == "ok" for _, name, outcome in self.told)

    async def eventually(self, what: str, check: Any) -> None:  # noqa: ANN401 - a call that says yes or no
        async def answer() -> bool:
            return bool(check())

        await eventually(answer, what)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(min(seconds, 0.01))


@pytest.fixture
async def ears(
    world: World, calls: Calls, told: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Ears]:
    monkeypatch.setattr(wakeups, "WAIT_SECONDS", 1)
    ears = Ears(world, calls, told)
    yield ears
    await ears.wakeups.stop()


def event(name: str, status: str = "IN_SERVICE", kind: str = "SageMaker Endpoint State Change") -> str:
    detail = {"EndpointName": name, "EndpointStatus": status}
    return json.dumps({"source": "aws.sagemaker", "detail-type": kind, "detail": detail})


@pytest.mark.parametrize(
    ("shard", "queue", "reason"),
    [
        (WHOLE, "eep-events", "the one operator's is the one that the class names"),
        (Shard(0, 2), "eep-events", "so that nothing changes for the first when the work is shared"),
        (Shard(1, 2), "eep-events-1", "a message reaches one receiver only"),
    ],
)
def test_each_shard_has_a_queue_of_its_own(shard: Shard, queue: str, reason: str) -> None:
    assert EventQueue.of(class_named("default"), shard) == EventQueue(HOME, queue), reason


async def test_an_event_of_sagemaker_wakes_the_owner_by_one_list_and_no_poll(ears: Ears) -> None:
    world, settings = ears.world, ears.world.aws.control.patch_sagemaker_settings
    await ears.prepare()
    settings({"behaviour": {"stuck": True}, "side_channel_seconds": 0.05})
    want = await world.prepare(Kind.ENDPOINT)
    await world.components[Kind.ENDPOINT].apply(world.calls, want, None, {})
    await ears.listen()
    await ears.eventually("the creation is seen", lambda: ears.woken and ears.count("DeleteMessageBatch"))
    account = ears.accounts.connected[0]
    assert account.inventory.all[want.key].phase is Phase.BUSY

    ears.woken.clear()
    ears.told.clear()
    began = time.monotonic()
    settings({"behaviour": {"stuck": False}})
    await ears.eventually("the owner is woken", lambda: ears.woken)
    assert time.monotonic() - began < PROMPT_SECONDS
    assert ears.woken == [world.names.owner]
    assert account.inventory.all[want.key].phase is Phase.READY
    await ears.eventually("the event is deleted", lambda: ears.count("DeleteMessageBatch"))
    assert {name for service, name, _ in ears.told if service == "sagemaker"} == {"ListEndpoints"}
    assert ears.count("ListEndpoints") == 1
    assert ears.left() == 0


async def test_all_that_has_come_in_causes_one_list_which_alone_is_believed(ears: Ears) -> None:
    world = ears.world
    await world.prepare(Kind.ENDPOINT)
    have = await world.make(world.wants[Kind.ENDPOINT])
    world.aws.control.flush_sagemaker()
    await ears.prepare()
    ears.woken.clear()
    name = have.key.name
    forged = [event(name, "FAILED"), event(name, "CREATING"), event(f"{name}x", "IN_SERVICE"), event(name, "FAILED")]
    ears.send([*forged, *[event(name)] * 21])
    await ears.listen()
    await ears.eventually("all is deleted", lambda: ears.count("DeleteMessageBatch") == 3)
    assert ears.count("ListEndpoints") == 1
    assert ears.left() == 0
    assert ears.woken == []
    assert ears.accounts.connected[0].inventory.all[have.key].phase is Phase.READY


async def test_what_is_not_about_ours_goes_without_a_list_and_with_one_line(
    ears: Ears, caplog: pytest.LogCaptureFixture
) -> None:
    await ears.prepare()
    others = ["somebodys-endpoint", "eep-other-pr-1-abcdefghij", "eep-c1-", "", "eep-c1-pr-42-ABCDEFGHIJ"]
    ours = ears.world.names.base
    ears.send([*map(event, others), event(ours, kind="SageMaker Image State Change"), "secret", "[]", "{" * 999])
    with caplog.at_level(logging.WARNING):
        await ears.listen()
        await ears.eventually("all is deleted", lambda: ears.count("DeleteMessageBatch"))
    assert ears.left() == 0
    assert ears.count("ListEndpoints") == 0
    [line] = [record for record in caplog.records if record.name == wakeups.__name__]
    assert line.__dict__["count"] == 3
    assert "secret" not in str(line.__dict__)


async def test_many_events_cause_at_most_one_list_in_a_period(ears: Ears) -> None:
    await ears.prepare()
    paced = Wakeups(ears.accounts, seconds=100, clock=lambda: 5.0, on_change=ears.changed.append, sleep=ears._sleep)
    paced.follow([class_named("default")])
    ears.told.clear()
    for times in (1, 2):
        ears.send([event(ears.world.names.base)])
        await ears.eventually("a list", lambda times=times: ears.count("DeleteMessageBatch") == times)
    await paced.stop()
    assert ears.slept == [0, 100]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(service="sqs", operation="GetQueueUrl", reset=True, times=2), id="no URL at first"),
        pytest.param(
            Fault(
                service="sqs",
                operation="ReceiveMessage",
                error=FaultError(code="RequestThrottled", message="Rate exceeded"),
                times=2,
            ),
            id="throttled",
        ),
        pytest.param(Fault(service="sqs", operation="ReceiveMessage", answer_lost=True, times=1), id="messages lost"),
        pytest.param(Fault(service="sqs", operation="DeleteMessageBatch", reset=True, times=1), id="not deleted"),
        pytest.param(
            Fault(service="sqs", operation="DeleteMessageBatch", answer_lost=True, times=1), id="deleted, unheard"
        ),
        pytest.param(Fault(service="sagemaker", operation="ListEndpoints", reset=True, times=1), id="list failed"),
    ],
)
async def test_a_failure_that_passes_costs_nothing_but_time(
    ears: Ears, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "VISIBILITY_SECONDS", 1)
    await ears.prepare()
    ears.send([event(ears.world.names.base)])
    ears.world.aws.control.add_faults(fault)
    ears.begin()
    await ears.world.fault_has_struck()
    await ears.eventually("the event is heeded", lambda: ears.count("ListEndpoints"))
    await ears.eventually("and deleted", lambda: ears.left() == 0)
    await ears.eventually("more can be heard", lambda: ears.wakeups.is_heard(ears.accounts.connected[0]))
    assert ears.changed == []


async def test_a_queue_that_is_missing_is_told_and_heard_once_it_is_there(ears: Ears) -> None:
    account = await ears.accounts.by(HOME)
    ears.begin()
    await ears.eventually("some tries", lambda: len(ears.slept) >= 4)
    trouble = ears.wakeups.trouble(class_named("default"))
    assert trouble is not None
    assert trouble.reason == "EventsUnavailable"
    assert "queue eep-events cannot be used, endpoints are polled instead: GetQueueUrl" in str(trouble)
    assert ears.slept[:4] == [1, 2, 4, 8]
    assert ears.changed == ["default"]
    assert not ears.wakeups.is_heard(account)

    ears.make_queue()
    await ears.eventually("it is heard", lambda: ears.wakeups.is_heard(account))
    assert ears.wakeups.trouble(class_named("default")) is None
    assert ears.changed == ["default"] * 2


async def test_a_queue_that_may_not_be_read_is_told(ears: Ears) -> None:
    await ears.prepare()
    ears.world.aws.control.add_faults(Fault(service="sqs", operation="ReceiveMessage", error=DENIED))
    ears.begin()
    await ears.eventually("it is told", lambda: ears.changed)
    assert "ReceiveMessage: no" in str(ears.wakeups.trouble(class_named("default")))
    ears.world.aws.control.clear_faults()
    await ears.eventually("it is heard", lambda: ears.wakeups.is_heard(ears.accounts.connected[0]))
    assert len(ears.changed) == 2


async def test_messages_that_may_not_be_deleted_are_a_trouble_that_an_empty_queue_does_not_end(ears: Ears) -> None:
    await ears.prepare()
    ears.send([event(ears.world.names.base)])
    ears.world.aws.control.add_faults(Fault(service="sqs", operation="DeleteMessageBatch", error=DENIED))
    ears.begin()
    await ears.eventually("it is told", lambda: ears.changed)
    ears.told.clear()
    await ears.eventually("nothing is received", lambda: ears.count("ReceiveMessage") >= 3)
    assert "DeleteMessageBatch: no" in str(ears.wakeups.trouble(class_named("default")))
    assert ears.changed == ["default"]


async def test_credentials_that_stopped_working_are_asked_for_anew(ears: Ears) -> None:
    await ears.prepare()
    before = ears.accounts.connected
    ears.send([event(ears.world.names.base)])
    expired = FaultError(code="ExpiredTokenException", status=400)
    ears.world.aws.control.add_faults(Fault(service="sagemaker", operation="ListEndpoints", error=expired, times=1))
    ears.begin()
    await ears.world.fault_has_struck()
    await ears.eventually("connected anew", lambda: ears.accounts.connected not in ((), before))
    await ears.eventually("it is heard", lambda: ears.wakeups.is_heard(ears.accounts.connected[0]))


async def test_at_rest_one_call_waits_at_the_queue_and_the_end_does_not_wait_for_it(
    ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    await ears.prepare()
    await ears.listen()
    ears.told.clear()
    await asyncio.sleep(1)
    assert ears.told == []
    began = time.monotonic()
    await ears.wakeups.stop()
    assert time.monotonic() - began < PROMPT_SECONDS
    ears.begin()
    assert not ears.wakeups.is_heard(ears.accounts.connected[0])


async def test_classes_share_a_queue_and_one_that_nobody_names_is_not_heard(ears: Ears) -> None:
    await ears.prepare()
    ears.wakeups.follow([class_named("a"), class_named("b"), class_named("c", None)])
    await ears.eventually("it is heard", lambda: ears.wakeups.is_heard(ears.accounts.connected[0]))
    assert ears.count("GetQueueUrl") == 1
    ears.wakeups.follow([class_named("c", None)])
    assert not ears.wakeups.is_heard(ears.accounts.connected[0])
    ears.wakeups.follow([class_named("a", "none"), class_named("b", "none")])
    await ears.eventually("all are told", lambda: ears.changed == ["a", "b"])
    assert ears.wakeups.trouble(class_named("c", None)) is None


ALSO = Access(HOME.account, HOME.region, Role(f"arn:aws:iam::{HOME.account}:role/also"))


async def test_an_event_is_told_to_every_role_that_works_in_the_account_for_it_is_received_once(ears: Ears) -> None:
    await ears.prepare()
    await ears.accounts.by(ALSO)
    await ears.listen()
    listed = [account.inventory.listed_at(Kind.ENDPOINT) for account in ears.accounts.connected]
    ears.send([event(ears.world.names.base)])
    await ears.eventually("the event is deleted", lambda: ears.count("DeleteMessageBatch"))
    for account, before in zip(ears.accounts.connected, listed, strict=True):
        assert ears.wakeups.is_heard(account)
        after = account.inventory.listed_at(Kind.ENDPOINT)
        assert before is not None
        assert after is not None
        assert after > before


async def test_an_event_of_which_another_role_cannot_see_anything_is_heeded_all_the_same(
    ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ears.prepare()
    blind = await ears.accounts.by(ALSO)

    async def refresh(*_: object, **__: object) -> None:
        await asyncio.sleep(0)
        raise Denied("no")

    monkeypatch.setattr(blind, "refresh", refresh)
    await ears.listen()
    ears.send([event(ears.world.names.base)])
    await ears.eventually("the event is deleted", lambda: ears.left() == 0)
    assert ears.count("ListEndpoints")
    assert ears.wakeups.trouble(class_named("default")) is None


async def test_it_declares_exactly_the_actions_that_it_needs(ears: Ears) -> None:
    await ears.prepare()
    ears.send([event("not-ours")])
    await ears.listen()
    await ears.eventually("the event is deleted", lambda: ears.count("DeleteMessageBatch"))
    # A batch is authorised as what it is a batch of.
    called = {f"{service}:{name.removesuffix('Batch')}" for service, name, _ in ears.told if service == "sqs"}
    assert called == wakeups.ACTIONS


@pytest.mark.parametrize(
    ("deleting", "lists"),
    [pytest.param(False, 2, id="events tell of the rest"), pytest.param(True, 10, id="nothing tells of the end")],
)
async def test_where_events_wake_us_polls_are_rarer(world: World, calls: Calls, deleting: bool, lists: int) -> None:  # noqa: FBT001 - a parameter
    fresh = Fresh(world, calls)
    want = await world.prepare(Kind.ENDPOINT)
    if deleting:
        await world.make(want)
    world.aws.control.patch_sagemaker_settings({"behaviour": {"stuck": True, "delete_seconds": 60}})
    if deleting:
        world.clients.sagemaker.delete_endpoint(EndpointName=want.key.name)
    else:
        await world.components[Kind.ENDPOINT].apply(world.calls, want, None, {})
    await fresh.account()
    fresh.time.rounds = 10
    with pytest.RaisesGroup(Over):
        await poll(fresh.accounts, 1, fresh.time, fresh.time.sleep, is_woken=lambda _: True)
    assert fresh.called() == {"sagemaker": {"ListEndpoints": lists}}
