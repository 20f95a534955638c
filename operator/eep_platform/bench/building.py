"""The benchmark of builds: the time from a commit of the example model to its image and to its endpoint."""

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eep_platform import operator, platform
from eep_platform.aws import services
from eep_platform.bench.front import ports_of
from eep_platform.bench.results import BuildTimes, Imaged
from eep_platform.bench.watching import EndpointWatch
from eep_platform.bootstrap import BUILD_PROJECT
from eep_platform.demo.pull_request import REPOSITORY, changed_files
from eep_platform.errors import PlatformError
from eep_platform.git import files_of
from eep_platform.paths import cache_dir
from eep_platform.platform import Platform
from eep_platform.processes import find, stop
from eep_platform.workbench import Workbench

if TYPE_CHECKING:
    from types_boto3_codebuild import CodeBuildClient

_NAMESPACE: Final = "default"
_BRANCH: Final = "feature/bench"
_SETTINGS: Final = {"EEP_LOG_LEVEL": "WARNING"}
_SERVICES: Final = ("codebuild", "ecr")
_TIMEOUT_SECONDS: Final = 600.0

Say = Callable[[str], None]


def measure(state: Path, model: Path, *, provider: str, rounds: int, say: Say) -> dict[str, list[Imaged]]:
    """Measure builds of the model in a folder, each round on a new platform, which is removed afterwards.

    Returns the lists of `Builds` by name. Raises PlatformError if the platform or a build fails.
    """
    found = [_round(state, model, provider, say, number) for number in range(1, rounds + 1)]
    return {case: [each[case] for each in found] for case in found[0]}


def _round(state: Path, model: Path, provider: str, say: Say, number: int) -> dict[str, Imaged]:
    began = time.monotonic()

    def log(what: str) -> None:
        say(f"[builds, round {number}, {time.monotonic() - began:5.0f} s] {what}")

    log("starting a platform")
    # The caches are removed after the platform, whose containers run in them.
    with tempfile.TemporaryDirectory(prefix="eep-bench-", ignore_cleanup_errors=True) as caches:
        try:
            running = platform.up(state, provider=provider, report=log)
            _empty_caches(running, Path(caches))
            # The restarted CodeBuild has no project.
            platform.up(state, provider=provider, report=log)
            operator.start(running, _SETTINGS)
            with EndpointWatch(running, _NAMESPACE) as watch:
                return _phases(_Scene(Workbench(running, _NAMESPACE), watch), model, log)
        finally:
            platform.down(state, report=lambda _: None)


def _phases(scene: "_Scene", model: Path, log: Say) -> dict[str, Imaged]:
    found: dict[str, Imaged] = {}

    def apply(name: str, revision: str) -> None:
        each = found[name] = scene.apply(name, revision)
        log(f"{name}: the image after {each.image_seconds:.1f} s, ready after {each.ready_seconds:.1f} s")

    push = scene.bench.platform.git.push
    apply("cold", push(REPOSITORY, _BRANCH, files_of(model, below="model"), message="Tell wines apart"))
    second = push(REPOSITORY, _BRANCH, changed_files(model, 0.05), message="Regularize more")
    apply("warm", second)
    apply("present", second)
    return found


@dataclass(frozen=True, slots=True)
class _Scene:
    """A platform with a running operator, and a watch of its endpoints."""

    bench: Workbench
    watch: EndpointWatch

    def apply(self, name: str, revision: str) -> Imaged:
        """Apply a new object with a commit of the model, and wait until it is Ready. Raises PlatformError."""
        known, before = set(self._build_ids()), self._calls()
        applied = time.time()
        self.bench.apply(name, spec(revision))
        ready = self.watch.wait_ready([name], 1, seconds=_TIMEOUT_SECONDS)[name]
        calls = self._calls() - before
        imaged = self.watch.imaged_at[name, 1]
        made = [id_ for id_ in self._build_ids() if id_ not in known]
        return Imaged(
            image_seconds=imaged - applied,
            ready_seconds=ready - applied,
            calls=dict(calls),
            build=self._times(made, applied, imaged) if made else None,
        )

    def _times(self, ids: Sequence[str], applied: float, imaged: float) -> BuildTimes:
        if len(ids) > 1:
            raise PlatformError(f"expected one build, got {len(ids)}")
        build = self._codebuild().batch_get_builds(ids=ids)["builds"][0]
        started, ended = build["startTime"].timestamp(), build["endTime"].timestamp()
        return BuildTimes(
            asked_seconds=self._asked(applied) - applied, seconds=ended - started, noticed_seconds=imaged - ended
        )

    def _asked(self, since: float) -> float:
        asked = (call.time.timestamp() for call in self.bench.control.log() if call.operation == "StartBuild")
        return min(at for at in asked if at >= since)

    def _calls(self) -> Counter[str]:
        made = self.bench.control.calls()
        return Counter({f"{name} {each}": count for name in _SERVICES for each, count in made.get(name, {}).items()})

    def _build_ids(self) -> list[str]:
        return self._codebuild().list_builds_for_project(projectName=BUILD_PROJECT)["ids"]

    def _codebuild(self) -> "CodeBuildClient":
        client: CodeBuildClient = self.bench.aws("codebuild")
        return client


def spec(revision: str) -> dict[str, Any]:
    """The spec that CI applies for a commit of the model."""
    return {
        "className": "default",
        "source": {"repository": REPOSITORY, "pullRequest": 42, "revision": revision, "branch": _BRANCH},
        "model": {"build": {"context": "model"}},
    }


def _empty_caches(running: Platform, folder: Path) -> None:
    """Restart the services that cache builds and unpacked images with empty caches.

    Downloaded packages stay, because the speed of a package index is not measured.
    """
    for name in (services.CODEBUILD, services.SAGEMAKER):
        if process := find(name, running.state):
            stop(process)
    downloads = os.environ.get("UV_CACHE_DIR", str(cache_dir().parent / "uv"))
    with _variables({"XDG_CACHE_HOME": str(folder), "UV_CACHE_DIR": downloads}):
        services.start(running.state, ports_of(running))


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that the block starts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
