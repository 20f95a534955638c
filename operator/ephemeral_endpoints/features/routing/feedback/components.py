"""The tables of votes in DynamoDB."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from typing_extensions import override

from ephemeral_endpoints.aws.batches import Batches, Fill
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import NameListedComponent, Scope, expect, if_there, pages, tag_list, tag_map
from ephemeral_endpoints.engine.errors import AwsError, Throttled
from ephemeral_endpoints.engine.resources import (
    CREATING,
    DesiredResource,
    Key,
    ObservedResource,
    ObservedResources,
    Phase,
)
from ephemeral_endpoints.engine.tags import Tags
from ephemeral_endpoints.features.routing.feedback.iam import FEEDBACK
from ephemeral_endpoints.features.routing.feedback.specs import FEEDBACK_TABLE, FeedbackTableSpec
from ephemeral_endpoints.features.routing.forwarder.feedback import COUNTS, PARTITION_KEY, SORT_KEY
from ephemeral_endpoints.iam.statement import granted

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

KEYS: Final = 100
"""The most items that one BatchGetItem reads
(https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html)."""

_PHASES: Final[Mapping[str, Phase]] = {
    "CREATING": Phase.BUSY,
    "UPDATING": Phase.BUSY,
    "ACTIVE": Phase.READY,
    "DELETING": Phase.DELETING,
}


class CountKey(NamedTuple):
    """The item with the votes on one variant of one revision: the table, and its ``count_id``."""

    table: str
    id: str


class Votes(NamedTuple):
    """How many answers were voted up, and down."""

    up: int = 0
    down: int = 0


class FeedbackTableComponent(NameListedComponent):
    """Tables, each of which is described until it is ready."""

    kind: ClassVar = FEEDBACK_TABLE
    actions: ClassVar = granted(FEEDBACK)
    statements: ClassVar = FEEDBACK

    def __init__(self, clients: Clients, scope: Scope) -> None:
        super().__init__(clients, scope)
        self._counts: Batches[CountKey, Votes] = Batches(self._count, most=KEYS)

    async def votes(self, calls: Calls, key: CountKey) -> Votes:
        """The votes that one count holds, none if there is none; many are read by one call. Raises an ``AwsError``."""
        return await self._counts.ask(calls, key)

    @override
    async def _names(self, calls: Calls) -> list[str]:
        client, names = await self._client(calls), list[str]()
        paging: Any = {"request_cursor": "ExclusiveStartTableName", "answer_cursor": "LastEvaluatedTableName"}
        async for page in pages(calls, client.list_tables, **paging):
            names += page["TableNames"]
        return names

    @override
    async def describe(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        client = await self._client(calls)
        answer = await if_there(calls(client.describe_table, TableName=key.name))
        return self._observed(answer["Table"]) if answer else None

    @override
    async def tags(self, calls: Calls, observed: ObservedResource) -> Mapping[str, str]:
        client = await self._client(calls)
        found: list[Any] = []
        async for page in pages(calls, client.list_tags_of_resource, ResourceArn=observed.arn):
            found += page.get("Tags", ())
        return tag_map(found)

    @override
    async def add_tags(self, calls: Calls, observed: ObservedResource, tags: Tags) -> None:
        client = await self._client(calls)
        await calls(client.tag_resource, ResourceArn=observed.arn, Tags=tag_list(tags))

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        # Tables differ in nothing but their tags, so that only a creation brings one here.
        client = await self._client(calls)
        made = await calls(
            client.create_table,
            TableName=resource.key.name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in (PARTITION_KEY, SORT_KEY)],
            KeySchema=[
                {"AttributeName": PARTITION_KEY, "KeyType": "HASH"},
                {"AttributeName": SORT_KEY, "KeyType": "RANGE"},
            ],
            Tags=tag_list(expect(resource, FeedbackTableSpec).tags),
        )
        return self._observed(made["TableDescription"])

    @override
    async def delete(
        self, calls: Calls, observed: ObservedResource, known: ObservedResources
    ) -> ObservedResource | None:
        client = await self._client(calls)
        answer = await if_there(calls(client.delete_table, TableName=observed.key.name))
        return self._observed(answer["TableDescription"]) if answer else None

    async def _count(self, calls: Calls, fill: Fill[CountKey]) -> Mapping[CountKey, Votes | AwsError]:
        asked: list[CountKey] = []

        def arguments() -> dict[str, Any]:
            asked[:] = fill()
            tables: dict[str, Any] = {}
            for key in asked:
                item = {PARTITION_KEY: {"S": COUNTS}, SORT_KEY: {"S": key.id}}
                tables.setdefault(key.table, {"Keys": []})["Keys"].append(item)
            return {"RequestItems": tables}

        answer = await calls.deferred((await self._client(calls)).batch_get_item, arguments)
        found: dict[CountKey, Votes | AwsError] = dict.fromkeys(asked, Votes())
        for table, items in answer.get("Responses", {}).items():
            found |= {CountKey(table, item[SORT_KEY]["S"]): _votes(item) for item in items}
        for table, left in answer.get("UnprocessedKeys", {}).items():
            error = Throttled("DynamoDB did not read all counts", operation="BatchGetItem")
            found |= dict.fromkeys((CountKey(table, item[SORT_KEY]["S"]) for item in left["Keys"]), error)
        return found

    async def _client(self, calls: Calls) -> "DynamoDBClient":
        return await asyncio.get_running_loop().run_in_executor(calls.pool, self._clients.dynamodb)

    @override
    async def _listed(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        before = known.get(key)
        return before if before and before.phase is Phase.READY else await self.describe(calls, key, known)

    def _observed(self, table: Any) -> ObservedResource:
        name, status = table["TableName"], table["TableStatus"]
        return ObservedResource(
            Key(self.kind, name),
            _PHASES.get(status, Phase.IMPAIRED),
            spec=FeedbackTableSpec(),
            id=table.get("TableId", ""),
            arn=table["TableArn"],
            status=CREATING if status == "CREATING" else status,
            owner=self._owner_of(name),
        )


def _votes(item: Any) -> Votes:
    up, down = (int(item.get(direction, {"N": "0"})["N"]) for direction in Votes._fields)
    return Votes(up, down)
