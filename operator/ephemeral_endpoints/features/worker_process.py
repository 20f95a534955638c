"""What a process of ``Worker`` runs: it says that it is ready, and answers requests until stdin ends."""

import json
import resource
import sys
from collections.abc import Callable
from typing import Any, Final

_MEMORY: Final = 96 * 1024 * 1024
"""Several processes and the operator share the memory of one container, which ends as a whole when it is used up."""

_CPU_SECONDS: Final = 600
"""Ends a process whose operator has died while it was busy."""


def serve(answer: Callable[[Any], dict[str, Any]]) -> None:
    """Write an empty line, and then an answer to each line of stdin, both as JSON. Limits memory and time of CPU."""
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    _write("")
    for request in sys.stdin:
        _write(json.dumps(answer(json.loads(request))))


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
