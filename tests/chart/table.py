"""The table of values in the chart's README, and the texts of values.schema.json, made from values.yaml."""

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

import yaml

BEGIN: Final = "<!-- values: generated from values.yaml, see tests/chart/test_values.py -->"
_KEY: Final = re.compile(r"^( *)([A-Za-z0-9]+):")
_COMMENT: Final = re.compile(r"^ *# (-- )?(.*)$")


def table(source: str) -> str:
    """The Markdown table of the values in the text of a values.yaml."""
    values = yaml.safe_load(source)
    rows = [
        f"| `{path}` | `{_escaped(json.dumps(_at(values, path)))}` | {_escaped(text)} |"
        for path, text in explained(source)
    ]
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
                yield ".".join(path), " ".join(text)
            text = []
        else:
            text = []


def described(schema: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The schema with the comment and the default of each value that has a comment of its own."""
    made, values = deepcopy(dict(schema)), yaml.safe_load(source)
    for path, text in explained(source):
        *folder, name = path.split(".")
        part = made
        for each in folder:
            part = part["properties"][each]
        rest = {key: value for key, value in part["properties"][name].items() if key not in {"description", "default"}}
        part["properties"][name] = {"description": text, "default": _at(values, path), **rest}
    return made


def _at(values: Any, path: str) -> Any:  # noqa: ANN401 - a tree
    for name in path.split("."):
        values = values[name]
    return values


def _escaped(text: str) -> str:
    return text.replace("|", r"\|")
