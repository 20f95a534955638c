"""Endpoints that cannot serve, as AWS shows it: failures, rollouts that were rolled back, changes that hang."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, NamedTuple

from ephemeral_endpoints.api import RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.duration import format_duration
from ephemeral_endpoints.engine import errors
from ephemeral_endpoints.engine.reasons import Reason
from ephemeral_endpoints.engine.resources import (
    FAILURES,
    IN_FLIGHT,
    DesiredResource,
    Key,
    ObservedResource,
    ObservedResources,
    Phase,
)
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.features.serving.attempts import AttemptState
from ephemeral_endpoints.features.serving.failure_classes import FailureClass
from ephemeral_endpoints.features.serving.reasons import (
    ENDPOINT_FAILED,
    IMPAIRED_REASONS,
    INSUFFICIENT_CAPACITY,
    RECREATING,
    ROLLED_BACK,
    STUCK,
)

_NO_REASON: Final = "SageMaker gave no reason"
_OR_AGAIN: Final = f"or change the annotation {RECONCILE_AT_ANNOTATION} to try again"
_LAST_RESORT: Final = "delete the object and apply it again"
_MEANWHILE: Final = {False: "the previous revision keeps serving", True: "the endpoint is serving both revisions"}
"""What serves after an update failed, by whether its rollback failed too."""


class _Words(NamedTuple):
    """What a kind of failure is called, and what people can do; ``reason`` None: that of the endpoint's state."""

    what: str
    remedy: str
    reason: Reason | None = None


_WORDS: Final[Mapping[FailureClass, _Words]] = {
    FailureClass.CAPACITY: _Words(
        "AWS has no capacity for these instances at the moment",
        "to be served sooner, choose another instance type",
        INSUFFICIENT_CAPACITY,
    ),
    FailureClass.QUOTA: _Words(
        "a quota of the account is used up",
        "delete endpoints that are not needed, or ask AWS to raise the quota",
        errors.QuotaExceeded.reason,
    ),
    FailureClass.PERMISSION: _Words(
        "the class's execution role, or the policy of a repository, a bucket or a key, denies SageMaker access",
        "the platform team must grant the access that the message names",
        errors.Denied.reason,
    ),
    FailureClass.SERVICE: _Words(
        "SageMaker failed", "if it lasts, contact AWS Support with the name of the endpoint", errors.Transient.reason
    ),
    FailureClass.CONFIGURATION: _Words("SageMaker cannot serve this configuration", "change the spec"),
    FailureClass.START: _Words(
        "the model's container did not start",
        "have the image's ENTRYPOINT, or an executable named serve, start the server when SageMaker runs "
        "'docker run <image> serve', and push another commit",
    ),
    FailureClass.MODEL: _Words("the model did not start", "push another commit"),
    FailureClass.UNKNOWN: _Words("the new revision failed", "push another commit"),
}


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The state of an object's endpoints beyond the inventory.

    ``given_up`` are those whose rollout SageMaker gave up, ``attempts`` how often the others were tried, ``stuck`` is
    the message about one that takes too long, and ``recreated`` has the messages about those that are being recreated.
    """

    given_up: frozenset[Key] = frozenset()
    attempts: Mapping[Key, AttemptState] = field(default_factory=dict)
    stuck: str = ""
    recreated: Mapping[Key, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """An error; ``terminal`` if the operator does not try again by itself."""

    reason: Reason
    message: str
    terminal: bool


def worst(endpoints: Endpoints, resources: Iterable[DesiredResource], own: ObservedResources) -> Failure | None:
    """The failure that matters most; None if there is none."""
    attempts = defaultdict(AttemptState, endpoints.attempts)
    rolled_back = (_rolled_back(own.get(key), attempts[key]) for key in sorted(endpoints.given_up))
    judged = (_judged(own.get(resource.key), resource, attempts[resource.key]) for resource in resources)
    failed = [failure for failure in judged if failure]
    stuck = [Failure(STUCK, endpoints.stuck, terminal=True)] if endpoints.stuck else []
    recreated = [Failure(RECREATING, message, terminal=False) for _, message in sorted(endpoints.recreated.items())]
    return min((*rolled_back, *stuck, *failed, *recreated), key=lambda failure: not failure.terminal, default=None)


def stuck_message(endpoint: ObservedResource, timeout: timedelta, cost: str) -> str:
    """The message about an endpoint that has been changing for longer than the class's ``timeout``, at a ``cost``."""
    since = timestamp(endpoint.since) if endpoint.since else "an unknown time"
    return (
        f"{endpoint.key} has been {endpoint.status} since {since}, longer than the class's creationTimeout of "
        f"{format_duration(timeout)}, and costs {cost} meanwhile. SageMaker accepts no update or deletion until it has "
        "finished: read the model's log, or delete the object, and the operator deletes the "
        "endpoint as soon as SageMaker allows it."
    )


def _rolled_back(endpoint: ObservedResource | None, attempts: AttemptState) -> Failure:
    """An update that SageMaker has rolled back, and how it goes on."""
    why = (endpoint.detail if endpoint else "") or _NO_REASON
    is_mixed = endpoint is not None and endpoint.phase is Phase.IMPAIRED
    reason = IMPAIRED_REASONS.get(endpoint.status) if endpoint and is_mixed else None
    if attempts.is_rollback and not attempts.is_over:
        message = f"{_WORDS[attempts.kind].what}; {_MEANWHILE[is_mixed]}: {why} ({_prospect(attempts)})"
        return Failure(_WORDS[attempts.kind].reason or reason or ROLLED_BACK, message, terminal=False)
    what = "the new revision failed, and so did its rollback" if is_mixed else "the new revision failed"
    last_resort = f"; if that fails too, {_LAST_RESORT}" if is_mixed else ""
    remedy = f"{_WORDS[attempts.kind].remedy}, {_OR_AGAIN}{last_resort}"
    message = f"{what}; {_MEANWHILE[is_mixed]}: {why} (no further tries: {remedy})"
    return Failure(reason or ROLLED_BACK, message, terminal=True)


def _judged(endpoint: ObservedResource | None, resource: DesiredResource, attempts: AttemptState) -> Failure | None:
    """How an endpoint does; one that failed and is not as desired gets replaced without further ado."""
    words = _WORDS[attempts.kind]
    if endpoint is None or endpoint.phase in IN_FLIGHT:
        if not attempts.failures:
            return None
        message = f"{attempts.detail or _NO_REASON} (tried {_times(attempts)}, trying again now)"
        return Failure(words.reason or ENDPOINT_FAILED, message, terminal=False)
    if endpoint.phase not in FAILURES or not endpoint.matches(resource):
        return None
    impaired = IMPAIRED_REASONS.get(endpoint.status) if endpoint.phase is Phase.IMPAIRED else None
    why = f"{endpoint.detail or _NO_REASON} ({_prospect(attempts)})"
    message = f"{words.what}: {why}" if words.reason else why
    return Failure(impaired or words.reason or ENDPOINT_FAILED, message, attempts.is_over)


def _prospect(attempts: AttemptState) -> str:
    words = _WORDS[attempts.kind]
    if attempts.is_over:
        return f"tried {_times(attempts)}, no further tries: {words.remedy}, {_OR_AGAIN}"
    if not (attempts.next_at and attempts.failures):
        return "the operator tries again"
    next_try = f"tried {_times(attempts)}, next try at {attempts.next_at:%H:%M:%S} UTC"
    if not attempts.kind.heals:
        return f"{next_try}; if it fails again, {words.remedy}"
    return f"{next_try}; the operator keeps trying while the object exists: {words.remedy}"


def _times(attempts: AttemptState) -> str:
    return "once" if attempts.failures == 1 else f"{attempts.failures} times"
