"""The page's section about pull requests; pure."""

from collections.abc import Sequence
from typing import Final

from eep_platform.bench.markdown import amount, grid, section, target
from eep_platform.bench.results import Counts, Reviews
from ephemeral_endpoints.features.reviews.pull_requests.sights import ROUND_SECONDS

OBJECTS: Final = 1000
"""The number of objects that the target for memory is for."""

_MB: Final = 1024**2
_ABOUT: Final = """\
Objects of pull requests, on the embedded GitHub. `make bench BENCH=--pull-requests` measures this section alone and
keeps the others.

- *Gone* is the time from the merge until a watch of the Kubernetes API saw the object disappear, which it does when
  nothing of it is left in AWS. The class's `closeGrace` is {grace:g} s here, and longer by default. Without a webhook
  the operator asks in rounds of {round:g} s. Each number is the longest of {merges}.
- A *revision* is that of an object with five checks and a comparison, from its application until everything is
  published and nothing has been written for half a minute.
- *At rest*, {rest} objects in {repositories} repositories were published, and the requests of {minutes:g} minutes
  counted. These objects stand in no cluster, because GitHub's limits allow 500 writes an hour: the operator's own parts
  publish, watch and read comments, and a clock that the benchmark moves tells them and GitHub that hours have passed.
- *Memory* is the difference between a restarted operator without and with reviews, checks and comparisons, with {few}
  and with {many} objects. With them, each object has three samples, five checks, and a comparison in which all answers
  differ. On the line through both, each further object takes {each:.1f} KB. Most of the {many} are watched, and wait
  to be published, which takes hours at GitHub's limits.
"""


def render(reviews: Reviews) -> str:
    """The section as Markdown."""
    memory, rest = reviews.memory, reviews.at_rest
    about = _ABOUT.format(
        grace=reviews.grace,
        round=ROUND_SECONDS,
        merges=amount(len(reviews.notified)),
        rest=amount(rest.objects),
        repositories=amount(rest.repositories),
        minutes=rest.seconds / 60,
        few=amount(memory.few.objects),
        many=amount(memory.many.objects),
        each=memory.per_object / 1024,
    )
    return section("Pull requests", about.rstrip(), _targets(reviews), _writes(reviews), _memory(reviews))


def _targets(reviews: Reviews) -> str:
    rows = [
        target("Gone after the merge, with a webhook", reviews.grace + 90, "s", max(reviews.notified)),
        target("Gone after the merge, without one", reviews.grace + 2 * ROUND_SECONDS, "s", max(reviews.polled)),
        target("Left behind in AWS at the end", 0, "", reviews.left_behind),
        target("Writing requests of the next revision", 9, "", sum(reviews.next_revision.values())),
        target("At rest, requests a minute", 12, "", reviews.at_rest.requests_per_minute),
        target("At rest, writing requests", 0, "", reviews.at_rest.writes),
        target(f"Memory for {amount(OBJECTS)} objects (computed)", 10, "MB", reviews.memory.growth(OBJECTS) / _MB),
    ]
    return grid(["target", "measured"], rows)


def _writes(reviews: Reviews) -> str:
    both: Sequence[Counts] = (reviews.first_revision, reviews.next_revision)
    names = sorted({name for each in both for name in each})
    rows = [[name, *(amount(each.get(name, 0)) for each in both)] for name in names]
    return grid(["writing requests", "first revision", "next revision"], rows)


def _memory(reviews: Reviews) -> str:
    memory = reviews.memory
    rows = [
        *([f"{amount(each.objects)} objects", _shown(each.off), _shown(each.on)] for each in (memory.few, memory.many)),
        ["before the last restart", "", _shown(memory.after_runs)],
    ]
    return grid(["MB", "off", "on"], rows)


def _shown(count: int) -> str:
    return f"{count / _MB:.1f}"
