from ephemeral_endpoints.core.errors import Denied, Invalid, Problem, Transient
from ephemeral_endpoints.core.resources import Key, Kind
from ephemeral_endpoints.reconcile.memory import Memory, Retries

MODEL, ALARM = Key(Kind.MODEL, "m"), Key(Kind.ALARM, "a")


def failing(*errors: Problem, at: float = 100.0) -> Retries:
    retries = Retries()
    for error in errors:
        retries.note(MODEL, error, at)
    return retries


def test_nothing_has_failed_at_first() -> None:
    assert Retries().standing(0.0) == {}
    assert Retries().next_at() is None


def test_what_failed_is_not_tried_again_before_its_time() -> None:
    error = Transient("x")
    retries = failing(error)
    assert retries.standing(100.9) == {MODEL: error}
    assert retries.standing(101.0) == {}
    assert retries.next_at() == 101.0


def test_every_failure_in_a_row_makes_the_pause_longer() -> None:
    assert failing(Transient("x"), Denied("y"), Transient("z")).next_at() == 104.0


def test_the_last_error_stands() -> None:
    last = Denied("y")
    assert failing(Transient("x"), last).standing(100.0) == {MODEL: last}


def test_a_success_ends_the_row() -> None:
    retries = failing(Transient("x"), Transient("x"))
    retries.clear(MODEL)
    assert retries.next_at() is None
    retries.note(MODEL, Transient("x"), 200.0)
    assert retries.next_at() == 201.0
    retries.clear(ALARM)


def test_things_fail_each_for_itself_and_the_first_that_is_due_counts() -> None:
    retries = failing(Invalid("x"))
    retries.note(ALARM, Transient("y"), 100.0)
    retries.note("image", Transient("z"), 90.0)
    assert retries.next_at() == 91.0
    assert retries.standing(105.0).keys() == {MODEL}


def test_failures_of_what_is_no_longer_tried_are_forgotten() -> None:
    retries = failing(Transient("x"))
    retries.note("image", Transient("y"), 100.0)
    retries.keep_only(frozenset({"image", ALARM}))
    assert retries.failures.keys() == {"image"}


def test_a_token_is_never_shown() -> None:
    assert "s3cret" not in repr(Memory("uid", token="s3cret"))  # noqa: S106 - what must not be shown
    assert Memory("one").retries is not Memory("two").retries
