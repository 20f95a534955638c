"""How often something may be done that others can cause: so much within a time, and no more."""

from collections import Counter, deque
from collections.abc import Callable
from math import ceil


class Allowance:
    """At most ``most`` times within ``seconds``, fair between groups such as namespaces. ``clock``: monotonic seconds.

    No group takes more than half of what the others have left, so that there is something left for the next one. What
    is limited here are events within a time, while ``Places`` has what is done at once.
    """

    def __init__(self, most: int, seconds: float, clock: Callable[[], float]) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._taken: deque[tuple[float, str]] = deque()

    def take(self, group: str) -> bool:
        """Whether it may be done now for the group, which counts as done."""
        if self.wait(group) > 0:
            return False
        self._taken.append((self._clock(), group))
        return True

    def wait(self, group: str) -> float:
        """In how many seconds it may be done again for the group at the earliest; 0 if it may be done now."""
        now = self._clock()
        while self._taken and self._taken[0][0] <= now - self._seconds:
            self._taken.popleft()
        used = Counter(each for _, each in self._taken)
        if used[group] < ceil((self._most - (len(self._taken) - used[group])) / 2):
            return 0.0
        return self._taken[0][0] + self._seconds - now
