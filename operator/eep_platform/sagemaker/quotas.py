"""The account's quotas for endpoints; pure."""

from collections import Counter
from collections.abc import Iterable

from eep_platform.sagemaker.endpoints import Deployment, Endpoint, Variant
from eep_platform.sagemaker.errors import limit_exceeded
from eep_platform.sagemaker.settings import Limit, Quotas

_ENDPOINTS = "Number of endpoints"
_SERVERLESS = "Maximum number of serverless endpoints per account"
_CONCURRENCY = "Maximum total concurrency that can be allocated across all serverless endpoints"
_MEMORY = "Memory size in MB per serverless endpoint"


def demand(deployment: Deployment | None) -> Counter[str]:
    """How much of each quota a deployment uses; None uses nothing."""
    taken: Counter[str] = Counter()
    for variant in deployment.variants if deployment else ():
        if variant.serverless:
            taken[_SERVERLESS] = 1
            taken[_CONCURRENCY] += variant.serverless["MaxConcurrency"]
        else:
            taken[_instances(variant)] += variant.instance_count
    return taken


def refuse_excess(quotas: Quotas, existing: Iterable[Endpoint], before: Endpoint | None, after: Deployment) -> None:
    """Raise `ResourceLimitExceeded` if a deployment exceeds a quota; `before` is the endpoint to be updated."""
    endpoints = list(existing)
    used = sum((_held(endpoint) for endpoint in endpoints), Counter({_ENDPOINTS: len(endpoints)}))
    if before is None:
        delta = demand(after) + Counter({_ENDPOINTS: 1})
    else:
        delta = _together(demand(before.current), after) - _held(before)
    for limit, more in sorted(delta.items()):
        allowed = _allowed(quotas, limit)
        if allowed != "unlimited" and used[limit] + more > allowed:
            raise limit_exceeded(limit, unit=_unit(limit), allowed=allowed, used=used[limit], delta=more)


def refuse_memory(quotas: Quotas, megabytes: int) -> None:
    """Raise `ResourceLimitExceeded` if a serverless variant needs more memory than the account allows."""
    allowed = quotas.serverless_memory_mb
    if allowed != "unlimited" and megabytes > allowed:
        raise limit_exceeded(_MEMORY, unit="Megabytes", allowed=allowed, used=0, delta=megabytes)


def _held(endpoint: Endpoint) -> Counter[str]:
    return _together(demand(endpoint.current), endpoint.pending)


def _together(before: Counter[str], after: Deployment | None) -> Counter[str]:
    """What two deployments use while one replaces the other.

    On instances, a second fleet or the surge of a rolling deployment runs in addition to the first ("Blue/Green
    Deployments" and "Use rolling deployments" in the SageMaker developer guide). Of serverless endpoints and their
    concurrency, the larger of the two counts.
    """
    asked = demand(after)
    taken = before | asked
    if after is None:
        return taken
    for variant in after.variants:
        if variant.serverless is None:
            limit = _instances(variant)
            taken[limit] = before[limit] + asked[limit] if after.surge is None else taken[limit] + after.surge
    return taken


def _instances(variant: Variant) -> str:
    return endpoint_usage(variant.instance_type)


def endpoint_usage(instance_type: str | None) -> str:
    """The name of the quota of an instance type."""
    return f"{instance_type} for endpoint usage"


def instances_allowed(quotas: Quotas, instance_type: str) -> Limit:
    """How many instances of a type there may be."""
    return quotas.instances.get(instance_type, quotas.instances_of_any_other_type)


def _allowed(quotas: Quotas, limit: str) -> Limit:
    fixed = {
        _ENDPOINTS: quotas.endpoints,
        _SERVERLESS: quotas.serverless_endpoints,
        _CONCURRENCY: quotas.serverless_concurrency,
    }
    if limit in fixed:
        return fixed[limit]
    return instances_allowed(quotas, limit.partition(" ")[0])


def _unit(limit: str) -> str:
    if limit == _CONCURRENCY:
        return "Concurrency"
    return "Endpoints" if limit in {_ENDPOINTS, _SERVERLESS} else "Instances"
