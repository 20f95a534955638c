from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from ephemeral_endpoints.engine.tags import EXPIRES_AT
from ephemeral_endpoints.features.routing.forwarder.expiry import TAG, Expiry
from ephemeral_endpoints.features.routing.forwarder.kept import KEPT_SECONDS

ARN = "arn:aws:lambda:us-east-1:000000000000:function:eep-c1-pr-42"
END = "2026-12-03T12:00:00Z"


class Lambda:
    """Answers a request for tags as it is told to; the real one cannot be told to fail."""

    def __init__(self) -> None:
        self.answer: Callable[[], dict[str, str]] = lambda: {TAG: END}
        self.asked: list[str] = []

    def list_tags(self, *, Resource: str) -> Any:  # noqa: ANN401, N803 - as boto3 has it
        self.asked.append(Resource)
        return {"Tags": self.answer()}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def failing(error: Exception) -> Callable[[], dict[str, str]]:
    def answer() -> dict[str, str]:
        raise error

    return answer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service() -> Lambda:
    return Lambda()


@pytest.fixture
def expiry(service: Lambda, clock: Clock) -> Expiry:
    return Expiry(lambda: service, clock)


def test_the_tag_is_the_operators() -> None:
    assert TAG == EXPIRES_AT


def test_the_end_is_read_once_a_minute(expiry: Expiry, service: Lambda, clock: Clock) -> None:
    assert [expiry.of(ARN) for _ in range(3)] == [END] * 3
    assert service.asked == [ARN]
    later = "2026-12-04T12:00:00Z"
    service.answer = lambda: {TAG: later}
    clock.now = KEPT_SECONDS
    assert expiry.of(ARN) == later


def test_a_function_without_the_tag_has_no_known_end(expiry: Expiry, service: Lambda) -> None:
    service.answer = dict
    assert expiry.of(ARN) is None


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "AccessDeniedException"}}, "ListTags"),
        ReadTimeoutError(endpoint_url="https://lambda"),
    ],
    ids=["denied", "too slow"],
)
def test_what_cannot_be_read_keeps_nobody_waiting_for_it_again_and_again(
    expiry: Expiry, service: Lambda, clock: Clock, error: Exception
) -> None:
    service.answer = failing(error)
    assert [expiry.of(ARN) for _ in range(3)] == [None] * 3
    assert len(service.asked) == 1
    service.answer = lambda: {TAG: END}
    clock.now = KEPT_SECONDS
    assert expiry.of(ARN) == END
