"""Which operator an object belongs to where several share the work of one cluster."""

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Shard:
    """One of ``count`` operators that each take some of the namespaces; ``index`` counts from 0.

    Everything of a namespace falls to one shard, so that its objects are held to order among themselves by one process.
    The first shard also takes what belongs to no namespace: classes, and what the sweep looks for.
    """

    index: int = 0
    count: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether there is no other shard."""
        return self.count == 1

    @property
    def is_first(self) -> bool:
        """Whether this shard takes what belongs to no namespace."""
        return self.index == 0

    def takes(self, namespace: str | None) -> bool:
        """Whether what is in a namespace, or with None in none, falls to this shard."""
        if namespace is None:
            return self.is_first
        return int(hashlib.sha256(namespace.encode()).hexdigest(), 16) % self.count == self.index

    def numbers(self) -> Iterator[int]:
        """The numbers, from 0 on without end, that no other shard counts with."""
        return itertools.count(self.index, self.count)

    def has(self, number: int) -> bool:
        """Whether a number is among ``numbers``."""
        return number % self.count == self.index

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


WHOLE: Final = Shard()
