"""What the operations share: the supported dimension, and pages of answers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from eep_platform.autoscaling.errors import invalid_token
from eep_platform.autoscaling.targets import DIMENSION, NAMESPACE, Target, Targets
from eep_platform.emulation.errors import validation_exception
from eep_platform.emulation.paging import page

Item = TypeVar("Item")
_MOST_RESULTS = 50


class Named(Protocol):
    """A policy or a scheduled action of a target."""

    name: str
    arn: str


Part = TypeVar("Part", bound=Named)


def refuse_unserved(request: Mapping[str, Any]) -> None:
    """Raise `ValidationException` for anything other than a variant's instance count."""
    asked = (request["ServiceNamespace"], request["ScalableDimension"])
    if asked != (NAMESPACE, DIMENSION):
        raise validation_exception(f"Of {asked[0]}, {asked[1]} is not served here: only {NAMESPACE}, {DIMENSION}.")


def target_of(targets: Targets, request: Mapping[str, Any]) -> Target:
    """The registered target that a request names; raises the service's errors."""
    refuse_unserved(request)
    return targets.get(request["ResourceId"])


def asked_targets(targets: Targets, request: Mapping[str, Any]) -> list[Target]:
    """The targets that match all filters of a Describe request."""
    if request["ServiceNamespace"] != NAMESPACE or request.get("ScalableDimension", DIMENSION) != DIMENSION:
        return []
    resource_id = request.get("ResourceId")
    if resource_id is None:
        return list(targets)
    found = targets.find(resource_id)
    return [found] if found else []


def parts_page(
    targets: Targets,
    request: Mapping[str, Any],
    parts_of: Callable[[Target], Iterable[Part]],
    names: Sequence[str] | None,
) -> tuple[list[tuple[Target, Part]], str | None]:
    """The page of targets' policies or scheduled actions that a Describe request asks for; see `paged`.

    `names` are the names or ARNs to describe; None: all.
    """
    found = [
        (target, part)
        for target in asked_targets(targets, request)
        for part in parts_of(target)
        if names is None or part.name in names or part.arn in names
    ]
    return paged(found, lambda pair: pair[1].arn, request)


def paged(
    items: Iterable[Item], identity: Callable[[Item], str], request: Mapping[str, Any]
) -> tuple[list[Item], str | None]:
    """The page that a request asks for and the token of the next; None after the last.

    Raises:
        ServiceError: `InvalidNextTokenException`, or `ValidationException` for an invalid page size.
    """
    size = request.get("MaxResults", _MOST_RESULTS)
    if not 1 <= size <= _MOST_RESULTS:
        raise validation_exception(f"MaxResults must be from 1 to {_MOST_RESULTS}.")
    ordered = sorted(items, key=identity)
    return page(ordered, lambda item: (identity(item), ""), request.get("NextToken"), size, invalid_token=invalid_token)
