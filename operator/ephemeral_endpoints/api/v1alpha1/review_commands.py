"""Commands that people give by a comment on a pull request."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field


class ReviewCommand(StrEnum):
    """What a comment can have done."""

    EXTEND = "Extend"
    REBUILD = "Rebuild"
    SLEEP = "Sleep"
    WAKE = "Wake"
    DELETE = "Delete"


ReviewCommands = Annotated[tuple[ReviewCommand, ...], Field(max_length=len(ReviewCommand))]
"""The commands that a class allows."""
