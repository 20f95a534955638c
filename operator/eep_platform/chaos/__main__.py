"""Inject every fault and write the page about the results: ``python -m eep_platform.chaos``."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from eep_platform.bench.run import machine
from eep_platform.chaos import cluster, matrix, page


def main() -> int:
    """Run from the command line; returns 1 if any case went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lanes", type=int, default=6, help="number of cases that run in parallel (default 6)")
    parser.add_argument("--covering", action="store_true", help="one case for each call instead of all of them")
    parser.add_argument("--page", type=Path, help="where to write the page")
    options = parser.parse_args()
    began = time.monotonic()

    def report(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", flush=True)  # noqa: T201 - what the program is for

    state = Path(tempfile.mkdtemp(prefix="eep-chaos-"))
    try:
        with cluster.lanes(options.lanes, state, report=report) as lanes:
            recording = matrix.record(lanes[0])
            cases = (matrix.covering if options.covering else matrix.full)(recording.points)
            report(f"{len(recording.points)} calls are recorded, {len(cases)} cases follow")
            results = matrix.Matrix(recording, report).run(lanes, cases)
    finally:
        shutil.rmtree(state, ignore_errors=True)
    wrong = sum(bool(result.violations) for result in results)
    report(f"{len(results) - wrong} of {len(results)} cases converged")
    if options.page:
        options.page.write_text(page.render(machine(), recording, results))
        report(f"{options.page} is written")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
