"""The program that applies JSON Schemas of pull requests, in a process of its own: see ``schemas``.

A request is ``{"schema": text, "document": text}``, the latter absent where the schema is only to be compiled. An
answer is ``{"refusal": text}`` for a schema that does not compile, else
``{"violations": [[pointer, keyword, message], ...]}``.
"""

import json
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

import jsonschema_rs

from ephemeral_endpoints.features.checks.documents import line, pointer_of
from ephemeral_endpoints.features.worker_process import serve

MOST_VIOLATIONS: Final = 10
_LONG: Final = 64 * 1024
"""Of a longer document only the first violation is told: the library makes all of them before it tells any, which can
take a thousand times the document's memory."""

_WORDS: Final = 200


def answer(request: dict[str, str]) -> dict[str, Any]:
    """The answer to a request."""
    try:
        # Offline: references lead nowhere out of the schema, neither into the network nor to files.
        validator = jsonschema_rs.Draft202012Validator(
            json.loads(request["schema"]), validate_formats=True, offline=True
        )
    except jsonschema_rs.ValidationError as error:
        where = pointer_of(list(error.instance_path))
        return {"refusal": f"{where or 'the schema'}: {line(error.message, _WORDS)}"}
    except (ValueError, RecursionError) as error:
        return {"refusal": f"the schema: {line(str(error), _WORDS)}"}
    if "document" not in request:
        return {"violations": []}
    found = _violations(validator, request["document"])
    return {
        "violations": [
            [pointer_of(list(each.instance_path)), each.kind.name, line(each.message, _WORDS)] for each in found
        ]
    }


def _violations(
    validator: jsonschema_rs.Draft202012Validator, document: str
) -> Iterable[jsonschema_rs.ValidationError]:
    if len(document) <= _LONG:
        return islice(validator.iter_errors(json.loads(document)), MOST_VIOLATIONS)
    try:
        validator.validate(json.loads(document))
    except jsonschema_rs.ValidationError as error:
        return (error,)
    return ()


def main() -> None:
    """Serve until stdin ends."""
    serve(answer)


if __name__ == "__main__":
    main()
