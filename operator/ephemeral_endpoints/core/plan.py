"""The planner: what to do next, from what is wanted and what is there.

Creation follows the graph of needs, deletion follows the graph of uses in reverse, and everything independent goes at
once. There is no script for updating or tearing down: both are this one function with other wants.
"""

from collections import ChainMap
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

from ephemeral_endpoints.core.resources import Have, Haves, Key, Kind, Phase, Want


@dataclass(frozen=True, slots=True)
class Create:
    """Make what is not there."""

    want: Want

    @property
    def key(self) -> Key:
        """The resource that the step acts on."""
        return self.want.key


@dataclass(frozen=True, slots=True)
class Update:
    """Change what is there."""

    want: Want
    have: Have

    @property
    def key(self) -> Key:
        """The resource that the step acts on."""
        return self.want.key


@dataclass(frozen=True, slots=True)
class Delete:
    """Trigger the removal of what is there."""

    have: Have

    @property
    def key(self) -> Key:
        """The resource that the step acts on."""
        return self.have.key


Step = Create | Update | Delete


@dataclass(frozen=True, slots=True)
class Desired:
    """What should exist. Kinds in ``hold`` are not deleted although not wanted.

    What should be there is not known yet.
    """

    wants: tuple[Want, ...] = ()
    hold: frozenset[Kind] = frozenset()


def plan(desired: Desired, own: Haves, others: Haves = MappingProxyType({})) -> tuple[Step, ...]:
    """All steps that can be taken now, independent of one another.

    Empty when converged or when there is only waiting to do.

    ``own`` is what belongs to the subject. ``others`` counts as needed or as using, but is never touched.
    """
    there = ChainMap(dict(own), dict(others))
    in_use = frozenset(key for have in there.values() for key in have.uses)
    touchable = [want for want in desired.wants if want.key in own or want.key not in others]
    steps = [step for want in touchable if (step := _towards(want, there, in_use))]
    steps += [Delete(have) for have in surplus(desired, own) if _is_at_rest(have) and have.key not in in_use]
    return tuple(steps)


def surplus(desired: Desired, own: Haves) -> tuple[Have, ...]:
    """What is there and should not be, held kinds aside."""
    wanted = {want.key for want in desired.wants}
    return tuple(have for have in own.values() if have.key not in wanted and have.key.kind not in desired.hold)


def is_ready(want: Want, haves: Haves) -> bool:
    """Whether the resource is there, ready, and as wanted."""
    have = haves.get(want.key)
    return have is not None and have.phase is Phase.READY and have.matches(want)


def _towards(want: Want, there: Haves, in_use: frozenset[Key]) -> Step | None:
    have = there.get(want.key)
    if have is None:
        return Create(want) if _all_ready(want.needs, there) else None
    if have.phase is Phase.FAILED and not have.matches(want):
        return None if have.key in in_use else Delete(have)
    if have.phase is Phase.READY and not have.matches(want) and _all_ready(want.needs, there):
        return Update(want, have)
    return None


def _all_ready(keys: Iterable[Key], there: Haves) -> bool:
    return all(key in there and there[key].phase is Phase.READY for key in keys)


def _is_at_rest(have: Have) -> bool:
    return have.phase in (Phase.READY, Phase.FAILED)
