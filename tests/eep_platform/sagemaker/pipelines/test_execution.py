from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.eep_platform.sagemaker.pipelines.definitions import at_least, condition, definition, fail, processing

from eep_platform.sagemaker.pipelines.definition import parse
from eep_platform.sagemaker.pipelines.execution import Execution, ExecutionStatus, StepRun, StepStatus, job_name

START = datetime(2026, 1, 1, 12, 30, 15, 123_456, tzinfo=UTC)
DEFINITION = parse(
    definition(
        processing("A"),
        processing("B", DependsOn=["A"]),
        processing("C"),
        condition("Gate", at_least(1, 1), yes=[processing("Yes")], no=[fail("No")], DependsOn=["B"]),
        processing("After", DependsOn=["Yes"]),
    )
)
DONE, FAILED, RUNS, STOPPED = StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.EXECUTING, StepStatus.STOPPED


def execution(statuses: Mapping[str, StepStatus], **more: Any) -> Execution:  # noqa: ANN401 - any field
    fields: dict[str, Any] = {"definition": DEFINITION, **more}
    made = Execution(
        id="abc",
        arn="arn:x/execution/abc",
        pipeline_name="p",
        pipeline_arn="arn:x",
        version=1,
        given=(),
        parameters={},
        display_name="d",
        description=None,
        parallelism=None,
        most_parallel=50,
        created=START,
        modified=START,
        **fields,
    )
    for name, status in statuses.items():
        result = {"Outcome": True} if name == "Gate" else {}
        made.steps[name] = StepRun(DEFINITION.steps[name], START, status, result=result)
    return made


@pytest.mark.parametrize(
    ("statuses", "following"),
    [
        pytest.param({}, ["A", "C"], id="what waits for nothing"),
        pytest.param({"A": RUNS, "C": RUNS}, [], id="nothing while all that it waits for runs"),
        pytest.param({"A": DONE, "C": RUNS}, ["B"], id="what waited"),
        pytest.param({"A": DONE, "C": FAILED}, [], id="nothing new after a failure"),
        pytest.param({"A": DONE, "B": DONE, "C": DONE}, ["Gate"], id="the condition"),
        pytest.param({"A": DONE, "B": DONE, "C": DONE, "Gate": RUNS}, [], id="no branch before its outcome"),
        pytest.param({"A": DONE, "B": DONE, "C": DONE, "Gate": DONE}, ["Yes"], id="only the branch of the outcome"),
        pytest.param(
            {"A": DONE, "B": DONE, "C": DONE, "Gate": DONE, "Yes": DONE}, ["After"], id="what waited for the branch"
        ),
    ],
)
def test_what_comes_next(statuses: dict[str, StepStatus], following: list[str]) -> None:
    assert [step.name for step in execution(statuses).next_steps()] == following


GRAPHS = st.integers(1, 8).flatmap(
    lambda size: st.tuples(*(st.sets(st.integers(0, max(0, number - 1)), max_size=3) for number in range(size)))
)


@given(graph=GRAPHS, failing=st.sets(st.integers(0, 7), max_size=2))
def test_every_step_waits_for_what_it_needs_and_nothing_follows_a_failure(
    graph: tuple[set[int], ...], failing: set[int]
) -> None:
    given_steps = [
        processing(f"S{number}", DependsOn=[f"S{each}" for each in sorted(needs) if each < number])
        for number, needs in enumerate(graph)
    ]
    run = execution({}, definition=parse(definition(*given_steps)))
    while step := next(run.next_steps(), None):
        assert all(run.steps[name].status is DONE for name in step.needs)
        status = FAILED if int(step.name[1:]) in failing else DONE
        run.steps[step.name] = StepRun(step, START, status, result={})
    ran = {int(name[1:]) for name in run.steps}
    assert ran == set(range(len(graph))) if not ran & failing else len(ran & failing) == 1
    assert run.outcome() is (ExecutionStatus.FAILED if ran & failing else ExecutionStatus.SUCCEEDED)


def test_nothing_comes_after_a_stop() -> None:
    assert list(execution({}, status=ExecutionStatus.STOPPING).next_steps()) == []


@pytest.mark.parametrize(
    ("statuses", "status", "outcome"),
    [
        pytest.param({"A": DONE}, ExecutionStatus.EXECUTING, ExecutionStatus.SUCCEEDED, id="all is done"),
        pytest.param({"A": DONE, "C": FAILED}, ExecutionStatus.EXECUTING, ExecutionStatus.FAILED, id="a step failed"),
        pytest.param({"A": STOPPED}, ExecutionStatus.STOPPING, ExecutionStatus.STOPPED, id="it was stopped"),
        pytest.param({"A": FAILED}, ExecutionStatus.STOPPING, ExecutionStatus.FAILED, id="a failure is told first"),
    ],
)
def test_how_it_ends(statuses: dict[str, StepStatus], status: ExecutionStatus, outcome: ExecutionStatus) -> None:
    assert execution(statuses, status=status).outcome() is outcome


def test_a_retry_runs_only_what_did_not_succeed() -> None:
    again = execution({"A": DONE, "B": FAILED, "C": STOPPED})
    again.forget_failures()
    assert [step.name for step in again.next_steps()] == ["B", "C"]


def test_only_a_fail_step_decides_to_fail() -> None:
    assert execution({"No": FAILED}).was_ended_by_a_fail_step
    assert not execution({"A": FAILED}).was_ended_by_a_fail_step


def test_the_variables_of_an_execution() -> None:
    variables = execution({}).variables(START)
    assert variables["PipelineExecutionArn"] == "arn:x/execution/abc"
    assert variables["StartDateTime"] == "2026-01-01T12:30:15.123Z"


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("Train", "pipelines-p4jn9xou8a8s-Train-tmgxry49ug"),
        ("my_step", "pipelines-p4jn9xou8a8s-my-step-tmgxry49ug"),
        ("S" * 64, f"pipelines-p4jn9xou8a8s-{'S' * 29}-tmgxry49ug"),
        ("S" * 28 + "_" + "T", f"pipelines-p4jn9xou8a8s-{'S' * 28}-tmgxry49ug"),
        ("__", "pipelines-p4jn9xou8a8s-tmgxry49ug"),
    ],
)
def test_names_of_jobs_are_names(step: str, name: str) -> None:
    made = job_name("p4jn9xou8a8s", step, "tmgxry49ug")
    assert made == name
    assert len(made) <= 63
