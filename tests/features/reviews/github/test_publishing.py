"""Deployments and commit statuses on the embedded GitHub: no twin, whatever goes wrong between two requests."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import Any, Final

import pytest
from tests.features.reviews.github.clients import connected, token_secret
from tests.fixtures.github import REPOSITORY, github_running

from eep_platform.github.client import GitHubClient as Service
from eep_platform.github.client import Seen, sha_of
from ephemeral_endpoints.features.reviews.errors import ForgeError
from ephemeral_endpoints.features.reviews.forge import (
    CheckState,
    CommentText,
    CommitStatus,
    Deployment,
    DeploymentState,
    LeftDeployment,
    Owner,
    Publication,
    Published,
    PullRequestKey,
    StagePublication,
    Upsert,
)
from ephemeral_endpoints.features.reviews.github.client import GitHubClient
from ephemeral_endpoints.features.reviews.github.comment import comment
from ephemeral_endpoints.features.reviews.github.publishing import deploy, left, publish

OWNER = Owner("c1", "nlp", "wine-pr", "uid-1")
URL = "https://a1b2c3.execute-api.us-east-1.amazonaws.com/nlp/wine-pr"
IN_PROGRESS = Deployment("preview", DeploymentState.IN_PROGRESS, "Building and rolling out")
SUCCESS = Deployment("preview", DeploymentState.SUCCESS, "Serving", URL)
INACTIVE = Deployment("preview", DeploymentState.INACTIVE, "The endpoint is gone")
PENDING = CommitStatus("ephemeral-endpoints", CheckState.PENDING, "Waiting")
GREEN = CommitStatus("ephemeral-endpoints", CheckState.SUCCESS, "The endpoint serves this commit", URL)
TEXT = CommentText("### It serves", Upsert.EITHER)

EFFECTS: Final[dict[str, dict[str, Any]]] = {
    "500": {"effect": "error", "status": 500},
    "403": {"effect": "error", "status": 403},
    "404": {"effect": "error", "status": 404},
    "422": {"effect": "error", "status": 422},
    "html": {"effect": "html"},
    "reset": {"effect": "reset"},
    "answer lost": {"effect": "answer_lost"},
    "secondary limit": {"effect": "secondary_limit", "retry_after": 1},
}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with github_running() as service:
        service.add_repository(REPOSITORY)
        service.add_collaborator(REPOSITORY, "ada", "write")
        yield service


@pytest.fixture(scope="module")
def token(service: Service) -> str:
    return service.add_token("ada")


_NUMBERS = count(1)


@pytest.fixture
def number(service: Service) -> int:
    """A pull request of the test's own."""
    return opened(service)


def opened(service: Service) -> int:
    number = next(_NUMBERS)
    service.open(REPOSITORY, sha_of(f"{number}"), number=number)
    service.trouble()
    service.forget_calls()
    # Neither the minute's nor the hour's contents of the tests before count.
    service.advance(3600)
    return number


def wanted(number: int, deployment: Deployment | None = SUCCESS, **more: Any) -> Publication:  # noqa: ANN401
    base = Publication(OWNER, PullRequestKey(REPOSITORY, number), sha_of(f"{number}"), deployment, GREEN, None)
    return replace(base, **more)


async def everything(client: GitHubClient, publication: Publication, known: Published) -> Published:
    return await comment(client, publication, await publish(client, publication, known))


def shown(seen: Seen) -> tuple[list[tuple[str, list[str]]], list[str], int]:
    """The deployments with their states, the states of the commit, and the number of comments."""
    deployments = [(each["sha"], [status["state"] for status in each["statuses"]]) for each in seen.deployments]
    return deployments, [each["state"] for each in seen.statuses], len(seen.comments)


async def test_a_deployment_is_of_exactly_the_commit_and_of_nothing_else(
    service: Service, token: str, number: int
) -> None:
    async with connected(service.url, token_secret(token)) as client:
        known = await publish(client, wanted(number), Published())
    seen = service.seen(REPOSITORY, number)
    (deployment,) = seen.deployments
    assert known == Published(sha_of(f"{number}"), deployment["id"])
    assert (deployment["ref"], deployment["environment"]) == (sha_of(f"{number}"), "preview")
    assert (deployment["transient_environment"], deployment["production_environment"]) == (True, False)
    marker = {"cluster": "c1", "namespace": "nlp", "name": "wine-pr", "uid": "uid-1", "pullRequest": number}
    assert deployment["payload"] == {"ephemeral-endpoints.io": marker}
    (status,) = deployment["statuses"]
    assert (status["state"], status["environment_url"], status["description"]) == ("success", URL, "Serving")
    (check,) = seen.statuses
    assert (check["context"], check["state"], check["target_url"]) == ("ephemeral-endpoints", "success", URL)


async def test_neither_the_default_branch_nor_other_checks_are_in_the_way(service: Service, token: str) -> None:
    """GitHub's defaults would merge the one, and wait for the others: ours is one of them."""
    number = opened(service)
    other = next(_NUMBERS)
    service.open(REPOSITORY, sha_of(f"{other}"), number=other)
    service.merge(REPOSITORY, other)
    async with connected(service.url, token_secret(token)) as client:
        await publish(client, wanted(number, IN_PROGRESS, status=PENDING), Published())
    assert service.seen(REPOSITORY, number).pull["head"]["sha"] == sha_of(f"{number}")
    assert shown(service.seen(REPOSITORY, number))[0] == [(sha_of(f"{number}"), ["in_progress"])]


@pytest.mark.parametrize("is_remembered", [True, False])
async def test_what_is_there_is_not_written_again(
    service: Service, token: str, number: int, *, is_remembered: bool
) -> None:
    publication = wanted(number, comment=TEXT)
    async with connected(service.url, token_secret(token)) as client:
        known = await everything(client, publication, Published())
        service.forget_calls()
        again = await everything(client, publication, known if is_remembered else Published())
    assert again == known
    assert service.writes() == []


@pytest.mark.parametrize("effect", EFFECTS)
async def test_whatever_goes_wrong_at_any_request_nothing_is_made_twice(
    service: Service, token: str, effect: str
) -> None:
    """Each request once. What the first attempt did is not remembered, as after a crash."""
    for place in count():
        number = opened(service)
        publication = wanted(number, comment=TEXT)
        service.trouble({"skip": place, "times": 1, **EFFECTS[effect]})
        async with connected(service.url, token_secret(token)) as client:
            with suppress(ForgeError):
                await everything(client, publication, Published())
            requests = sum(service.calls().values())
        service.trouble()
        async with connected(service.url, token_secret(token)) as client:
            await everything(client, publication, Published())
        assert shown(service.seen(REPOSITORY, number)) == ([(sha_of(f"{number}"), ["success"])], ["success"], 1)
        if requests <= place:
            break


async def test_a_newer_revision_ends_the_deployment_before_it_once_it_serves(
    service: Service, token: str, number: int
) -> None:
    first, second = sha_of(f"{number}"), sha_of(f"{number} again")
    async with connected(service.url, token_secret(token)) as client:
        known = await publish(client, wanted(number), Published())
        service.push(REPOSITORY, number, second)
        known = await publish(client, wanted(number, IN_PROGRESS, revision=second, status=PENDING), known)
        assert [states for _, states in shown(service.seen(REPOSITORY, number))[0]] == [["success"], ["in_progress"]]
        known = await publish(client, wanted(number, revision=second, supersedes=True), known)
    deployments, _, _ = shown(service.seen(REPOSITORY, number))
    assert deployments == [(first, ["success", "inactive"]), (second, ["in_progress", "success"])]
    assert known.former_ids == ()


async def test_what_is_gone_is_inactive_and_nothing_is_made_for_it(service: Service, token: str, number: int) -> None:
    async with connected(service.url, token_secret(token)) as client:
        assert await publish(client, wanted(number, INACTIVE, status=None), Published()) == Published(
            sha_of(f"{number}")
        )
        await publish(client, wanted(number), Published())
        await publish(client, wanted(number, INACTIVE, status=None), Published())
        await publish(client, wanted(number, INACTIVE, status=None), Published())
    assert shown(service.seen(REPOSITORY, number))[0] == [(sha_of(f"{number}"), ["success", "inactive"])]


async def test_a_hint_to_another_ones_deployment_is_not_believed(service: Service, token: str, number: int) -> None:
    """Others may write the status of an object."""
    other = replace(OWNER, name="victim", uid="uid-2")
    async with connected(service.url, token_secret(token)) as client:
        victim = await publish(client, wanted(number, owner=other), Published())
        hint = Published(sha_of(f"{number}"), victim.deployment_id, (victim.deployment_id or 0,))
        known = await publish(client, wanted(number, IN_PROGRESS, supersedes=True), hint)
    assert known.deployment_id != victim.deployment_id
    assert [states for _, states in shown(service.seen(REPOSITORY, number))[0]] == [["success"], ["in_progress"]]


async def test_a_payload_that_somebody_else_wrote_is_not_believed(service: Service, token: str, number: int) -> None:
    service.add_collaborator(REPOSITORY, "mallory", "write")
    async with connected(service.url, token_secret(service.add_token("mallory"))) as mallory:
        await publish(mallory, wanted(number), Published())
    async with connected(service.url, token_secret(token)) as client:
        await publish(client, wanted(number, IN_PROGRESS), Published())
        assert await left(client, REPOSITORY, "preview", "c1", _is_of(number)) != []
    creators = [each["creator"]["login"] for each in service.seen(REPOSITORY, number).deployments]
    assert creators == ["mallory", "ada"]


def _is_of(number: int) -> Any:  # noqa: ANN401 - a predicate
    return lambda each: each.pull_request.number == number


async def test_left_deployments_are_those_of_the_operator_with_whether_they_are_active(
    service: Service, token: str, number: int
) -> None:
    elsewhere = replace(SUCCESS, environment="staging")
    async with connected(service.url, token_secret(token)) as client:
        await publish(client, wanted(number), Published())
        await publish(client, wanted(number, owner=replace(OWNER, cluster="c2")), Published())
        await publish(client, wanted(number, elsewhere, owner=replace(OWNER, name="b", uid="uid-b")), Published())
        gone = replace(OWNER, name="gone", uid="uid-gone")
        await publish(client, wanted(number, owner=gone), Published())
        await publish(client, wanted(number, INACTIVE, owner=gone), Published())
        service.forget_calls()
        found = await left(client, REPOSITORY, "preview", "c1", _is_of(number))
    key, revision = PullRequestKey(REPOSITORY, number), sha_of(f"{number}")
    assert [replace(each, id=0) for each in found] == [
        LeftDeployment(0, gone, key, revision, is_active=False),
        LeftDeployment(0, OWNER, key, revision, is_active=True),
    ]
    assert service.calls()["repos/list-deployment-statuses"] == 2


async def test_a_commit_status_of_another_context_is_not_ours(service: Service, token: str, number: int) -> None:
    async with connected(service.url, token_secret(token)) as client:
        await publish(client, wanted(number, None, status=replace(GREEN, context="other")), Published())
        await publish(client, wanted(number, None), Published())
        await publish(client, wanted(number, None, status=replace(GREEN, url=None)), Published())
        await publish(client, wanted(number, None, status=replace(GREEN, url=None)), Published())
    contexts = [(each["context"], each["target_url"]) for each in service.seen(REPOSITORY, number).statuses]
    assert contexts == [("other", URL), ("ephemeral-endpoints", URL), ("ephemeral-endpoints", None)]


def staged(number: int, deployment: Deployment, version: str = "wine/1", **more: Any) -> StagePublication:  # noqa: ANN401
    """The deployment of a stage, whose environment is none of pull requests."""
    owner = replace(OWNER, name="production", uid="uid-stage")
    own = replace(deployment, environment="production")
    return replace(StagePublication(owner, REPOSITORY, sha_of(f"{number}"), version, own), **more)


async def test_versions_of_one_commit_have_a_deployment_each_and_end_each_other_by_nothing(
    service: Service, token: str, number: int
) -> None:
    async with connected(service.url, token_secret(token)) as client:
        first = await deploy(client, staged(number, SUCCESS), None)
        second = await deploy(client, staged(number, SUCCESS, "wine/2"), first)
        assert first != second, "the hint is another version's"
        elsewhere = replace(OWNER, name="production", namespace="other", uid="uid-other")
        third = await deploy(client, staged(number, SUCCESS, owner=elsewhere), first)
        assert third not in {first, second}, "nor is it another stage's"
        service.forget_calls()
        assert await deploy(client, staged(number, SUCCESS), None) == first, "it is found again"
        assert service.writes() == []
        assert await deploy(client, staged(number, INACTIVE), first) == first
        assert await deploy(client, staged(number, INACTIVE, "wine/3"), None) is None, "none is made for what is over"
        assert await left(client, REPOSITORY, "production", "c1", lambda _: True) == [], "it is no pull request's"
    states = [states for _, states in shown(service.seen(REPOSITORY, number))[0]]
    assert states == [["success", "inactive"], ["success"], ["success"]]


@pytest.mark.parametrize("effect", ["500", "answer lost"])
async def test_a_deployment_of_a_stage_is_made_once_whatever_goes_wrong(
    service: Service, token: str, effect: str
) -> None:
    for place in count():
        number = opened(service)
        service.trouble({"skip": place, "times": 1, **EFFECTS[effect]})
        async with connected(service.url, token_secret(token)) as client:
            with suppress(ForgeError):
                await deploy(client, staged(number, SUCCESS), None)
            requests = sum(service.calls().values())
        service.trouble()
        async with connected(service.url, token_secret(token)) as client:
            await deploy(client, staged(number, SUCCESS), None)
        assert shown(service.seen(REPOSITORY, number))[0] == [(sha_of(f"{number}"), ["success"])]
        if requests <= place:
            break
