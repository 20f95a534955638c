from collections import Counter
from datetime import UTC, datetime, timedelta

from tests.fixtures.operator import NEEDED_CREATIONS, NEEDED_DELETIONS, NEEDED_SHARED, NEEDED_SHARED_DELETIONS, Bench

from eep_platform.workbench import condition, is_ready


def expiring_in(seconds: float, created_at: datetime) -> dict[str, str]:
    """A `lifecycle` by which an object of that age expires that many seconds from now."""
    return {"ttl": f"{int((datetime.now(UTC) - created_at).total_seconds() + seconds)}s"}


def created_at(obj: dict[str, dict[str, str]]) -> datetime:
    return datetime.fromisoformat(obj["metadata"]["creationTimestamp"])


def test_an_object_costs_exactly_the_calls_that_it_needs_in_its_whole_life(bench: Bench) -> None:
    bench.apply("pr", bench.spec())
    bench.wait_ready("pr")
    bench.wait_effects({**NEEDED_CREATIONS, **NEEDED_SHARED})
    bench.wait_done()
    assert not [each for each in bench.mutations() if each.status is None or each.status >= 400]

    bench.delete("pr")
    bench.wait_gone("pr")
    bench.wait_empty()
    needed = Counter({**NEEDED_CREATIONS, **NEEDED_SHARED, **NEEDED_DELETIONS, **NEEDED_SHARED_DELETIONS})
    effects = bench.effects()
    assert needed - effects == {}
    # A model server that ends may write one more line, which makes its log group anew, as on AWS.
    assert effects - needed <= Counter(DeleteLogGroup=1)


def test_the_end_of_the_time_to_live_deletes_the_object_and_everything_in_aws(bench: Bench) -> None:
    made = bench.apply("pr", bench.spec())
    ready = bench.wait_ready("pr")
    expires_at = datetime.fromisoformat(ready["status"]["expiresAt"])
    assert expires_at == created_at(made) + timedelta(hours=72), "the class's default"

    bench.apply("pr", bench.spec(lifecycle=expiring_in(2, created_at(made))))
    bench.wait_gone("pr")
    bench.wait_empty()
    assert "Expired" in {event.reason for event in bench.events(made)}


def test_a_gitops_managed_object_is_retired_as_a_tombstone_and_revived_by_a_longer_life(bench: Bench) -> None:
    labels = {"argocd.argoproj.io/instance": "previews"}
    made = bench.apply("pr", bench.spec(), labels=labels)
    bench.wait_ready("pr")

    bench.apply("pr", bench.spec(lifecycle=expiring_in(1, created_at(made))), labels=labels)
    tombstone = bench.wait("pr", lambda obj: not obj["status"].get("resources"), what="without anything in AWS")
    bench.wait_empty()
    assert condition(tombstone, "Ready")["status"] == "False"
    assert condition(tombstone, "Ready")["reason"] == "Expired"
    assert "its label argocd.argoproj.io/instance shows that a tool" in condition(tombstone, "Ready")["message"]
    assert condition(tombstone, "Reconciling")["status"] == "False", "nothing is left to do: kstatus sees it current"
    assert condition(tombstone, "Stalled")["status"] == "True", "whoever waits for it to be ready ceases to"
    assert condition(tombstone, "Stalled")["reason"] == "Expired"
    assert "to revive it, extend its life (eep extend)" in condition(tombstone, "Stalled")["message"]
    assert "url" not in tombstone["status"]
    assert "deletionTimestamp" not in tombstone["metadata"]

    bench.apply("pr", bench.spec(lifecycle={"ttl": "72h"}), labels=labels)
    bench.wait_ready("pr")


def test_a_class_that_is_deleted_waits_for_its_objects(bench: Bench) -> None:
    name = f"leaving-{bench.namespace}"
    bench.make_class(name)
    bench.apply("pr", bench.spec(className=name))
    bench.wait_ready("pr")

    bench.delete_class(name)
    held = bench.get_class(name)
    assert held is not None
    assert held["metadata"]["deletionTimestamp"]
    obj = bench.get("pr")
    assert obj is not None
    assert is_ready(obj), "what a class is deleted under serves on"

    bench.delete("pr")
    bench.wait_gone("pr")
    bench.wait_empty()
    bench.wait_class_gone(name)


def test_an_object_made_anew_right_after_its_deletion_is_another_one_with_another_token(bench: Bench) -> None:
    first = bench.apply("pr", bench.spec())
    bench.wait_ready("pr")
    token = bench.token("pr")
    bench.delete("pr")
    bench.wait_gone("pr")

    second = bench.apply("pr", bench.spec())
    ready = bench.wait_ready("pr")
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    assert bench.call(ready["status"]["url"], b"{}", token=token).status_code == 401
    assert bench.call(ready["status"]["url"], b"{}", token=bench.token("pr")).status_code == 200
