"""What is known to be in AWS: the answers of the shared lists, kept right by what our own calls did since.

A list that began before a change of ours must not undo our knowledge of it: every entry remembers when it was last
touched, and a list replaces only what is older than its own beginning. What was removed is remembered likewise, for
as long as an old list could bring it back.
"""

from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Final

from ephemeral_endpoints.core.resources import Have, Haves, Key, Kind

FOREIGN: Final = ""
"""The owner under which things are kept that carry no owner of ours, such as routes that lead elsewhere."""


class Inventory:
    """The known resources of one account and region, by owner. Times are of a monotonic clock, in seconds."""

    def __init__(self, clock: Callable[[], float], on_change: Callable[[str], None]) -> None:
        self._clock = clock
        self._on_change = on_change
        self._haves: dict[Key, Have] = {}
        self._by_owner: dict[str, dict[Key, Have]] = {}
        self._touched: dict[Key, float] = {}
        self._listed: dict[Kind, float] = {}

    @property
    def all(self) -> Haves:
        """Everything known."""
        return MappingProxyType(self._haves)

    def of(self, owner: str) -> Haves:
        """What belongs to ``owner``; a copy that later changes do not reach."""
        return dict(self._by_owner.get(owner, {}))

    def users_of(self, keys: Iterable[Key]) -> Haves:
        """What uses any of ``keys``, whoever owns it."""
        wanted = frozenset(keys)
        return {key: have for key, have in self._haves.items() if have.uses & wanted} if wanted else {}

    def owners(self) -> frozenset[str]:
        """All owners of anything."""
        return frozenset(self._by_owner)

    def listed_at(self, kind: Kind) -> float | None:
        """When the newest complete list of the kind began; None if there was none yet."""
        return self._listed.get(kind)

    def put(self, have: Have) -> None:
        """Note what a call of ours made, changed or saw."""
        self._touched[have.key] = self._clock()
        self._store(have)

    def remove(self, key: Key) -> None:
        """Note that a call of ours deleted it, or saw that it is gone."""
        self._touched[key] = self._clock()
        self._drop(key)

    def replace(self, kind: Kind, found: Iterable[Have], *, began: float) -> None:
        """Take over a complete list of ``kind`` that began at ``began``; owners whose things changed are reported."""
        seen = {have.key: have for have in found}
        changed: set[str] = set()
        for key in [key for key in self._haves if key.kind is kind] + list(seen):
            before, now = self._haves.get(key), seen.get(key)
            if before == now or self._touched.get(key, -1.0) >= began:
                continue
            changed |= {self._owner(have) for have in (before, now) if have}
            self._drop(key)
            if now:
                self._store(now)
        self._listed[kind] = began
        self._touched = {key: at for key, at in self._touched.items() if key.kind is not kind or at >= began}
        for owner in changed:
            self._on_change(owner)

    def _store(self, have: Have) -> None:
        self._drop(have.key)
        self._haves[have.key] = have
        self._by_owner.setdefault(self._owner(have), {})[have.key] = have

    def _drop(self, key: Key) -> None:
        have = self._haves.pop(key, None)
        if have is None:
            return
        owner = self._owner(have)
        self._by_owner[owner].pop(key)
        if not self._by_owner[owner]:
            del self._by_owner[owner]

    @staticmethod
    def _owner(have: Have) -> str:
        return have.owner or FOREIGN
