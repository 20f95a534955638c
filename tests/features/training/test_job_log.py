"""When the log of a job that failed is read."""

from ephemeral_endpoints.engine.backoff import delay
from ephemeral_endpoints.engine.errors import Denied, Transient
from ephemeral_endpoints.features.training.job_log import READS, JobLog

NOW = 100.0
NEW = JobLog(due_at=NOW)


def test_it_is_read_with_growing_pauses_until_it_has_lines_or_no_one_waits_for_them_any_more() -> None:
    log, dues = NEW, []
    while log.due_at is not None:
        dues.append(log.due_at)
        assert log.is_due(log.due_at)
        assert not log.is_due(log.due_at - 0.1)
        log = log.read((), log.due_at)
    assert dues == [100, 102, 106, 114, 130]
    assert len(dues) == READS
    assert not log.is_due(NOW + 3600)
    assert NEW.read(("one",), NOW) == JobLog(("one",), reads=1)


def test_an_error_takes_no_lines_away_and_no_read_and_is_forgotten_with_the_next_one() -> None:
    denied = Denied("not authorized", operation="GetLogEvents")
    log = NEW.read((), NOW).unreadable(denied, NOW + 2)
    assert (log.error, log.reads, log.due_at) == (denied, 1, NOW + 2 + delay(denied, 1))
    assert log.read(("one",), NOW + 302) == JobLog(("one",), reads=2)


def test_what_passes_is_tried_again_with_growing_pauses() -> None:
    away = Transient("away", operation="GetLogEvents")
    first = NEW.unreadable(away, NOW)
    second = first.unreadable(away, NOW)
    assert first.due_at is not None
    assert second.due_at is not None
    assert NOW < first.due_at < second.due_at
