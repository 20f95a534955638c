import pytest

from ephemeral_endpoints.core import errors
from ephemeral_endpoints.core.errors import AwsError, Problem


def kinds(of: type[Problem]) -> list[type[Problem]]:
    own = [each for each in of.__subclasses__() if each.__module__ == errors.__name__]
    return [of, *(kind for each in own for kind in kinds(each))]


def test_every_kind_has_a_reason_of_its_own() -> None:
    reasons = [kind.reason for kind in kinds(Problem)]
    assert len(set(reasons)) == len(reasons)
    assert all(reason.isalnum() and reason[0].isupper() for reason in reasons)


def test_only_what_the_world_cannot_repair_is_final() -> None:
    final = [kind.__name__ for kind in kinds(Problem) if kind.final]
    assert final == ["NotAllowed", "WrongAccount", "NameConflict", "Invalid"]


def test_the_tree_that_people_read_is_the_tree_that_there_is() -> None:
    shown = {line.split()[-1] if line.startswith("P") else line.split("── ")[1].split()[0] for line in tree()}
    assert shown == {kind.__name__ for kind in kinds(Problem)}


def tree() -> list[str]:
    return [line for line in (errors.__doc__ or "").splitlines() if "── " in line or line == "Problem"]


@pytest.mark.parametrize(
    ("operation", "expected"), [("", "no room"), ("CreateModel", "CreateModel: no room")], ids=["alone", "of a call"]
)
def test_an_error_says_which_call_failed(operation: str, expected: str) -> None:
    assert str(AwsError("no room", operation=operation)) == expected
