"""Pieces of a page in Markdown; pure."""

from collections.abc import Iterable, Sequence


def section(title: str, *parts: str) -> str:
    """A section of those parts that are not empty."""
    return "\n\n".join([f"## {title}", *filter(None, parts)]) + "\n"


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column names the rows and whose others are numbers."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])


def amount(number: float) -> str:
    """A whole number, with commas between thousands."""
    return f"{number:,.0f}"
