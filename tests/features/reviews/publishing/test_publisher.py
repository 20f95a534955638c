"""The publisher on the embedded GitHub: what appears on a pull request in the life of an object, and on bad days."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from tests.engine.objects import CLUSTER
from tests.features.reviews.github.clients import app_secret, token_secret
from tests.features.reviews.publications import CHECK_RUN, COMPARISON, FAILURES, condition, not_ready
from tests.features.reviews.scene import Scene
from tests.fixtures.github import REPOSITORY

from eep_platform.github.client import GitHubClient as Service
from eep_platform.github.client import sha_of
from ephemeral_endpoints.features.checks.comparison.reasons import COMPARED
from ephemeral_endpoints.features.checks.reasons import CHECKS_PASSED
from ephemeral_endpoints.features.reviews.forge import (
    LeftDeployment,
    Publication,
    Published,
    PullRequestKey,
    StagePublication,
)
from ephemeral_endpoints.features.reviews.publishing.desired import publication
from ephemeral_endpoints.features.reviews.publishing.digest import Digest
from ephemeral_endpoints.features.reviews.publishing.publisher import ALL_AGAIN_SECONDS, END_SECONDS
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, endpoint_key

FIRST, SECOND = sha_of("first"), sha_of("second")
URL = "https://a1b2c3.execute-api.us-east-1.amazonaws.com/nlp/pr-42"
QUEUED = not_ready("BuildQueued")
BUILDING = not_ready("Building")
FAILED = not_ready("BuildFailed", "pip: no such package")
ENVIRONMENT = "preview"


def serving(revision: str = FIRST, *conditions: Mapping[str, Any], **status: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "observedGeneration": 1,
        "revision": revision,
        "url": URL,
        "cost": {"hourlyUSD": "0.115"},
        "conditions": [condition("Ready", "True", "Serving"), *conditions],
        **status,
    }


CHECKING = (condition(CHECKS_PASSED, "False", "ChecksRunning"), condition(COMPARED, "Unknown", "Comparing"))
PASSED = (condition(CHECKS_PASSED, "True", "ChecksPassed"), condition(COMPARED, "True", "NoDifference"))


@pytest.fixture
async def scene(github: Service) -> AsyncIterator[Scene]:
    github.open(REPOSITORY, FIRST, number=42)
    async with aiohttp.ClientSession() as session:
        yield Scene(github, session, token_secret(github.add_token("ada")))


def states(scene: Scene, number: int = 42) -> list[list[str]]:
    """The states of each deployment."""
    seen = scene.service.seen(REPOSITORY, number)
    return [[status["state"] for status in each["statuses"]] for each in seen.deployments]


def checks(scene: Scene, number: int = 42) -> list[str]:
    return [each["state"] for each in scene.service.seen(REPOSITORY, number).statuses]


def headings(scene: Scene, number: int = 42) -> list[str]:
    return [each["body"].splitlines()[1] for each in scene.service.seen(REPOSITORY, number).comments]


async def live(scene: Scene, revision: str) -> None:
    """One revision from the queue to the end of its checks, with time between the steps."""
    key = endpoint_key("nlp", "pr-42")
    before = scene.endpoint(key).status.revision
    known = {"revision": before, "url": URL} if before else {}
    for status in (
        {**QUEUED, **known},
        {**BUILDING, **known},
        serving(revision, *CHECKING),
        serving(revision, *PASSED, checks={**CHECK_RUN, "revision": revision}, comparison=COMPARISON),
    ):
        scene.change(key, status, revision=revision)
        await scene.settle()


async def test_a_revision_costs_at_most_nine_writing_requests_and_the_next_one_too(scene: Scene) -> None:
    scene.add()
    await live(scene, FIRST)
    assert len(scene.service.writes()) <= 9
    assert states(scene) == [["queued", "in_progress", "success"]]
    assert checks(scene) == ["pending", "success"]
    assert headings(scene) == ["### ✅ `nlp/pr-42` serves `" + FIRST[:7] + "`"]
    scene.service.forget_calls()
    scene.service.push(REPOSITORY, 42, SECOND)
    await live(scene, SECOND)
    assert len(scene.service.writes()) == 9
    assert states(scene) == [
        ["queued", "in_progress", "success", "inactive"],
        ["queued", "in_progress", "success"],
    ]
    assert headings(scene) == ["### ✅ `nlp/pr-42` serves `" + SECOND[:7] + "`"]


async def test_the_url_appears_before_the_checks_are_over(scene: Scene) -> None:
    scene.add(status=serving(FIRST, *CHECKING))
    await scene.settle()
    assert headings(scene) == [f"### ⏳ `nlp/pr-42` serves `{FIRST[:7]}`; its checks are running"]
    assert (states(scene), checks(scene)) == ([["success"]], ["pending"])


async def test_changes_that_follow_one_another_are_published_once(scene: Scene) -> None:
    key = scene.add(status=QUEUED)
    for status in (BUILDING, FAILED, BUILDING, serving()):
        scene.change(key, status)
    await scene.settle()
    assert states(scene) == [["success"]]
    assert scene.service.writes() == [
        "repos/create-deployment",
        "repos/create-deployment-status",
        "repos/create-commit-status",
        "issues/create-comment",
    ]


async def test_after_a_restart_over_a_thousand_objects_that_are_unchanged_nothing_is_asked(scene: Scene) -> None:
    for number in range(1000):
        revision = sha_of(f"{number}")
        key = scene.add(f"pr-{number}", serving(revision), pullRequest=number + 1, revision=revision)
        scene.said(key, digest_of(scene, key))
    scene.start()
    for key in scene.raws:
        scene.publisher.offer(key)
    await scene.settle(5)
    assert scene.service.calls() == {}
    assert {scene.says(key)[1] for key in scene.raws} == {"Shown"}


def digest_of(scene: Scene, key: ObjectKey) -> str:
    """What is remembered of an object that was published as it is."""
    endpoint_class = scene.store.named_class("default")
    assert endpoint_class is not None
    assert endpoint_class.spec.reviews is not None
    one = Subject(CLUSTER, scene.endpoint(key), endpoint_class)
    found = publication(one, endpoint_class.spec.reviews, (one,), FAILURES, scene.time.now())
    assert found is not None
    return str(Digest.of(found))


async def test_published_says_what_was_done(scene: Scene) -> None:
    key = scene.add(status=serving())
    await scene.settle()
    assert scene.says(key) == ("True", "Shown", f"shown on pull request 42 of {REPOSITORY}")
    review = scene.endpoint(key).status.review
    assert review is not None
    seen = scene.service.seen(REPOSITORY, 42)
    assert (review.revision, review.deployment_id) == (FIRST, seen.deployments[0]["id"])
    assert (review.comment_id, review.comment_revision) == (seen.comments[0]["id"], FIRST)


@pytest.mark.parametrize(
    ("source", "namespace", "is_shown"),
    [
        pytest.param({}, "nlp", True, id="its pull request learns of it before it is forgotten"),
        pytest.param({}, "other", False, id="the namespace may not speak for the repository"),
        pytest.param({"repository": "evil/wine"}, "nlp", False, id="nor it for another one"),
        pytest.param({"revision": FIRST[:10]}, "nlp", False, id="no whole commit"),
    ],
)
async def test_only_an_end_that_may_be_shown_keeps_an_object_waiting(
    scene: Scene, source: dict[str, Any], namespace: str, *, is_shown: bool
) -> None:
    key = scene.add(status=serving(), namespace=namespace, **source)
    wait = scene.publisher.show_end(key, scene.endpoint(key))
    assert wait == (END_SECONDS if is_shown else None)


@pytest.mark.parametrize(
    ("source", "namespace", "reason"),
    [
        pytest.param({}, "other", "RepositoryNotGranted", id="the namespace may not speak for the repository"),
        pytest.param({"repository": "evil/wine"}, "nlp", "RepositoryNotGranted", id="nor it for another one"),
        pytest.param({"revision": FIRST[:10]}, "nlp", "RevisionAbbreviated", id="no whole commit"),
        pytest.param({"revision": sha_of("theirs")}, "nlp", "CommitNotInPullRequest", id="of another pull request"),
        pytest.param({"revision": sha_of("none")}, "nlp", "CommitNotInPullRequest", id="a commit that does not exist"),
    ],
)
async def test_nobody_publishes_what_they_may_not(
    scene: Scene, source: dict[str, Any], namespace: str, reason: str
) -> None:
    scene.service.open(REPOSITORY, sha_of("theirs"), number=43)
    revision = source.get("revision", FIRST)
    key = scene.add(status=serving(revision), namespace=namespace, **source)
    await scene.settle()
    assert scene.says(key)[:2] == ("False", reason)
    assert scene.service.writes() == []
    scene.delete(key)
    await scene.settle()
    assert scene.service.writes() == []


async def test_a_commit_that_is_pushed_later_is_published_then(scene: Scene) -> None:
    key = scene.add(status=serving(SECOND), revision=SECOND)
    await scene.settle()
    assert scene.says(key)[1] == "CommitNotInPullRequest"
    scene.service.push(REPOSITORY, 42, SECOND)
    await scene.settle(360)
    assert scene.says(key)[1] == "Shown"
    assert states(scene) == [["success"]]


async def test_a_commit_is_green_only_when_all_objects_of_it_are(scene: Scene) -> None:
    first = scene.add("pr-42-a", serving())
    second = scene.add("pr-42-b", BUILDING)
    await scene.settle()
    assert checks(scene) == ["pending"]
    scene.change(second, serving())
    await scene.settle()
    assert checks(scene) == ["pending", "success"]
    scene.change(second, FAILED)
    await scene.settle()
    assert checks(scene) == ["pending", "success", "failure"]
    assert scene.service.seen(REPOSITORY, 42).statuses[-1]["description"] == "nlp/pr-42-b: pip: no such package"
    scene.delete(second)
    await scene.settle()
    assert checks(scene)[-1] == "success"
    assert len(headings(scene)) == 2
    assert states(scene)[0] == ["success"]
    scene.delete(first)
    await scene.settle()
    assert [each[-1] for each in states(scene)] == ["inactive", "inactive"]


async def test_who_speaks_again_says_what_is_true_now(scene: Scene) -> None:
    """It said so before already, but another object has spoken since."""
    scene.add("b", serving())
    await scene.settle()
    first = scene.add("a", FAILED)
    await scene.settle()
    scene.start()
    assert checks(scene) == ["success", "failure"]
    scene.delete(first)
    scene.offer_all()
    await scene.settle()
    assert checks(scene) == ["success", "failure", "success"]


async def test_classes_with_the_same_context_share_it(scene: Scene) -> None:
    scene.add_class("gpu")
    scene.add_class("apart", context="apart")
    scene.add("a", serving())
    scene.add("b", FAILED, class_name="gpu")
    scene.add("c", BUILDING, class_name="apart")
    await scene.settle()
    found = {each["context"]: each["state"] for each in scene.service.seen(REPOSITORY, 42).statuses}
    assert found == {"ephemeral-endpoints": "failure", "apart": "pending"}


async def test_nobody_elses_object_turns_a_commit_red(scene: Scene) -> None:
    scene.add(status=serving())
    scene.add("a-first", FAILED, namespace="other")
    await scene.settle()
    assert checks(scene) == ["success"]


@pytest.mark.parametrize("name", ["a", "z"], ids=["it comes first", "it comes last"])
async def test_another_pull_request_with_the_same_commit_does_not_turn_it_green(scene: Scene, name: str) -> None:
    scene.add(status=FAILED)
    await scene.settle()
    scene.service.open(REPOSITORY, FIRST, number=43)
    scene.add(name, serving(), namespace="nlp", pullRequest=43)
    await scene.settle()
    assert set(checks(scene)) == {"failure"}
    scene.start()
    scene.offer_all()
    scene.change(endpoint_key("nlp", name), serving(cost={"hourlyUSD": "0.2"}))
    await scene.settle()
    assert set(checks(scene)) == {"failure"}


async def test_another_pull_request_without_the_commit_does_not_count(scene: Scene) -> None:
    scene.service.open(REPOSITORY, SECOND, number=43)
    scene.add("a", FAILED, pullRequest=43)
    key = scene.add(status=serving())
    await scene.settle()
    assert checks(scene) == ["success"]
    scene.delete(key)
    await scene.settle()
    assert checks(scene) == ["success"]


async def test_many_that_name_a_commit_of_others_cost_a_few_requests_each(scene: Scene) -> None:
    for number in range(10):
        scene.add(f"a-{number}", BUILDING, pullRequest=50 + number)
    await scene.settle()
    key = scene.add()
    scene.service.forget_calls()
    scene.change(key, serving())
    await scene.settle()
    assert checks(scene) == ["success"]
    # Twice published, each time once for itself and once for all others.
    assert scene.service.calls()["repos/list-pull-requests-associated-with-commit"] <= 4 * (10 + 1)


async def test_what_another_forge_says_of_a_commit_does_not_count(scene: Scene) -> None:
    """Its repository of the same name may be anybody's."""
    theirs = scene.service.open(REPOSITORY, SECOND, number=43)
    assert theirs["number"] == 43
    scene.add_class("elsewhere", url="https://ghe.example.com")
    scene.start()
    scene.forges["elsewhere"] = Agreeing()
    for name, class_name in (("a", "elsewhere"), ("b", "default")):
        scene.add(name, serving(), class_name=class_name, pullRequest=43)
        await scene.settle()
    assert scene.says(endpoint_key("nlp", "a"))[1] == "Shown"
    assert scene.says(endpoint_key("nlp", "b"))[1] == "CommitNotInPullRequest"
    assert checks(scene) == []


class Agreeing:
    """A forge to which everybody has pushed everything."""

    async def contains(self, pull_request: PullRequestKey, revision: str) -> bool:
        del pull_request, revision
        return True

    async def containing(self, repository: str, revision: str) -> frozenset[int]:
        del repository, revision
        return frozenset(range(100))

    async def publish(self, wanted: Publication, known: Published) -> Published:
        return known.at(wanted.revision)

    async def deploy(self, wanted: StagePublication, hint: int | None) -> int | None:
        del wanted
        return hint

    async def comment(self, wanted: Publication, known: Published) -> Published:
        return replace(known, comment_revision=wanted.revision)

    async def left(self, *_: object) -> Sequence[LeftDeployment]:
        return ()


async def test_the_end_is_shown_and_what_it_cost(scene: Scene) -> None:
    key = scene.add(status=serving())
    await scene.settle()
    cost = {"hourlyUSD": "0.115", "accruedUSD": "1.00", "since": f"{scene.time.now():%Y-%m-%dT%H:%M:%SZ}"}
    scene.change(key, {**serving(), "cost": cost})
    scene.time.seconds += 3600 * 10
    scene.delete(key)
    await scene.settle()
    assert states(scene) == [["success", "inactive"]]
    (comment,) = scene.service.seen(REPOSITORY, 42).comments
    assert comment["body"].splitlines()[1].startswith("### 🗑️ `nlp/pr-42` is gone since")
    assert "and cost about $2.15." in comment["body"]
    assert "To get it back" in comment["body"]


async def test_nothing_is_made_for_an_end(scene: Scene) -> None:
    scene.add_class("default", comment="Never")
    key = scene.add(status=serving())
    scene.delete(key)
    await scene.settle()
    assert scene.service.writes() == []


async def test_an_object_made_anew_keeps_its_comment_from_the_end_of_the_one_before(scene: Scene) -> None:
    key = scene.add(status=serving())
    await scene.settle()
    scene.delete(key)
    scene.add(status=serving(), uid="uid-of-the-new-one")
    await scene.settle()
    assert headings(scene) == [f"### ✅ `nlp/pr-42` serves `{FIRST[:7]}`"]
    assert sorted(each[-1] for each in states(scene)) == ["inactive", "success"]


async def test_an_end_that_a_crash_lost_is_found_and_shown(scene: Scene) -> None:
    key = scene.add(status=serving())
    scene.add("other", serving())
    await scene.settle()
    scene.vanish(key)
    scene.start()
    scene.offer_all()
    await scene.settle()
    assert states(scene) == [["success", "inactive"], ["success"]]
    assert headings(scene) == ["### 🗑️ `nlp/pr-42` is gone", f"### ✅ `nlp/other` serves `{FIRST[:7]}`"]
    scene.service.forget_calls()
    scene.offer_all()
    await scene.settle()
    assert scene.service.writes() == []
    assert "repos/list-deployment-statuses" not in scene.service.calls()


@pytest.mark.parametrize(
    ("status", "others", "last"),
    [
        pytest.param(BUILDING, [], "error", id="nobody would ever end it"),
        pytest.param(BUILDING, ["other"], "pending", id="another object speaks for the commit"),
        pytest.param(serving(), [], "success", id="it says what was found out"),
    ],
)
async def test_a_check_that_a_crash_left_pending_is_ended(
    scene: Scene, status: Mapping[str, Any], others: Sequence[str], last: str
) -> None:
    scene.service.open(REPOSITORY, SECOND, number=43)
    scene.add("elsewhere", serving(SECOND), pullRequest=43, revision=SECOND)
    key = scene.add(status=status)
    for each in others:
        scene.add(each, BUILDING)
    await scene.settle()
    scene.vanish(key)
    scene.start()
    scene.offer_all()
    await scene.settle()
    assert checks(scene)[-1] == last


async def test_an_object_that_appears_during_the_search_is_not_taken_for_gone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another lane, with other credentials for the same forge, may publish it meanwhile."""
    scene.add(status=serving())
    await scene.settle()
    lists = [[], *[list(scene.raws.values())] * 3]

    async def objects() -> AsyncIterator[Mapping[str, Any]]:
        for each in lists.pop(0):
            yield each

    monkeypatch.setattr(scene, "_objects", objects)
    scene.start()
    scene.offer_all()
    await scene.settle()
    assert states(scene) == [["success"]]
    assert headings(scene) == [f"### ✅ `nlp/pr-42` serves `{FIRST[:7]}`"]


async def test_what_belongs_to_another_operator_is_left_to_it(scene: Scene) -> None:
    key = scene.add(status=serving())
    await scene.settle()
    scene.vanish(key)
    scene.owns = lambda namespace: namespace != "nlp"
    scene.start()
    scene.service.forget_calls()
    scene.offer_all()
    await scene.settle()
    assert scene.service.writes() == []


async def test_a_deployment_of_an_earlier_commit_that_a_crash_left_is_ended(scene: Scene) -> None:
    key = scene.add(status=serving())
    await scene.settle()
    scene.service.push(REPOSITORY, 42, SECOND)
    raw = scene.raws[key]
    raw["status"].pop("review")
    scene.start()
    scene.change(key, serving(SECOND), revision=SECOND)
    await scene.settle()
    assert states(scene) == [["success"], ["success"]]
    scene.offer_all()
    await scene.settle()
    assert states(scene) == [["success", "inactive"], ["success"]]
    assert headings(scene) == [f"### ✅ `nlp/pr-42` serves `{SECOND[:7]}`"]


async def test_a_long_build_is_renewed_and_nothing_else(scene: Scene) -> None:
    scene.add(status=BUILDING)
    await scene.settle(60 * 60)
    assert states(scene) == [["in_progress", "in_progress", "in_progress"]]
    assert checks(scene) == ["pending"]


async def test_an_outage_is_said_after_a_while_and_everything_is_published_after_it(scene: Scene) -> None:
    key = scene.add(status=serving())
    scene.service.trouble({"effect": "error", "status": 502})
    await scene.settle(5)
    assert all(each.type != "Published" for each in scene.endpoint(key).status.conditions)
    await scene.settle(3600)
    assert scene.says(key)[:2] == ("False", "ForgeUnavailable")
    requests = sum(scene.service.calls().values())
    await scene.settle(3600)
    assert sum(scene.service.calls().values()) - requests <= 70
    scene.service.trouble()
    await scene.settle(310)
    assert scene.says(key)[:2] == ("True", "Shown")
    assert (states(scene), checks(scene), len(headings(scene))) == ([["success"]], ["success"], 1)


async def test_after_an_outage_the_newest_change_comes_first_and_no_namespace_waits_for_another(scene: Scene) -> None:
    scene.add_class("default", repositories=[{"repository": "acme/*", "namespaces": ["*"]}])
    scene.service.trouble({"effect": "error", "status": 502})
    for number in range(100, 106):
        scene.service.open(REPOSITORY, sha_of(f"{number}"), number=number)
        scene.add(f"pr-{number}", serving(sha_of(f"{number}")), pullRequest=number, revision=sha_of(f"{number}"))
        await scene.settle(10)
    scene.service.open(REPOSITORY, sha_of("alone"), number=200)
    scene.add("alone", serving(sha_of("alone")), namespace="small", pullRequest=200, revision=sha_of("alone"))
    await scene.settle(600)
    scene.service.trouble()
    scene.service.forget_calls()
    await scene.settle(400)
    comments = [each for each in scene.service.log() if each["operation"] == "issues/create-comment"]
    order = [int(each["path"].split("/")[-2]) for each in comments]
    assert sorted(order) == [100, 101, 102, 103, 104, 105, 200]
    assert 200 in order[:3]


async def test_what_is_refused_is_said_and_a_limit_is_not(scene: Scene) -> None:
    key = scene.add(status=serving())
    scene.service.trouble({"effect": "secondary_limit", "retry_after": 120, "operation": "repos/create-*"})
    await scene.settle(60)
    assert all(each.type != "Published" for each in scene.endpoint(key).status.conditions)
    scene.service.trouble({"effect": "error", "status": 403, "operation": "issues/create-comment"})
    await scene.settle(200)
    assert scene.says(key)[0] == "False"
    assert scene.says(key)[1] in {"ForgeDenied", "ForgePermissionMissing"}
    assert (states(scene), checks(scene)) == ([["success"]], ["success"])
    scene.service.trouble()
    await scene.settle(310)
    assert scene.says(key)[:2] == ("True", "Shown")


async def test_a_locked_conversation_takes_no_comment_and_keeps_nothing_else_from_its_end(scene: Scene) -> None:
    scene.secret = app_secret(scene.service.add_app("previews", [REPOSITORY]))
    scene.start()
    key = scene.add(status=serving())
    scene.service.lock(REPOSITORY, 42)
    await scene.settle(60)
    assert scene.says(key)[:2] == ("False", "ForgeReadOnly")
    assert (states(scene), checks(scene)) == ([["success"]], ["success"])
    scene.service.unlock(REPOSITORY, 42)
    await scene.settle(310)
    assert scene.says(key)[:2] == ("True", "Shown")
    before = headings(scene)
    scene.service.lock(REPOSITORY, 42)
    scene.delete(key)
    await scene.settle(60)
    assert states(scene) == [["success", "inactive"]]
    assert headings(scene) == before


async def test_what_is_left_of_an_object_ends_also_where_its_conversation_is_locked(scene: Scene) -> None:
    scene.secret = app_secret(scene.service.add_app("previews", [REPOSITORY]))
    scene.start()
    key, _ = scene.add(status=serving()), scene.add("other", serving())
    await scene.settle(60)
    scene.service.lock(REPOSITORY, 42)
    scene.vanish(key)
    scene.start()
    scene.offer_all()
    await scene.settle(60)
    assert sorted(states(scene)) == [["success"], ["success", "inactive"]]


@pytest.mark.parametrize(("kind", "stride"), [("500", 4), ("answer lost", 1)])
async def test_killed_or_refused_at_any_request_of_its_life_it_ends_as_it_should(
    scene: Scene, kind: str, stride: int
) -> None:
    """Killed with the answer lost, or refused and tried again by the same process."""
    effect = {"effect": "answer_lost"} if kind == "answer lost" else {"effect": "error", "status": 500}
    place = 0
    while True:
        number, first, second = 1000 + place, sha_of(f"{kind}{place} a"), sha_of(f"{kind}{place} b")
        scene.service.open(REPOSITORY, first, number=number)
        scene.service.forget_calls()
        scene.service.advance(3600)
        scene.time.seconds += 3600
        scene.service.trouble({"skip": place, "times": 1, **effect})
        key = scene.add(f"pr-{number}", BUILDING, pullRequest=number, revision=first)
        for status, revision in ((BUILDING, first), (serving(first), first), (serving(second), second)):
            if revision == second:
                scene.service.push(REPOSITORY, number, second)
            scene.change(key, status, revision=revision)
            await scene.settle(10)
            if kind == "answer lost":
                scene.start()
                scene.publisher.offer(key)
            await scene.settle(10)
        requests = sum(scene.service.calls().values())
        scene.publisher.search()
        await scene.settle(15)
        assert [each[-1] for each in states(scene, number)] == ["inactive", "success"], place
        assert checks(scene, number)[-1] == "success"
        assert headings(scene, number) == [f"### ✅ `nlp/pr-{number}` serves `{second[:7]}`"]
        scene.delete(key)
        await scene.settle(20)
        assert [each[-1] for each in states(scene, number)] == ["inactive", "inactive"], place
        assert len(headings(scene, number)) == 1
        assert "is gone since" in headings(scene, number)[0]
        if requests <= place:
            break
        place += stride


async def test_it_runs_until_it_is_cancelled_and_offers_everything_at_its_start(scene: Scene) -> None:
    scene.add(status=serving())
    scene.start()
    slept: list[float] = []
    once = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        once.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(scene.publisher.run(sleep))
    await once.wait()
    scene.time.seconds += 10
    scene.publisher.offer(endpoint_key("nlp", "pr-42"))
    async with asyncio.timeout(60):
        while len(headings(scene)) == 0:
            scene.time.seconds += 10
            scene.publisher.offer(endpoint_key("nlp", "pr-42"))
            await asyncio.sleep(0.01)
    running.cancel()
    assert (await asyncio.gather(running, return_exceptions=True))[0] is not None
    assert slept == [ALL_AGAIN_SECONDS]
    assert Counter(scene.service.writes())["repos/create-deployment"] == 1
