"""Types of options that several commands have."""

import re
from datetime import timedelta
from typing import Final

import click

from ephemeral_endpoints.api.v1alpha1.duration import parse_duration

_REVISION: Final = re.compile("[0-9a-f]{7,64}")
_SHORT: Final = re.compile("([0-9]{1,6})(ms|s)")


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


class _Milliseconds(click.ParamType[int]):
    """A short span of time, such as 300ms or 2s, in whole milliseconds."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See `click.ParamType`."""
        found = _SHORT.fullmatch(str(value))
        if not found:
            self.fail(f"{value!r} is not a time such as 300ms or 2s", param, ctx)
        return int(found[1]) * (1 if found[2] == "ms" else 1000)


DURATION: Final = _Duration()
MILLISECONDS: Final = _Milliseconds()
REVISION: Final = _Revision()
