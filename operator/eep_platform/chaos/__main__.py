"""Inject every fault and write the page about the results: ``python -m eep_platform.chaos``."""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from eep_platform.bench.run import machine
from eep_platform.chaos import cluster, matrix, page
from eep_platform.chaos.fault_kinds import FaultKind
from eep_platform.chaos.forge import matrix as forge_matrix
from eep_platform.chaos.forge import page as forge_page
from eep_platform.chaos.trial import Result


def main() -> int:
    """Run from the command line; returns 1 if any case went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lanes", type=int, default=6, help="number of cases that run in parallel (default 6)")
    parser.add_argument("--covering", action="store_true", help="one case for each operation instead of all of them")
    parser.add_argument("--kind", type=FaultKind, choices=FaultKind, help="only this kind of fault, at every call")
    parser.add_argument("--page", type=Path, help="where to write the page")
    options = parser.parse_args()
    if options.kind and (options.page or options.covering):
        parser.error("--kind goes with neither --page nor --covering: the page is about all kinds")
    began = time.monotonic()

    def report(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", flush=True)  # noqa: T201 - what the program is for

    recording, results = _aws(options, report)
    # A kind of fault of AWS says nothing of the forge.
    forge_recording, forge_results = (None, []) if options.kind else _forge(options, report)
    wrong = sum(bool(each.violations) for each in results) + sum(bool(each.violations) for each in forge_results)
    count = len(results) + len(forge_results)
    report(f"{count - wrong} of {count} cases converged")
    if options.page and forge_recording:
        about_forge = forge_page.render(forge_recording, forge_results)
        options.page.write_text(page.render(machine(), recording, results, about_forge))
        report(f"{options.page} is written")
    return 1 if wrong else 0


def _aws(options: argparse.Namespace, report: Callable[[str], None]) -> tuple[matrix.Recording, list[Result]]:
    state = Path(tempfile.mkdtemp(prefix="eep-chaos-"))
    try:
        with cluster.lanes(options.lanes, state, report=report) as lanes:
            recording = matrix.record(lanes)
            kinds, points = [options.kind] if options.kind else list(FaultKind), recording.points
            cases = matrix.covering(points) if options.covering else matrix.full(points, kinds)
            report(f"{len(points)} calls are recorded, {len(cases)} cases follow")
            return recording, matrix.Matrix(recording, report).run(lanes, cases)
    finally:
        shutil.rmtree(state, ignore_errors=True)


def _forge(
    options: argparse.Namespace, report: Callable[[str], None]
) -> tuple[forge_matrix.Recording, list[forge_matrix.Result]]:
    with forge_matrix.bench() as bench:
        recording = bench.record()
        points = forge_matrix.points_of(recording)
        cases = (forge_matrix.covering if options.covering else forge_matrix.full)(points)
        report(f"{len(points)} requests to the forge are recorded, {len(cases)} cases follow")
        return recording, bench.run(recording, cases, report)


if __name__ == "__main__":
    sys.exit(main())
