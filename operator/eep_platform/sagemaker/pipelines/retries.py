"""Retry policies: whether and when a failed step is tried again; pure.

Source: "Retry policy for pipeline steps" in the SageMaker developer guide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from eep_platform.sagemaker.pipelines.errors import unparsable

SERVICE_FAULT: Final = "Step.SERVICE_FAULT"
THROTTLING: Final = "Step.THROTTLING"
INTERNAL_ERROR: Final = "SageMaker.JOB_INTERNAL_ERROR"
CAPACITY_ERROR: Final = "SageMaker.CAPACITY_ERROR"
RESOURCE_LIMIT: Final = "SageMaker.RESOURCE_LIMIT"
_KINDS: Final = frozenset({SERVICE_FAULT, THROTTLING, INTERNAL_ERROR, CAPACITY_ERROR, RESOURCE_LIMIT})
_RETRIED_ANYWAY: Final = frozenset({SERVICE_FAULT, THROTTLING})
_RETRIED_TYPES: Final = frozenset({"Model", "Processing", "RegisterModel", "Training"})
_MEMBERS: Final = frozenset({"ExceptionType", "IntervalSeconds", "BackoffRate", "MaxAttempts", "ExpireAfterMin"})
_MOST: Final = {"IntervalSeconds": 43_200, "MaxAttempts": 20, "ExpireAfterMin": 14_400}
_DEFAULT_ATTEMPTS: Final = 5
_CODES: Final = {"ThrottlingException": THROTTLING, "ResourceLimitExceeded": RESOURCE_LIMIT}


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long errors of some kinds are retried; None is without that limit."""

    kinds: frozenset[str]
    interval_seconds: int = 1
    backoff_rate: float = 2.0
    most_attempts: int | None = _DEFAULT_ATTEMPTS
    expire_after_minutes: int | None = None


_ANYWAY: Final = RetryPolicy(_RETRIED_ANYWAY)


def policies_of(given: object, step_type: str) -> tuple[RetryPolicy, ...]:
    """The policies of a step's `RetryPolicies`; raises the service's error."""
    if given is None:
        return ()
    if step_type not in _RETRIED_TYPES:
        raise unparsable(f"A step of type {step_type} has no RetryPolicies.")
    if not isinstance(given, list):
        raise unparsable("Expecting start of Json Array.")
    policies = tuple(_policy(each) for each in given)
    kinds = [kind for policy in policies for kind in policy.kinds]
    if len(set(kinds)) < len(kinds):
        raise unparsable("An ExceptionType is in more than one retry policy.")
    return policies


def _policy(given: object) -> RetryPolicy:
    if not isinstance(given, Mapping):
        raise unparsable("Expecting start of Json Object.")
    if unknown := sorted(set(given) - _MEMBERS):
        raise unparsable(f"Unknown RetryPolicy member '{unknown[0]}'.")
    kinds = given.get("ExceptionType")
    if not isinstance(kinds, list) or not kinds or not set(map(str, kinds)) <= _KINDS:
        raise unparsable(f"ExceptionType must be a list of {', '.join(sorted(_KINDS))}.")
    for member, most in _MOST.items():
        value = given.get(member, 1)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise unparsable(f"{member} of a retry policy must be from 1 to {most}.")
    rate = given.get("BackoffRate", 2.0)
    if not isinstance(rate, int | float) or isinstance(rate, bool) or rate < 0:
        raise unparsable("BackoffRate of a retry policy must be a number of at least 0.")
    if {"MaxAttempts", "ExpireAfterMin"} <= set(given):
        raise unparsable("A retry policy can have MaxAttempts or ExpireAfterMin, not both.")
    return RetryPolicy(
        frozenset(kinds),
        given.get("IntervalSeconds", 1),
        float(rate),
        None if "ExpireAfterMin" in given else given.get("MaxAttempts", _DEFAULT_ATTEMPTS),
        given.get("ExpireAfterMin"),
    )


def kind_of_error(code: str, status: int) -> str | None:
    """The exception type of an error that a service answered to a step."""
    if code in _CODES:
        return _CODES[code]
    return SERVICE_FAULT if status >= 500 else None  # noqa: PLR2004 - HTTP's own number


def kind_of_job(failure_reason: str) -> str | None:
    """The exception type of a job that failed for a reason; None for errors of the container and of its caller."""
    if failure_reason.startswith("CapacityError") or "InsufficientInstanceCapacity" in failure_reason:
        return CAPACITY_ERROR
    return INTERNAL_ERROR if failure_reason.startswith("InternalServerError") else None


def delay(policies: Sequence[RetryPolicy], kind: str | None, failures: int, elapsed: float) -> float | None:
    """In how many seconds a step is tried again after `failures` of one kind; None if it is not.

    `elapsed` is the time since the step began.
    """
    policy = next((each for each in policies if kind in each.kinds), _ANYWAY if kind in _RETRIED_ANYWAY else None)
    if policy is None or (policy.most_attempts is not None and failures > policy.most_attempts):
        return None
    seconds = float(policy.interval_seconds * policy.backoff_rate ** (failures - 1))
    limit = policy.expire_after_minutes
    return None if limit is not None and elapsed + seconds > limit * 60 else seconds
