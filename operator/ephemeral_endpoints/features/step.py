"""A step of the reconciliation of an object, with its memory of each object.

The memory is not needed for correctness: after a restart it is rebuilt from the spec, from AWS and from the last
status. It saves calls and spaces retries.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from ephemeral_endpoints.features.reconciliation import Reconciliation

M = TypeVar("M")


class Step(Generic[M]):
    """Base of all steps. ``make`` makes the memory of an object that is not known yet."""

    def __init__(self, make: Callable[[], M]) -> None:
        self._make = make
        self._memories: dict[str, M] = {}

    def memory(self, uid: str) -> M:
        """The memory of the object with that UID."""
        if uid not in self._memories:
            self._memories[uid] = self._make()
        return self._memories[uid]

    def due(self, reconciliation: Reconciliation) -> float | None:
        """In how many seconds the step has to run again; None if only a change can make it so."""
        del reconciliation
        return None

    def retry(self, uid: str) -> None:
        """Forget failures: the object has changed, and is tried again at once."""

    def refresh(self, uid: str) -> None:
        """Forget earlier reads: a refresh was requested."""
        self.retry(uid)

    def forget(self, uid: str) -> None:
        """The object is gone."""
        self._memories.pop(uid, None)
