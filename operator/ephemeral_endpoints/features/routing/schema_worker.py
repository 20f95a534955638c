"""The program that judges the JSON Schemas of objects, in a process of its own: see ``schemas``.

A request is ``{"requestSchema": text, "responseSchema": text, "samples": [[name, body, media type], ...]}``, the
schemas null where there are none. An answer is ``{"schema": [field, message]}``, ``{"sample": [name, message]}``, or
``{}`` if all is well.
"""

import json
import sys
from typing import Any, Final

from ephemeral_endpoints.features.routing.forwarder.schema import SchemaError
from ephemeral_endpoints.features.routing.schema_rules import broken_sample, compiled
from ephemeral_endpoints.features.worker_process import serve

_RECURSION: Final = 800
"""Less than Python's default: a forwarder compiles the same schemas below the frames of Lambda's start."""


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request."""
    schemas = {}
    for field in ("requestSchema", "responseSchema"):
        if request[field] is not None:
            try:
                schemas[field] = compiled(json.loads(request[field]))
            except SchemaError as error:
                return {"schema": [field, str(error)]}
    if requests := schemas.get("requestSchema"):
        for name, body, content_type in request["samples"]:
            if broken := broken_sample(requests, body, content_type):
                return {"sample": [name, broken]}
    return {}


def main() -> None:
    """Serve until stdin ends."""
    sys.setrecursionlimit(_RECURSION)
    serve(answer)


if __name__ == "__main__":
    main()
