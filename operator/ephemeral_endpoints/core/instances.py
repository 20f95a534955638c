"""Whether a class allows the instances that an object asks for."""

from fnmatch import fnmatchcase

from ephemeral_endpoints.api.endpoint_class import InstancePolicy
from ephemeral_endpoints.api.serving import Serving
from ephemeral_endpoints.core.errors import NotAllowed


def refusal(serving: Serving, policy: InstancePolicy) -> NotAllowed | None:
    """Why the class does not allow these instances; None if it does, or if none are asked for."""
    instances = serving.instances
    if instances is None:
        return None
    allowed = policy.allowed_types
    if allowed and not any(fnmatchcase(instances.type, pattern) for pattern in allowed):
        return NotAllowed(f"{instances.type} is not allowed: the class allows {', '.join(allowed)}")
    most = _most(serving)
    if most > policy.max_count:
        return NotAllowed(f"{most} instances at most are asked for, and the class allows {policy.max_count}")
    return None


def _most(serving: Serving) -> int:
    """The most instances that there may ever be, rollouts aside."""
    instances = serving.instances
    if instances is None:
        return 0
    scaling = instances.autoscaling
    bounds = [scaling.max_count, *(each.max_count for each in scaling.schedule)] if scaling else [instances.count]
    return max(bounds) * max(1, len(serving.variants))
