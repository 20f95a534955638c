"""The benchmark of trainings: what the operator adds to the time that SageMaker takes, and to its calls."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eep_platform import operator, platform
from eep_platform.aws.ledger import Call
from eep_platform.bench.results import Counts, Trained
from eep_platform.bench.watching import EndpointWatch
from eep_platform.bootstrap import BUILD_PROJECT, DEFAULT_CLASS
from eep_platform.demo.training import REPOSITORY, Training
from eep_platform.errors import PlatformError
from eep_platform.git import files_of
from eep_platform.workbench import Workbench
from ephemeral_endpoints.features.packages.iam import PACKAGES
from ephemeral_endpoints.features.training.iam import TRAINING
from ephemeral_endpoints.iam.statement import granted

REST_SECONDS: Final = 30.0
_NAMESPACE: Final = "default"
_SETTINGS: Final = {"EEP_LOG_LEVEL": "WARNING"}
_SETTLED_SECONDS: Final = 3.0
_TIMEOUT_SECONDS: Final = 900.0
_START: Final = "StartPipelineExecution"
_MODEL: Final = "CreateModel"
_OURS: Final = granted((*TRAINING, *PACKAGES)) - {f"sagemaker:{_MODEL}"}

Say = Callable[[str], None]


def measure(state: Path, model: Path, *, provider: str, rounds: int, say: Say) -> dict[str, Any]:
    """Measure trainings of the model in a folder, each round on a new platform, which is removed afterwards.

    Returns the members of `Trainings` without the machine. Raises PlatformError if the platform or a training fails.
    """
    found = [_round(state, model, provider, say, number) for number in range(1, rounds + 1)]
    rest: Counter[str] = Counter()
    for _, counts in found:
        rest.update({name: int(count) for name, count in counts.items()})
    cases = {case: [each[case] for each, _ in found] for case in found[0][0]}
    return {**cases, "rest_seconds": rounds * REST_SECONDS, "rest_calls": dict(rest)}


def _round(state: Path, model: Path, provider: str, say: Say, number: int) -> tuple[dict[str, Trained], Counts]:
    began = time.monotonic()

    def log(what: str) -> None:
        say(f"[trainings, round {number}, {time.monotonic() - began:5.0f} s] {what}")

    log("starting a platform")
    try:
        running = platform.up(state, provider=provider, report=log)
        operator.start(running, {**_SETTINGS, **operator.take_events(running)})
        bench = Workbench(running, _NAMESPACE)
        story = Training(bench, model, log)
        story.prepare()
        with EndpointWatch(running, _NAMESPACE) as watch:
            return _phases(_Scene(bench, watch), story, log)
    finally:
        platform.down(state, report=lambda _: None)


def _phases(scene: "_Scene", story: Training, log: Say) -> tuple[dict[str, Trained], Counts]:
    revision = scene.bench.platform.git.push(
        REPOSITORY, "main", files_of(story.model, below="model"), message="Tell wines apart"
    )
    # The operator would write the class's name into the spec, which makes another generation.
    named = {"className": DEFAULT_CLASS}
    plain = story.spec(revision) | named
    changed = story.spec(revision, inverse_regularization="0.5") | named
    found: dict[str, Trained] = {}
    for case, name, generation, spec in (
        ("first", "first", 1, plain),
        ("changed", "first", 2, changed),
        ("cached", "other", 1, changed),
    ):
        each = found[case] = scene.apply(name, generation, spec)
        log(
            f"{case}: started after {each.started_seconds:.2f} s, a model {each.modelled_seconds:.2f} s after the "
            f"package, ready after {each.ready_seconds:.1f} s; {sum(each.calls.values()):.0f} calls"
        )
    time.sleep(_SETTLED_SECONDS)
    before = scene.last()
    time.sleep(REST_SECONDS)
    return found, calls_of(scene.since(before))


@dataclass(frozen=True, slots=True)
class _Scene:
    """A platform with a running operator, and a watch of its endpoints."""

    bench: Workbench
    watch: EndpointWatch

    def apply(self, name: str, generation: int, spec: Mapping[str, Any]) -> Trained:
        """Apply an object that trains, and wait until that generation is Ready. Raises PlatformError."""
        before, applied = self.last(), time.time()
        self.bench.apply(name, spec)
        ready = self.watch.wait_ready([name], generation, seconds=_TIMEOUT_SECONDS)[name]
        calls = self.since(before)
        return Trained(
            started_seconds=first(calls, _START, since=applied) - (self._built_at(calls) or applied),
            modelled_seconds=first(calls, _MODEL, since=applied) - self._registered_at(name),
            ready_seconds=ready - applied,
            calls=calls_of(calls),
        )

    def last(self) -> int:
        """The number of the last call."""
        return max((each.number for each in self.bench.control.log(1)), default=0)

    def since(self, number: int) -> list[Call]:
        """The calls after the one of that number."""
        return [each for each in self.bench.control.log() if each.number > number]

    def _built_at(self, calls: list[Call]) -> float | None:
        """When the build ended that was begun; None if none was."""
        if not any(each.operation == "StartBuild" for each in calls):
            return None
        codebuild = self.bench.aws("codebuild")
        [newest, *_] = codebuild.list_builds_for_project(projectName=BUILD_PROJECT)["ids"]
        [build] = codebuild.batch_get_builds(ids=[newest])["builds"]
        return float(build["endTime"].timestamp())

    def _registered_at(self, name: str) -> float:
        found = self.bench.get(name) or {}
        arn = found["status"]["training"]["package"]
        answer = self.bench.aws("sagemaker").describe_model_package(ModelPackageName=arn)
        return float(answer["CreationTime"].timestamp())


def first(calls: list[Call], operation: str, *, since: float) -> float:
    """When an operation was first called, in Unix seconds. Raises PlatformError if it was not."""
    found = [each.time.timestamp() for each in calls if each.operation == operation]
    if not found:
        raise PlatformError(f"{operation} was not called since {since:.0f}")
    return min(found)


def calls_of(calls: list[Call]) -> Counts:
    """How often each operation was called that the operator needs for trainings and packages only."""
    return dict(Counter(each.operation for each in calls if f"{each.service}:{each.operation}" in _OURS))
