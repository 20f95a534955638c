"""The table of values in the chart's README, made from the comments in values.yaml."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

BEGIN: Final = "<!-- values: generated from values.yaml, see tests/chart/test_values.py -->"
_KEY: Final = re.compile(r"^( *)([A-Za-z0-9]+):")
_COMMENT: Final = re.compile(r"^ *# (-- )?(.*)$")


def table(source: str) -> str:
    """The Markdown table of the values in the text of a values.yaml."""
    values = yaml.safe_load(source)
    rows = [f"| `{path}` | `{_default(values, path)}` | {text} |" for path, text in explained(source)]
    return "\n".join(["| value | default | |", "|---|---|---|", *rows])


def explained(source: str) -> Iterator[tuple[str, str]]:
    """The paths of the values that have a comment of their own, each with it."""
    path: list[str] = []
    text: list[str] = []
    for line in source.splitlines():
        if comment := _COMMENT.match(line):
            text = [comment[2]] if comment[1] else [*text, comment[2]] if text else []
        elif key := _KEY.match(line):
            path = [*path[: len(key[1]) // 2], key[2]]
            if text:
                yield ".".join(path), _escaped(" ".join(text))
            text = []
        else:
            text = []


def _default(values: Any, path: str) -> str:  # noqa: ANN401 - a tree
    for name in path.split("."):
        values = values[name]
    return _escaped(json.dumps(values))


def _escaped(text: str) -> str:
    return text.replace("|", r"\|")
