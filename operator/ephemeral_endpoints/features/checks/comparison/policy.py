"""Whether an object can be compared, with what, and what identifies the comparison. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from ephemeral_endpoints.api import COMPARE_AT_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.base import Condition
from ephemeral_endpoints.api.v1alpha1.comparison import (
    NAMESPACE_PLACEHOLDER,
    PREVIOUS_REVISION,
    Comparison,
    ComparisonPolicy,
    ComparisonResult,
)
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.samples import Sample
from ephemeral_endpoints.engine.conditions import Cause, ConditionType
from ephemeral_endpoints.engine.names import content_digest
from ephemeral_endpoints.features.checks.comparison.reasons import (
    BASE_NOT_FOUND,
    BASE_NOT_READY,
    COMPARISON_REFUSED,
)
from ephemeral_endpoints.features.sleep.policy import is_stopped

SETTLED_SECONDS: Final = 60.0
"""For how long a base has to be Ready before what was compared with it is compared again: several pushes to main in a
row count as one."""


@dataclass(frozen=True, slots=True)
class Base:
    """What an object is compared with: the name of the other object, None for the previous revision, and the commit.

    ``revision`` is None where no revision came before.
    """

    name: str | None
    revision: str | None
    ready_at: datetime | None = None
    """Since when it is Ready."""

    @property
    def title(self) -> str:
        """How the result calls it."""
        return self.name or PREVIOUS_REVISION


def samples_of(endpoint: EphemeralEndpoint, spec: Comparison) -> tuple[Sample, ...]:
    """The samples that are sent."""
    return tuple(each for each in endpoint.spec.api.samples if not spec.samples or each.name in spec.samples)


def refusal(spec: Comparison, policy: ComparisonPolicy, namespace: str) -> Cause | None:
    """Why the class does not allow the comparison; None if it does."""
    if spec.with_.previous_revision and policy.reports_s3_uri is None:
        return Cause(
            COMPARISON_REFUSED,
            "a comparison with the previous revision needs the answers of that revision, which are kept in S3: ask the "
            "platform team for comparisons.reportsS3Uri in the class, or compare with another object",
        )
    if spec.recorded is None or _is_allowed(spec.recorded.s3_uri, policy.recordings, namespace):
        return None
    allowed = ", ".join(_filled(each, namespace) for each in policy.recordings) or "none"
    return Cause(
        COMPARISON_REFUSED,
        f"the class does not let objects of namespace {namespace} send the recorded requests of "
        f"{spec.recorded.s3_uri}: choose another s3Uri (allowed: {allowed}), or ask the platform team to allow yours "
        "in comparisons.recordings of the class",
    )


def base_problem(name: str, base: EphemeralEndpoint | None, namespace: str, now: datetime) -> Cause | None:
    """Why nothing can be compared with the object of that name at the moment; None if it can."""
    where = f"EphemeralEndpoint {name} in namespace {namespace}"
    if base is None:
        remedy = "create it, or change spec.compare.with.endpoint; the comparison begins when it is Ready"
        return Cause(BASE_NOT_FOUND, f"there is no {where}: {remedy}")
    if base.metadata.deletion_timestamp is not None or (base.status.expires_at and base.status.expires_at <= now):
        remedy = "create it again, or change spec.compare.with.endpoint; the comparison begins when it is Ready"
        return Cause(BASE_NOT_FOUND, f"{where} is deleted or has expired: {remedy}")
    if base.spec.suspend:
        remedy = "what it serves need not be what its spec says. Set its spec.suspend to false"
        return Cause(BASE_NOT_READY, f"{where} is suspended, and {remedy}")
    if base.spec.serving.asynchronous is not None:
        remedy = "change spec.compare.with.endpoint"
        return Cause(COMPARISON_REFUSED, f"{where} is asynchronous, and does not answer at once: {remedy}")
    why = _not_ready(name, base)
    return Cause(BASE_NOT_READY, f"{where} {why}") if why else None


def _not_ready(name: str, base: EphemeralEndpoint) -> str | None:
    """Why the model of the base does not answer now, as the end of a sentence; None if it does."""
    if is_stopped(base):
        return f"is asleep: wake it with `eep wake {name}`; the comparison begins then"
    ready = ready_condition(base)
    is_current = ready is not None and ready.observed_generation == base.metadata.generation
    if ready is None or ready.status != "True" or not is_current or base.status.url is None:
        why = f" ({ready.reason})" if ready and ready.status != "True" else ""
        return f"is not Ready{why}: see its conditions; the comparison begins when it is"
    return None


def base_of(name: str | None, other: EphemeralEndpoint | None, result: ComparisonResult | None, revision: str) -> Base:
    """What an object with that last result and that revision is compared with: the other one, or what came before."""
    if name is None:
        return Base(None, previous_revision(result, revision))
    ready = ready_condition(other) if other else None
    return Base(name, other.revision if other else None, ready.last_transition_time if ready else None)


def ready_condition(endpoint: EphemeralEndpoint) -> Condition | None:
    """The condition ``Ready``; None if there is none yet."""
    return next((each for each in endpoint.status.conditions if each.type == ConditionType.READY), None)


def previous_revision(result: ComparisonResult | None, revision: str) -> str | None:
    """The revision whose answers those of ``revision`` are compared with, by the last result; None if there is none."""
    if result is None:
        return None
    if result.revision != revision:
        return result.revision
    return result.base_revision if result.base == PREVIOUS_REVISION else None


@dataclass(frozen=True, slots=True)
class RunId:
    """Identifies a comparison: by all that the object itself decides, and by what it is compared with."""

    own: str
    base: str

    @classmethod
    def of(cls, endpoint: EphemeralEndpoint, spec: Comparison, base: Base, other: EphemeralEndpoint | None) -> Self:
        """What both serve, the requests, how answers are compared, and the request for it."""
        own = content_digest(
            _served(endpoint),
            spec.to_wire(),
            [each.to_wire() for each in samples_of(endpoint, spec)],
            endpoint.metadata.annotations.get(COMPARE_AT_ANNOTATION),
        )
        return cls(own[:16], content_digest(base.title, base.revision, _served(other) if other else None)[:16])

    def __str__(self) -> str:
        return f"{self.own}-{self.base}"

    def is_of(self, result: ComparisonResult | None) -> bool:
        """Whether the result is of this comparison."""
        return result is not None and result.id == str(self)

    def is_own_of(self, result: ComparisonResult | None) -> bool:
        """Whether the result is of this comparison but for what the base is."""
        return result is not None and result.id.startswith(f"{self.own}-")


def wait_for_base(result: ComparisonResult | None, revision: str, base: Base, now: datetime) -> float:
    """In how many seconds the comparison may begin: at once for a new revision, later if only the base has changed."""
    if result is None or result.revision != revision or base.ready_at is None or result.base_revision == base.revision:
        return 0.0
    return max(0.0, SETTLED_SECONDS - (now - base.ready_at).total_seconds())


def _served(endpoint: EphemeralEndpoint) -> list[object]:
    """What decides how the model answers."""
    spec = endpoint.spec
    variants: Sequence[object] = [each.to_wire() for each in spec.serving.variants]
    return [endpoint.revision, spec.model.to_wire(), variants]


def _is_allowed(uri: str, prefixes: Sequence[str], namespace: str) -> bool:
    folders = (_filled(each, namespace).rstrip("/") for each in prefixes)
    return any(uri.rstrip("/") == folder or uri.startswith(f"{folder}/") for folder in folders)


def _filled(prefix: str, namespace: str) -> str:
    return prefix.replace(NAMESPACE_PLACEHOLDER, namespace)
