from dataclasses import replace

import pytest

from ephemeral_endpoints.local.chaos.points import Phase, Point
from ephemeral_endpoints.local.chaos.trial import Case, Seen, judge
from ephemeral_endpoints.local.chaos.troubles import Trouble
from ephemeral_endpoints.local.chaos.witness import Told

DENIED = Case(Point(Phase.CREATE, "sagemaker", "CreateModel"), Trouble.DENIED)
FAILED = replace(DENIED, trouble=Trouble.FAILED)
USUAL = Told("object", "Ready", "False", "Creating", "waits for the model")
REFERENCE = Seen(1.0, (), (USUAL,))


def told(reason: str, *, kind: str = "object", type_: str = "Ready", message: str = "") -> Told:
    return Told(kind, type_, "True" if type_ == "Stalled" else "False", reason, message)


@pytest.mark.parametrize(
    ("conditions", "reasons"),
    [
        pytest.param((USUAL,), (), id="what is always told"),
        pytest.param((USUAL, told("AwsUnavailable")), ("AwsUnavailable",), id="what fits"),
        pytest.param((told("Creating", message="CreateModel: no"),), ("Creating",), id="by its message"),
        pytest.param(
            (told("AwsUnavailable", kind="class", message="CreateModel: no"),), ("AwsUnavailable",), id="by the class"
        ),
        pytest.param((told("Throttled", kind="class", message="CreateApi: no"),), (), id="what happened to another"),
    ],
)
def test_what_was_told_because_of_the_fault(conditions: tuple[Told, ...], reasons: tuple[str, ...]) -> None:
    result = judge(FAILED, Seen(1.0, (), conditions, struck=True), REFERENCE, REFERENCE.reasons)
    assert result.reasons == reasons
    assert result.complaints == ()


@pytest.mark.parametrize(
    ("seen", "complaint"),
    [
        pytest.param(Seen(1.0, (), (USUAL,), struck=True), "missing permission", id="a silent refusal"),
        pytest.param(Seen(1.0, (), (USUAL,)), "not made", id="a fault that did not strike"),
        pytest.param(Seen(1.0, (), (told("NameConflict"),), struck=True), "NameConflict", id="another reason"),
        pytest.param(Seen(1.0, (), (told("AccessDenied", type_="Stalled"),), struck=True), "Stalled", id="stalled"),
    ],
)
def test_what_is_complained_of(seen: Seen, complaint: str) -> None:
    assert any(complaint in each for each in judge(DENIED, seen, REFERENCE, REFERENCE.reasons).complaints)


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(Point(Phase.DRIFT, "sagemaker", "DescribeEndpoint"), id="what is read may depend on a moment"),
        pytest.param(Point(Phase.CREATE, "sqs", "DeleteMessageBatch"), id="an event may come too late"),
        pytest.param(Point(Phase.DRIFT, "lambda", "CreateFunction", nth=2), id="one repair may do for two spoilings"),
    ],
)
def test_some_calls_need_not_be_made(point: Point) -> None:
    result = judge(replace(DENIED, point=point), Seen(1.0, (), (USUAL,)), REFERENCE, REFERENCE.reasons)
    assert (result.complaints, result.struck) == ((), False)
