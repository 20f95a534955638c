"""Pages of lists; pure.

A page token holds the position of the last item on its page, so that pages stay right while items come and go.
"""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Position = tuple[str | float, str | float]
InvalidToken = Callable[[], Exception]
"""Makes a service's error for an unknown page token."""


def page(  # noqa: PLR0913 - what a list request and its service decide
    ordered: Sequence[Item],
    position: Callable[[Item], Position],
    token: str | None,
    size: int,
    *,
    invalid_token: InvalidToken,
    descending: bool = False,
) -> tuple[list[Item], str | None]:
    """The page after the one that answered `token`, and the token of the next; None after the last.

    `ordered` is in the order of `position`. Raises the error of `invalid_token` for a token that no page answered.
    """
    if token:
        last = _read(token, invalid_token)
        try:
            ordered = [item for item in ordered if (position(item) < last if descending else position(item) > last)]
        except TypeError as error:
            raise invalid_token() from error
    shown = list(ordered[:size])
    return shown, _write(position(shown[-1])) if len(ordered) > size else None


def _write(position: Position) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def _read(token: str, invalid_token: InvalidToken) -> Position:
    try:
        key, name = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError) as error:
        raise invalid_token() from error
    return key, name
