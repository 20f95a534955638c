import threading
from dataclasses import dataclass, field

from eep_platform.aws.emulator import sparing_busy


@dataclass
class Worker:
    in_use: bool
    killed: threading.Event = field(default_factory=threading.Event)


def kill(workers: list[Worker]) -> None:
    for worker in workers:
        worker.killed.set()


def test_idle_workers_end_at_once_and_busy_ones_when_they_are_done() -> None:
    idle, busy = Worker(in_use=False), Worker(in_use=True)
    sparing_busy(kill)([idle, busy])  # type: ignore[arg-type]  # of any iterable
    assert idle.killed.is_set()
    assert not busy.killed.is_set()
    busy.in_use = False
    assert busy.killed.wait(120)
