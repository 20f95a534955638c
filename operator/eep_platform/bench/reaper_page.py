"""The page's section about the reaper; pure."""

from typing import Final

from eep_platform.bench.markdown import amount, grid, section, target
from eep_platform.bench.results import Reaped, ReaperRun
from ephemeral_endpoints.features.expiry.reaper.bundle import TIMEOUT_SECONDS
from ephemeral_endpoints.features.expiry.reaper.handler import SPARE_SECONDS

_RUN: Final = 100
"""Objects of a run, by default."""

_ABOUT: Final = """\
[The reaper](leftovers.md#the-reaper) over {previews} previews that neither an operator nor a cluster looks after, at
rest and when all of them are due at once. `make bench BENCH=--reaper` measures this section alone and keeps the others.

- A preview has a model, its configuration and endpoint, a forwarder, two log groups, two alarms and a route.
- The reaper runs in a process of its own with the time that Lambda would give it. It keeps to ten calls a second with
  each service, and the embedded AWS to the documented limits.
- A run begins when the one before has ended. In an account it begins 15 minutes after it.
"""


def render(reaped: Reaped) -> str:
    """The section as Markdown."""
    about = _ABOUT.format(previews=amount(reaped.previews))
    return section("Reaper", about.rstrip(), _targets(reaped), _runs(reaped))


def _targets(reaped: Reaped) -> str:
    most_runs = -(-reaped.previews // _RUN) + 1
    rows = [
        target("At rest, calls of a run", 20, "", _calls(reaped.at_rest)),
        target("Runs until all are gone", most_runs, "", len(reaped.all_due)),
        target("The longest run", TIMEOUT_SECONDS - SPARE_SECONDS, "s", max(each.seconds for each in reaped.all_due)),
        target("Calls for a preview", 30, "", sum(map(_calls, reaped.all_due)) / reaped.previews),
        target("Kinds that failed", 0, "", sum(each.failed for each in (reaped.at_rest, *reaped.all_due))),
        target("Left behind in AWS at the end", 0, "", reaped.left_behind),
    ]
    return grid(["target", "measured"], rows)


def _runs(reaped: Reaped) -> str:
    named = [("at rest", reaped.at_rest), *((f"{number}", run) for number, run in enumerate(reaped.all_due, start=1))]
    rows = [
        [name, f"{run.seconds:.1f}", amount(_calls(run)), amount(run.deleted), amount(run.waiting)]
        for name, run in named
    ]
    return grid(["run", "seconds", "calls", "resources deleted", "objects waiting"], rows)


def _calls(run: ReaperRun) -> float:
    return sum(run.calls.values())
