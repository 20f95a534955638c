"""Run a Kubernetes and an AWS on this machine."""

import errno
from typing import Final

import click

from eep_platform.errors import PlatformError
from ephemeral_endpoints.cli.lazy import LazyCommand

_ACTIONS: Final = ("up", "down", "status", "push", "pr", "demo", "bench")


_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class _Local(click.Group):
    """Every action reports a PlatformError and a full disk in the same way."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except PlatformError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            if error.errno not in _FULL:
                raise
            message = (
                f"The disk is full ({error}). Free some space, or choose another disk with --state; then try again."
            )
            raise click.ClickException(message) from error


command = _Local(commands=[LazyCommand(name, f"{__package__}.{name}:command") for name in _ACTIONS], help=__doc__)
