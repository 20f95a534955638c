"""The next step of each resource of an object, and the resources that it waits for: the plan, for people."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ephemeral_endpoints.engine.plan import Create, Delete, Step, Update, View, is_ready, plan
from ephemeral_endpoints.engine.resources import IN_FLIGHT, DesiredResource, Key, ObservedResource, Phase

_VERBS: Final = {Create: "create", Update: "update", Delete: "delete"}


@dataclass(frozen=True, slots=True)
class Explanation:
    """One resource: whether it is desired, its observed state, and its next step. The last two are for people."""

    key: Key
    is_desired: bool
    observed: str
    following: str


def explain(view: View) -> tuple[Explanation, ...]:
    """All resources that are desired or the object's own, in the order of their keys."""
    steps = {step.key: step for step in plan(view.desired, view.own, view.others)}
    desired = {resource.key: resource for resource in view.desired.resources}
    return tuple(
        Explanation(
            key,
            key in desired,
            _state(view.observed.get(key)),
            _following(key, desired.get(key), view, steps),
        )
        for key in sorted(desired.keys() | view.own.keys())
    )


def _state(observed: ObservedResource | None) -> str:
    return "absent" if observed is None else observed.status or str(observed.phase)


def _following(key: Key, resource: DesiredResource | None, view: View, steps: Mapping[Key, Step]) -> str:
    if step := steps.get(key):
        return _VERBS[type(step)]
    if resource is None:
        return _why_kept(view.own[key], view)
    if is_ready(resource, view.observed):
        return "nothing"
    return "; ".join(_hindrances(resource, view)) or "waits"


def _hindrances(resource: DesiredResource, view: View) -> Iterator[str]:
    """Why a desired resource is neither created nor updated now."""
    there = view.observed
    observed = there.get(resource.key)
    if observed and observed.phase in IN_FLIGHT:
        yield f"waits until it is no longer {_state(observed)}"
        return
    missing = [key for key in resource.needs if key not in there or there[key].phase is not Phase.READY]
    if missing:
        yield f"waits for {_names(missing)}"
    ready = {each.key for each in view.desired.resources if is_ready(each, there)}
    wanted = {each.key for each in view.desired.resources}
    if unsettled := (resource.after | (resource.update_after & wanted if observed else frozenset())) - ready:
        yield f"comes after {_names(unsettled)}"
    if observed:
        if idle := [key for key in resource.update_needs if key not in there or not there[key].serves]:
            yield f"is updated once {_names(idle)} serves"
        if users := _users(observed, view):
            yield f"is still used by {_names(users)}"


def _why_kept(observed: ObservedResource, view: View) -> str:
    """Why a resource that is not desired is not deleted now."""
    if view.desired.keeps(observed.key.kind):
        return "kept: it is not known yet whether it is desired"
    if observed.phase in IN_FLIGHT:
        return f"deleted once it is no longer {_state(observed)}"
    if users := _users(observed, view):
        return f"deleted once {_names(users)} is gone"
    return "kept until its replacement is ready"


def _users(observed: ObservedResource, view: View) -> list[Key]:
    return [key for key, each in view.observed.items() if observed.key in each.uses]


def _names(keys: Iterable[Key]) -> str:
    return ", ".join(sorted(map(str, keys)))
