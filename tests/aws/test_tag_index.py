"""The index of tags: what it proves, and that nothing depends on it."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from tests.aws.cloud import Cloud, with_spec
from tests.aws.test_account import MUTATIONS, Subject
from tests.fixtures.logs import of_operator
from tests.fixtures.waiting import TIMEOUT_SECONDS

from eep_platform.aws.faults import Fault, FaultError
from eep_platform.aws.limits import throttling_code
from ephemeral_endpoints.aws.account import ORPHANS, Owner
from ephemeral_endpoints.aws.limits import LIMITS
from ephemeral_endpoints.aws.tag_index import LONGEST_PAUSE_SECONDS, MOST, PAUSE_SECONDS, TagIndex
from ephemeral_endpoints.engine import errors
from ephemeral_endpoints.engine.plan import Delete, Update
from ephemeral_endpoints.engine.resources import ObservedResource
from ephemeral_endpoints.features.monitoring.specs import ALARM, LOG_GROUP, LogGroupSpec
from ephemeral_endpoints.features.registry import KINDS
from ephemeral_endpoints.features.routing.specs import FUNCTION
from ephemeral_endpoints.features.serving.specs import ENDPOINT, ENDPOINT_CONFIG, MODEL, SCALABLE_TARGET

INDEX = "GetResources"
OF_AN_OBJECT = (LOG_GROUP, MODEL, ENDPOINT_CONFIG, ENDPOINT, SCALABLE_TARGET, FUNCTION, ALARM)
STRANGERS = (("Owner", "somebody else"),)


@pytest.fixture
def subject(cloud: Cloud) -> Subject:
    return Subject(cloud)


def failing(code: str) -> Fault:
    return Fault(service="resourcegroupstaggingapi", error=FaultError(code=code, message="no"))


async def restarted(subject: Subject) -> Subject:
    """Another process of the operator, which has listed everything."""
    other = Subject(subject.cloud)
    await other.refresh()
    other.reset_meter()
    return other


async def update(subject: Subject) -> None:
    """Change the log group."""
    key = subject.cloud.key(LOG_GROUP)
    resource = replace(subject.cloud.resources[LOG_GROUP], spec=LogGroupSpec(30, subject.cloud.tags))
    await subject.account.execute(Update(resource, subject.inventory[key]), subject.owner(key))


async def deletions(subject: Subject) -> set[str]:
    """The operations that changed something, once the log group is to be deleted and is another's."""
    observed = subject.inventory[subject.cloud.key(LOG_GROUP)]
    with pytest.raises(errors.NameConflict):
        await subject.account.execute(Delete(observed), subject.owner(observed.key))
    return {name for name in subject.counted() if name.startswith(MUTATIONS)}


async def test_one_call_proves_everything_that_an_object_has(subject: Subject) -> None:
    made = [await subject.cloud.make(await subject.cloud.prepare(kind)) for kind in OF_AN_OBJECT]
    other = await restarted(subject)
    retained = (("ephemeral-endpoints.io/retain", "true"),)
    await asyncio.gather(
        *(other.account.add_tags(other.inventory[each.key], retained, other.owner(each.key)) for each in made)
    )
    counted = other.counted()
    assert counted.pop(INDEX) == 1
    assert counted.keys() == {"AddTags", "TagResource"}


async def test_the_resources_of_many_objects_share_calls(subject: Subject) -> None:
    cloud = subject.cloud
    objects = [replace(cloud, uid=f"uid-{number}", known={}) for number in range(MOST + 20)]
    for each in objects:
        resource = each.resources[LOG_GROUP]
        await each.components[LOG_GROUP].apply(each.calls, resource, None, {})
    other = await restarted(subject)

    async def delete(each: Cloud) -> None:
        observed = other.inventory[each.key(LOG_GROUP)]
        await other.account.execute(Delete(observed), Owner(each.names.owner, each.uid, terminating=True))

    await asyncio.gather(*map(delete, objects))
    assert other.counted() == {INDEX: 2, "DeleteLogGroup": len(objects)}


async def test_who_asks_again_between_the_attempts_of_a_throttled_call_keeps_nobody_waiting(subject: Subject) -> None:
    cloud = subject.cloud
    made = await cloud.make(cloud.resources[LOG_GROUP])
    index, asked = TagIndex(cloud.clients.tagging, time.monotonic), list[asyncio.Task[dict[str, Mapping[str, str]]]]()

    async def pause(_: float) -> None:
        ask()
        for _ in range(5):  # until it waits for the call
            await asyncio.sleep(0)

    def ask() -> None:
        asked.append(asyncio.create_task(index.tags(replace(cloud.calls, sleep=pause), [made.arn])))

    cloud.aws.control.add_faults(failing(throttling_code("resourcegroupstaggingapi")).model_copy(update={"times": 1}))
    ask()
    await asyncio.wait(asked, timeout=TIMEOUT_SECONDS)
    assert len(asked) == 2
    await asyncio.wait(asked, timeout=TIMEOUT_SECONDS)
    assert [each.done() and each.result() for each in asked] == [{made.arn: dict(cloud.tags)}] * 2


async def test_what_the_index_has_not_seen_yet_is_asked_of_its_service(subject: Subject) -> None:
    subject.cloud.aws.control.hold_tag_index()
    await subject.cloud.make(subject.cloud.resources[LOG_GROUP])
    other = await restarted(subject)
    await update(other)
    assert other.counted() == {INDEX: 1, "ListTagsForResource": 1, "PutRetentionPolicy": 1}


async def test_tags_of_another_in_the_index_are_asked_of_the_service_and_may_be_old(subject: Subject) -> None:
    cloud, resource = subject.cloud, subject.cloud.resources[LOG_GROUP]
    made = await cloud.make(with_spec(resource, tags=STRANGERS))
    cloud.clients.tagging.get_resources(ResourceARNList=[made.arn])
    cloud.aws.control.hold_tag_index()
    cloud.clients.logs.tag_resource(resourceArn=made.arn, tags=dict(cloud.tags))
    other = await restarted(subject)
    await update(other)
    assert other.counted() == {INDEX: 1, "ListTagsForResource": 1, "PutRetentionPolicy": 1}


@pytest.mark.parametrize(
    "tags", [STRANGERS, (*STRANGERS, ("ephemeral-endpoints.io/cluster", "c1"))], ids=["none", "one"]
)
async def test_what_is_not_the_objects_is_never_deleted(subject: Subject, tags: tuple[tuple[str, str], ...]) -> None:
    await subject.cloud.make(with_spec(subject.cloud.resources[LOG_GROUP], tags=tags))
    assert await deletions(await restarted(subject)) == set()


async def test_a_name_that_was_taken_meanwhile_is_asked_of_its_service(subject: Subject) -> None:
    """The index still shows the deleted resource: the one that has the name now is not the object's."""
    cloud, resource = subject.cloud, subject.cloud.resources[LOG_GROUP]
    made = await cloud.make(resource)
    cloud.clients.tagging.get_resources(ResourceARNList=[made.arn])
    cloud.aws.control.hold_tag_index()
    await cloud.remove(LOG_GROUP)
    await subject.refresh()
    await cloud.make(with_spec(resource, tags=STRANGERS))
    with pytest.raises(errors.NameConflict):
        await subject.create(LOG_GROUP)
    await subject.refresh()
    subject.reset_meter()
    assert await deletions(subject) == set()


async def test_orphans_are_proven_by_their_services_alone(subject: Subject) -> None:
    await subject.cloud.make(subject.cloud.resources[LOG_GROUP])
    other = await restarted(subject)
    await other.account.execute(Delete(other.inventory[subject.cloud.key(LOG_GROUP)]), ORPHANS)
    assert other.counted() == {"ListTagsForResource": 1, "DeleteLogGroup": 1}


async def test_what_is_deleted_during_the_call_is_not_proven_for_what_gets_its_name(subject: Subject) -> None:
    cloud = subject.cloud
    for kind in (LOG_GROUP, MODEL):
        await cloud.make(await cloud.prepare(kind))
    other = await restarted(subject)
    cloud.clients.tagging.get_resources(ResourceARNList=[cloud.observed(kind).arn for kind in (LOG_GROUP, MODEL)])
    cloud.aws.control.hold_tag_index()
    cloud.aws.control.add_faults(Fault(service="resourcegroupstaggingapi", held=True))
    updating = asyncio.create_task(update(other))
    await cloud.fault_has_struck()
    await cloud.remove(MODEL)
    await other.account.describe([cloud.key(MODEL)], other.owner(cloud.key(MODEL)))
    cloud.aws.control.clear_faults()
    await updating
    cloud.aws.control.hold_tag_index(is_held=False)
    await cloud.make(with_spec(cloud.resources[MODEL], tags=STRANGERS))
    await other.account.describe([cloud.key(MODEL)], other.owner(cloud.key(MODEL)))
    observed = other.inventory[cloud.key(MODEL)]
    with pytest.raises(errors.NameConflict):
        await other.account.execute(Delete(observed), other.owner(observed.key))


@dataclass
class Watch:
    """A clock that a test moves."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Reader:
    """An index, and one resource that it is asked about."""

    cloud: Cloud
    watch: Watch = field(default_factory=Watch)

    def __post_init__(self) -> None:
        self.index = TagIndex(self.cloud.clients.tagging, self.watch)

    async def made(self) -> ObservedResource:
        return await self.cloud.make(self.cloud.resources[LOG_GROUP])

    async def knows(self, observed: ObservedResource) -> bool:
        found = await self.index.tags(self.cloud.calls, [observed.arn])
        assert found in ({}, {observed.arn: dict(self.cloud.tags)})
        return bool(found)


@pytest.mark.parametrize(
    ("code", "pauses"),
    [
        pytest.param("AccessDeniedException", [LONGEST_PAUSE_SECONDS] * 2, id="policies do not allow it yet"),
        pytest.param("InvalidParameterException", [LONGEST_PAUSE_SECONDS], id="a partition without it"),
        pytest.param(
            "InternalServiceException",
            [*(PAUSE_SECONDS * factor for factor in (1, 2, 4, 8)), LONGEST_PAUSE_SECONDS],
            id="an outage",
        ),
    ],
)
async def test_an_index_that_cannot_be_read_is_left_alone_for_a_while_and_told_once(
    cloud: Cloud, code: str, pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    reader = Reader(cloud)
    observed = await reader.made()
    status = 500 if code == "InternalServiceException" else 400
    fault = Fault(service="resourcegroupstaggingapi", error=FaultError(code=code, status=status))
    cloud.aws.control.reset_meter()
    cloud.aws.control.add_faults(fault)
    with caplog.at_level(logging.WARNING):
        for calls, pause in enumerate(pauses, start=1):
            for _ in range(3):
                assert not await reader.knows(observed)
            assert cloud.aws.control.calls() == {"resourcegroupstaggingapi": {INDEX: calls}}
            reader.watch.now += pause
    assert [record.message.partition(";")[0] for record in of_operator(caplog)] == [
        "the operator cannot read the tags of many resources at once"
    ]
    cloud.aws.control.clear_faults()
    assert await reader.knows(observed)


async def test_without_the_permission_tags_are_read_one_by_one(subject: Subject) -> None:
    await subject.cloud.make(subject.cloud.resources[LOG_GROUP])
    other = await restarted(subject)
    subject.cloud.aws.control.add_faults(failing("AccessDeniedException"))
    await update(other)
    observed = other.inventory[subject.cloud.key(LOG_GROUP)]
    await other.account.execute(Delete(observed), subject.owner(observed.key))
    assert other.counted() == {INDEX: 1, "ListTagsForResource": 1, "PutRetentionPolicy": 1, "DeleteLogGroup": 1}


async def test_waiting_requests_are_told_of_a_failure_at_once(cloud: Cloud) -> None:
    reader = Reader(cloud)
    arns = [cloud.scope.arn("logs", f"log-group:{number}") for number in range(MOST * 2 + 1)]
    cloud.aws.control.add_faults(failing("AccessDeniedException"))
    assert await reader.index.tags(cloud.calls, arns) == {}
    assert cloud.aws.control.calls() == {"resourcegroupstaggingapi": {INDEX: 1}}


def test_reading_tags_does_not_bound_a_burst_of_deletions() -> None:
    """The owner tags of all resources of an object are read faster than its log groups are deleted."""
    taggable = sum(kind.taggable for kind in KINDS) + 2  # two log groups and two alarms an object
    objects_a_second = LIMITS["logs", "DeleteLogGroup"].rate / 2
    assert LIMITS["resourcegroupstaggingapi", INDEX].rate * MOST / taggable > 10 * objects_a_second
    assert LIMITS["logs", "ListTagsForResource"].rate / 2 < objects_a_second, "what one by one would bound it to"
