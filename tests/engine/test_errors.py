import pytest

from ephemeral_endpoints.engine import errors
from ephemeral_endpoints.engine.errors import (
    AwsError,
    Invalid,
    NameConflict,
    QuotaExceeded,
    QuotaTooLow,
    ReconcileError,
    WrongAccount,
)

STEMS = [ReconcileError, AwsError]


def kinds(of: type[ReconcileError]) -> list[type[ReconcileError]]:
    own = [each for each in of.__subclasses__() if each.__module__ == errors.__name__]
    return [of, *(kind for each in own for kind in kinds(each))]


def test_every_kind_has_a_reason_of_its_own() -> None:
    names = [kind.reason.name for kind in kinds(ReconcileError) if kind not in STEMS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("stem", STEMS)
def test_an_error_without_a_reason_cannot_be_raised(stem: type[ReconcileError]) -> None:
    with pytest.raises(TypeError, match="has no reason: raise one of its subclasses"):
        stem("something failed")


def test_only_errors_that_need_a_changed_spec_are_terminal() -> None:
    terminal = [kind.__name__ for kind in kinds(ReconcileError) if kind not in STEMS and kind("x").terminal]
    assert terminal == ["NotAllowed", "WrongAccount", "QuotaTooLow", "NameConflict", "Invalid"]


def test_the_tree_that_people_read_is_the_tree_that_there_is() -> None:
    shown = {line.split("── ")[-1].split()[0] for line in tree()}
    assert shown == {kind.__name__ for kind in kinds(ReconcileError)}


def tree() -> list[str]:
    return [line for line in (errors.__doc__ or "").splitlines() if "── " in line or line == "ReconcileError"]


def test_words_of_others_come_with_advice_and_our_own_do_not() -> None:
    quoted = Invalid("1 validation error", operation="CreateModel", is_quoted=True)
    assert quoted.described.startswith("CreateModel: 1 validation error: correct the value in the object, or")
    assert Invalid("set x to y").described == "set x to y"


def test_every_error_of_aws_says_what_to_do_and_whether_it_is_tried_again() -> None:
    """But those that the operator concludes itself, whose messages say so."""
    own = {WrongAccount, QuotaTooLow, NameConflict}
    silent = [kind for kind in kinds(AwsError) if kind not in STEMS and "the operator " not in kind.advice]
    assert set(silent) == own


@pytest.mark.parametrize(
    ("operation", "expected"), [("", "no room"), ("CreateModel", "CreateModel: no room")], ids=["alone", "of a call"]
)
def test_an_error_says_which_call_failed(operation: str, expected: str) -> None:
    assert str(QuotaExceeded("no room", operation=operation)) == expected
