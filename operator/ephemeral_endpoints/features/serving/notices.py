"""Parses what forwarders tell the operator through the queue of events. Pure; the text may come from any client.

Whoever may send to the queue can send any of this: a notice may only do what the object's own callers may cause.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import BaseModel, Field, ValidationError

LONGEST_BODY: Final = 512
"""In characters, of which a notice has about a hundred."""

_LATEST: Final = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True)
class Notice:
    """What a forwarder tells of the object with that UID; ``at`` is its own clock's time."""

    kind: str
    uid: str
    at: datetime


OnNotice = Callable[[str, Notice], None]
"""Takes the name of a class that uses the queue from which a notice was read, and the notice."""


class _Notice(BaseModel):
    notice: Annotated[str, Field(max_length=32)]
    uid: Annotated[str, Field(min_length=1, max_length=64)]
    at: Annotated[int, Field(ge=0, lt=_LATEST)]


def notice_in(body: str) -> Notice | None:
    """The notice that a message holds, of whatever kind; None if it is another message."""
    if len(body) > LONGEST_BODY:
        return None
    try:
        found = _Notice.model_validate_json(body)
    except ValidationError:
        return None
    return Notice(found.notice, found.uid, datetime.fromtimestamp(found.at, UTC))
