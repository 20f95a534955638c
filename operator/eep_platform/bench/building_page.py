"""The page's section about builds; pure."""

from collections.abc import Callable, Iterable
from typing import Final

from eep_platform.bench.figures import percentile
from eep_platform.bench.markdown import amount, grid, section
from eep_platform.bench.results import Builds, BuildTimes, Imaged
from ephemeral_endpoints.settings import Settings

_ABOUT: Final = """\
From a commit of the example model to its prediction, on an embedded platform whose CodeBuild really builds: medians of
{rounds} rounds, in seconds. `make bench BENCH=--builds` measures this section alone and keeps the others.

- *Cold* is a first commit: nothing was built on the machine before, and the registry is empty. *Warm* is the next one,
  which changes one file. *Present* is another object with the same commit, whose image is in ECR already.
- The operator's share is from the application of the object to StartBuild, and from the end of the build until a watch
  of the Kubernetes API saw ImageReady. The time between is CodeBuild's, which the operator polls every {poll:g} s.
- Unlike AWS's, the embedded CodeBuild does not wait for a machine, and it does not download packages again that are
  already on this machine.
"""

_POLL_SECONDS: Final = Settings.from_environment({}).poll_seconds
"""The operator's default."""

Cases = tuple[list[Imaged], ...]


def render(builds: Builds) -> str:
    """The section as Markdown. Every case must have been measured at least once."""
    cases = (builds.cold, builds.warm, builds.present)
    rounds = amount(len(builds.cold))
    return section("Builds", _ABOUT.format(rounds=rounds, poll=_POLL_SECONDS).rstrip(), _seconds(cases), _calls(cases))


def _seconds(cases: Cases) -> str:
    rows = [
        ["application until `ImageReady`", *(_shown(_median(each.image_seconds for each in case)) for case in cases)],
        ["application until `Ready`", *(_shown(_median(each.ready_seconds for each in case)) for case in cases)],
        ["the build itself", *(_of_builds(case, lambda build: build.seconds) for case in cases)],
        [
            "operator: application until StartBuild",
            *(_of_builds(case, lambda build: build.asked_seconds) for case in cases),
        ],
        [
            "operator: end of the build until `ImageReady`",
            *(_of_builds(case, lambda build: build.noticed_seconds) for case in cases),
        ],
    ]
    return grid(["", "cold", "warm", "present"], rows)


def _of_builds(case: Iterable[Imaged], value: Callable[[BuildTimes], float]) -> str:
    found = [value(each.build) for each in case if each.build]
    return _shown(_median(found)) if found else ""


def _calls(cases: Cases) -> str:
    names = sorted({name for case in cases for each in case for name in each.calls})
    rows = [[name, *(amount(_median(each.calls.get(name, 0) for each in case)) for case in cases)] for name in names]
    total = ["**all**", *(amount(_median(sum(each.calls.values()) for each in case)) for case in cases)]
    return grid(["AWS calls until `Ready`", "cold", "warm", "present"], [*rows, total])


def _median(values: Iterable[float]) -> float:
    return percentile(sorted(values), 50)


def _shown(seconds: float) -> str:
    return f"{seconds:.2f}"
