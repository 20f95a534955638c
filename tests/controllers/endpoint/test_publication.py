"""What an operator shows on a pull request in the life of an object, from the API server to GitHub."""

from collections.abc import Mapping

import pytest
from tests.controllers.environment import IMAGE, Environment
from tests.fixtures.github import REPOSITORY

from eep_platform.github.client import GitHubClient as EmbeddedGitHub
from eep_platform.github.client import sha_of
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.features.reviews.github.limits import Budget
from ephemeral_endpoints.features.reviews.publishing import publisher
from ephemeral_endpoints.kube.cache import ObjectKey, class_key, endpoint_key
from ephemeral_endpoints.kube.secrets import OwnSecrets

HEAD = sha_of("42")
CONNECTING = {"users/get-authenticated", "repos/get"}


@pytest.fixture
async def publishing(env: Environment, github: EmbeddedGitHub, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """An operator whose class publishes at ``github``, without pauses between its writes; pull request 42 is open."""
    token = github.add_token("ada").encode()

    async def data(_: OwnSecrets, name: str) -> Mapping[str, bytes]:
        assert name == "github"
        return {"token": token}

    monkeypatch.setattr(OwnSecrets, "data", data)
    monkeypatch.setattr(Budget, "write_due", lambda _self, _account, _repository, now: now)
    grants = [{"repository": REPOSITORY, "namespaces": ["nlp"]}]
    policy = {"url": github.url, "secretName": "github", "repositories": grants}
    env.api.change(class_key("default"), {"spec": {"reviews": policy}})
    github.open(REPOSITORY, HEAD, number=42)
    await env.rest()
    return env


def make(env: Environment, repository: str = REPOSITORY) -> ObjectKey:
    """An object whose image is known already, and that serves the commit from before."""
    env.api.put(
        "EphemeralEndpoint",
        "nlp",
        "pr",
        {
            "className": "default",
            "source": {"repository": repository, "pullRequest": 42, "revision": HEAD},
            "model": {"image": IMAGE},
        },
        image={"uri": IMAGE, "digest": f"sha256:{'a' * 64}"},
        revision=HEAD,
    )
    return endpoint_key("nlp", "pr")


async def publish(env: Environment, seconds: int = 20) -> None:
    """What the regular task does within so many seconds."""
    for _ in range(seconds):
        for lane in list(env.operator.reviews.publisher.lanes.values()):
            while await lane.turn():
                await env.rest()
        env.clock.advance(1.0)


async def test_an_object_is_shown_and_its_end_too(publishing: Environment, github: EmbeddedGitHub) -> None:
    env, key = publishing, make(publishing)
    await env.ready(key)
    await publish(env)
    seen = github.seen(REPOSITORY, 42)
    ((deployment,), (check,), (comment,)) = (seen.deployments, seen.statuses, seen.comments)
    status = env.api.kept[key]["status"]
    assert (deployment["sha"], deployment["statuses"][-1]["environment_url"]) == (HEAD, status["url"])
    assert (check["context"], check["state"]) == ("ephemeral-endpoints", "success")
    assert "### ✅ `nlp/pr` serves" in comment["body"]
    assert env.condition(key, "Published")["reason"] == "Shown"
    assert (status["review"]["deploymentId"], status["review"]["commentId"]) == (deployment["id"], comment["id"])
    writes = len(github.writes())
    env.api.remove(key)
    await emptied(env, key)
    assert key in env.api.kept, "an operator that is killed now finds the object, and shows its end"
    await publish(env)
    await env.gone(key)
    seen = github.seen(REPOSITORY, 42)
    assert seen.deployments[0]["statuses"][-1]["state"] == "inactive"
    assert "`nlp/pr` is gone since" in seen.comments[0]["body"]
    assert len(github.writes()) == writes + 2


async def emptied(env: Environment, key: ObjectKey) -> None:
    """Wait until nothing of the object is left in AWS."""
    owner = owner_hash(env.api.kept[key]["metadata"]["uid"])
    [account] = env.operator.accounts.connected
    await env.until(lambda: not account.inventory.of(owner), "an empty account")
    await env.rest()


async def test_an_operator_that_is_killed_before_an_end_is_shown_leaves_no_check_pending(
    publishing: Environment, github: EmbeddedGitHub
) -> None:
    env, key = publishing, make(publishing)
    env.api.change(key, {"spec": {"model": {"image": f"{IMAGE}0"}}})
    await env.reason(key, "ImageNotFound", "ImageReady")
    await publish(env)
    env.api.remove(key)
    await env.rest()
    await env.restart()
    await env.rest()
    await publish(env)
    await env.gone(key)
    assert github.seen(REPOSITORY, 42).statuses[-1]["state"] == "error"


async def test_a_forge_that_is_down_holds_up_a_deletion_for_a_while_and_the_end_is_shown_later(
    publishing: Environment, github: EmbeddedGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "END_SECONDS", 120.0)  # the test itself takes none of it that counts
    env, key = publishing, make(publishing)
    await env.ready(key)
    await publish(env)
    github.trouble({"effect": "error", "status": 503})
    env.api.remove(key)
    await emptied(env, key)
    await publish(env, 60)
    await env.refresh(key)
    assert key in env.api.kept
    await publish(env, 70)
    await env.refresh(key)
    await env.gone(key)
    github.trouble()
    await publish(env, 120)
    assert "is gone since" in github.seen(REPOSITORY, 42).comments[0]["body"]


async def test_at_rest_and_after_a_restart_nothing_is_asked_or_written(
    publishing: Environment, github: EmbeddedGitHub
) -> None:
    env, key = publishing, make(publishing)
    await env.ready(key)
    await publish(env)
    github.forget_calls()
    writes = env.api.writes
    await env.refresh(key)
    await publish(env)
    await env.restart()
    await env.refresh(key)
    await publish(env)
    assert github.calls().keys() <= CONNECTING, "the class is asked for once more, but no object"
    assert env.api.writes == writes
    assert env.condition(key, "Published")["reason"] == "Shown"


async def test_what_a_class_does_not_grant_is_said_and_nothing_is_shown(
    publishing: Environment, github: EmbeddedGitHub
) -> None:
    env, key = publishing, make(publishing, "acme/other")
    await env.ready(key)
    assert env.condition(key, "Published")["reason"] == "RepositoryNotGranted"
    writes = env.api.writes
    await publish(env)
    assert env.api.writes == writes, "it was known at once"
    assert env.condition(key, "Published")["reason"] == "RepositoryNotGranted"
    assert env.condition(key)["status"] == "True"
    assert github.writes() == []
