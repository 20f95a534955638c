from dataclasses import replace

import pytest

from eep_platform.chaos.fault_kinds import FaultKind
from eep_platform.chaos.points import Phase, Point
from eep_platform.chaos.recorder import ReportedCondition
from eep_platform.chaos.trial import Case, Observation, judge

DENIED = Case(Point(Phase.CREATE, "sagemaker", "CreateModel"), FaultKind.DENIED)
FAILED = replace(DENIED, kind=FaultKind.FAILED)
USUAL = ReportedCondition("object", "Ready", "False", "Creating", "waits for the model")
REFERENCE = Observation(1.0, (), (USUAL,))


def reported(reason: str, *, kind: str = "object", type_: str = "Ready", message: str = "") -> ReportedCondition:
    return ReportedCondition(kind, type_, "True" if type_ == "Stalled" else "False", reason, message)


@pytest.mark.parametrize(
    ("conditions", "reasons"),
    [
        pytest.param((USUAL,), (), id="reported without any fault"),
        pytest.param((USUAL, reported("AwsUnavailable")), ("AwsUnavailable",), id="a reason of the fault"),
        pytest.param(
            (reported("Creating", message="CreateModel: no"),), ("Creating",), id="a message that names the call"
        ),
        pytest.param(
            (reported("AwsUnavailable", kind="class", message="CreateModel: no"),),
            ("AwsUnavailable",),
            id="a condition of the class",
        ),
        pytest.param(
            (reported("Throttled", kind="class", message="CreateApi: no"),),
            (),
            id="a condition of the class about the call of another lane",
        ),
    ],
)
def test_reasons_because_of_the_fault_are_those_that_fit_it(
    conditions: tuple[ReportedCondition, ...], reasons: tuple[str, ...]
) -> None:
    result = judge(FAILED, Observation(1.0, (), conditions, fired=True), REFERENCE, REFERENCE.reasons)
    assert result.reasons == reasons
    assert result.violations == ()


@pytest.mark.parametrize(
    ("seen", "violation"),
    [
        pytest.param(Observation(1.0, (), (USUAL,), fired=True), "missing permission", id="a silent refusal"),
        pytest.param(Observation(1.0, (), (USUAL,)), "not made", id="a fault that did not fire"),
        pytest.param(
            Observation(1.0, (), (reported("NameConflict"),), fired=True), "NameConflict", id="another reason"
        ),
        pytest.param(
            Observation(1.0, (), (reported("AccessDenied", type_="Stalled"),), fired=True), "Stalled", id="stalled"
        ),
    ],
)
def test_a_case_that_breaks_a_rule_has_a_violation(seen: Observation, violation: str) -> None:
    assert any(violation in each for each in judge(DENIED, seen, REFERENCE, REFERENCE.reasons).violations)


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind.ends_operator])
def test_an_operator_that_ends_in_a_call_must_not_report_it(kind: FaultKind) -> None:
    seen = Observation(1.0, (), (reported("AwsUnavailable", message="CreateModel: Connection was closed"),), fired=True)
    (violation,) = judge(replace(DENIED, kind=kind), seen, REFERENCE, REFERENCE.reasons).violations
    assert "AwsUnavailable (CreateModel: Connection was closed)" in violation


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(Point(Phase.DRIFT, "sagemaker", "DescribeEndpoint"), id="a read may depend on timing"),
        pytest.param(Point(Phase.CREATE, "sqs", "DeleteMessageBatch"), id="an event may come too late"),
        pytest.param(Point(Phase.DRIFT, "lambda", "CreateFunction", nth=2), id="one call may repair two changes"),
    ],
)
def test_some_calls_need_not_be_made(point: Point) -> None:
    result = judge(replace(DENIED, point=point), Observation(1.0, (), (USUAL,)), REFERENCE, REFERENCE.reasons)
    assert (result.violations, result.fired) == ((), False)
