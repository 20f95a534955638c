"""An object with all that follows readiness: what its pull request shows, and how often the operator writes for it."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from tests.controllers.endpoint.test_publication import HEAD, publish
from tests.controllers.environment import IMAGE, Environment
from tests.features.checks.comparison.servers import answering, leading_to, running
from tests.fixtures.aws import QUICK
from tests.fixtures.github import REPOSITORY
from tests.fixtures.platform import Aws

from eep_platform.github.client import GitHubClient as EmbeddedGitHub
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.features.reviews.github.limits import Budget
from ephemeral_endpoints.kube.cache import ObjectKey, class_key, endpoint_key
from ephemeral_endpoints.kube.secrets import OwnSecrets

SAMPLES = [{"name": "praise", "request": '{"text": "lovely"}'}, {"name": "blame", "request": '{"text": "dull"}'}]
CHECK = {"name": "praised", "sample": "praise", "expect": {"values": [{"pointer": "/label", "equals": "cat"}]}}
FOLLOWING = {"api": {"samples": SAMPLES}, "checks": [CHECK], "compare": {"with": {"endpoint": "main"}}}
MOST_STATUS_WRITES = 6
"""More than those of an object without checks, comparison and reviews: its pull request is seen; its deployment is
shown as in progress, then as a success; checks have ended; the comparison has; their results are shown."""

EVENTS = {
    "PullRequestOpen": "Open",
    "ChecksPassed": "ChecksPassed",
    "Compared": "AnswersChanged",
    "Published": "Shown",
}
"""The reasons of conditions that are told beside those of any object; none of them tells what is under way."""

MOST_FORGE_WRITES = 9


@pytest.fixture
async def env(
    fresh_aws: Aws, clients: Clients, github: EmbeddedGitHub, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Environment]:
    """An operator whose class publishes at ``github``; models on loopback answer with other labels than main's."""
    assert clients.region
    fresh_aws.control.patch_sagemaker_settings(QUICK)
    token = github.add_token("ada").encode()

    async def data(_: OwnSecrets, name: str) -> Mapping[str, bytes]:
        assert name == "github"
        return {"token": token}

    monkeypatch.setattr(OwnSecrets, "data", data)
    monkeypatch.setattr(Budget, "write_due", lambda _self, _account, _repository, now: now)
    github.open(REPOSITORY, HEAD, number=42)
    async with running() as models:
        models.behaviours = _labels(pr="cat", plain="cat", main="dog")
        env = Environment(middlewares=[leading_to(models)])
        env.make_class()
        yield env
        await env.stop()


def _labels(**labels: str) -> dict[str, Any]:
    return {f"/nlp/{name}": answering({"label": label}) for name, label in labels.items()}


def make(env: Environment, name: str, number: int | None = None, **spec: Any) -> ObjectKey:  # noqa: ANN401 - members of a spec
    """An object whose image is known already, and that serves the commit from before."""
    env.api.put(
        "EphemeralEndpoint",
        "nlp",
        name,
        {
            "className": "default",
            "source": {"repository": REPOSITORY, "revision": HEAD, **({"pullRequest": number} if number else {})},
            "model": {"image": IMAGE},
            **spec,
        },
        image={"uri": IMAGE, "digest": f"sha256:{'a' * 64}"},
        revision=HEAD,
    )
    return endpoint_key("nlp", name)


async def being_created(env: Environment, aws: Aws, name: str, number: int | None = None, **spec: Any) -> ObjectKey:  # noqa: ANN401 - members of a spec
    """An object that has told that its endpoint is created: whether it comes to that is a matter of speed."""
    aws.control.patch_sagemaker_settings({"behaviour": {"create_seconds": 3600}})
    key = make(env, name, number, **spec)
    await env.reason(key, "Creating")
    aws.control.patch_sagemaker_settings(QUICK)
    return key


async def settled(env: Environment, key: ObjectKey) -> None:
    """Let everything that follows readiness happen as fast as it can, each step in a turn of its own."""

    def is_over() -> bool:
        reasons = {each: env.condition(key, each).get("reason") for each in ("ChecksPassed", "Compared", "Published")}
        return reasons == {"ChecksPassed": "ChecksPassed", "Compared": "AnswersChanged", "Published": "Shown"}

    for _ in range(200):
        await env.operator.reviews.pull_requests.turn()
        await publish(env, 1)
        await env.refresh(key)
        if env.is_up_to_date(key) and is_over():
            break
    await publish(env)
    await env.rest()
    assert is_over()


async def test_all_that_follows_is_shown_once_and_takes_few_writes(
    env: Environment, fresh_aws: Aws, github: EmbeddedGitHub
) -> None:
    await env.ready(make(env, "main"))
    before = env.api.writes
    await env.ready(await being_created(env, fresh_aws, "plain"))
    plain = env.api.writes - before

    grants = [{"repository": REPOSITORY, "namespaces": ["nlp"]}]
    policy = {"url": github.url, "secretName": "github", "repositories": grants}
    env.api.remove(endpoint_key("nlp", "plain"))
    await env.gone(endpoint_key("nlp", "plain"))
    env.api.change(class_key("default"), {"spec": {"reviews": policy}})
    await env.rest()
    before, events = env.api.writes, len(env.api.events)
    key = await being_created(env, fresh_aws, "pr", 42, **FOLLOWING)
    await settled(env, key)
    writes = env.api.writes - before - plain
    told = [each for each in env.api.events[events:] if each.of == "pr"]
    assert writes <= MOST_STATUS_WRITES
    assert {each.reason for each in told} <= {"Creating", "Serving", *EVENTS.values()}
    for type_, reason in EVENTS.items():
        # What changes at once has one Event, with the reason of the first and the messages of all.
        beside = f"; {type_}: {env.condition(key, type_)['message']}"
        assert sum(each.reason == reason or beside in each.message for each in told) == 1, f"{type_} is told once"
    assert len(github.writes()) <= MOST_FORGE_WRITES

    (comment,) = github.seen(REPOSITORY, 42).comments
    assert "**2 labels flipped**" in comment["body"]
    assert "| `dog` | `cat` | 2 |" in comment["body"]
    assert "**Checks:** 1 of 1 passed" in comment["body"]

    github.forget_calls()
    before = env.api.writes
    for _ in range(3):
        await env.refresh(key)
        await publish(env)
    assert (env.api.writes, github.writes()) == (before, []), "at rest nothing is written"
