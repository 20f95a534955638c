"""The forwarder's modules as they are packed: each line in its place, without comments, documentation and types.

Each level of indentation is one space. Not part of the bundle itself.
"""

import ast
import io
import tokenize
from typing import Final

_DOCUMENTATION: Final = b'"."'
"""What documentation is reduced to: where a class has none, ``dataclasses`` would derive it at each cold start."""

_LEVEL: Final = 4
"""Spaces of a level of indentation in the sources."""


def reduced(source: bytes) -> bytes:
    """A module that does the same and reports the same lines. Raises SyntaxError for what is no module."""
    return _indented_by_one(_without_comments(_without_documentation(_without_types(source)))).encode()


def _without_types(source: bytes) -> bytes:
    """Without what only type checkers import."""
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            first, last = node.body[0].lineno - 1, (node.body[-1].end_lineno or 0) - 1
            lines[first : last + 1] = [b"    pass\n", *([b"\n"] * (last - first))]
    return b"".join(lines)


def _without_documentation(source: bytes) -> str:
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
            end = lines[last][node.end_col_offset :]
            lines[first] = lines[first][: node.col_offset] + _DOCUMENTATION + (end if first == last else b"\n")
            lines[first + 1 : last + 1] = [b"\n"] * (last - first)
    return b"".join(lines).decode()


def _without_comments(source: str) -> str:
    lines = source.splitlines(keepends=True)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip() + "\n"
    return "".join(lines)


def _indented_by_one(source: str) -> str:
    """Each level of indentation as one space; texts of several lines stay as they are."""
    texts = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant | ast.JoinedStr)
        for line in range(node.lineno + 1, (node.end_lineno or 0) + 1)
    }
    lines = source.splitlines(keepends=True)
    return "".join(line if number in texts else _indented(line) for number, line in enumerate(lines, start=1))


def _indented(line: str) -> str:
    bare = line.lstrip(" ")
    return " " * ((len(line) - len(bare)) // _LEVEL) + bare
