"""Parts of a Markdown page; pure."""

from collections.abc import Iterable, Sequence


def section(title: str, *parts: str) -> str:
    """A section with the parts that are not empty."""
    return "\n\n".join([f"## {title}", *filter(None, parts)]) + "\n"


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with the names of its rows in the first column and numbers in the others."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def amount(number: float) -> str:
    """A whole number with commas between thousands."""
    return f"{number:,.0f}"


def target(what: str, most: float, unit: str, value: float, *, digits: int = 1) -> Sequence[str]:
    """A row with a value, and whether it is as small as it should be."""
    shown = f"{value:.{digits}f}".removesuffix(f".{'0' * digits}")
    sign = "≤ " if most else ""
    return [f"{what}: {sign}{most:g} {unit}".strip(), shown if value <= most else f"**{shown}** (missed)"]
