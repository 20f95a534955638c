"""Since when an object has its present revision, and when it was last used: what its time to live counts from. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.lifecycle import TtlFrom

LONGEST_LIFE: Final = timedelta(days=365)
"""The longest ``maxTtl`` of a class, which counts from the creation of an object."""

USE_TOLERANCE: Final = timedelta(hours=1)
"""So much later than the status tells an object may have been used: use costs at most a write of it in that time."""

USE_STEPS: Final = 12
"""In so many steps within a time to live moves an end that follows the use: each costs a call for every resource, since
the tags tell the end too."""


@dataclass(frozen=True, slots=True)
class Activity:
    """Since when the object of that UID has this revision, and when it was last used; None: not known yet."""

    uid: str
    revision: str
    since: datetime | None
    used_at: datetime | None = None


def reported(endpoint: EphemeralEndpoint) -> Activity:
    """What the status tells. An object has its first revision since its creation.

    One that was changed before the operator saw it, as while no operator ran, may have got another one at any time.
    """
    status, uid, revision = endpoint.status, endpoint.metadata.uid, endpoint.revision
    told = status.latest_revision
    if told is not None:
        return Activity(uid, revision, told.since if told.revision == revision else None, status.last_used_at)
    # Earlier versions of the operator did not tell it; what they served they had for a while.
    is_unchanged = status.observed_generation == -1 and endpoint.metadata.generation <= 1
    is_first = is_unchanged or status.revision == revision
    since = endpoint.metadata.creation_timestamp if is_first else None
    return Activity(uid, revision, since, status.last_used_at)


def first_end(ttl_from: TtlFrom, ttl: timedelta, created_at: datetime, activity: Activity) -> datetime | None:
    """When ``ttl`` is over; None if it counts from a revision of which it is not known yet when it came."""
    if ttl_from is TtlFrom.CREATED:
        return created_at + ttl
    if activity.since is None:
        return None
    # Whatever a status tells: no class lets an object live longer, and times at the end of the calendar take no sums.
    latest = created_at + LONGEST_LIFE
    since = min(max(created_at, activity.since), latest)
    if ttl_from is TtlFrom.LAST_REVISION or activity.used_at is None:
        return since + ttl
    step = ttl / USE_STEPS
    end = max(since, min(activity.used_at, latest) + USE_TOLERANCE) + ttl
    return created_at - (created_at - end) // step * step
