import pytest

from ephemeral_endpoints.engine.reasons import Audience, Finality, Reason, ReasonGroup, catalogue


@pytest.mark.parametrize("name", ["", "ready", "not_ready", "Not Ready", "NOT", "Ready!"])
def test_a_reason_is_a_word_in_camel_case(name: str) -> None:
    with pytest.raises(ValueError, match="is not CamelCase"):
        Reason(name, ("Ready",), Finality.TRANSIENT, Audience.NOBODY, "It waits.", "wait")


def test_a_reason_is_written_as_its_name() -> None:
    assert f"{ReasonGroup('Ready').normal('UpToDate', meaning='All is done.')}" == "UpToDate"


def test_a_group_keeps_the_order_and_gives_its_scopes_to_reasons_that_name_none() -> None:
    group = ReasonGroup("Ready", "Events")
    group.normal("One", meaning="One.")
    group.transient("Two", "Ready", meaning="Two.")
    assert [(reason.name, reason.scopes) for reason in group] == [("One", ("Ready", "Events")), ("Two", ("Ready",))]


def test_two_reasons_of_one_name_are_refused() -> None:
    one, other = ReasonGroup("Ready"), ReasonGroup("Events")
    one.normal("UpToDate", meaning="All is done.")
    other.transient("UpToDate", meaning="All is done.")
    with pytest.raises(ValueError, match="declared more than once: UpToDate"):
        catalogue(one, other)
