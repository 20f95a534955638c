"""Rules for tags that services share."""

from collections.abc import Iterable

from eep_platform.emulation.errors import validation_exception

MOST_TAGS = 50
"""How many tags a resource can have."""


def refuse_reserved(keys: Iterable[str]) -> None:
    """Raise `ValidationException` for keys that AWS reserves for itself."""
    if any(key.lower().startswith("aws:") for key in keys):
        raise validation_exception("aws: prefixed tag key names are not allowed for external use.")
