"""Types of options that several commands have."""

import re
from datetime import timedelta
from typing import Final

import click

from ephemeral_endpoints.api.v1alpha1.duration import parse_duration

_REVISION: Final = re.compile("[0-9a-f]{7,64}")


class _Duration(click.ParamType[timedelta]):
    """A duration as objects have them."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """See `click.ParamType`."""
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Revision(click.ParamType[str]):
    """The SHA of a commit, which may be abbreviated."""

    name = "sha"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See `click.ParamType`."""
        if not _REVISION.fullmatch(str(value)):
            self.fail(f"{value!r} is not 7 to 64 lowercase hexadecimal digits of a commit", param, ctx)
        return str(value)


DURATION: Final = _Duration()
REVISION: Final = _Revision()
