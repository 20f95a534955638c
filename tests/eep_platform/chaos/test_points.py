from datetime import UTC, datetime

import pytest

from eep_platform.aws.ledger import Call, Outcome
from eep_platform.chaos.points import Phase, Point, points


def call(operation: str, resource: str | None = None, service: str = "logs") -> Call:
    return Call(1, datetime.now(UTC), service, operation, resource, Outcome.FORWARDED, 200)


def test_calls_are_distinguished_by_their_resources_names_without_that_of_the_object() -> None:
    log = [
        call("CreateLogGroup", "/aws/lambda/eep-lane0-pr-1-abcdefghij"),
        call("CreateLogGroup", "/aws/sagemaker/Endpoints/eep-lane0-pr-1-abcdefghij"),
    ]
    assert points(Phase.CREATE, log) == [
        Point(Phase.CREATE, "logs", "CreateLogGroup", "/aws/lambda/"),
        Point(Phase.CREATE, "logs", "CreateLogGroup", "/aws/sagemaker/Endpoints/"),
    ]


@pytest.mark.parametrize(
    ("phase", "operation", "occurrences"),
    [
        pytest.param(Phase.DELETE, "DescribeModel", [1, 2], id="by their order if their names are equal"),
        pytest.param(Phase.CREATE, "ListEndpoints", [1], id="once where it is polled"),
        pytest.param(Phase.DRIFT, "DescribeModel", [1], id="once where snapshots read it again and again"),
        pytest.param(Phase.DRIFT, "CreateModel", [1, 2], id="each change beside snapshots"),
        pytest.param(Phase.START, "CreateModel", [], id="no change of a start, which is that of an update"),
    ],
)
def test_calls_of_one_name_are_counted(phase: Phase, operation: str, occurrences: list[int]) -> None:
    log = [call(operation, "eep-lane0-pr-1-abcdefghij-12345678", "sagemaker") for _ in range(3)]
    assert [point.nth for point in points(phase, log)] == occurrences


def test_a_part_that_only_some_calls_have_distinguishes_nothing() -> None:
    log = [call("ListTags", "arn:aws:logs:eep-lane0-pr"), call("ListTags")]
    assert points(Phase.UPDATE, log) == [
        Point(Phase.UPDATE, "logs", "ListTags"),
        Point(Phase.UPDATE, "logs", "ListTags", nth=2),
    ]
