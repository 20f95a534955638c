"""Runs the benchmark: a new platform and operator for each size; keeps the results and writes the page."""

import os
import platform as python_platform
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

import psutil
from kubernetes import client

from eep_platform import operator, platform
from eep_platform.bench import (
    building,
    forwarder,
    front,
    month_page,
    naive,
    plots,
    pull_requests,
    reaper,
    report,
    training,
)
from eep_platform.bench.counting import CallTimes
from eep_platform.bench.month import story
from eep_platform.bench.month.agenda import HOUR
from eep_platform.bench.month.simulation import Simulation
from eep_platform.bench.results import (
    ADAPTER,
    Builds,
    Forwarder,
    Machine,
    Measured,
    Memory,
    Reaped,
    Results,
    Reviews,
    Trainings,
)
from eep_platform.bench.scenario import CLUSTER_ID, Scenario, Windows
from eep_platform.bench.watching import EndpointWatch
from eep_platform.workbench import Workbench

NAIVE_OBJECTS: Final = 30
_IDLE: Final = 2 * HOUR
_VARIATIONS: Final = {
    "budgets": story.Inputs(budget=5.0, pinned=0.1),
    "lives by use": story.Inputs(counts_use=True),
}
"""What else a class may say: each endpoint for two days, but those that are pinned; and lives from the last look on."""
_NAMESPACE: Final = "bench"
_SETTINGS: Final = {"EEP_CLUSTER_ID": CLUSTER_ID, "EEP_LOG_LEVEL": "WARNING"}
_PACKAGES: Final = ("ephemeral-endpoints", "kopf", "kubernetes", "boto3", "aiohttp", "pydantic", "ministack")


@dataclass(frozen=True, slots=True)
class Plan:
    """The parameters: SageMaker's times in seconds, and the number of objects that are created one by one.

    `model` is the folder of the model for builds and trainings, `rounds` the number of their rounds.
    """

    create_seconds: float = 5.0
    delete_seconds: float = 2.0
    trickle: int = 20
    windows: Windows = field(default_factory=Windows)
    with_naive: bool = True
    provider: str = "auto"
    """The provider of the control plane."""

    model: Path = Path("model")
    rounds: int = 3
    pull_requests: int = 1000
    reviewed: int = 300
    """Objects at rest on so many pull requests, and those whose memory is measured."""


def run(state: Path, sizes: Sequence[int], *, plan: Plan, page: Path, say: Callable[[str], None]) -> None:
    """Measure all sizes and write the page after each. Raises PlatformError, also if matplotlib is missing."""
    plots.require()
    kept = _kept(state)
    for size in sizes:
        measured = measure(state, size, plan=plan, say=say)
        found = load(kept)
        _publish(replace(found, sizes={**found.sizes, size: measured}), kept, page, say)


def run_builds(state: Path, *, plan: Plan, page: Path, say: Callable[[str], None]) -> None:
    """Measure builds of the plan's model, and write the page. Raises PlatformError, also if matplotlib is missing."""
    plots.require()
    cases = building.measure(state, plan.model, provider=plan.provider, rounds=plan.rounds, say=say)
    kept = _kept(state)
    _publish(replace(load(kept), builds=Builds(machine(), **cases)), kept, page, say)


def run_trainings(state: Path, *, plan: Plan, page: Path, say: Callable[[str], None]) -> None:
    """Measure trainings of the plan's model, and write the page. Raises PlatformError, also without matplotlib."""
    plots.require()
    found = training.measure(state, plan.model, provider=plan.provider, rounds=plan.rounds, say=say)
    kept = _kept(state)
    _publish(replace(load(kept), trainings=Trainings(machine(), **found)), kept, page, say)


def run_pull_requests(state: Path, *, plan: Plan, page: Path, say: Callable[[str], None]) -> None:
    """Measure pull requests, and write the page. Raises PlatformError, also if matplotlib is missing."""
    plots.require()
    found = pull_requests.measure(state, plan.pull_requests, plan.reviewed, provider=plan.provider, say=say)
    kept = _kept(state)
    _publish(replace(load(kept), reviews=Reviews(machine(), **found)), kept, page, say)


def run_forwarder(state: Path, *, plan: Plan, page: Path, say: Callable[[str], None]) -> None:
    """Measure the forwarder, and write the page. Raises PlatformError, also if matplotlib is missing."""
    plots.require()
    found = forwarder.measure(state, plan.model, provider=plan.provider, say=say)
    kept = _kept(state)
    _publish(replace(load(kept), forwarder=Forwarder(machine(), **found)), kept, page, say)


def run_reaper(state: Path, previews: int, *, page: Path, say: Callable[[str], None]) -> None:
    """Measure the reaper over so many previews, and write the page. Raises PlatformError, also without matplotlib."""
    plots.require()
    found = reaper.measure(state, previews, say=say)
    kept = _kept(state)
    _publish(replace(load(kept), reaped=Reaped(machine(), **found)), kept, page, say)


def run_month(page: Path, *, seeds: Sequence[int] = (1,), say: Callable[[str], None]) -> None:
    """Simulate a month with each seed, and write its page. Raises PlatformError if matplotlib is missing."""
    plots.require()
    began = time.process_time()
    months = []
    for seed in seeds:
        months.append(Simulation(story.month(story.Inputs(), seed)).run())
        say(f"[seed {seed}, {time.process_time() - began:5.0f} s] simulated")
    resting = Simulation(story.month(story.Inputs(idle=_IDLE), seeds[0])).run()
    say(f"[seed {seeds[0]}, {time.process_time() - began:5.0f} s] simulated with sleep")
    variations = {}
    for name, inputs in _VARIATIONS.items():
        variations[name] = Simulation(story.month(inputs, seeds[0])).run()
        say(f"[seed {seeds[0]}, {time.process_time() - began:5.0f} s] simulated with {name}")
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    month_page.draw(months[0], resting, folder)
    page.write_text(month_page.render(months, resting, time.process_time() - began, folder.name, variations))
    say(f"wrote {page}")


def _kept(state: Path) -> Path:
    return state.parent / f"{state.name}-results.json"


def _publish(results: Results, kept: Path, page: Path, say: Callable[[str], None]) -> None:
    """Save the results, and write the page, or only their sections of it if no number of objects was measured here."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(ADAPTER.dump_json(results, indent=2))
    if results.sizes:
        write(page, results)
    elif page.exists():
        page.write_text(report.renew(page.read_text(), results))
    else:
        say(f"wrote {kept}; the page needs at least one measured number of objects")
        return
    say(f"wrote {page}")


def load(kept: Path) -> Results:
    """The results of earlier runs; empty if there is no such file."""
    return ADAPTER.validate_json(kept.read_bytes()) if kept.exists() else Results()


def write(page: Path, results: Results) -> None:
    """Write the page, and its plots into a neighbouring folder of the same name."""
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    plots.draw(results, folder)
    page.write_text(report.render(results, folder.name))


def measure(state: Path, size: int, *, plan: Plan, say: Callable[[str], None]) -> Measured:
    """Measure one number of objects on a new platform, which is removed afterwards."""
    began = time.monotonic()

    def log(what: str) -> None:
        say(f"[{size} objects, {time.monotonic() - began:5.0f} s] {what}")

    log("starting a platform")
    try:
        running = platform.up(state, provider=plan.provider, report=log)
        front.install(running)
        bench = Workbench(running, namespace=_NAMESPACE)
        _prepare(bench, size, plan)
        operator.start(running, _SETTINGS)
        with EndpointWatch(running, _NAMESPACE) as watch:
            times = CallTimes(bench, CLUSTER_ID)
            scenario = Scenario(bench, watch, times, plan.create_seconds, plan.delete_seconds, log, _SETTINGS)
            return _phases(scenario, _names("burst", size), plan, log)
    finally:
        platform.down(state, report=lambda _: None)


def _phases(scenario: Scenario, names: list[str], plan: Plan, log: Callable[[str], None]) -> Measured:
    bench, windows = scenario.bench, plan.windows
    empty = scenario.resident()
    log("creating all objects at once")
    burst = scenario.create(names)
    after_burst = scenario.resident()
    log(f"all are ready after {burst.seconds:.1f} s (bound {burst.bound.seconds:.1f} s: {burst.bound.limit})")
    idle = scenario.idle(windows.idle)
    log(f"creating, changing and deleting {plan.trickle} more, one by one")
    trickle = scenario.trickle(_names("trickle", plan.trickle))
    log(f"ready {trickle.created.median:.2f} s, gone {trickle.deleted.median:.2f} s after AWS")
    compared = None
    if plan.with_naive and len(names) == NAIVE_OBJECTS:
        log("a naive reconciler in the operator's place")
        operator.end(bench.platform)
        compared = naive.measure(bench, [each for name in names if (each := bench.get(name))])
    restart = scenario.restart(names, {"EEP_SNAPSHOT_SECONDS": str(windows.snapshot)})
    log(f"restarted and settled after {restart.seconds:.1f} s")
    rest = scenario.rest(windows, idle)
    after_restart = scenario.resident()
    log("deleting all objects at once")
    scenario.restart(names, {})
    teardown = scenario.delete(names)
    log(f"all are gone after {teardown.seconds:.1f} s (bound {teardown.bound.seconds:.1f} s: {teardown.bound.limit})")
    return Measured(
        objects=len(names),
        machine=machine(),
        create_seconds=plan.create_seconds,
        burst=burst,
        trickle=trickle,
        rest=rest,
        restart=restart,
        memory=Memory(empty, after_burst, after_restart),
        teardown=teardown,
        left_behind=sum(len(each) for each in bench.contents().values()),
        naive=compared,
    )


def _prepare(bench: Workbench, size: int, plan: Plan) -> None:
    """Create a namespace and an image for every object, and set SageMaker's times and AWS's documented limits."""
    bench.core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=_NAMESPACE)))
    for name in [*_names("burst", size), *_names("trickle", plan.trickle)]:
        front.put_image(bench, name)
    bench.control.patch_sagemaker_settings(
        {
            "containers": "off",
            "quotas": {"serverless_endpoints": "unlimited", "serverless_concurrency": "unlimited"},
            "behaviour": {
                "create_seconds": plan.create_seconds,
                "update_seconds": plan.create_seconds,
                "delete_seconds": plan.delete_seconds,
            },
        }
    )
    bench.control.reset_meter()
    bench.control.set_documented_limits()


def machine() -> Machine:
    """This machine, today's date and the versions."""
    versions = {name: metadata.version(name) for name in _PACKAGES}
    return Machine(
        date=datetime.now(UTC).date().isoformat(),
        commit=_commit(),
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        load=psutil.getloadavg()[2],
        versions={"Python": python_platform.python_version(), **versions},
    )


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - fixed
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return python_platform.processor() or python_platform.machine()


def _names(what: str, count: int) -> list[str]:
    return [f"{what}-{number:04}" for number in range(1, count + 1)]
