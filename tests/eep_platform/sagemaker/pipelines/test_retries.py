from typing import Any

import pytest

from eep_platform.emulation.errors import ServiceError
from eep_platform.sagemaker.pipelines.retries import (
    CAPACITY_ERROR,
    INTERNAL_ERROR,
    RESOURCE_LIMIT,
    SERVICE_FAULT,
    THROTTLING,
    RetryPolicy,
    delay,
    kind_of_error,
    kind_of_job,
    policies_of,
)

CAPACITY = RetryPolicy(frozenset({CAPACITY_ERROR}), interval_seconds=10, most_attempts=3)
PATIENT = RetryPolicy(frozenset({CAPACITY_ERROR}), interval_seconds=60, most_attempts=None, expire_after_minutes=5)


@pytest.mark.parametrize(
    ("policies", "kind", "failures", "elapsed", "seconds"),
    [
        pytest.param([CAPACITY], CAPACITY_ERROR, 1, 0, 10, id="the first time after the interval"),
        pytest.param([CAPACITY], CAPACITY_ERROR, 3, 0, 40, id="then longer"),
        pytest.param([CAPACITY], CAPACITY_ERROR, 4, 0, None, id="not more often than it says"),
        pytest.param([CAPACITY], RESOURCE_LIMIT, 1, 0, None, id="of other errors it says nothing"),
        pytest.param([CAPACITY], None, 1, 0, None, id="errors of the container are never retried"),
        pytest.param([PATIENT], CAPACITY_ERROR, 3, 60, 240, id="while there is time"),
        pytest.param([PATIENT], CAPACITY_ERROR, 3, 61, None, id="not when it would be too late"),
        pytest.param([], THROTTLING, 5, 0, 16, id="throttling is retried anyway"),
        pytest.param([], SERVICE_FAULT, 6, 0, None, id="but not for ever"),
        pytest.param([], CAPACITY_ERROR, 1, 0, None, id="capacity is not"),
        pytest.param(
            [RetryPolicy(frozenset({THROTTLING}), most_attempts=1)],
            THROTTLING,
            2,
            0,
            None,
            id="a policy overrides that",
        ),
    ],
)
def test_when_a_step_is_tried_again(
    policies: list[RetryPolicy], kind: str | None, failures: int, elapsed: float, seconds: float | None
) -> None:
    assert delay(policies, kind, failures, elapsed) == seconds


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ThrottlingException", 400, THROTTLING),
        ("ResourceLimitExceeded", 400, RESOURCE_LIMIT),
        ("InternalFailure", 500, SERVICE_FAULT),
        ("ValidationException", 400, None),
    ],
)
def test_kinds_of_errors(code: str, status: int, kind: str | None) -> None:
    assert kind_of_error(code, status) == kind


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("CapacityError: Unable to provision requested ML compute capacity.", CAPACITY_ERROR),
        ("InternalServerError: We encountered an internal error.", INTERNAL_ERROR),
        ("AlgorithmError: InternalServerError, exit code: 1", None),
    ],
)
def test_kinds_of_jobs(reason: str, kind: str | None) -> None:
    assert kind_of_job(reason) == kind


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param({}, "Expecting start of Json Array", id="no list"),
        pytest.param([1], "Expecting start of Json Object", id="no object"),
        pytest.param([{"ExceptionType": []}], "ExceptionType must be a list", id="of nothing"),
        pytest.param([{"ExceptionType": ["X"]}], "ExceptionType must be a list", id="of an unknown error"),
        pytest.param([{"ExceptionType": [THROTTLING], "MaxAttempts": 21}], "from 1 to 20", id="too often"),
        pytest.param([{"ExceptionType": [THROTTLING], "IntervalSeconds": 43_201}], "from 1 to 43200", id="too slow"),
        pytest.param([{"ExceptionType": [THROTTLING], "BackoffRate": "2"}], "must be a number", id="a text"),
        pytest.param(
            [{"ExceptionType": [THROTTLING], "MaxAttempts": 1, "ExpireAfterMin": 1}], "not both", id="two ends"
        ),
        pytest.param([{"ExceptionType": [THROTTLING]}] * 2, "more than one retry policy", id="one error twice"),
        pytest.param([{"ExceptionType": [THROTTLING], "Extra": 1}], "Unknown RetryPolicy member", id="unknown"),
    ],
)
def test_what_is_no_policy(given: Any, message: str) -> None:  # noqa: ANN401 - any form
    with pytest.raises(ServiceError, match=message):
        policies_of(given, "Training")


def test_a_policy_has_either_end() -> None:
    first, second = policies_of(
        [{"ExceptionType": [THROTTLING]}, {"ExceptionType": [CAPACITY_ERROR], "ExpireAfterMin": 7}], "Training"
    )
    assert (first.most_attempts, first.expire_after_minutes) == (5, None)
    assert (second.most_attempts, second.expire_after_minutes) == (None, 7)
