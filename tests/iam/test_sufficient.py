"""The generated policies are sufficient for all that the operator's code does in AWS, and minimal: all is used."""

import asyncio
import time
from contextlib import suppress
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest
from tests.aws.test_permissions import NO_DIGEST, live
from tests.aws.world import OF_CLASSES
from tests.iam.conftest import KEY, POLICY, PROJECT, ROLE, ROLE_ELSEWHERE, HeldWorld

from ephemeral_endpoints.aws.clients import Role, Sessions
from ephemeral_endpoints.aws.codebuild import CodeBuildBuilder
from ephemeral_endpoints.aws.images import Images
from ephemeral_endpoints.aws.logs import last_lines
from ephemeral_endpoints.aws.repositories import RepositoryComponent
from ephemeral_endpoints.core.builds import Copy, Order
from ephemeral_endpoints.core.errors import AwsError
from ephemeral_endpoints.core.images import ImageReference
from ephemeral_endpoints.core.names import endpoint_logs
from ephemeral_endpoints.core.repositories import lifecycle_policy
from ephemeral_endpoints.core.resources import Key, Kind, LogGroupSpec, RepositorySpec, Want
from ephemeral_endpoints.core.tags import RETAINED_MARKS
from ephemeral_endpoints.local import bootstrap
from ephemeral_endpoints.local.aws.guard.record import Permissions

REVISION = "a" * 40


async def lives(world: HeldWorld) -> None:
    """The life of one thing of every kind. The tags of what classes share never change."""
    for kind in Kind:
        await world.prepare(kind)
        await live(world, kind, marking=kind not in OF_CLASSES)


async def logs(world: HeldWorld) -> None:
    """Groups in both services: made by us, and made again by the service, without tags, for lines that came late."""
    for name in (endpoint_logs(world.names.base), world.names.forwarder_logs):
        want = Want(Key(Kind.LOG_GROUP, name), LogGroupSpec(7, world.tags))
        component = world.components[Kind.LOG_GROUP]
        ours = await component.apply(world.calls, want, None, world.known)
        await component.delete(world.calls, ours, world.known)
        world.clients.logs.create_log_group(logGroupName=name)
        world.clients.logs.create_log_stream(logGroupName=name, logStreamName="s")
        event = {"timestamp": int(time.time() * 1000), "message": "line\n"}
        world.clients.logs.put_log_events(logGroupName=name, logStreamName="s", logEvents=[event])  # type: ignore[list-item]
        assert await last_lines(world.calls, world.operator.logs, name, count=1) == ("line",)
        late = await component.look(world.calls, want.key, world.known)
        assert late is not None
        assert not await component.tags(world.calls, late)
        await component.mark(world.calls, late, RETAINED_MARKS)
        await component.apply(world.calls, want, late, world.known)
        await component.delete(world.calls, late, world.known)


async def images(world: HeldWorld) -> None:
    """Images of anybody are looked at; those of a class's own repository go, in folders or not."""
    repository = f"eep-{world.scope.cluster_id}-default-{'a' * 10}"
    spec = RepositorySpec(
        immutable=True,
        mutable_prefix="cache-",
        scan_on_push=True,
        lifecycle_policy=lifecycle_policy(timedelta(days=14)),
        tags=world.tags,
    )
    await RepositoryComponent(world.operator.ecr, world.scope).apply(
        world.calls, Want(Key(Kind.REPOSITORY, repository), spec), None, world.known
    )
    uri = f"{world.scope.account_id}.dkr.ecr.{world.scope.region}.amazonaws.com/{repository}:1"
    reference, ecr = ImageReference.parse(uri), Images(world.operator.ecr)
    await ecr.resolve(world.calls, reference)
    for each in (ecr.scan(world.calls, reference, NO_DIGEST), ecr.list_tagged(world.calls, repository)):
        with suppress(AwsError):
            await each
    await ecr.take_off(world.calls, repository, ["1"])


async def builds(world: HeldWorld) -> None:
    """A build that is stopped, and what it said."""
    project: Any = {
        "name": PROJECT,
        "source": {"type": "NO_SOURCE", "buildspec": "{version: 0.2, phases: {build: {commands: [true]}}}"},
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": {"type": "LINUX_CONTAINER", "image": "any", "computeType": "BUILD_GENERAL1_SMALL"},
        "serviceRole": ROLE,
    }
    world.clients.codebuild.create_project(**project)
    registry = f"{world.scope.account_id}.dkr.ecr.{world.scope.region}.amazonaws.com/previews"
    builder = CodeBuildBuilder(
        world.operator.codebuild, world.operator.logs, world.calls, PROJECT, world.scope.region, "owner"
    )
    order = Order(registry, Copy("public.ecr.aws/acme/model:1", REVISION), "linux/amd64")
    build = await builder.begin(order, attempt=1, timeout_seconds=600)
    await builder.stop(build)
    assert [each.id for each in await builder.all()] == [build.id]
    await builder.last_lines(build, count=1)


async def events(world: HeldWorld) -> None:
    """A message, as ``aws.wakeups`` receives and deletes it."""
    bootstrap.event_queue(world.clients.sqs, world.aws.client("events"))
    url = world.clients.sqs.get_queue_url(QueueName=bootstrap.EVENT_QUEUE)["QueueUrl"]
    world.clients.sqs.send_message(QueueUrl=url, MessageBody="{}")
    sqs = world.operator.sqs
    found = sqs.get_queue_url(QueueName=bootstrap.EVENT_QUEUE)["QueueUrl"]
    [message] = sqs.receive_message(QueueUrl=found, WaitTimeSeconds=1)["Messages"]
    sqs.delete_message_batch(QueueUrl=found, Entries=[{"Id": "0", "ReceiptHandle": message["ReceiptHandle"]}])


def other_account(sessions: Sessions, world: HeldWorld) -> None:
    """A role of another account is assumed, and asked who it is."""
    sessions.connect(world.scope.region, Role(ROLE_ELSEWHERE)).sts.get_caller_identity()


@pytest.fixture(scope="module")
def permissions(held: HeldWorld, operator_sessions: Sessions) -> Permissions:
    """What became of the policy while everything was done that the code can do."""

    async def everything() -> None:
        await lives(held)
        await logs(held)
        await images(held)
        await builds(held)
        await events(held)

    asyncio.run(everything())
    other_account(operator_sessions, held)
    return held.aws.control.permissions(KEY)


def several(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_nothing_is_denied(permissions: Permissions) -> None:
    assert permissions.denied == []


def test_without_any_one_permission_something_would_be_denied(permissions: Permissions) -> None:
    granted = {(row["Sid"], action) for row in POLICY["Statement"] for action in several(row["Action"])}
    assert granted == {(use.sid, use.action) for use in permissions.used if use.needed}


def test_without_any_one_resource_something_would_be_denied(permissions: Permissions) -> None:
    used: dict[str, set[str]] = {}
    for use in permissions.used:
        used.setdefault(use.sid, set()).add(use.resource)
    idle = [
        (row["Sid"], pattern)
        for row in POLICY["Statement"]
        for pattern in several(row["Resource"])
        if not any(fnmatchcase(resource, pattern) for resource in used[row["Sid"]])
    ]
    assert idle == []
