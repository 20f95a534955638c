"""What becomes of an object when its pull request is closed, reopened or pushed to, from GitHub to an empty account."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.aws.cloud import eventually
from tests.controllers.endpoint.test_controls import changes, known
from tests.controllers.environment import IMAGE, REVISION, Environment
from tests.fixtures.github import REPOSITORY
from tests.fixtures.platform import Aws

from eep_platform.github.client import GitHubClient as EmbeddedGitHub
from eep_platform.github.client import sha_of
from ephemeral_endpoints.api import (
    CONFIRM_CLOSED_ANNOTATION,
    HEAD_ANNOTATION,
    PULL_REQUEST_CLOSED_ANNOTATION,
    PULL_REQUEST_MERGED_ANNOTATION,
)
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.features.expiry.brake import LEAST, WINDOW_SECONDS
from ephemeral_endpoints.features.reviews.github.limits import Budget
from ephemeral_endpoints.kube.cache import ObjectKey, class_key
from ephemeral_endpoints.kube.secrets import OwnSecrets

TOOL = {"metadata": {"labels": {"argocd.argoproj.io/instance": "previews"}}}
GRACE_SECONDS = 600.0
HEAD = sha_of("42")


class Reviewed:
    """An operator at work whose class watches pull requests at ``github``; pull request 42 is open."""

    def __init__(self, env: Environment, github: EmbeddedGitHub) -> None:
        self.env = env
        self.github = github
        grants = [{"repository": REPOSITORY, "namespaces": ["nlp"]}]
        policy = {"url": github.url, "secretName": "github", "repositories": grants, "closeGrace": "10m"}
        env.api.change(class_key("default"), {"spec": {"reviews": policy}})
        github.open(REPOSITORY, HEAD, number=42)

    def make(self, number: int = 42, name: str = "pr", *, follow: bool = False, **spec: Any) -> ObjectKey:  # noqa: ANN401 - fields
        source = {"repository": REPOSITORY, "pullRequest": number, "revision": REVISION, "follow": follow}
        return self.env.make(name, source=source, **spec)

    async def later(self, seconds: float = 61.0) -> None:
        """What the regular task does when so much time has passed."""
        self.env.clock.advance(seconds)
        await self.env.operator.reviews.pull_requests.turn()
        await self.env.rest()

    async def until(self, check: Callable[[], bool], what: str) -> None:
        """Wait for it, while GitHub is told what there is to tell: the end of an object waits for that."""

        async def is_so() -> bool:
            for lane in list(self.env.operator.reviews.publisher.lanes.values()):
                while await lane.turn():
                    await self.env.rest()
            return check()

        await eventually(is_so, what)
        await self.env.rest()

    async def gone(self, key: ObjectKey) -> None:
        await self.until(lambda: key not in self.env.api.kept, f"{key} gone")

    async def close_for_good(self) -> None:
        self.github.close(REPOSITORY, 42)
        await self.later()
        await self.later(GRACE_SECONDS)

    def annotations(self, key: ObjectKey) -> Mapping[str, str]:
        found: Mapping[str, str] = self.env.api.kept[key]["metadata"].get("annotations", {})
        return found

    def condition(self, key: ObjectKey) -> tuple[str, str]:
        found = self.env.condition(key, "PullRequestOpen")
        return str(found.get("status")), str(found.get("reason"))

    def reasons(self) -> list[str]:
        return [each.reason for each in self.env.api.events]


@pytest.fixture
async def reviewed(env: Environment, github: EmbeddedGitHub, monkeypatch: pytest.MonkeyPatch) -> Reviewed:
    token = github.add_token("ada").encode()

    async def data(_: OwnSecrets, name: str) -> Mapping[str, bytes]:
        assert name == "github"
        return {"token": token}

    monkeypatch.setattr(OwnSecrets, "data", data)
    monkeypatch.setattr(Budget, "write_due", lambda _self, _account, _repository, now: now)
    github.settings(strict=False)  # its clock stands still
    found = Reviewed(env, github)
    await env.rest()
    return found


async def test_an_open_pull_request_is_told_and_at_rest_nothing_is_written(reviewed: Reviewed, fresh_aws: Aws) -> None:
    key = reviewed.make()
    await reviewed.env.ready(key)
    await reviewed.later()
    assert reviewed.condition(key) == ("True", "HeadMoved"), "the object asks for another commit"
    assert reviewed.env.api.kept[key]["status"]["review"] == {"state": "Open", "head": HEAD}
    writes, events = reviewed.env.api.writes, len(reviewed.env.api.events)
    fresh_aws.control.reset_meter()
    for _ in range(20):
        await reviewed.later()
        await reviewed.env.refresh(key)
    assert (reviewed.env.api.writes, len(reviewed.env.api.events)) == (writes, events)
    assert changes(fresh_aws) == []


async def test_merged_it_is_gone_with_everything_in_aws_when_the_grace_is_over(
    reviewed: Reviewed, fresh_aws: Aws
) -> None:
    key = reviewed.make()
    await reviewed.env.ready(key)
    await reviewed.later()
    reviewed.github.merge(REPOSITORY, 42)
    reviewed.env.operator.reviews.pull_requests.wake(REPOSITORY, 42)
    await reviewed.later(5.0)
    assert reviewed.condition(key) == ("False", "PullRequestMerged")
    assert reviewed.env.is_up_to_date(key), "it serves on in the grace"
    await reviewed.later(GRACE_SECONDS - 60.0)
    assert reviewed.env.is_up_to_date(key)
    await reviewed.later(60.0)
    await reviewed.gone(key)
    assert "PullRequestMerged" in reviewed.reasons()
    assert fresh_aws.client("sagemaker").list_endpoints()["Endpoints"] == []


async def test_reopened_within_the_grace_it_stays_and_nothing_was_written_on_it(reviewed: Reviewed) -> None:
    key = reviewed.make()
    await reviewed.env.ready(key)
    reviewed.github.close(REPOSITORY, 42)
    await reviewed.later()
    assert reviewed.condition(key) == ("False", "PullRequestClosed")
    reviewed.github.reopen(REPOSITORY, 42)
    await reviewed.later(GRACE_SECONDS)
    await reviewed.later(GRACE_SECONDS)
    assert reviewed.condition(key)[0] == "True"
    assert reviewed.annotations(key) == {}
    assert reviewed.env.is_up_to_date(key)


async def test_what_a_tool_keeps_becomes_a_tombstone_and_lives_again_when_it_is_reopened(reviewed: Reviewed) -> None:
    env, key = reviewed.env, reviewed.make()
    env.api.change(key, TOOL)
    await env.ready(key)
    await reviewed.close_for_good()
    message = await env.reason(key, "PullRequestClosed")
    assert "the object stays, because its label argocd.argoproj.io/instance" in message
    await env.until(lambda: not known(env), "AWS empty")
    assert PULL_REQUEST_CLOSED_ANNOTATION in reviewed.annotations(key)
    ended_at = reviewed.annotations(key)[PULL_REQUEST_CLOSED_ANNOTATION]
    assert env.api.kept[key]["status"]["expiresAt"] == ended_at
    await reviewed.later(GRACE_SECONDS)
    assert reviewed.annotations(key)[PULL_REQUEST_CLOSED_ANNOTATION] == ended_at, "once"
    reviewed.github.reopen(REPOSITORY, 42)
    await reviewed.later()
    assert reviewed.annotations(key) == {}
    await env.ready(key)
    assert reviewed.condition(key)[0] == "True"


async def test_what_an_earlier_operator_began_to_end_ends_although_github_is_down(reviewed: Reviewed) -> None:
    env, key = reviewed.env, reviewed.make()
    env.api.change(key, TOOL)
    await env.ready(key)
    reviewed.github.trouble({"effect": "error", "status": 503})
    ended = {PULL_REQUEST_MERGED_ANNOTATION: timestamp(datetime.now(UTC))}
    env.api.change(key, {"metadata": {"annotations": ended}})
    await env.restart()
    await env.reason(key, "PullRequestMerged")
    await env.until(lambda: not known(env), "AWS empty")
    await reviewed.later(GRACE_SECONDS)
    assert reviewed.annotations(key) == ended, "unknown is not reopened"


async def test_after_a_restart_the_condition_stays_without_a_write_until_github_has_answered(
    reviewed: Reviewed,
) -> None:
    key = reviewed.make()
    await reviewed.env.ready(key)
    await reviewed.later()
    before, writes = reviewed.condition(key), reviewed.env.api.writes
    await reviewed.env.restart()
    await reviewed.env.refresh(key)
    assert (reviewed.condition(key), reviewed.env.api.writes) == (before, writes)
    await reviewed.later()
    assert (reviewed.condition(key), reviewed.env.api.writes) == (before, writes)


async def test_an_object_that_is_suspended_ends_all_the_same(reviewed: Reviewed) -> None:
    key = reviewed.make(suspend=True)
    await reviewed.env.reason(key, "Suspended", "Reconciling")
    await reviewed.later()
    await reviewed.close_for_good()
    await reviewed.gone(key)


async def test_resources_that_are_retained_stay_when_the_pull_request_is_closed(reviewed: Reviewed) -> None:
    env = reviewed.env
    env.api.change(class_key("default"), {"spec": {"lifecycle": {"allowRetain": True}}})
    key = reviewed.make(lifecycle={"deletionPolicy": "Retain", "onExpiry": "Retire"})
    await env.ready(key)
    before = known(env).keys()
    await reviewed.close_for_good()
    message = await env.reason(key, "Retained")
    assert message.startswith("the pull request was closed; its AWS resources stay")
    assert known(env).keys() >= {each for each in before if each.kind.stage}


@pytest.mark.parametrize(
    "trouble",
    [
        {"effect": "html"},
        {"effect": "empty"},
        {"effect": "reset"},
        {"effect": "answer_lost"},
        {"effect": "error", "status": 403},
        {"effect": "error", "status": 404},
        {"effect": "error", "status": 500},
        {"effect": "secondary_limit"},
        {"effect": "primary_limit"},
    ],
    ids=str,
)
async def test_whatever_goes_wrong_at_github_the_object_serves_on_and_says_so(
    reviewed: Reviewed, trouble: Mapping[str, Any]
) -> None:
    key = reviewed.make()
    await reviewed.env.ready(key)
    await reviewed.later()
    reviewed.github.close(REPOSITORY, 42)
    reviewed.github.trouble(trouble)
    for _ in range(12):
        await reviewed.later(1000.0)
    assert reviewed.condition(key)[0] == "Unknown"
    assert "the object is kept" in reviewed.env.condition(key, "PullRequestOpen")["message"]
    assert reviewed.annotations(key) == {}
    assert reviewed.env.is_up_to_date(key)


@pytest.mark.parametrize("loss", ["renamed", "deleted", "access lost"])
async def test_what_cannot_be_seen_any_more_is_not_closed(reviewed: Reviewed, loss: str) -> None:
    key = reviewed.make()
    await reviewed.env.ready(key)
    await reviewed.later()
    if loss == "renamed":
        reviewed.github.rename(REPOSITORY, "acme/vin")
    elif loss == "deleted":
        reviewed.github.delete_repository(REPOSITORY)
    else:
        reviewed.github.add_collaborator(REPOSITORY, "ada", "none")
    for _ in range(5):
        await reviewed.later(1000.0)
    assert reviewed.condition(key) == ("Unknown", "ForgeNotFound")
    assert reviewed.env.is_up_to_date(key)


async def test_a_mass_that_closes_at_once_ends_nothing_until_somebody_confirms_it_and_then_bit_by_bit(
    reviewed: Reviewed,
) -> None:
    env, numbers = reviewed.env, range(101, 101 + LEAST + 3)
    reviewed.github.open_many(REPOSITORY, numbers)
    keys = [reviewed.make(each, f"pr-{each}", suspend=True, api={"path": f"/{each}"}) for each in numbers]
    for key in keys:
        await env.reason(key, "Suspended", "Reconciling")
    await reviewed.later()
    for number in numbers:
        reviewed.github.merge(REPOSITORY, number)
    for _ in range(4):
        await reviewed.later(GRACE_SECONDS)
    assert [key for key in keys if reviewed.annotations(key)] == []
    assert env.operator.reviews.pull_requests.held() == {"default": len(keys)}

    now = datetime.now(UTC) + timedelta(days=1)
    env.api.change(class_key("default"), {"metadata": {"annotations": {CONFIRM_CLOSED_ANNOTATION: timestamp(now)}}})
    await env.rest()
    await reviewed.later(5.0)
    await reviewed.until(lambda: len(env.api.kept) == 1 + 3, "three left, and the class")
    left = [key for key in keys if key in env.api.kept]
    for key in left:
        message = await env.reason(key, "ExpiryHeld", "Reconciling")
        assert "the pull request was merged, but the operator does not delete the object yet" in message
    env.clock.advance(WINDOW_SECONDS)
    for key in left:
        env.operator.enqueue(key)
    for key in left:
        await reviewed.gone(key)


def put_image(aws: Aws) -> None:
    """The image that the objects name, under its tag."""
    ecr, (name, tag) = aws.client("ecr"), IMAGE.partition("/")[2].split(":")
    ecr.create_repository(repositoryName=name)
    manifest = json.dumps({"schemaVersion": 2, "config": {"size": 1}, "layers": []})
    ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag=tag)


async def test_followed_the_newest_commit_is_rolled_out_although_the_spec_names_an_older_one(
    reviewed: Reviewed, fresh_aws: Aws
) -> None:
    put_image(fresh_aws)
    env, key = reviewed.env, reviewed.make(follow=True)
    await env.ready(key)
    await reviewed.later()
    assert reviewed.annotations(key) == {HEAD_ANNOTATION: f"{REVISION}={HEAD}"}
    await env.until(lambda: env.api.kept[key]["status"]["revision"] == HEAD, "the head served")
    assert env.api.kept[key]["spec"]["source"]["revision"] == REVISION, "nobody else's field is written"
    assert reviewed.condition(key) == ("True", "Open")

    reviewed.github.push(REPOSITORY, 42, sha_of("second"))
    await reviewed.later()
    await env.until(lambda: env.api.kept[key]["status"]["revision"] == sha_of("second"), "the second head served")
    assert reviewed.annotations(key) == {HEAD_ANNOTATION: f"{REVISION}={sha_of('second')}"}


async def test_a_revision_that_a_person_applies_counts_at_once_until_another_head_is_named(
    reviewed: Reviewed, fresh_aws: Aws
) -> None:
    put_image(fresh_aws)
    env, key = reviewed.env, reviewed.make(follow=True)
    await env.ready(key)
    await reviewed.later()
    await env.until(lambda: env.api.kept[key]["status"]["revision"] == HEAD, "the head served")
    third = sha_of("third")
    env.api.change(key, {"spec": {"source": {"revision": third}}})
    await env.until(lambda: env.api.kept[key]["status"]["revision"] == third, "the applied one served")
    await env.rest()
    assert reviewed.annotations(key) == {HEAD_ANNOTATION: f"{REVISION}={HEAD}"}, "void, and no answer is new"
    reviewed.github.push(REPOSITORY, 42, third)
    await reviewed.later()
    assert reviewed.annotations(key) == {}, "the spec names the head itself"
    assert env.api.kept[key]["status"]["revision"] == third
    reviewed.github.push(REPOSITORY, 42, sha_of("fourth"))
    await reviewed.later()
    assert reviewed.annotations(key) == {HEAD_ANNOTATION: f"{third}={sha_of('fourth')}"}


async def test_what_was_merged_is_told_apart_from_what_was_closed(reviewed: Reviewed) -> None:
    key = reviewed.make(suspend=True, lifecycle={"onExpiry": "Retire"})
    await reviewed.env.reason(key, "Suspended", "Reconciling")
    reviewed.github.merge(REPOSITORY, 42)
    await reviewed.later()
    await reviewed.later(GRACE_SECONDS)
    assert reviewed.annotations(key).keys() == {PULL_REQUEST_MERGED_ANNOTATION}
    await reviewed.env.reason(key, "PullRequestMerged")
