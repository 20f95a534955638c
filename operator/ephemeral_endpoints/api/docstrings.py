"""The docstrings of models' fields, read from the sources when a schema is published, and not at every start."""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from functools import cache
from itertools import pairwise


@cache
def field_docstrings(model: type) -> Mapping[str, str]:
    """The docstrings below the fields that a class declares itself, by the fields' names. Reads its source."""
    declared = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    if not isinstance(declared, ast.ClassDef):
        return {}
    found = {}
    for field, text in pairwise(declared.body):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(docstring))):
                found[name] = inspect.cleandoc(docstring)
    return found
