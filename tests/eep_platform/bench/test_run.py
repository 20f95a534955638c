from dataclasses import fields, replace
from pathlib import Path

import pytest
from tests.eep_platform.bench.samples import builds, measured, reviews

from eep_platform import platform
from eep_platform.bench import building, pull_requests, run
from eep_platform.bench.results import Results
from eep_platform.bench.run import Plan
from eep_platform.bench.scenario import Windows

SHORT = Plan(
    create_seconds=0.5, delete_seconds=0.5, trickle=1, windows=Windows(idle=1, rest=8, snapshot=1), with_naive=False
)


def test_two_objects_are_measured_and_nothing_is_left(tmp_path: Path) -> None:
    said: list[str] = []
    found = run.measure(tmp_path / "platform", 2, plan=SHORT, say=said.append)
    assert found.left_behind == 0
    assert platform.status(tmp_path / "platform").parts == {}
    assert found.burst.mutating["CreateEndpoint"] == found.teardown.mutating["DeleteEndpoint"] == 2
    assert found.trickle.objects == found.trickle.created.count == 1
    assert 0 < found.burst.beyond_aws.median < found.burst.seconds
    assert 0 < found.teardown.beyond_aws.median < found.teardown.seconds
    assert (found.restart.ready, found.restart.changed, found.restart.mutating) == (2, 0, {})
    assert found.rest.snapshots >= 2
    assert not found.rest.writes
    assert found.memory.after_burst >= found.memory.empty > 0
    assert any("all are ready" in line for line in said)
    run.write(tmp_path / "page.md", Results({2: found}))
    assert (tmp_path / "page.md").read_text().startswith("# Benchmarks")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state beside which results can be kept, where measuring takes no time."""
    pytest.importorskip("matplotlib")
    found = builds()
    cases = {"cold": found.cold, "warm": found.warm, "present": found.present}
    monkeypatch.setattr(building, "measure", lambda *_, **__: cases)
    pulls = reviews()
    names = [each.name for each in fields(pulls) if each.name != "machine"]
    monkeypatch.setattr(pull_requests, "measure", lambda *_, **__: {name: getattr(pulls, name) for name in names})
    monkeypatch.setattr(run, "machine", lambda: found.machine)
    monkeypatch.setattr(run, "measure", lambda _, size, **__: measured(size))
    return tmp_path / "bench"


@pytest.mark.parametrize("builds_first", [True, False])
def test_builds_and_sizes_are_measured_apart_and_kept_together(state: Path, builds_first: bool) -> None:  # noqa: FBT001 - a column
    page, said = state.with_name("page.md"), list[str]()

    def measure(*, of_builds: bool) -> None:
        if of_builds:
            run.run_builds(state, plan=SHORT, page=page, say=said.append)
        else:
            run.run(state, [1, 2], plan=SHORT, page=page, say=said.append)

    measure(of_builds=builds_first)
    measure(of_builds=not builds_first)
    kept = run.load(state.with_name("bench-results.json"))
    assert kept == Results({1: measured(1), 2: measured(2)}, builds())
    assert "## Builds" in page.read_text()


def test_builds_alone_make_no_page_but_are_kept(state: Path) -> None:
    page, said = state.with_name("page.md"), list[str]()
    run.run_builds(state, plan=SHORT, page=page, say=said.append)
    assert not page.exists()
    assert run.load(state.with_name("bench-results.json")).builds == builds()
    assert "the page needs at least one" in said[-1]


def test_pull_requests_are_measured_apart_and_kept_together(state: Path) -> None:
    page, said = state.with_name("page.md"), list[str]()
    run.run_pull_requests(state, plan=SHORT, page=page, say=said.append)
    run.run(state, [1], plan=SHORT, page=page, say=said.append)
    kept = run.load(state.with_name("bench-results.json"))
    assert kept == Results({1: measured(1)}, reviews=replace(reviews(), machine=builds().machine))
    assert "## Pull requests" in page.read_text()
