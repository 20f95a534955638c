"""CloudWatch log groups: made by us before the services would make them, so that they carry tags and an end."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ephemeral_endpoints.aws.batches import Batches, Fill
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.component import Scope, expect, pages
from ephemeral_endpoints.core import errors
from ephemeral_endpoints.core.names import ENDPOINT_LOG_PREFIX, LAMBDA_LOG_PREFIX, owner_of
from ephemeral_endpoints.core.resources import Have, Haves, Key, Kind, LogGroupSpec, Phase, Want
from ephemeral_endpoints.core.tags import Tags

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient

PAGE: Final = 50
READ_ACTIONS: Final = frozenset({"logs:DescribeLogStreams", "logs:GetLogEvents"})
"""The IAM actions that ``last_lines`` needs."""


class LogGroupComponent:
    """Log groups of the forwarder functions and of the endpoints."""

    kind: ClassVar = Kind.LOG_GROUP
    actions: ClassVar = frozenset(
        {
            "logs:CreateLogGroup",
            "logs:DeleteLogGroup",
            "logs:DescribeLogGroups",
            "logs:ListTagsForResource",
            "logs:PutRetentionPolicy",
            "logs:TagResource",
        }
    )

    def __init__(self, client: "CloudWatchLogsClient", scope: Scope) -> None:
        self._client = client
        self._scope = scope
        self._looks: Batches[str, Have | None] = Batches(self._look, most=PAGE)

    async def observe(self, calls: Calls, known: Haves) -> list[Have]:
        """See ``Component``."""
        found: list[Have] = []
        for services_prefix in (LAMBDA_LOG_PREFIX, ENDPOINT_LOG_PREFIX):
            found += await self._matching(calls, logGroupNamePrefix=services_prefix + self._scope.prefix)
        return found

    async def look(self, calls: Calls, key: Key, known: Haves) -> Have | None:
        """See ``Component``. One call tells of all groups of an owner that are asked for at once."""
        return await self._looks.ask(calls, key.name)

    async def _look(self, calls: Calls, fill: Fill[str]) -> dict[str, Have | None]:
        names = frozenset(fill())
        by_owner = groupby(sorted(names, key=self._owner), key=self._owner)
        found = await asyncio.gather(*(self._of_owner(calls, owner, list(group)) for owner, group in by_owner))
        there = {have.key.name: have for haves in found for have in haves}
        return {name: there.get(name) for name in names}

    async def _of_owner(self, calls: Calls, owner: str, names: Sequence[str]) -> list[Have]:
        if len(names) == 1:
            return await self._matching(calls, logGroupNamePrefix=names[0])
        return await self._matching(calls, logGroupNamePattern=owner)

    def _owner(self, name: str) -> str:
        return owner_of(self._scope.cluster_id, name) or name

    async def tags(self, calls: Calls, have: Have) -> Mapping[str, str]:
        """See ``Component``."""
        answer = await calls(self._client.list_tags_for_resource, resourceArn=have.arn)
        return answer["tags"]

    async def mark(self, calls: Calls, have: Have, marks: Tags) -> None:
        """See ``Component``."""
        await calls(self._client.tag_resource, resourceArn=have.arn, tags=dict(marks))

    async def apply(self, calls: Calls, want: Want, have: Have | None, known: Haves) -> Have:
        """See ``Component``. A group is made first and its retention set by a second step."""
        spec = expect(want, LogGroupSpec)
        if have is None:
            await calls(self._client.create_log_group, logGroupName=want.key.name, tags=dict(spec.tags))
            return self._have(want.key.name, None)
        if spec.retention_days is None:
            raise TypeError(f"{want.key} would be kept for ever")
        await calls(self._client.put_retention_policy, logGroupName=want.key.name, retentionInDays=spec.retention_days)
        return self._have(want.key.name, spec.retention_days)

    async def delete(self, calls: Calls, have: Have, known: Haves) -> None:
        """See ``Component``."""
        try:
            await calls(self._client.delete_log_group, logGroupName=have.key.name)
        except errors.NotFound:
            return

    async def _matching(self, calls: Calls, **names: str) -> list[Have]:
        listing = pages(calls, self._client.describe_log_groups, asks="nextToken", limit=PAGE, **names)
        return [
            self._have(item["logGroupName"], item.get("retentionInDays"))
            async for page in listing
            for item in page["logGroups"]
        ]

    def _have(self, name: str, retention_days: int | None) -> Have:
        scope = self._scope
        return Have(
            Key(self.kind, name),
            Phase.READY,
            spec=LogGroupSpec(retention_days),
            arn=f"arn:{scope.partition}:logs:{scope.region}:{scope.account_id}:log-group:{name}",
            owner=owner_of(scope.cluster_id, name),
        )


async def last_lines(calls: Calls, client: "CloudWatchLogsClient", group: str, *, count: int) -> tuple[str, ...]:
    """The newest ``count`` lines of the group's newest stream, oldest first; empty if there is nothing to read."""
    try:
        streams = await calls(
            client.describe_log_streams, logGroupName=group, orderBy="LastEventTime", descending=True, limit=1
        )
        if not streams["logStreams"]:
            return ()
        newest: Any = streams["logStreams"][0]["logStreamName"]
        events = await calls(
            client.get_log_events, logGroupName=group, logStreamName=newest, limit=count, startFromHead=False
        )
    except errors.NotFound:
        return ()
    return tuple(event["message"].rstrip() for event in events["events"])
