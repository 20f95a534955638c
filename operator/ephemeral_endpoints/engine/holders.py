"""The object that owned a resource, as the tags of the resource tell, and when it was to end.

The operator's sweep, ``eep sweep`` and the reaper decide by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from ephemeral_endpoints.engine.tags import EXPIRES_AT, NAME, NAMESPACE, moment_of


@dataclass(frozen=True, slots=True)
class Holder:
    """The object that owned it, by its tags; empty where those do not say, as classes have no namespace."""

    namespace: str = ""
    name: str = ""
    expires_at: datetime | None = None
    """The latest end of life that its resources name; classes have none."""

    def is_expired(self, now: datetime) -> bool:
        """Whether its resources would be gone by now if it still existed: no mistake is worth protecting then."""
        return self.expires_at is not None and self.expires_at <= now


def holder(tags: Mapping[str, str]) -> Holder | None:
    """The object that the tags name; None if they name none."""
    if NAME not in tags:
        return None
    return Holder(tags.get(NAMESPACE, ""), tags[NAME], moment_of(tags.get(EXPIRES_AT, "")))


def latest(known: Holder | None, seen: Holder) -> Holder:
    """What two resources of an object say of it: the later end of life counts, of which none is the latest."""
    if known is None:
        return seen
    ends = [each.expires_at for each in (known, seen) if each.expires_at]
    return replace(seen, expires_at=max(ends) if len(ends) == 2 else None)  # noqa: PLR2004 - both
