import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from eep_platform.aws.limits import Limit, Throttle, documented, throttling_code


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(
    rate=st.floats(min_value=0.5, max_value=50),
    burst=st.integers(min_value=1, max_value=40),
    pauses=st.lists(st.floats(min_value=0, max_value=3), max_size=60),
)
def test_never_more_pass_than_the_bucket_held_and_earned(rate: float, burst: int, pauses: list[float]) -> None:
    clock = Clock()
    throttle = Throttle([Limit(service="logs", rate=rate, burst=burst)], clock=clock)
    passed = 0
    for pause in pauses:
        clock.now += pause
        passed += throttle.admit("logs", "CreateLogGroup") is None
    assert passed <= burst + rate * clock.now + 1e-6


def test_a_caller_that_keeps_the_rate_is_never_refused() -> None:
    clock = Clock()
    throttle = Throttle([Limit(service="logs", rate=4, burst=1)], clock=clock)
    for _ in range(100):
        assert throttle.admit("logs", "CreateLogGroup") is None
        clock.now += 0.25


def test_operations_of_one_limit_share_its_bucket() -> None:
    limit = Limit(service="cloudwatch", operations=("PutMetricAlarm", "DeleteAlarms"), rate=1, burst=2)
    throttle = Throttle([limit], clock=Clock())
    assert throttle.admit("cloudwatch", "PutMetricAlarm") is None
    assert throttle.admit("cloudwatch", "DeleteAlarms") is None
    assert throttle.admit("cloudwatch", "PutMetricAlarm") == limit
    assert throttle.admit("cloudwatch", "DescribeAlarms") is None


def test_a_call_that_one_limit_refuses_takes_no_token_of_another() -> None:
    clock = Clock()
    narrow = Limit(service="logs", operations=("TagResource",), rate=0.001, burst=1)
    wide = Limit(service="logs", rate=0.001, burst=2)
    throttle = Throttle([wide, narrow], clock=clock)
    assert throttle.admit("logs", "TagResource") is None
    assert throttle.admit("logs", "TagResource") == narrow
    assert throttle.admit("logs", "DescribeLogGroups") is None
    assert throttle.admit("logs", "DescribeLogGroups") == wide


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ({"service": "cloudwach", "rate": 1}, "no AWS service 'cloudwach'"),
        ({"service": "logs", "operations": ["MakeLogGroup"], "rate": 1}, "logs has no operation MakeLogGroup"),
        ({"service": "lambda", "excluding": ["Call"], "rate": 1}, "lambda has no operation Call"),
        ({"service": "logs", "rate": 0}, "greater than 0"),
        ({"service": "logs", "rate": 1, "burst": 0.5}, "greater than or equal to 1"),
        ({"service": "logs", "rate": 1, "per": "minute"}, "Extra inputs"),
    ],
)
def test_a_limit_that_could_never_apply_is_refused(limit: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Limit.model_validate(limit)


@pytest.mark.parametrize(
    ("service", "operation", "rates"),
    [
        pytest.param("apigatewayv2", "GetApis", [10], id="every control call of API Gateway counts"),
        pytest.param("lambda", "CreateFunction", [15], id="the remainder of Lambda's control calls"),
        pytest.param("lambda", "ListFunctions", [15], id="lists are in the remainder"),
        pytest.param("lambda", "GetFunction", [100], id="has a rate of its own"),
        pytest.param("lambda", "Invoke", [], id="invocations are no control calls"),
        pytest.param("logs", "TagResource", [5], id="slower than the other calls"),
        pytest.param("cloudwatch", "PutMetricAlarm", [3], id="the slowest of all"),
        pytest.param("sagemaker", "CreateEndpoint", [], id="no published rate"),
    ],
)
def test_documented_rates(service: str, operation: str, rates: list[float]) -> None:
    assert [limit.rate for limit in documented() if limit.covers(service, operation)] == rates


def test_a_refusal_has_the_services_own_code_unless_configured_otherwise() -> None:
    assert Limit(service="lambda", rate=1).error_code == throttling_code("lambda") == "TooManyRequestsException"
    assert Limit(service="lambda", rate=1, code="Slow").error_code == "Slow"
