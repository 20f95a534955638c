"""Plots of the results, as small SVG files."""

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from eep_platform.bench import targets
from eep_platform.bench.results import Measured, Results
from eep_platform.errors import PlatformError

_MB: Final = 1024**2
_KB_OF_MB: Final = 1024
_INCHES: Final = (5.5, 3.2)

Draw = Callable[[Any, Sequence[Measured], Results], None]


def require() -> None:
    """Raise PlatformError if matplotlib is missing, so that a run fails before it measures for hours."""
    if find_spec("matplotlib") is None:
        raise PlatformError('the plots need matplotlib: install it with pip install "ephemeral-endpoints[model]"')


def draw(results: Results, folder: Path) -> None:
    """Write the plots into a folder. Raises PlatformError if matplotlib is missing."""
    sizes = [results.sizes[size] for size in sorted(results.sizes)]
    for name, plot in _PLOTS.items():
        save(partial(_by_objects, plot, sizes, results), folder / f"{name}.svg")


def save(plot: Callable[[Any], None], file: Path) -> None:
    """Write what ``plot`` draws on axes as SVG. Raises PlatformError if matplotlib is missing."""
    require()
    import matplotlib as mpl  # noqa: PLC0415 - of an extra that the rest does not need
    from matplotlib.figure import Figure  # noqa: PLC0415 - likewise

    new_figure: Any = Figure  # matplotlib's annotations are not complete
    with mpl.rc_context({"svg.hashsalt": "bench", "svg.fonttype": "none"}):
        figure = new_figure(figsize=_INCHES, layout="constrained")
        axes = figure.add_subplot()
        plot(axes)
        axes.grid(visible=True, alpha=0.3)
        axes.legend(frameon=False)
        figure.savefig(file, metadata={"Date": None})


def _by_objects(plot: Draw, sizes: Sequence[Measured], results: Results, axes: Any) -> None:  # noqa: ANN401 - likewise
    plot(axes, sizes, results)
    axes.set_xlabel("objects")


def _latency(axes: Any, sizes: Sequence[Measured], _: Results) -> None:  # noqa: ANN401 - matplotlib's, imported lazily
    objects = [each.objects for each in sizes]
    for label, spreads in {
        "Ready": [each.trickle.created for each in sizes],
        "gone": [each.trickle.deleted for each in sizes],
        "Ready, all at once": [each.burst.beyond_aws for each in sizes],
        "gone, all at once": [each.teardown.beyond_aws for each in sizes],
    }.items():
        medians = [each.median for each in spreads]
        upper = [each.p99 - each.median for each in spreads]
        axes.errorbar(objects, medians, yerr=[[0] * len(upper), upper], marker="o", capsize=3, label=label)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("seconds beyond AWS\n(median, bar to p99)")


def _memory(axes: Any, sizes: Sequence[Measured], results: Results) -> None:  # noqa: ANN401 - likewise
    objects = [each.objects for each in sizes]
    axes.plot(objects, [each.memory.after_burst / _MB for each in sizes], "o", label="after the burst")
    axes.plot(objects, [each.memory.after_restart / _MB for each in sizes], "s", label="after a restart")
    if line := targets.memory_line(results):
        ends = [0, max(objects)]
        fitted = [(line.intercept + line.slope * each) / _KB_OF_MB for each in ends]
        axes.plot(ends, fitted, "--", label=f"{line.slope:.1f} KB per object")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("resident memory, MB")


def _calls(axes: Any, sizes: Sequence[Measured], _: Results) -> None:  # noqa: ANN401 - likewise
    objects = [each.objects for each in sizes]
    axes.plot(objects, [sum(m.burst.mutating.values()) / m.objects for m in sizes], "o-", label="changing")
    axes.plot(objects, [sum(m.burst.reading.values()) / m.objects for m in sizes], "s-", label="reading")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("AWS calls per object created")


_PLOTS: Final[dict[str, Draw]] = {"latency": _latency, "memory": _memory, "calls": _calls}
