"""The states of tables in the embedded DynamoDB: AWS creates and deletes them in seconds, ministack at once.

Until a table is ACTIVE its items cannot be reached, and it cannot be deleted
(https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html and API_DeleteTable.html).
"""

import json
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

Answer = tuple[int, dict[str, str], bytes]
Handle = Callable[[dict[str, Any]], Answer]

SECONDS: Final = 0.3
"""How long a creation and a deletion take."""

ON_TABLES: Final = ("_create_table", "_delete_table", "_describe_table", "_list_tables")
ON_ITEMS: Final = ("_batch_get_item", "_get_item", "_query", "_transact_write_items")
"""Ministack's handlers of the requests that the operator and its forwarders make."""

_OK: Final = 200
_STATUS: Final = "TableStatus"
_SINCE: Final = "since"


@dataclass(frozen=True, slots=True)
class TableStates:
    """The states of ``tables``; ``delete`` deletes one at once, ``refuse`` makes an error of its code and message."""

    tables: MutableMapping[str, dict[str, Any]]
    delete: Handle
    refuse: Callable[[str, str], Answer]
    clock: Callable[[], float]

    def over(self, name: str, handle: Handle) -> Handle:
        """Handle the requests that ministack's handler of that name takes."""

        def handle_with_states(data: dict[str, Any]) -> Answer:
            self._settle()
            if name == "_delete_table":
                return self._deleted(data)
            moving = [each for each in _tables_of(data) if self._status(each) not in {None, "ACTIVE"}]
            if name in ON_ITEMS and moving:
                return self.refuse("ResourceNotFoundException", "Requested resource not found")
            answer = handle(data)
            return self._created(data, answer) if name == "_create_table" and answer[0] == _OK else answer

        return handle_with_states

    def _created(self, data: dict[str, Any], answer: Answer) -> Answer:
        self._move(data["TableName"], "CREATING")
        described = json.loads(answer[2])
        described["TableDescription"][_STATUS] = "CREATING"
        return answer[0], answer[1], json.dumps(described).encode()

    def _deleted(self, data: dict[str, Any]) -> Answer:
        name = data["TableName"]
        status = self._status(name)
        if status not in {None, "ACTIVE"}:
            doing = {"CREATING": "created", "DELETING": "deleted"}[status or ""]
            message = f"Attempt to change a resource which is still in use: Table is being {doing}: {name}"
            return self.refuse("ResourceInUseException", message)
        table = self.tables.get(name)
        answer = self.delete(data)
        if table is not None:
            self.tables[name] = table
            self._move(name, "DELETING")
        return answer

    def _status(self, name: str) -> str | None:
        table = self.tables.get(name)
        return str(table[_STATUS]) if table else None

    def _move(self, name: str, status: str) -> None:
        self.tables[name] |= {_STATUS: status, _SINCE: self.clock()}

    def _settle(self) -> None:
        for name in list(self.tables):
            table = self.tables[name]
            if self.clock() - table.get(_SINCE, 0) < SECONDS:
                continue
            if table[_STATUS] == "DELETING":
                del self.tables[name]
            else:
                table[_STATUS] = "ACTIVE"


def _tables_of(data: Mapping[str, Any]) -> set[str]:
    """The tables that a request is about."""
    changes = (change for each in data.get("TransactItems", ()) for change in each.values())
    return {*data.get("RequestItems", ()), *(each["TableName"] for each in changes), data.get("TableName", "")}
