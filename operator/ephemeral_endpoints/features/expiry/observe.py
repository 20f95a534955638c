"""The memory of when objects got their present revision and were last used, until their status tells it."""

from dataclasses import replace
from datetime import datetime

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.features.expiry.activity import USE_TOLERANCE, Activity, reported


class Activities:
    """Since when objects have their revision, and when they were last used, as far as this process has noticed.

    A status that is written anyway tells both, so that they survive the process: the revision at once, a use within the
    hour that lifetimes allow for.
    """

    def __init__(self) -> None:
        self._since: dict[str, tuple[str, datetime]] = {}
        self._used: dict[str, datetime] = {}
        self._woken: dict[str, datetime] = {}

    def of(self, endpoint: EphemeralEndpoint, now: datetime) -> Activity:
        """What is known of an object at ``now``. A revision that its status does not tell has only come now."""
        told = reported(endpoint)
        if told.since:
            self._since.pop(told.uid, None)
        used_at = self._used.get(told.uid)
        return replace(
            told,
            since=told.since or self._noticed(told, now),
            used_at=used_at if _is_news(used_at, told.used_at) else told.used_at,
        )

    def note_use(self, endpoint: EphemeralEndpoint, at: datetime) -> bool:
        """Take over a use, if it is later than those before; returns whether the status is to tell it."""
        uid = endpoint.metadata.uid
        used_at = self._used[uid] = max(at.replace(microsecond=0), self._used.get(uid, at))
        return _is_news(used_at, endpoint.status.last_used_at)

    def last_use(self, endpoint: EphemeralEndpoint, *, started_at: datetime) -> datetime | None:
        """When an object was last used, or may have been before this process ``started_at``; None if it never was."""
        told_at = endpoint.status.last_used_at
        before = told_at
        if told_at and told_at < started_at:
            before = min(told_at + USE_TOLERANCE, started_at)
        known = (before, self._used.get(endpoint.metadata.uid))
        return max((each for each in known if each), default=None)

    def note_wake(self, endpoint: EphemeralEndpoint, at: datetime) -> None:
        """Take over that a call found the endpoint missing. If this is lost, the next call tells it again."""
        uid = endpoint.metadata.uid
        self._woken[uid] = max(at.replace(microsecond=0), self._woken.get(uid, at))

    def woken_at(self, endpoint: EphemeralEndpoint) -> datetime | None:
        """When a call last found the endpoint missing."""
        return self._woken.get(endpoint.metadata.uid)

    def forget(self, uid: str) -> None:
        """The object is gone."""
        self._since.pop(uid, None)
        self._used.pop(uid, None)
        self._woken.pop(uid, None)

    def _noticed(self, told: Activity, now: datetime) -> datetime:
        if self._since.get(told.uid, ("", now))[0] != told.revision:
            self._since[told.uid] = (told.revision, now.replace(microsecond=0))
        return self._since[told.uid][1]


def _is_news(used_at: datetime | None, told_at: datetime | None) -> bool:
    if used_at is None:
        return False
    return told_at is None or used_at - told_at >= USE_TOLERANCE
