from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.features.test_stages import ENDPOINT, ERRORS, FUNCTION, OWN, assert_sound, reported

from ephemeral_endpoints.engine.backoff import delay
from ephemeral_endpoints.engine.conditions import (
    Cause,
    ConditionStatus,
    ConditionType,
    ConditionUpdate,
    of_suspended,
    of_terminating,
    of_waiting,
    without_account,
)
from ephemeral_endpoints.engine.errors import (
    Denied,
    InProgress,
    Invalid,
    NameConflict,
    ReconcileError,
    Throttled,
    Unauthenticated,
    WrongAccount,
)
from ephemeral_endpoints.engine.reasons import CREATING, DELETING
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase

LEFT = (OWN[ENDPOINT], OWN[FUNCTION])


@dataclass(frozen=True, kw_only=True)
class Case:
    left: tuple[ObservedResource, ...]
    errors: dict[Key, ReconcileError]
    expected: dict[ConditionType, ConditionStatus]
    parts: list[str]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            Case(
                left=LEFT,
                errors={},
                expected={
                    ConditionType.RECONCILING: ConditionStatus.TRUE,
                    ConditionType.STALLED: ConditionStatus.FALSE,
                },
                parts=[str(ENDPOINT)],
            ),
            id="things are going",
        ),
        pytest.param(
            Case(
                left=(replace(OWN[ENDPOINT], phase=Phase.BUSY, status="Creating"),),
                errors={},
                expected={ConditionType.RECONCILING: ConditionStatus.TRUE},
                parts=[f"{ENDPOINT} is Creating, and AWS deletes it only when that has ended"],
            ),
            id="SageMaker deletes nothing that it creates",
        ),
        pytest.param(
            Case(
                left=(),
                errors={},
                expected={
                    ConditionType.RECONCILING: ConditionStatus.FALSE,
                    ConditionType.STALLED: ConditionStatus.FALSE,
                },
                parts=["deleted"],
            ),
            id="all is gone",
        ),
        pytest.param(
            Case(
                left=LEFT,
                errors={FUNCTION: InProgress("referenced by a route")},
                expected={ConditionType.RECONCILING: ConditionStatus.TRUE},
                parts=[f"{FUNCTION} cannot be deleted: referenced by a route (the operator tries again)"],
            ),
            id="what AWS refuses for long is told with its words",
        ),
        pytest.param(
            Case(
                left=LEFT,
                errors={ENDPOINT: Denied("no right")},
                expected={ConditionType.RECONCILING: ConditionStatus.TRUE},
                parts=[f"{ENDPOINT} cannot be deleted: no right (the operator tries again)"],
            ),
            id="rights are repaired outside",
        ),
        pytest.param(
            Case(
                left=LEFT,
                errors={FUNCTION: Throttled("slow"), ENDPOINT: NameConflict("not ours")},
                expected={
                    ConditionType.RECONCILING: ConditionStatus.FALSE,
                    ConditionType.STALLED: ConditionStatus.TRUE,
                },
                parts=["slow (the operator tries again)", "not ours (a platform engineer must repair that"],
            ),
            id="what is not ours is left for a person to judge",
        ),
    ],
)
def test_what_leaves_is_never_ready_and_says_what_is_left(case: Case) -> None:
    found = reported(of_terminating(Cause(DELETING, "everything is being deleted"), case.left, case.errors))
    assert (found[ConditionType.READY].status, found[ConditionType.READY].reason) == (ConditionStatus.FALSE, DELETING)
    assert {type_: found[type_].status for type_ in case.expected} == case.expected
    assert all(part in found[ConditionType.READY].message for part in case.parts)


def test_an_object_that_waits_is_reconciling() -> None:
    found = reported(of_waiting(Cause(CREATING, "create the class")))
    assert (found[ConditionType.READY].status, found[ConditionType.READY].reason) == (
        ConditionStatus.FALSE,
        CREATING,
    )
    assert found[ConditionType.RECONCILING].status is ConditionStatus.TRUE
    assert found[ConditionType.STALLED].status is ConditionStatus.FALSE


def test_without_aws_nobody_knows() -> None:
    found = reported(without_account(Unauthenticated("expired")))
    assert found[ConditionType.READY] == ConditionUpdate(
        ConditionType.READY, ConditionStatus.UNKNOWN, Unauthenticated.reason, "expired"
    )
    assert found[ConditionType.RECONCILING].status is ConditionStatus.TRUE


def test_what_no_retry_helps_is_stalled_without_aws_too() -> None:
    found = reported(without_account(WrongAccount("another one")))
    assert (found[ConditionType.READY].status, found[ConditionType.READY].reason) == (
        ConditionStatus.FALSE,
        WrongAccount.reason,
    )
    assert (found[ConditionType.STALLED].status, found[ConditionType.STALLED].message) == (
        ConditionStatus.TRUE,
        "another one",
    )


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from(list(OWN.values())), max_size=3),
    st.dictionaries(st.sampled_from(list(OWN)), ERRORS, max_size=3),
    st.booleans(),
)
def test_the_conditions_of_what_leaves_agree_too(
    left: list[ObservedResource],
    errors: dict[Key, ReconcileError],
    stays: bool,  # noqa: FBT001 - given by hypothesis
) -> None:
    assert_sound(of_terminating(Cause(DELETING, "the time is over"), left, errors, stays=stays))


@pytest.mark.parametrize(("left", "is_over"), [((), True), (LEFT, False)])
def test_a_tombstone_is_stalled_once_nothing_is_left(left: tuple[ObservedResource, ...], *, is_over: bool) -> None:
    found = reported(of_terminating(Cause(DELETING, "the time is over"), left, {}, stays=True))
    truth = ConditionStatus.TRUE if is_over else ConditionStatus.FALSE
    assert found[ConditionType.STALLED].status is truth
    assert found[ConditionType.RECONCILING].status is not truth
    assert not is_over or found[ConditionType.STALLED].message == "the time is over"


@given(ERRORS)
def test_the_conditions_without_aws_agree_too(error: ReconcileError) -> None:
    assert_sound(without_account(error))


def test_a_suspended_object_is_neither_reconciling_nor_stalled() -> None:
    found = reported(of_suspended())
    assert {type_: update.status for type_, update in found.items()} == {
        ConditionType.RECONCILING: ConditionStatus.FALSE,
        ConditionType.STALLED: ConditionStatus.FALSE,
    }


@pytest.mark.parametrize(
    ("error", "awaited"),
    [
        pytest.param(WrongAccount("another one"), "a role of the class's account", id="credentials"),
        pytest.param(NameConflict("taken"), "the deletion of the resource that has the name", id="a name"),
        pytest.param(Invalid("no"), "a change of the spec or of the class", id="a value"),
    ],
)
def test_what_is_stalled_says_what_it_waits_for_and_that_it_is_tried_again(error: ReconcileError, awaited: str) -> None:
    message = reported(without_account(error))[ConditionType.RECONCILING].message
    assert message.startswith(f"waiting for {awaited}")
    assert f"every {delay(error, attempts=9) / 60:.0f} minutes" in message, "as long as it takes"
