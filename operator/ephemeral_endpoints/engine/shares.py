"""How many objects may go at once before it is taken for a mistake, by sweeps, by the reaper and by expiry. Pure."""

from math import ceil
from typing import Final

LEAST_OBJECTS: Final = 5
"""So many objects may go at once, however few there are: else the last ones would wait for each other."""


def most_at_once(total: int, share: float, least: int = LEAST_OBJECTS) -> int:
    """How many of ``total`` objects may go at once: ``share`` of them, and never less than ``least``."""
    return max(least, ceil(share * total))
