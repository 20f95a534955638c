"""Runs a story on a new platform."""

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from eep_platform import operator, platform
from eep_platform.demo.lifetime import Lifetime
from eep_platform.demo.pull_request import PullRequest
from eep_platform.demo.story import Say, Story, counted
from eep_platform.demo.training import Training
from eep_platform.workbench import Workbench

STORIES: Final[Mapping[str, type[Story]]] = {"pull-request": PullRequest, "lifetime": Lifetime, "training": Training}
SETTINGS: Final = {"EEP_SNAPSHOT_SECONDS": "2", "EEP_SWEEP_MIN_AGE_SECONDS": "2"}
"""SageMaker recreates a log group for late lines; with short intervals the sweep deletes it within seconds."""


def run(story: type[Story], state: Path, model: Path, *, provider: str, say: Say) -> None:
    """Start a new platform, run the story, and stop the platform. Raises PlatformError if a stage fails."""
    began = time.monotonic()
    say("starting Kubernetes and AWS on this machine")
    try:
        running = platform.up(state, provider=provider, report=lambda text: say(f"   {text}"))
        operator.start(running, {**SETTINGS, **operator.take_events(running)})
        say(f"   {time.monotonic() - began:.1f} s")
        bench = Workbench(running)
        bench.control.reset_meter()
        story(bench, model, say).run()
        say(f"\nAWS calls in total: {counted(_totals(bench))}")
    finally:
        platform.down(state, report=lambda _: None)
    say(f"the demo took {time.monotonic() - began:.1f} s")


def _totals(bench: Workbench) -> Counter[str]:
    return Counter({service: sum(operations.values()) for service, operations in bench.control.calls().items()})
