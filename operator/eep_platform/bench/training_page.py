"""The page's section about trainings; pure."""

from collections.abc import Callable, Iterable
from typing import Final

from eep_platform.bench.figures import percentile
from eep_platform.bench.markdown import amount, grid, section, target
from eep_platform.bench.results import Trained, Trainings

_ABOUT: Final = """\
From a commit of the example model, or a change of its hyperparameters, to the endpoint that serves what was trained.
The embedded SageMaker runs the jobs of the pipeline as processes. Medians of {rounds} rounds. `make bench
BENCH=--training` measures this section alone and keeps the others.

- *First* is a commit whose image is built and whose pipeline is made. *Changed* is another hyperparameter, for which
  SageMaker trains and evaluates again. *Cached* is another object that trains the same: all steps come from
  SageMaker's cache, and a package of its own is registered.
- *Until StartPipelineExecution* is from the application of the object, or from the end of the build if its image had
  to be built. *Until CreateModel* is from the creation of the package in the registry.
- The calls are those of the operator about pipelines, packages, figures and logs of jobs; those that build and serve
  are the same for any model. *The pipeline's own* are those that make its group, its definition and its execution.
  A job that runs for longer is looked at once a minute, in case that an event is lost.
"""


_OWN: Final = frozenset(
    {
        "CreateModelPackageGroup",
        "CreatePipeline",
        "DescribePipeline",
        "ListPipelineVersions",
        "StartPipelineExecution",
        "UpdatePipeline",
    }
)
"""The calls that every run needs that anybody makes."""


def render(trainings: Trainings) -> str:
    """The section as Markdown. Every case must have been measured at least once."""
    cases = (trainings.first, trainings.changed, trainings.cached)
    about = _ABOUT.format(rounds=amount(len(trainings.first)))
    return section("Trainings", about.rstrip(), _targets(trainings), _seconds(cases), _calls(cases))


Cases = tuple[list[Trained], ...]


def _targets(found: Trainings) -> str:
    cases = (found.first, found.changed, found.cached)
    started = max(_median(each.started_seconds for each in case) for case in cases)
    modelled = max(_median(each.modelled_seconds for each in case) for case in cases)
    rows = [
        target("Until StartPipelineExecution, the slowest case", 2, "s", started, digits=2),
        target("Until CreateModel, the slowest case", 1, "s", modelled, digits=2),
        target("From a commit to its endpoint", 60, "s", _median(each.ready_seconds for each in found.first)),
        target("The same, cached", 10, "s", _median(each.ready_seconds for each in found.cached)),
        target("Calls of a run beside the pipeline's own", 8, "", _median(map(_following, found.first))),
        target(f"Calls in {found.rest_seconds:.0f} s of rest", 0, "", sum(found.rest_calls.values())),
    ]
    return grid(["target", "measured"], rows)


def _seconds(cases: Cases) -> str:
    rows = [
        ["until StartPipelineExecution", *(_shown(case, lambda each: each.started_seconds) for case in cases)],
        ["until CreateModel", *(_shown(case, lambda each: each.modelled_seconds) for case in cases)],
        ["from the application to `Ready`", *(_shown(case, lambda each: each.ready_seconds) for case in cases)],
    ]
    return grid(["seconds", "first", "changed", "cached"], rows)


def _calls(cases: Cases) -> str:
    names = sorted({name for case in cases for each in case for name in each.calls})
    rows = [[name, *(amount(_median(each.calls.get(name, 0) for each in case)) for case in cases)] for name in names]
    total = ["**all**", *(amount(_median(map(_total, case))) for case in cases)]
    return grid(["calls of a run", "first", "changed", "cached"], [*rows, total])


def _total(trained: Trained) -> float:
    return sum(trained.calls.values())


def _following(trained: Trained) -> float:
    return sum(count for name, count in trained.calls.items() if name not in _OWN)


def _shown(case: Iterable[Trained], value: Callable[[Trained], float]) -> str:
    return f"{_median(map(value, case)):.2f}"


def _median(values: Iterable[float]) -> float:
    return percentile(sorted(values), 50)
