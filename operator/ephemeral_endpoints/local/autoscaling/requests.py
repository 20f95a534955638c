"""What the operations share: which requests are served, and pages of answers."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from ephemeral_endpoints.local.autoscaling.errors import invalid_token
from ephemeral_endpoints.local.autoscaling.targets import DIMENSION, NAMESPACE, Target, Targets
from ephemeral_endpoints.local.sagemaker.errors import ServiceError, validation_exception
from ephemeral_endpoints.local.sagemaker.listing import page

Item = TypeVar("Item")
_MOST_RESULTS = 50

OPERATIONS = (
    "RegisterScalableTarget",
    "DeregisterScalableTarget",
    "DescribeScalableTargets",
    "DescribeScalingActivities",
    "PutScalingPolicy",
    "DescribeScalingPolicies",
    "DeleteScalingPolicy",
    "PutScheduledAction",
    "DescribeScheduledActions",
    "DeleteScheduledAction",
    "ListTagsForResource",
    "TagResource",
    "UntagResource",
)


def refuse_unserved(request: Mapping[str, Any]) -> None:
    """Raise `ValidationException` for what is not a variant's instance count."""
    asked = (request["ServiceNamespace"], request["ScalableDimension"])
    if asked != (NAMESPACE, DIMENSION):
        raise validation_exception(f"Of {asked[0]}, {asked[1]} is not served here: only {NAMESPACE}, {DIMENSION}.")


def target_of(targets: Targets, request: Mapping[str, Any]) -> Target:
    """The registered target that a request is about; raises its refusals."""
    refuse_unserved(request)
    return targets.get(request["ResourceId"])


def asked_targets(targets: Targets, request: Mapping[str, Any]) -> list[Target]:
    """The targets that a Describe request is about, by all of its filters."""
    if request["ServiceNamespace"] != NAMESPACE or request.get("ScalableDimension", DIMENSION) != DIMENSION:
        return []
    resource_id = request.get("ResourceId")
    if resource_id is None:
        return list(targets)
    found = targets.find(resource_id)
    return [found] if found else []


def paged(
    items: Iterable[Item], identity: Callable[[Item], str], request: Mapping[str, Any]
) -> tuple[list[Item], str | None]:
    """The page that a request asks for and the token of the next, None after the last.

    Raises:
        ServiceError: `InvalidNextTokenException`, or `ValidationException` for a page of no possible size.
    """
    size = request.get("MaxResults", _MOST_RESULTS)
    if not 1 <= size <= _MOST_RESULTS:
        raise validation_exception(f"MaxResults must be from 1 to {_MOST_RESULTS}.")
    ordered = sorted(items, key=identity)
    try:
        return page(ordered, lambda item: (identity(item), ""), request, default_size=_MOST_RESULTS)
    except ServiceError as error:
        raise invalid_token() from error
