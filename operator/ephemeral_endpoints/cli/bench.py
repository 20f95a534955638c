"""`eep local bench`: measure the operator on platforms of its own."""

import argparse
import sys
from pathlib import Path

from ephemeral_endpoints.local.bench import run
from ephemeral_endpoints.local.errors import PlatformError

_SIZES = (1, 30, 300)
_FULL = 1000
_STATE = Path(".local/bench")
_PAGE = Path("docs/benchmarks.md")
_DONE, _FAILED = 0, 1

Actions = argparse._SubParsersAction  # noqa: SLF001 - argparse gives the type of add_subparsers() no public name


def add_to(actions: "Actions[argparse.ArgumentParser]") -> None:
    """Add the action to a parser."""
    bench = actions.add_parser("bench", help="measure the operator on platforms of its own, and write the page of it")
    bench.add_argument(
        "--sizes", type=_sizes, default=_SIZES, metavar="N,…", help="numbers of objects (default: 1,30,300)"
    )
    bench.add_argument("--builds", action="store_true", help="builds of a model alone, in place of numbers of objects")
    bench.add_argument(
        "--model",
        type=Path,
        default=Path("model"),
        metavar="DIR",
        help="the folder of that model (default: %(default)s)",
    )
    bench.add_argument("--full", action="store_true", help=f"{_FULL} objects too, which takes half an hour more")
    bench.add_argument("--page", type=Path, default=_PAGE, metavar="FILE", help="the page (default: %(default)s)")
    bench.add_argument("--state", type=Path, default=_STATE, metavar="DIR", help="its folder (default: %(default)s)")
    bench.add_argument("--provider", default="auto", help="where the Kubernetes comes from (default: %(default)s)")
    bench.set_defaults(run=_bench)


def _bench(options: argparse.Namespace) -> int:
    sizes = sorted({*options.sizes, *([_FULL] if options.full else [])})
    plan = run.Plan(provider=options.provider, model=options.model)
    try:
        if options.builds:
            run.run_builds(options.state, plan=plan, page=options.page, say=_say)
        else:
            run.run(options.state, sizes, plan=plan, page=options.page, say=_say)
    except PlatformError as error:
        _say(f"error: {error}")
        return _FAILED
    return _DONE


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(each) for each in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: numbers separated by commas are expected") from None
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: at least one object is expected")
    return sizes


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
