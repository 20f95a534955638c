"""Whether more pull requests close at about the same time than can be right. Pure.

A forge that forgets, a class that names another one, or a token that sees something else would otherwise end
everything. What counts is what was open and now is not: an object that somebody makes for a pull request that closed
long ago says nothing about the forge. And nobody holds up others: the pull requests of a namespace in one repository
are judged by themselves, then those of the namespace, and then those of the class, where the namespace with the most
closings does not count.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from math import ceil

from ephemeral_endpoints.features.expiry.brake import LEAST, WINDOW_SECONDS
from ephemeral_endpoints.features.reviews.forge import PullRequestKey

Namespaces = Mapping[PullRequestKey, Collection[str]]
"""The pull requests that are watched, with the namespaces of their objects."""

_Member = tuple[str, PullRequestKey]
_Group = tuple[str, ...]


def held(
    closed: Mapping[PullRequestKey, float],
    watched: Namespaces,
    share: float,
    *,
    confirmed: Collection[PullRequestKey] = (),
) -> frozenset[PullRequestKey]:
    """Those that end nothing, because more than ``share`` of their group were closed at about the same time as they.

    ``closed`` says since when each is seen closed that was open, in seconds; those whose objects have ended are in it
    and in ``watched`` for a while. ``confirmed`` are those of which a person says so. A pull request with objects in
    several namespaces is held if it is in each of them.
    """
    members = {(namespace, key) for key, namespaces in watched.items() for namespace in namespaces}
    closings = {each: closed[each[1]] for each in members if each[1] in closed and each[1] not in confirmed}
    suspect: set[_Member] = set()
    for level in (_by_repository, _by_namespace):
        suspect |= _crowded(_Level(level), members - suspect, _without(closings, suspect), share)
    suspect |= _crowded(_Level(_by_class, is_shared=True), members - suspect, _without(closings, suspect), share)
    free = {key for _, key in closings.keys() - suspect}
    return frozenset(key for _, key in suspect if key not in free)


@dataclass(frozen=True, slots=True)
class _Level:
    """How members are put in groups. ``is_shared``: by several namespaces, of which none trips it alone."""

    group: Callable[[_Member], _Group]
    is_shared: bool = False


def _crowded(
    level: _Level, members: Collection[_Member], closings: Mapping[_Member, float], share: float
) -> set[_Member]:
    """The closings of the groups that had more than their share of them at about the same time."""
    sizes: dict[_Group, set[PullRequestKey]] = {}
    moments: dict[_Group, dict[str, list[float]]] = {}
    for each in members:
        sizes.setdefault(level.group(each), set()).add(each[1])
    for each, moment in sorted(closings.items(), key=lambda item: item[1]):
        moments.setdefault(level.group(each), {}).setdefault(each[0], []).append(moment)
    tripped: dict[tuple[_Group, float], bool] = {}
    for each, moment in closings.items():
        group = level.group(each)
        if (group, moment) not in tripped:
            most = max(LEAST, ceil(share * len(sizes[group])))
            counts = [_around(moment, found) for found in moments[group].values()]
            tripped[group, moment] = sum(counts) - (max(counts) if level.is_shared else 0) > most
    return {each for each, moment in closings.items() if tripped[level.group(each), moment]}


def _around(moment: float, moments: list[float]) -> int:
    return bisect_right(moments, moment + WINDOW_SECONDS) - bisect_left(moments, moment - WINDOW_SECONDS)


def _without(closings: Mapping[_Member, float], left_out: Collection[_Member]) -> dict[_Member, float]:
    return {each: moment for each, moment in closings.items() if each not in left_out}


def _by_repository(member: _Member) -> _Group:
    return member[0], member[1].repository.lower()


def _by_namespace(member: _Member) -> _Group:
    return (member[0],)


def _by_class(_: _Member) -> _Group:
    return ()
