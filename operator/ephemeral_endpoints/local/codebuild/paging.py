"""Pages of lists of names."""

import base64
import binascii
from collections.abc import Sequence

from ephemeral_endpoints.local.codebuild.errors import invalid_input


def page(names: Sequence[str], token: str | None, size: int) -> tuple[list[str], str | None]:
    """The page after the one that gave `token`, and the token of the next, None after the last.

    A token names the last name given; where that is gone the list begins anew.

    Raises:
        ServiceError: No earlier answer gave the token.
    """
    last = _read(token) if token else None
    start = names.index(last) + 1 if last in names else 0
    given = list(names[start : start + size])
    more = start + size < len(names)
    return given, base64.urlsafe_b64encode(given[-1].encode()).decode() if more else None


def _read(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise invalid_input("Invalid next token") from error
