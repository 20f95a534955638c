"""The known resources in AWS: the results of shared lists, kept current by our own calls.

A list that began before one of our changes must not revert it: every entry records when it was last touched, and a list
replaces only entries that are older than its own beginning. Removals are recorded likewise, for as long as an old list
could bring a resource back.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from ephemeral_endpoints.engine.resources import Key, ObservedResource, ObservedResources, ResourceKind

ObservedChanges = Mapping[Key, ObservedResource | None]
"""Resources that exist, and those that do not exist any more."""

FOREIGN: Final = ""
"""The owner of resources without an owner of ours, such as routes that lead elsewhere."""


class Inventory:
    """The known resources of one account and region, by owner. Times are monotonic seconds."""

    def __init__(self, clock: Callable[[], float], on_change: Callable[[str], None]) -> None:
        self._clock = clock
        self._on_change = on_change
        self._haves: dict[Key, ObservedResource] = {}
        self._by_owner: dict[str, dict[Key, ObservedResource]] = {}
        self._touched: dict[Key, float] = {}
        self._listed: dict[ResourceKind, float] = {}

    @property
    def all(self) -> ObservedResources:
        """All known resources."""
        return MappingProxyType(self._haves)

    def of(self, owner: str) -> ObservedResources:
        """The resources of ``owner``, as a copy."""
        return dict(self._by_owner.get(owner, {}))

    def users_of(self, keys: Iterable[Key]) -> ObservedResources:
        """The resources of any owner that use one of ``keys``."""
        wanted = frozenset(keys)
        return {key: observed for key, observed in self._haves.items() if observed.uses & wanted} if wanted else {}

    def owners(self) -> frozenset[str]:
        """The owners of all resources."""
        return frozenset(self._by_owner)

    def listed_at(self, kind: ResourceKind) -> float | None:
        """When the newest complete list of the kind began; None if there is none yet."""
        return self._listed.get(kind)

    def put(self, observed: ObservedResource) -> None:
        """Record a resource that our call created, changed or saw."""
        self._touched[observed.key] = self._clock()
        self._store(observed)

    def remove(self, key: Key) -> None:
        """Record that our call deleted the resource, or saw that it does not exist."""
        self._touched[key] = self._clock()
        self._drop(key)

    def replace(self, kind: ResourceKind, found: Iterable[ObservedResource], *, began: float) -> None:
        """Apply a complete list of ``kind`` that began at ``began``; reports owners whose resources changed.

        The first list of a kind reports nobody: nothing was decided without it.
        """
        missing: dict[Key, ObservedResource | None] = {key: None for key in self._haves if key.kind is kind}
        changed = self._apply(missing | {observed.key: observed for observed in found}, began)
        is_first = kind not in self._listed
        self._listed[kind] = began
        self._touched = {key: at for key, at in self._touched.items() if key.kind is not kind or at >= began}
        for owner in () if is_first else changed:
            self._on_change(owner)

    def update(self, found: ObservedChanges, *, began: float) -> None:
        """Apply a list of changes that began at ``began``; reports owners whose resources changed."""
        for owner in self._apply(found, began):
            self._on_change(owner)

    def _apply(self, found: ObservedChanges, began: float) -> set[str]:
        """Returns the owners of what changed."""
        changed: set[str] = set()
        for key, now in found.items():
            before = self._haves.get(key)
            if before == now or self._touched.get(key, -1.0) >= began:
                continue
            changed |= {self._owner(observed) for observed in (before, now) if observed}
            self._drop(key)
            if now:
                self._store(now)
        return changed

    def _store(self, observed: ObservedResource) -> None:
        self._drop(observed.key)
        self._haves[observed.key] = observed
        self._by_owner.setdefault(self._owner(observed), {})[observed.key] = observed

    def _drop(self, key: Key) -> None:
        observed = self._haves.pop(key, None)
        if observed is None:
            return
        owner = self._owner(observed)
        self._by_owner[owner].pop(key)
        if not self._by_owner[owner]:
            del self._by_owner[owner]

    @staticmethod
    def _owner(observed: ObservedResource) -> str:
        return observed.owner or FOREIGN
