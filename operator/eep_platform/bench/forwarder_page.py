"""The page's section about the forwarder; pure."""

from typing import Final

from eep_platform.bench.figures import Spread
from eep_platform.bench.markdown import amount, grid, section, target
from eep_platform.bench.results import Forwarder

_KB: Final = 1000
_ABOUT: Final = """\
The Lambda function before the example model, which has schemas of requests and answers. `make bench
BENCH=--forwarder` measures this section alone and keeps the others.

- The package is the one that the embedded Lambda got. It runs in a process of its own and asks the embedded SageMaker,
  so that no Lambda and no API Gateway is part of the time.
- *Overhead* is the time of a warm request without the forwarder's own wait for SageMaker. {count} requests of
  {bytes} bytes were sent, each of them also by *InvokeEndpoint alone*, with the same client.
- *Validation* is that of the request and of its answer together.
- *Import* is that of the function in a new process, of which there were {imports}, without the start of Python.
"""


def render(forwarder: Forwarder) -> str:
    """The section as Markdown."""
    about = _ABOUT.format(
        count=amount(forwarder.answered.count),
        bytes=amount(forwarder.request_bytes),
        imports=amount(forwarder.imported.count),
    )
    return section("Forwarder", about.rstrip(), _targets(forwarder), _times(forwarder))


def _targets(forwarder: Forwarder) -> str:
    rows = [
        target("Overhead of a warm request, median", 2, "ms", forwarder.overhead.median, digits=2),
        target("Overhead of a warm request, p99", 5, "ms", forwarder.overhead.p99, digits=2),
        target("Validation, median", 0.2, "ms", forwarder.validated.median, digits=2),
        target("Import, median", 600, "ms", forwarder.imported.median),
        target("Package", 200, "KB", forwarder.bundle_bytes / _KB),
        target("Page, compressed", 20, "KB", forwarder.page_bytes / _KB),
    ]
    return grid(["target", "measured"], rows)


def _times(forwarder: Forwarder) -> str:
    rows = [
        _row("through the forwarder", forwarder.answered),
        _row("InvokeEndpoint alone", forwarder.bare),
        _row("overhead", forwarder.overhead),
        _row("validation", forwarder.validated),
        _row("import", forwarder.imported),
    ]
    return grid(["ms", "median", "p99", "longest"], rows)


def _row(name: str, spread: Spread) -> list[str]:
    return [name, *(f"{value:.2f}" for value in (spread.median, spread.p99, spread.worst))]
