"""A process that answers for the operator: what its time counts from."""

from pathlib import Path

import pytest

from ephemeral_endpoints.features import worker
from ephemeral_endpoints.features.worker import Worker, WorkerError

SLOW = """
import time
from ephemeral_endpoints.features.worker_process import serve
time.sleep(3)
serve(lambda request: {"asked": request})
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that takes three seconds to start."""
    (tmp_path / "slow.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    return "slow"


async def test_the_start_of_the_process_takes_no_time_of_the_first_answer(module: str) -> None:
    async with Worker(module, max_seconds=2.9) as one:
        assert await one.ask({"a": 1}) == {"asked": {"a": 1}}


async def test_a_process_that_does_not_start_is_told() -> None:
    with pytest.raises(WorkerError, match="the process that does it ended"):
        await Worker("none", max_seconds=1).ask({})


async def test_a_process_that_starts_for_ever_is_ended(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "START_SECONDS", 0.1)
    with pytest.raises(WorkerError, match="its process does not start"):
        await Worker(module, max_seconds=5).ask({})
