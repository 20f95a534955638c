from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from eep_platform.bench import month_page, run
from eep_platform.bench.month import bill, story
from eep_platform.bench.month.agenda import DAY, HOUR
from eep_platform.bench.month.simulation import Month, Simulation
from eep_platform.bench.month.story import Act, Inputs, PullRequestStory, Story, Trouble, Window

INPUTS = Inputs(days=4, pull_requests=3, price=0.5, revived=0.0)
OPENED = 10 * HOUR


def pull_request(number: int, *acts: tuple[float, Act]) -> PullRequestStory:
    return PullRequestStory(number, OPENED, acts, is_managed=False, is_deleted_by_workflow=False)


@pytest.fixture(scope="module")
def month() -> Month:
    """Three pull requests: closed after a day, visited when the naive endpoint is gone, and pushed to then."""
    told = (
        pull_request(1, (OPENED + DAY, Act.MERGE)),
        pull_request(2, (OPENED + 3 * DAY + HOUR, Act.VISIT)),
        pull_request(3, (OPENED + 3 * DAY + HOUR, Act.PUSH), (OPENED + 3 * DAY + 2 * HOUR, Act.VISIT)),
    )
    outage = Window(Trouble.FORGE, DAY, DAY + HOUR)
    return Simulation(Story(INPUTS, 5, told, (outage,))).run()


def test_the_other_ways_cost_what_the_story_says(month: Month) -> None:
    found = bill.bill(month)
    until_end = 4 * 24 - 10
    assert sum(found.always_on) == pytest.approx(3 * until_end)
    assert sum(found.while_open) == pytest.approx(24 + 2 * until_end)
    assert sum(found.naive) == pytest.approx(3 * 72 + (until_end - 73))
    assert found.missed == 1, "the one that nobody pushed to"
    assert found.always_on == pytest.approx([3 * 14, 72, 72, 72])


def test_the_operator_costs_an_endpoint_until_it_is_gone(month: Month) -> None:
    [first] = [each for each in month.log.lives.values() if each.number == 1]
    hours = sum(bill.bill(month).operator)
    assert first.deleted_at is None
    # The first a little longer than its pull request, two for 72 hours, and one of them again from the push.
    assert 24 + 72 + 72 + 13 < hours < 24 + 72 + 72 + 13 + 2
    assert (month.leaked_hours, month.lost) == (0, [])
    assert month.missed == {"expired": 1}


def test_the_page_shows_what_came_of_it(month: Month) -> None:
    page = month_page.render([month, month], month, 12.3, "month", {"budgets": month})
    for row in (
        "| seed | 5 | 5 | 5, with sleep | 5, with budgets |",
        "| leaked, hours | 0.0 | 0.0 | 0.0 | 0.0 |",
        "| lost | 0 | 0 | 0 | 0 |",
        "| always on | 258 | 129 | 0 % |",
        "| `pull_requests` | 3 |",
        "| the forge does not answer | 1.0 |",
    ):
        assert row in page.lower() if row.startswith("| the forge") else row in page
    assert "does not hold" in page


def test_the_page_is_written_with_its_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    few = story.told(Inputs(days=2, pull_requests=2, stripped=0), 1, ())
    monkeypatch.setattr(story, "month", lambda _, __: few)
    said: list[str] = []
    run.run_month(tmp_path / "month.md", seeds=(1,), say=said.append)
    assert (tmp_path / "month.md").read_text().startswith("# A simulated month")
    assert ET.parse(tmp_path / "month" / "cost.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own
    assert "wrote" in said[-1]
