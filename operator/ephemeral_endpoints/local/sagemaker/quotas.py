"""The account's limits on endpoints; pure."""

from collections import Counter
from collections.abc import Iterable

from ephemeral_endpoints.local.sagemaker.endpoints import Deployment, Endpoint
from ephemeral_endpoints.local.sagemaker.errors import limit_exceeded
from ephemeral_endpoints.local.sagemaker.settings import Limit, Quotas

_ENDPOINTS = "Number of endpoints"
_SERVERLESS = "Maximum number of serverless endpoints per account"
_CONCURRENCY = "Maximum total concurrency that can be allocated across all serverless endpoints"
_MEMORY = "Memory size in MB per serverless endpoint"


def demand(deployment: Deployment | None) -> Counter[str]:
    """What a deployment takes of each limit; nothing if there is none."""
    taken: Counter[str] = Counter()
    for variant in deployment.variants if deployment else ():
        if variant.serverless:
            taken[_SERVERLESS] = 1
            taken[_CONCURRENCY] += variant.serverless["MaxConcurrency"]
        else:
            taken[f"{variant.body['InstanceType']} for endpoint usage"] += variant.instance_count
    return taken


def refuse_excess(quotas: Quotas, existing: Iterable[Endpoint], before: Endpoint | None, after: Deployment) -> None:
    """Raise `ResourceLimitExceeded` if a deployment does not fit; `before` is the endpoint that it would change."""
    endpoints = list(existing)
    used = sum((_held(endpoint) for endpoint in endpoints), Counter({_ENDPOINTS: len(endpoints)}))
    asked = demand(after)
    delta = asked + Counter({_ENDPOINTS: 1}) if before is None else asked - _held(before)
    for limit, more in sorted(delta.items()):
        allowed = _allowed(quotas, limit)
        if allowed != "unlimited" and used[limit] + more > allowed:
            raise limit_exceeded(limit, unit=_unit(limit), allowed=allowed, used=used[limit], delta=more)


def refuse_memory(quotas: Quotas, megabytes: int) -> None:
    """Raise `ResourceLimitExceeded` if a serverless variant asks for more memory than the account may use."""
    allowed = quotas.serverless_memory_mb
    if allowed != "unlimited" and megabytes > allowed:
        raise limit_exceeded(_MEMORY, unit="Megabytes", allowed=allowed, used=0, delta=megabytes)


def _held(endpoint: Endpoint) -> Counter[str]:
    # While one deployment replaces another the larger of both counts, for AWS lets the old one go only afterwards.
    return demand(endpoint.current) | demand(endpoint.pending)


def _allowed(quotas: Quotas, limit: str) -> Limit:
    fixed = {
        _ENDPOINTS: quotas.endpoints,
        _SERVERLESS: quotas.serverless_endpoints,
        _CONCURRENCY: quotas.serverless_concurrency,
    }
    if limit in fixed:
        return fixed[limit]
    return quotas.instances.get(limit.partition(" ")[0], quotas.instances_of_any_other_type)


def _unit(limit: str) -> str:
    if limit == _CONCURRENCY:
        return "Concurrency"
    return "Endpoints" if limit in {_ENDPOINTS, _SERVERLESS} else "Instances"
