from pathlib import Path

from ephemeral_endpoints.local import platform
from ephemeral_endpoints.local.bench import run
from ephemeral_endpoints.local.bench.results import Results
from ephemeral_endpoints.local.bench.run import Plan
from ephemeral_endpoints.local.bench.scenario import Windows

SHORT = Plan(
    create_seconds=0.5, delete_seconds=0.5, trickle=1, windows=Windows(idle=1, rest=4, snapshot=1), with_naive=False
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
