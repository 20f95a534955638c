"""JSON Schemas of pull requests, applied in a process of its own that can be ended.

A schema of a few lines can take for ever (each of thirty definitions that refers to the next one twice), and neither
the memory nor the stack of the library is bounded: none of that may reach the operator.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from ephemeral_endpoints.features.checks.evaluation import Failure
from ephemeral_endpoints.features.checks.preparation import PreparedCheck
from ephemeral_endpoints.features.checks.reasons import CheckInvalid
from ephemeral_endpoints.features.worker import Worker, WorkerError

MAX_SECONDS: Final = 5.0
"""How long it may take to compile one schema, and to apply it to one answer."""

MAX_SECONDS_IN_ALL: Final = 10.0
"""How long it may take to compile all schemas of an object, for which its reconciliation waits."""

_MODULE: Final = "ephemeral_endpoints.features.checks.schema_worker"


class Schemas(Worker):
    """Applies schemas one after the other, in a process that is started when it is needed, until ``close``."""

    def __init__(self, max_seconds: float = MAX_SECONDS) -> None:
        super().__init__(_MODULE, max_seconds)

    async def refusal(self, schema: str) -> str | None:
        """Why a schema is none, beginning with the pointer into it; None if it is one. Raises WorkerError."""
        refused = (await self.ask({"schema": schema})).get("refusal")
        return str(refused) if refused else None

    async def failures(self, schema: str, document: bytes) -> tuple[Failure, ...]:
        """Where a document, which is JSON, does not match a schema that compiles. Raises WorkerError."""
        found = (await self.ask({"schema": schema, "document": document.decode()})).get("violations", ())
        return tuple(
            Failure(pointer or "the answer", f"a match of the schema ({keyword})", message)
            for pointer, keyword, message in found
        )


async def invalid(checks: Iterable[PreparedCheck], *, max_seconds: float = MAX_SECONDS_IN_ALL) -> CheckInvalid | None:
    """The error of the first check whose schema is none, or cannot be compiled in time; None if all can be run."""
    with_schemas = [(each.name, each.schema) for each in checks if each.schema]
    if not with_schemas:
        return None
    name = with_schemas[0][0]
    try:
        async with Schemas() as schemas, asyncio.timeout(max_seconds):
            for name, schema in with_schemas:
                if refused := await schemas.refusal(schema):
                    return CheckInvalid(f"check {name}: the JSON Schema is not valid: {refused}")
    except TimeoutError:
        return CheckInvalid(f"check {name}: it and those before it have JSON Schemas that take too long to compile")
    except WorkerError as error:
        return CheckInvalid(f"check {name}: the JSON Schema is not valid: it {error}")
    return None
