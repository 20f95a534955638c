"""What SageMaker expects of a job: an exit status, the reason of a failure, and an end when it asks for one."""

import json
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

_MOST_BYTES = 1024
"""SageMaker shows no more of the file."""


def run(job: Callable[[], Mapping[str, object]], reason_file: Path) -> int:
    """Does the job, and prints what it returns as one line of JSON.

    Returns 0, or 1 if it failed; the reason is then on stderr and, in a container of SageMaker, in `reason_file`.
    """
    try:
        result = json.dumps(job(), allow_nan=False)
    # Whatever ends a job, SageMaker has no other way to learn of it.
    except Exception as error:  # noqa: BLE001
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        if not isinstance(error, ValueError | OSError):
            traceback.print_exc()
        sys.stderr.write(f"{reason}\n")
        _tell(reason, reason_file)
        return 1
    sys.stdout.write(f"{result}\n")
    return 0


@contextmanager
def terminations() -> Iterator[list[int]]:
    """Yields a list that is empty until SIGTERM arrives, which ends nothing: whoever looks must.

    SageMaker sends it when a job is stopped or has no time left, and kills what still runs two minutes later.
    """
    received: list[int] = []
    previous = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, previous)


def _tell(reason: str, file: Path) -> None:
    # Elsewhere, such as on a laptop, there is no such folder, and nobody who reads the file.
    if file.parent.parent.is_dir():
        with suppress(OSError):  # a full disk may be the very reason
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(reason.encode()[:_MOST_BYTES].decode(errors="ignore").encode())
