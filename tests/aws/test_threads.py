import asyncio
import subprocess
import sys
import threading

import pytest

from ephemeral_endpoints.aws.threads import DaemonThreads


async def test_a_call_runs_beside_the_event_loop_and_gives_its_result() -> None:
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(DaemonThreads(), threading.get_ident) != threading.get_ident()
    assert await loop.run_in_executor(DaemonThreads(), divmod, 7, 2) == (3, 1)


async def test_what_a_call_raises_is_raised_to_who_waits() -> None:
    with pytest.raises(ZeroDivisionError):
        await asyncio.get_running_loop().run_in_executor(DaemonThreads(), divmod, 7, 0)


def test_a_call_that_hangs_does_not_keep_the_process() -> None:
    program = (
        "import threading; from ephemeral_endpoints.aws.threads import DaemonThreads;"
        "DaemonThreads().submit(threading.Event().wait)"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, env=environment)  # noqa: S603 - our own words
