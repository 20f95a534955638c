"""Assigns objects to operators if several share one cluster."""

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Shard:
    """One of ``count`` operators that divide the namespaces; ``index`` counts from 0.

    All objects of a namespace belong to one shard, so that one process orders them among each other. The first shard
    also takes classes, which have no namespace, and the sweep.
    """

    index: int = 0
    count: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether there is no other shard."""
        return self.count == 1

    @property
    def is_first(self) -> bool:
        """Whether this shard takes cluster-scoped objects and the sweep."""
        return self.index == 0

    def takes(self, namespace: str | None) -> bool:
        """Whether objects in a namespace, or with None cluster-scoped objects, belong to this shard."""
        if namespace is None:
            return self.is_first
        return self.is_whole or int(hashlib.sha256(namespace.encode()).hexdigest(), 16) % self.count == self.index

    def numbers(self) -> Iterator[int]:
        """The numbers from 0, without end, that no other shard uses."""
        return itertools.count(self.index, self.count)

    def has(self, number: int) -> bool:
        """Whether a number is among ``numbers``."""
        return number % self.count == self.index

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


WHOLE: Final = Shard()
