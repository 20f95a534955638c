from collections.abc import Iterator

import pytest

from eep_platform.kubelet.pods import Unstartable
from eep_platform.kubelet.probes import Probe


def probe(answers: list[bool], *, successes: int = 1, failures: int = 3) -> Probe:
    given: Iterator[bool] = iter(answers)
    return Probe(lambda: next(given), due=1.0, period=1.0, successes=successes, failures=failures)


@pytest.mark.parametrize(
    ("answers", "outcome", "reason"),
    [
        ([], None, "nobody has asked yet"),
        ([True], None, "the second success makes it one"),
        ([True, True], True, ""),
        ([True, True, False, False], True, "the third failure makes it one"),
        ([True, True, False, True, False, False], True, "not in a row"),
        ([True, True, False, False, False], False, ""),
        ([False, False, False, True, True], True, "it has come back"),
    ],
)
def test_consecutive_answers_decide_a_probe(answers: list[bool], outcome: bool | None, reason: str) -> None:  # noqa: FBT001 - a column of the table
    tried = probe(answers, successes=2, failures=3)
    for second in range(len(answers) + 1):
        tried.tick(float(second))
    assert tried.outcome is outcome, reason


def test_it_is_asked_once_a_period() -> None:
    tried = probe([False], failures=1)
    for moment in (0.0, 0.9, 1.0, 1.5):
        tried.tick(moment)
    assert tried.due == 2.0


def test_a_container_without_the_probe_passes_it() -> None:
    assert Probe.of({"name": "web"}, "livenessProbe", {}, now=0, pace=1).outcome is True


def test_at_a_higher_pace_it_asks_more_often_and_gives_up_no_sooner() -> None:
    spec = {"httpGet": {"port": 8080}, "initialDelaySeconds": 20, "periodSeconds": 5}
    made = Probe.of({"name": "web", "livenessProbe": spec}, "livenessProbe", {8080: 1}, now=100, pace=10)
    assert (made.due, made.period, made.failures) == (102, 0.5, 30)


def test_what_is_not_asked_by_http_is_refused() -> None:
    with pytest.raises(Unstartable, match="only httpGet"):
        Probe.of({"name": "web", "livenessProbe": {"exec": {}}}, "livenessProbe", {}, now=0, pace=1)
