import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.aws.cloud import Cloud, eventually
from tests.aws.connectors import HOME, Same
from tests.aws.test_freshness import Fresh, Over
from tests.controllers.endpoint.test_pull_requests import put_image
from tests.controllers.environment import IMAGE
from tests.fixtures.aws import CLUSTER

from eep_platform import bootstrap
from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Access, Role
from ephemeral_endpoints.aws.freshness import poll
from ephemeral_endpoints.engine.errors import Denied
from ephemeral_endpoints.engine.resources import Phase
from ephemeral_endpoints.engine.sharding import WHOLE, Shard
from ephemeral_endpoints.features.registry import components
from ephemeral_endpoints.features.serving import events
from ephemeral_endpoints.features.serving.event_messages import BUILD_CHANGED, Changed, Kind
from ephemeral_endpoints.features.serving.events import EndpointEvents, EventQueue
from ephemeral_endpoints.features.serving.notices import Notice
from ephemeral_endpoints.features.serving.reasons import EventsUnavailable
from ephemeral_endpoints.features.serving.specs import ENDPOINT

QUEUE = bootstrap.EVENT_QUEUE
ROLE = "arn:aws:iam::000000000000:role/any"
WAIT_SECONDS = events.WAIT_SECONDS
DENIED = FaultError(code="AccessDenied", message="no", status=403)


def class_named(name: str, queue: str | None = QUEUE) -> EphemeralEndpointClass:
    events = {"events": {"queueName": queue}} if queue else {}
    roles = dict.fromkeys(("executionRoleArn", "forwarderRoleArn", "invokeRoleArn"), ROLE)
    return EphemeralEndpointClass.model_validate(
        {"metadata": {"name": name, "uid": name}, "spec": {"region": "us-east-1", **roles, **events}}
    )


class Listener:
    """Wake-ups at work on the embedded AWS."""

    def __init__(self, cloud: Cloud, calls: Calls, reported: list[tuple[str, str, str]]) -> None:
        self.cloud = cloud
        self.reported = reported
        self.enqueued: list[str] = []
        self.changed: list[str] = []
        self.notices: list[tuple[str, Notice]] = []
        self.packages: list[tuple[str, str]] = []
        self.slept: list[float] = []
        self.accounts = Accounts(
            CLUSTER,
            connector=Same(cloud.clients),
            calls=lambda _: calls,
            components=components,
            clock=time.monotonic,
            on_change=self.enqueued.append,
        )
        self.progress: list[Changed] = []
        self.events = EndpointEvents(
            self.accounts,
            seconds=0,
            clock=time.monotonic,
            on_change=self.changed.append,
            on_notice=lambda name, notice: self.notices.append((name, notice)),
            on_progress=self.progress.append,
            on_package=lambda name, group: self.packages.append((name, group)),
            sleep=self.sleep,
        )
        self._url = ""

    async def prepare(self) -> None:
        """Have a queue with its rule, and the account listed."""
        await self.accounts.by(HOME)
        self.make_queue()

    def make_queue(self) -> None:
        bootstrap.event_queue(self.cloud.clients.sqs, self.cloud.aws.client("events"))
        self._url = self.cloud.clients.sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]

    async def listen(self) -> None:
        self.begin()
        await self.eventually("events are heard", lambda: self.events.is_heard(self.accounts.connected[0]))

    def begin(self) -> None:
        self.reported.clear()
        self.events.follow([class_named("default")])

    def send(self, bodies: Iterable[str]) -> None:
        for body in bodies:
            self.cloud.clients.sqs.send_message(QueueUrl=self._url, MessageBody=body)

    def left(self) -> int:
        """How many messages the queue holds, hidden ones too."""
        names: list[Any] = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.cloud.clients.sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)["Attributes"]
        return sum(map(int, found.values()))

    def count(self, operation: str) -> int:
        """How many such calls have succeeded."""
        return sum(name == operation and outcome == "ok" for _, name, outcome in self.reported)

    async def eventually(self, what: str, check: Any) -> None:  # noqa: ANN401 - a call that says yes or no
        async def answer() -> bool:
            return bool(check())

        await eventually(answer, what)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(min(seconds, 0.01))


@pytest.fixture
async def listener(
    cloud: Cloud, calls: Calls, reported: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Listener]:
    monkeypatch.setattr(events, "WAIT_SECONDS", 1)
    monkeypatch.setattr(events, "VISIBILITY_SECONDS", 60)
    listener = Listener(cloud, calls, reported)
    yield listener
    await listener.events.stop()


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


async def test_notices_are_handed_on_to_the_classes_of_their_queue_and_cause_no_list(listener: Listener) -> None:
    await listener.prepare()
    await listener.listen()
    listener.events.follow([class_named("default"), class_named("gpu"), class_named("other", "elsewhere")])
    listener.reported.clear()
    listener.send([json.dumps({"notice": "used", "uid": "uid-1", "at": 1_800_000_000})])
    await listener.eventually("the notice is handed on", lambda: len(listener.notices) == 2)
    told = Notice("used", "uid-1", datetime(2027, 1, 15, 8, tzinfo=UTC))
    assert sorted(name for name, notice in listener.notices if notice == told) == ["default", "gpu"]
    await listener.eventually("it is deleted", lambda: listener.count("DeleteMessageBatch") == 1)
    assert listener.left() == 0
    assert not [name for _, name, _ in listener.reported if name.startswith("List")], "nothing is listed for it"


async def test_a_change_of_a_package_is_handed_on_to_the_classes_of_its_queue_and_causes_no_list(
    listener: Listener,
) -> None:
    await listener.prepare()
    await listener.listen()
    listener.events.follow([class_named("default"), class_named("gpu"), class_named("other", "elsewhere")])
    listener.reported.clear()
    clients, account = listener.cloud.clients, listener.accounts.connected[0]
    assert not listener.events.is_registry_heard(account), "the rule may be older than the registry"
    clients.sagemaker.create_model_package_group(ModelPackageGroupName="wine")
    put_image(listener.cloud.aws)
    container: Any = {"Image": IMAGE}
    clients.sagemaker.create_model_package(
        ModelPackageGroupName="wine", InferenceSpecification={"Containers": [container]}
    )
    await listener.eventually("the change is handed on", lambda: len(listener.packages) == 2)
    assert sorted(listener.packages) == [("default", "wine"), ("gpu", "wine")]
    assert listener.events.is_registry_heard(account)
    await listener.eventually("it is deleted", lambda: listener.left() == 0)
    assert not [name for _, name, _ in listener.reported if name.startswith("List")], "nothing is listed for it"


async def test_the_end_of_a_build_is_handed_on_and_causes_no_list(listener: Listener) -> None:
    await listener.prepare()
    await listener.listen()
    listener.reported.clear()
    build, arn = "previews:8745a7a9", "arn:aws:codebuild:us-east-1:000000000000:build/previews:8745a7a9"
    for status in ("IN_PROGRESS", "FAILED"):
        detail = {"build-id": arn, "build-status": status}
        listener.send([json.dumps({"source": "aws.codebuild", "detail-type": BUILD_CHANGED, "detail": detail})])
    await listener.eventually("all is deleted", lambda: listener.left() == 0)
    assert listener.progress == [Changed(Kind.BUILD, build)]
    assert not [name for _, name, _ in listener.reported if name.startswith("List")], "nothing is listed for it"


async def test_an_event_of_sagemaker_enqueues_the_owner_by_one_list_and_no_poll(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "WAIT_SECONDS", WAIT_SECONDS)
    cloud, settings = listener.cloud, listener.cloud.aws.control.patch_sagemaker_settings
    await listener.prepare()
    settings({"behaviour": {"stuck": True}, "side_channel_seconds": 0.05})
    resource = await cloud.prepare(ENDPOINT)
    await cloud.components[ENDPOINT].apply(cloud.calls, resource, None, {})
    await listener.listen()
    await listener.eventually(
        "the creation is seen", lambda: listener.enqueued and listener.count("DeleteMessageBatch")
    )
    account = listener.accounts.connected[0]
    assert account.inventory.all[resource.key].phase is Phase.BUSY

    listener.enqueued.clear()
    listener.reported.clear()
    settings({"behaviour": {"stuck": False}})
    await listener.eventually("the owner is enqueued", lambda: listener.enqueued)
    assert listener.count("ReceiveMessage") == 1, "the call that waited at the queue brought it"
    assert listener.enqueued == [cloud.names.owner]
    assert account.inventory.all[resource.key].phase is Phase.READY
    await listener.eventually("the event is deleted", lambda: listener.count("DeleteMessageBatch"))
    assert {name for service, name, _ in listener.reported if service == "sagemaker"} == {"ListEndpoints"}
    assert listener.count("ListEndpoints") == 1
    await listener.eventually("nothing is left", lambda: listener.left() == 0)


async def test_all_pending_events_cause_one_list_which_alone_is_trusted(listener: Listener) -> None:
    cloud = listener.cloud
    await cloud.prepare(ENDPOINT)
    observed = await cloud.make(cloud.resources[ENDPOINT])
    cloud.aws.control.flush_sagemaker()
    await listener.prepare()
    listener.enqueued.clear()
    name = observed.key.name
    forged = [event(name, "FAILED"), event(name, "CREATING"), event(f"{name}x", "IN_SERVICE"), event(name, "FAILED")]
    listener.send([*forged, *[event(name)] * 21])
    await listener.listen()
    await listener.eventually("all is deleted", lambda: listener.count("DeleteMessageBatch") == 3)
    assert listener.count("ListEndpoints") == 1
    assert listener.left() == 0
    assert listener.enqueued == []
    assert listener.accounts.connected[0].inventory.all[observed.key].phase is Phase.READY


async def test_what_is_not_about_ours_goes_without_a_list_and_with_one_line(
    listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    await listener.prepare()
    others = ["somebodys-endpoint", "eep-other-pr-1-abcdefghij", "eep-c1-", "", "eep-c1-pr-42-ABCDEFGHIJ"]
    ours = listener.cloud.names.base
    listener.send([*map(event, others), event(ours, kind="SageMaker Image State Change"), "secret", "[]", "{" * 999])
    with caplog.at_level(logging.WARNING):
        await listener.listen()
        await listener.eventually("all is deleted", lambda: listener.count("DeleteMessageBatch"))
    assert listener.left() == 0
    assert listener.count("ListEndpoints") == 0
    [line] = [history for history in caplog.records if history.name == events.__name__]
    assert line.__dict__["count"] == 3
    assert "secret" not in str(line.__dict__)


async def test_many_events_cause_at_most_one_list_in_a_period(listener: Listener) -> None:
    await listener.prepare()
    paced = EndpointEvents(
        listener.accounts,
        seconds=100,
        clock=lambda: 5.0,
        on_change=listener.changed.append,
        on_notice=lambda *_: None,
        on_progress=listener.progress.append,
        on_package=lambda *_: None,
        sleep=listener.sleep,
    )
    paced.follow([class_named("default")])
    listener.reported.clear()
    for times in (1, 2):
        listener.send([event(listener.cloud.names.base)])
        await listener.eventually("a list", lambda times=times: listener.count("DeleteMessageBatch") == times)
    await paced.stop()
    assert listener.slept == [0, 100]


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
    listener: Listener, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "VISIBILITY_SECONDS", 1)
    await listener.prepare()
    listener.send([event(listener.cloud.names.base)])
    listener.cloud.aws.control.add_faults(fault)
    listener.begin()
    await listener.cloud.fault_has_struck()
    await listener.eventually("the event is heeded", lambda: listener.count("ListEndpoints"))
    await listener.eventually("and deleted", lambda: listener.left() == 0)
    await listener.eventually("more can be heard", lambda: listener.events.is_heard(listener.accounts.connected[0]))
    await listener.eventually("it is known that it can be read", lambda: listener.changed == ["default"])


async def test_a_missing_queue_is_reported_and_read_once_it_exists(listener: Listener) -> None:
    account = await listener.accounts.by(HOME)
    assert not listener.events.is_known(class_named("default"))
    listener.begin()
    await listener.eventually("some tries", lambda: len(listener.slept) >= 4)
    events_error = listener.events.events_error(class_named("default"))
    assert events_error is not None
    assert isinstance(events_error, EventsUnavailable)
    assert "cannot read the SQS queue eep-events and polls instead: GetQueueUrl" in str(events_error)
    assert listener.slept[:4] == [1, 2, 4, 8]
    assert listener.changed == ["default"]
    assert not listener.events.is_heard(account)
    assert listener.events.is_known(class_named("default"))

    listener.make_queue()
    await listener.eventually("it is heard", lambda: listener.events.is_heard(account))
    assert listener.events.events_error(class_named("default")) is None
    assert listener.changed == ["default"] * 2


async def test_a_queue_that_may_not_be_read_is_reported(listener: Listener) -> None:
    await listener.prepare()
    listener.cloud.aws.control.add_faults(Fault(service="sqs", operation="ReceiveMessage", error=DENIED))
    listener.begin()
    await listener.eventually("it is reported", lambda: listener.changed)
    assert "ReceiveMessage: no" in str(listener.events.events_error(class_named("default")))
    listener.cloud.aws.control.clear_faults()
    await listener.eventually("it is heard", lambda: listener.events.is_heard(listener.accounts.connected[0]))
    assert len(listener.changed) == 2


async def test_a_missing_permission_to_delete_messages_is_reported_even_while_the_queue_is_empty(
    listener: Listener,
) -> None:
    await listener.prepare()
    listener.send([event(listener.cloud.names.base)])
    listener.cloud.aws.control.add_faults(Fault(service="sqs", operation="DeleteMessageBatch", error=DENIED))
    listener.begin()
    await listener.eventually("it is reported", lambda: listener.changed)
    listener.reported.clear()
    await listener.eventually("nothing is received", lambda: listener.count("ReceiveMessage") >= 3)
    assert "DeleteMessageBatch: no" in str(listener.events.events_error(class_named("default")))
    assert listener.changed == ["default"]


async def test_credentials_that_stopped_working_are_asked_for_anew(listener: Listener) -> None:
    await listener.prepare()
    before = listener.accounts.connected
    listener.send([event(listener.cloud.names.base)])
    expired = FaultError(code="ExpiredTokenException", status=400)
    listener.cloud.aws.control.add_faults(Fault(service="sagemaker", operation="ListEndpoints", error=expired, times=1))
    listener.begin()
    await listener.cloud.fault_has_struck()
    await listener.eventually("connected anew", lambda: listener.accounts.connected not in ((), before))
    await listener.eventually("it is heard", lambda: listener.events.is_heard(listener.accounts.connected[0]))


async def test_at_rest_one_call_waits_at_the_queue_and_the_end_does_not_wait_for_it(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "WAIT_SECONDS", WAIT_SECONDS)
    await listener.prepare()
    await listener.listen()

    def waits() -> bool:
        waiting = listener.cloud.aws.control.log()[-1]
        return (waiting.operation, waiting.status) == ("ReceiveMessage", None)

    await listener.eventually("a call waits at the queue", waits)
    listener.reported.clear()
    await asyncio.sleep(1)
    assert listener.reported == []
    await listener.events.stop()
    assert waits(), "it waits on, and nobody for it"
    listener.begin()
    assert not listener.events.is_heard(listener.accounts.connected[0])


async def test_classes_share_a_queue_and_one_that_no_class_names_is_not_read(listener: Listener) -> None:
    await listener.prepare()
    listener.events.follow([class_named("a"), class_named("b"), class_named("c", None)])
    await listener.eventually("it is heard", lambda: listener.events.is_heard(listener.accounts.connected[0]))
    assert listener.count("GetQueueUrl") == 1
    listener.changed.clear()
    listener.events.follow([class_named("c", None)])
    assert not listener.events.is_heard(listener.accounts.connected[0])
    listener.events.follow([class_named("a", "none"), class_named("b", "none")])
    await listener.eventually("all are reported", lambda: listener.changed == ["a", "b"])
    assert listener.events.events_error(class_named("c", None)) is None
    assert listener.events.is_known(class_named("c", None))


ALSO = Access(HOME.account, HOME.region, Role(f"arn:aws:iam::{HOME.account}:role/also"))


async def test_an_event_is_passed_to_every_role_of_the_account_because_it_is_received_once(listener: Listener) -> None:
    await listener.prepare()
    await listener.accounts.by(ALSO)
    await listener.listen()
    observed = [account.inventory.listed_at(ENDPOINT) for account in listener.accounts.connected]
    listener.send([event(listener.cloud.names.base)])
    await listener.eventually("the event is deleted", lambda: listener.count("DeleteMessageBatch"))
    for account, before in zip(listener.accounts.connected, observed, strict=True):
        assert listener.events.is_heard(account)
        after = account.inventory.listed_at(ENDPOINT)
        assert before is not None
        assert after is not None
        assert after > before


async def test_an_event_of_which_another_role_cannot_see_anything_is_heeded_all_the_same(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    await listener.prepare()
    blind = await listener.accounts.by(ALSO)

    async def refresh(*_: object, **__: object) -> None:
        await asyncio.sleep(0)
        raise Denied("no")

    monkeypatch.setattr(blind, "refresh", refresh)
    await listener.listen()
    listener.send([event(listener.cloud.names.base)])
    await listener.eventually("the event is deleted", lambda: listener.left() == 0)
    assert listener.count("ListEndpoints")
    assert listener.events.events_error(class_named("default")) is None


async def test_it_declares_exactly_the_actions_that_it_needs(listener: Listener) -> None:
    await listener.prepare()
    listener.send([event("not-ours")])
    await listener.listen()
    await listener.eventually("the event is deleted", lambda: listener.count("DeleteMessageBatch"))
    # A batch is authorised as what it is a batch of.
    called = {f"{service}:{name.removesuffix('Batch')}" for service, name, _ in listener.reported if service == "sqs"}
    assert called == events.ACTIONS


@pytest.mark.parametrize(
    ("deleting", "lists"),
    [pytest.param(False, 2, id="events report the rest"), pytest.param(True, 10, id="no event reports the end")],
)
async def test_polls_are_rarer_where_events_arrive(cloud: Cloud, calls: Calls, deleting: bool, lists: int) -> None:  # noqa: FBT001 - a parameter
    fresh = Fresh(cloud, calls)
    resource = await cloud.prepare(ENDPOINT)
    if deleting:
        await cloud.make(resource)
    cloud.aws.control.patch_sagemaker_settings({"behaviour": {"stuck": True, "delete_seconds": 60}})
    if deleting:
        cloud.clients.sagemaker.delete_endpoint(EndpointName=resource.key.name)
    else:
        await cloud.components[ENDPOINT].apply(cloud.calls, resource, None, {})
    await fresh.account()
    fresh.time.rounds = 10
    with pytest.RaisesGroup(Over):
        await poll(fresh.accounts, 1, fresh.time, fresh.time.sleep, is_notified=lambda _: True)
    assert fresh.called() == {"sagemaker": {"ListEndpoints": lists}}
