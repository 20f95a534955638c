"""The program that judges the JSON Schemas of objects, in a process of its own: see ``schemas``.

Reads requests from stdin and writes their answers to stdout, each as JSON on one line, until stdin ends. A request is
``{"requestSchema": text, "responseSchema": text, "samples": [[name, body, media type], ...]}``, the schemas null where
there are none. An answer is ``{"schema": [field, message]}``, ``{"sample": [name, message]}``, or ``{}`` if all is
well.
"""

import json
import resource
import sys
from typing import Any, Final

from ephemeral_endpoints.features.routing.forwarder.schema import SchemaError
from ephemeral_endpoints.features.routing.schema_rules import broken_sample, compiled

_MEMORY: Final = 96 * 1024 * 1024
_RECURSION: Final = 800
"""Less than Python's default: a forwarder compiles the same schemas below the frames of Lambda's start."""

_CPU_SECONDS: Final = 600
"""Ends a process whose operator has died while it was busy."""


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
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    sys.setrecursionlimit(_RECURSION)
    for request in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(request))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
