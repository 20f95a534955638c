"""CloudWatch log groups: made by us before the services would make them, so that they carry tags and an end."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar, Final

from typing_extensions import override

from ephemeral_endpoints.aws.batches import Batches, Fill
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Component, Scope, expect, if_there, items
from ephemeral_endpoints.engine import errors
from ephemeral_endpoints.engine.log_lines import telling
from ephemeral_endpoints.engine.names import ENDPOINT_LOG_PREFIX, LAMBDA_LOG_PREFIX
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, ObservedResources, Phase
from ephemeral_endpoints.engine.tags import Tags
from ephemeral_endpoints.features.monitoring.iam import LOG_GROUPS
from ephemeral_endpoints.features.monitoring.policy import Attempt, JobStreams, LogStream
from ephemeral_endpoints.features.monitoring.specs import LOG_GROUP, LogGroupSpec
from ephemeral_endpoints.iam.statement import actions, granted

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient

PAGE: Final = 50
_MOST_READ: Final = 100
"""So many of the newest lines of a log are searched for those that tell something."""

READ_ACTIONS: Final = actions("logs", "DescribeLogStreams", "GetLogEvents")
"""The IAM actions that ``last_lines`` needs."""


class LogGroupComponent(Component):
    """Log groups of the forwarder functions and of the endpoints."""

    kind: ClassVar = LOG_GROUP
    actions: ClassVar = granted(LOG_GROUPS) - READ_ACTIONS
    statements: ClassVar = LOG_GROUPS

    def __init__(self, clients: Clients, scope: Scope) -> None:
        super().__init__(clients, scope)
        self._client = clients.logs
        self._looks: Batches[str, ObservedResource | None] = Batches(self._describe, most=PAGE)

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        # One page after the other stays below the rate that Logs allows, and the first list of a start waits for it.
        prefixes = (services + self._scope.prefix for services in (LAMBDA_LOG_PREFIX, ENDPOINT_LOG_PREFIX))
        found = await asyncio.gather(*(self._matching(calls, logGroupNamePrefix=prefix) for prefix in prefixes))
        return [observed for observed_resources in found for observed in observed_resources]

    @override
    async def describe(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        # One call describes all groups of an owner that are requested at once.
        return await self._looks.ask(calls, key.name)

    async def _describe(self, calls: Calls, fill: Fill[str]) -> dict[str, ObservedResource | None]:
        names = frozenset(fill())
        by_owner = groupby(sorted(names, key=self._named_for), key=self._named_for)
        found = await asyncio.gather(*(self._of_owner(calls, owner, list(group)) for owner, group in by_owner))
        there = {observed.key.name: observed for observed_resources in found for observed in observed_resources}
        return {name: there.get(name) for name in names}

    async def _of_owner(self, calls: Calls, owner: str, names: Sequence[str]) -> list[ObservedResource]:
        if len(names) == 1:
            return await self._matching(calls, logGroupNamePrefix=names[0])
        return await self._matching(calls, logGroupNamePattern=owner)

    def _named_for(self, name: str) -> str:
        return self._owner_of(name) or name

    @override
    async def tags(self, calls: Calls, observed: ObservedResource) -> Mapping[str, str]:
        answer = await calls(self._client.list_tags_for_resource, resourceArn=observed.arn)
        return answer["tags"]

    @override
    async def add_tags(self, calls: Calls, observed: ObservedResource, tags: Tags) -> None:
        await calls(self._client.tag_resource, resourceArn=observed.arn, tags=dict(tags))

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        # A group is made first and its retention set by a second step.
        spec = expect(resource, LogGroupSpec)
        if observed is None:
            await calls(self._client.create_log_group, logGroupName=resource.key.name, tags=dict(spec.tags))
            return self._observed(resource.key.name, None)
        if spec.retention_days is None:
            raise TypeError(f"{resource.key} would be kept for ever")
        await calls(
            self._client.put_retention_policy, logGroupName=resource.key.name, retentionInDays=spec.retention_days
        )
        return self._observed(resource.key.name, spec.retention_days)

    @override
    async def delete(self, calls: Calls, observed: ObservedResource, known: ObservedResources) -> None:
        await if_there(calls(self._client.delete_log_group, logGroupName=observed.key.name))

    async def _matching(self, calls: Calls, **names: str) -> list[ObservedResource]:
        method = self._client.describe_log_groups
        found = await items(calls, method, "logGroups", request_cursor="nextToken", limit=PAGE, **names)
        return [self._observed(item["logGroupName"], item.get("retentionInDays")) for item in found]

    def _observed(self, name: str, retention_days: int | None) -> ObservedResource:
        return ObservedResource(
            Key(self.kind, name),
            Phase.READY,
            spec=LogGroupSpec(retention_days),
            arn=self._scope.arn("logs", f"log-group:{name}"),
            owner=self._owner_of(name),
        )


async def last_lines(  # noqa: PLR0913 - where they are, and which
    calls: Calls,
    client: "CloudWatchLogsClient",
    group: str,
    attempt: Attempt,
    *,
    count: int,
    job: JobStreams | None = None,
) -> tuple[str, ...]:
    """The last ``count`` telling lines of an attempt that failed, oldest first; empty if it has logged none.

    ``job`` is whose streams they are, in a group of many jobs.
    """
    # Only by their names can streams be selected by a prefix.
    order: Any = {"orderBy": "LastEventTime", "descending": True}
    if job:
        order = {"logStreamNamePrefix": job.prefix}
    try:
        answer = await calls(client.describe_log_streams, logGroupName=group, limit=PAGE, **order)
        streams = [each for each in answer["logStreams"] if job is None or job.includes(each["logStreamName"])]
        found = attempt.stream(LogStream(each["logStreamName"], _moment(each["creationTime"])) for each in streams)
        if found is None:
            return ()
        events = await calls(
            client.get_log_events, logGroupName=group, logStreamName=found.name, limit=_MOST_READ, startFromHead=False
        )
    except errors.NotFound:
        return ()
    return telling((event["message"] for event in events["events"]), count=count)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
