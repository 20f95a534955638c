"""Commands whose modules are imported when they are used: no command waits for the imports of another."""

import ast
import pkgutil
from importlib.util import find_spec
from pathlib import Path

import click


class LazyCommand(click.Command):
    """Stands for the command ``module:attribute`` until it is used.

    Lists of commands show the first line of the module's docstring, which is read without running the module.
    """

    def __init__(self, name: str, target: str) -> None:
        super().__init__(name)
        self._target = target

    def get_short_help_str(self, limit: int = 45) -> str:
        """See `click.Command`."""
        self.help = _docstring(self._target.partition(":")[0])
        return super().get_short_help_str(limit)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: object
    ) -> click.Context:
        """See `click.Command`. The context is the real command's, and so is all that follows."""
        command: click.Command = pkgutil.resolve_name(self._target)
        return command.make_context(info_name, args, parent, **extra)


def _docstring(module: str) -> str | None:
    spec = find_spec(module)
    return ast.get_docstring(ast.parse(Path(spec.origin).read_bytes())) if spec and spec.origin else None
