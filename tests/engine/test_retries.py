from ephemeral_endpoints.engine.errors import Denied, Invalid, ReconcileError, Transient
from ephemeral_endpoints.engine.resources import Key
from ephemeral_endpoints.engine.retries import Retries
from ephemeral_endpoints.features.monitoring.specs import ALARM as ALARM_KIND
from ephemeral_endpoints.features.serving.specs import MODEL as MODEL_KIND

MODEL, ALARM = Key(MODEL_KIND, "m"), Key(ALARM_KIND, "a")


def failing(*errors: ReconcileError, at: float = 100.0) -> Retries[Key | str]:
    retries: Retries[Key | str] = Retries()
    for error in errors:
        retries.note(MODEL, error, at)
    return retries


def test_nothing_has_failed_at_first() -> None:
    assert Retries().blocked(0.0) == {}
    assert Retries().due(0.0) is None


def test_what_failed_is_not_tried_again_before_its_time() -> None:
    error = Transient("x")
    retries = failing(error)
    assert retries.blocked(100.9) == {MODEL: error}
    assert retries.blocked(101.0) == {}
    assert retries.due(0.0) == 101.0


def test_every_failure_in_a_row_makes_the_pause_longer() -> None:
    assert failing(Transient("x"), Denied("y"), Transient("z")).due(0.0) == 104.0


def test_the_last_error_stands() -> None:
    last = Denied("y")
    assert failing(Transient("x"), last).blocked(100.0) == {MODEL: last}


def test_a_success_ends_the_row() -> None:
    retries = failing(Transient("x"), Transient("x"))
    retries.clear(MODEL)
    assert retries.due(0.0) is None
    retries.note(MODEL, Transient("x"), 200.0)
    assert retries.due(0.0) == 201.0
    retries.clear(ALARM)


def test_failures_are_counted_separately_and_the_earliest_retry_is_due() -> None:
    retries = failing(Invalid("x"))
    retries.note(ALARM, Transient("y"), 100.0)
    retries.note("image", Transient("z"), 90.0)
    assert retries.due(0.0) == 91.0
    assert retries.blocked(105.0).keys() == {MODEL}


def test_failures_of_what_is_no_longer_tried_are_forgotten() -> None:
    retries = failing(Transient("x"))
    retries.note("image", Transient("y"), 100.0)
    retries.keep_only(frozenset({"image", ALARM}))
    assert retries.failures.keys() == {"image"}
