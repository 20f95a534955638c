"""What load an endpoint takes, and what its latencies are compared with. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from ephemeral_endpoints.api.v1alpha1.checks import CheckOutcome, CheckRun
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.load import BaseLoad, Load, LoadBase, LoadResult
from ephemeral_endpoints.api.v1alpha1.serving import Serverless
from ephemeral_endpoints.features.checks.load.plan import MOST_BODY_BYTES
from ephemeral_endpoints.features.checks.requests import ModelRequest
from ephemeral_endpoints.features.routing.policy import throttle_of
from ephemeral_endpoints.features.subject import Subject


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many requests at once an endpoint takes, and the field that says so."""

    concurrency: float
    field: str


def capacity(subject: Subject) -> Capacity | None:
    """The capacity of an endpoint; None where nothing bounds it but the model itself, as on instances."""
    serving, found = subject.endpoint.spec.serving, []
    if isinstance(size := serving.capacity, Serverless):
        weights = [each.weight for each in serving.variants if each.weight] or [1]
        # Each variant has an endpoint of its own, and the one with the largest share is full first.
        most = size.max_concurrency * sum(weights) / max(weights)
        found.append(Capacity(most, "spec.serving.serverless.maxConcurrency"))
    if reserved := subject.endpoint_class.spec.routing.reserved_concurrency:
        found.append(Capacity(reserved, "spec.routing.reservedConcurrency of the class"))
    return min(found, key=lambda each: each.concurrency, default=None)


def refusal(subject: Subject, load: Load, request: ModelRequest) -> str | None:
    """Why the load is not even tried; None if it may be."""
    if subject.endpoint.spec.serving.asynchronous is not None:
        return (
            "an asynchronous endpoint queues requests, so that load shows nothing of the model: remove load from the "
            "check"
        )
    if len(request.body) > MOST_BODY_BYTES:
        return (
            f"the request has {len(request.body)} bytes, and that of a load check may have {MOST_BODY_BYTES}: choose a "
            "smaller one"
        )
    return _throttled(subject, load)


def _throttled(subject: Subject, load: Load) -> str | None:
    api, policy = subject.endpoint.spec.api, subject.endpoint_class.spec.routing
    most = throttle_of(api, policy).rate
    if load.rate <= most:
        return None
    if api.throttle is None:
        return (
            f"the class lets {most} requests per second pass (spec.routing.throttle.rateLimit): lower rate from "
            f"{load.rate} to that, or ask the platform team to raise it"
        )
    return (
        f"the URL lets {most} requests per second pass (spec.api.throttle.rateLimit): lower rate from {load.rate} to "
        "that, or raise the limit as far as the class allows it"
    )


def base_of(
    base: LoadBase | None, name: str, endpoint: EphemeralEndpoint, others: Mapping[str, EphemeralEndpoint]
) -> BaseLoad | str | None:
    """The figures that the load check ``name`` is compared with; None if with none, a text where they are missing.

    ``endpoint`` still has the status of its earlier run; ``others`` are objects of its namespace by their names.
    """
    if base is None:
        return None
    if base.endpoint is None:
        return _of_earlier_revision(name, endpoint)
    other = others.get(base.endpoint)
    if other is None:
        return f"the base {base.endpoint} does not exist in this namespace"
    result = _measured(other.status.checks, name)
    if result is None or other.status.checks is None:
        return f"the base {base.endpoint} has no figures of a check {name} with load: run its checks first"
    return figures(result, other.status.checks.revision, base.endpoint)


def figures(result: LoadResult, revision: str, endpoint: str | None) -> BaseLoad:
    """A result as a base; ``endpoint`` is None for the object itself. Latencies that are missing count as 0."""
    p50, p90, p99, longest = (each or 0.0 for each in _latencies(result))
    return BaseLoad(
        endpoint=endpoint, revision=revision, rate=result.rate, p50_ms=p50, p90_ms=p90, p99_ms=p99, max_ms=longest
    )


def _of_earlier_revision(name: str, endpoint: EphemeralEndpoint) -> BaseLoad | None:
    """The last other revision's figures: those of the last run, or what that run was compared with."""
    run = endpoint.status.checks
    found = next((each for each in run.results if each.name == name), None) if run else None
    if run is None or found is None:
        return None
    if run.revision != endpoint.revision and (result := _measured(run, name)):
        return figures(result, run.revision, None)
    kept = found.load.base if found.load else None
    return kept if kept and kept.endpoint is None else None


def _measured(run: CheckRun | None, name: str) -> LoadResult | None:
    """The figures of a run that are good for comparison."""
    found = next((each for each in run.results if each.name == name), None) if run else None
    if found is None or found.load is None or found.outcome is CheckOutcome.INCONCLUSIVE:
        return None
    return found.load if found.load.failed < found.load.sent and None not in _latencies(found.load) else None


def _latencies(result: LoadResult) -> tuple[float | None, ...]:
    return result.p50_ms, result.p90_ms, result.p99_ms, result.max_ms
