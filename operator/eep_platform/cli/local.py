"""Run a Kubernetes and an AWS on this machine."""

from typing import Final

import click

from eep_platform.errors import PlatformError
from ephemeral_endpoints.cli.lazy import LazyCommand

_ACTIONS: Final = ("up", "down", "status", "push", "demo", "bench")


class _Local(click.Group):
    """Every action reports a PlatformError in the same way."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except PlatformError as error:
            raise click.ClickException(str(error)) from error


command = _Local(commands=[LazyCommand(name, f"{__package__}.{name}:command") for name in _ACTIONS], help=__doc__)
