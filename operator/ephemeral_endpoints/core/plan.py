"""The planner: what to do next, from what is wanted and what is there.

Creation follows the graph of needs, deletion follows the graph of uses in reverse, and everything independent goes at
once. There is no script for updating or tearing down: both are this one function with other wants.
"""

from collections import ChainMap
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

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

_CHANGEABLE: Final = frozenset({Phase.READY, Phase.IMPAIRED})


@dataclass(frozen=True, slots=True)
class Desired:
    """What should exist. Kinds in ``hold`` are not deleted although not wanted.

    What should be there is not known yet. What is in ``renew`` is tried again, should it have failed as it is wanted.
    """

    wants: tuple[Want, ...] = ()
    hold: frozenset[Kind] = frozenset()
    renew: frozenset[Key] = frozenset()


def plan(desired: Desired, own: Haves, others: Haves = MappingProxyType({})) -> tuple[Step, ...]:
    """All steps that can be taken now, independent of one another.

    Empty when converged or when there is only waiting to do.

    ``own`` is what belongs to the subject. ``others`` counts as needed or as using, but is never touched.
    """
    there = ChainMap(dict(own), dict(others))
    in_use = frozenset(key for have in there.values() for key in have.uses)
    unsettled = frozenset(want.key for want in desired.wants if not is_ready(want, there))
    touchable = [want for want in desired.wants if want.key in own or want.key not in others]
    unfit = _unfit(desired, touchable, own)
    going = [*surplus(desired, own), *unfit]
    # What has to go and uses a resource goes before that changes under it.
    in_the_way = frozenset(key for have in going for key in have.uses)
    steps = [
        step
        for want in touchable
        if not want.after & unsettled
        and (step := _towards(want, there, in_use, desired.renew))
        and not (isinstance(step, Update) and (want.key in in_the_way or step.have in unfit))
    ]
    replaced = frozenset(kind for want in desired.wants if want.key in unsettled for kind in want.replaces)
    steps += [
        Delete(have)
        for have in going
        if _is_at_rest(have) and have.key not in in_use and (have in unfit or have.key.kind not in replaced)
    ]
    return tuple(steps)


def _unfit(desired: Desired, touchable: Collection[Want], own: Haves) -> list[Have]:
    """What has to be deleted although it is wanted: it cannot become so, or rests on something that has to go."""
    wants = {want.key: want for want in touchable if want.key in own}
    lost = {key for key, want in wants.items() if _is_lost(own[key], want, desired.renew)}
    return [own[key] for key, want in wants.items() if not own[key].can_become(want) or own[key].uses & lost]


def _is_lost(have: Have, want: Want, renew: frozenset[Key]) -> bool:
    """Whether it failed, which leaves deletion only, and is not to stay so."""
    return have.phase is Phase.FAILED and (not have.matches(want) or have.key in renew)


def surplus(desired: Desired, own: Haves) -> tuple[Have, ...]:
    """What is there and should not be, held kinds aside."""
    wanted = {want.key for want in desired.wants}
    return tuple(have for have in own.values() if have.key not in wanted and have.key.kind not in desired.hold)


def is_ready(want: Want, haves: Haves) -> bool:
    """Whether the resource is there, ready, and as wanted."""
    have = haves.get(want.key)
    return have is not None and have.phase is Phase.READY and have.matches(want)


def _towards(want: Want, there: Haves, in_use: frozenset[Key], renew: frozenset[Key]) -> Step | None:
    have = there.get(want.key)
    if have is None:
        return Create(want) if _all_ready(want.needs, there) else None
    if have.matches(want) and (have.phase is Phase.READY or want.key not in renew):
        return None
    if have.phase is Phase.FAILED:
        return None if have.key in in_use else Delete(have)
    if have.phase in _CHANGEABLE and _all_ready(want.needs, there):
        if not all(key in there and there[key].serves for key in want.update_needs):
            return None
        return Update(want, have)
    return None


def _all_ready(keys: Iterable[Key], there: Haves) -> bool:
    return all(key in there and there[key].phase is Phase.READY for key in keys)


def _is_at_rest(have: Have) -> bool:
    return have.phase is Phase.FAILED or have.phase in _CHANGEABLE
