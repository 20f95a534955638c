"""Who may command: people who may write to the repository, asked of the forge, as often as others can cause it."""

from collections.abc import Callable
from typing import Final

from ephemeral_endpoints.features.reviews.commands.allowance import Allowance
from ephemeral_endpoints.features.reviews.forge import Comment, Discussion

REMEMBERED_SECONDS: Final = 600.0
"""For how long somebody without rights is not asked about again."""

REMEMBERED: Final = 1000
LOOKUPS: Final = (120, 600.0)
"""How many people are looked up in how many seconds: half as many for one namespace alone."""


class Later(Exception):  # noqa: N818 - a delay, no fault
    """A comment has to wait, for so many seconds: others have caused enough."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"{seconds:g} s")
        self.seconds = seconds


class Authority:
    """Who may write. Those who may are asked about each time. ``clock`` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lookups = Allowance(*LOOKUPS, clock)
        self._without: dict[tuple[str, str], float] = {}

    def is_known_without(self, comment: Comment) -> bool:
        """Whether the author was found to have no rights a short while ago."""
        return self._without.get(_key(comment), float("-inf")) > self._clock()

    async def may_write(self, forge: Discussion, comment: Comment, group: str) -> bool:
        """Ask whether the author may write to the repository, for a group of ``Allowance``.

        Raises Later and ForgeError.
        """
        if not self._lookups.take(group):
            raise Later(self._lookups.wait(group))
        key = _key(comment)
        self._without.pop(key, None)
        if await forge.may_write(*key):
            return True
        self._without[key] = self._clock() + REMEMBERED_SECONDS
        if len(self._without) > REMEMBERED:
            del self._without[next(iter(self._without))]
        return False


def _key(comment: Comment) -> tuple[str, str]:
    return comment.pull_request.repository, comment.author.casefold()
