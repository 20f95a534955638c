"""Deployments and commit statuses on GitHub.

Every write is preceded by a look at what is there, so that an answer that was lost makes no twin. A deployment is ours
if its payload says so and these credentials created it: others may write payloads too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote

from ephemeral_endpoints.api import GROUP
from ephemeral_endpoints.features.reviews.errors import ForgeNotFound
from ephemeral_endpoints.features.reviews.forge import (
    CommitStatus,
    Deployment,
    DeploymentState,
    LeftDeployment,
    Owner,
    Publication,
    Published,
    PullRequestKey,
    StagePublication,
)
from ephemeral_endpoints.features.reviews.github.client import GitHubClient

MOST_LISTED: Final = 1000
"""Deployments of an environment that a search for left ones looks through, the newest first."""

MOST_LOOKED_UP: Final = 100
"""Of these, how many states it reads: each is a request. The next search goes on, since ended ones are remembered."""

_ENDED: Final = "The endpoint serves another commit now"


async def publish(client: GitHubClient, wanted: Publication, known: Published) -> Published:
    """Have the deployment and the commit status as wanted; writes what differs only. Raises a ForgeError.

    Nothing is lost if it does: what was written by then is found when it is called again.
    """
    now = known.at(wanted.revision)
    if wanted.deployment:
        target = _of_pull_request(wanted, await client.login())
        now = replace(now, deployment_id=await _deploy(client, target, wanted.deployment, now.deployment_id))
    if wanted.status:
        await _set_status(client, wanted, wanted.status)
    if wanted.supersedes and now.former_ids:
        for former in now.former_ids:
            await _end(client, wanted, former)
        now = replace(now, former_ids=())
    return now


async def deploy(client: GitHubClient, wanted: StagePublication, hint: int | None) -> int | None:
    """See ``Forge.deploy``."""
    return await _deploy(client, _of_stage(wanted, await client.login()), wanted.deployment, hint)


async def left(
    client: GitHubClient, repository: str, environment: str, cluster: str, is_over: Callable[[LeftDeployment], bool]
) -> list[LeftDeployment]:
    """See ``Forge.left``."""
    login, found, seen = await client.login(), list[LeftDeployment](), 0
    listed = client.pages(f"/repos/{repository}/deployments?environment={quote(environment, safe='')}&per_page=100")
    async for each in listed:
        seen += 1
        one = _ours(each, repository, login)
        if one and one.owner.cluster == cluster and is_over(one):
            state = _state(await _last_status(client, repository, one.id))
            found.append(replace(one, is_active=state != DeploymentState.INACTIVE))
        if seen >= MOST_LISTED or len(found) >= MOST_LOOKED_UP:
            break
    return found


@dataclass(frozen=True, slots=True)
class _Target:
    """What a deployment is of: how it is created, and by which it is found again."""

    repository: str
    revision: str
    creation: Mapping[str, Any]
    is_found: Callable[[Mapping[str, Any]], bool]


async def _deploy(client: GitHubClient, target: _Target, deployment: Deployment, hint: int | None) -> int | None:
    """Have the deployment as wanted; returns its number, None if there is none and need not be."""
    repository = target.repository
    id_ = await _find(client, target, hint)
    if id_ is None:
        if deployment.state is DeploymentState.INACTIVE:
            return None
        body = {**target.creation, "environment": deployment.environment}
        made = await client.write("POST", f"/repos/{repository}/deployments", body)
        id_ = int(made["id"])
        last = None
    else:
        last = await _last_status(client, repository, id_)
    if not _is_same(last, deployment):
        body = {
            "state": deployment.state.value,
            "description": deployment.description,
            # It would end what others have deployed to the environment, and other stages of its name.
            "auto_inactive": False,
            **({"environment_url": deployment.url} if deployment.url else {}),
        }
        await client.write("POST", f"/repos/{repository}/deployments/{id_}/statuses", body)
    return id_


async def _find(client: GitHubClient, target: _Target, hint: int | None) -> int | None:
    """The number of the deployment."""
    repository = target.repository
    if hint is not None:
        try:
            if target.is_found(await client.get(f"/repos/{repository}/deployments/{hint}")):
                return hint
        except ForgeNotFound:
            pass
    async for each in client.pages(f"/repos/{repository}/deployments?sha={target.revision}&per_page=100"):
        if target.is_found(each):
            return int(each["id"])
    return None


async def _end(client: GitHubClient, wanted: Publication, id_: int) -> None:
    """Have an earlier deployment of the object inactive, if it is one and exists."""
    repository, login = wanted.pull_request.repository, await client.login()
    try:
        one = _ours(await client.get(f"/repos/{repository}/deployments/{id_}"), repository, login)
        if one is None or one.owner != wanted.owner:
            return
        if _state(await _last_status(client, repository, id_)) != DeploymentState.INACTIVE:
            body = {"state": DeploymentState.INACTIVE.value, "description": _ENDED}
            await client.write("POST", f"/repos/{repository}/deployments/{id_}/statuses", body)
    except ForgeNotFound:
        return


async def _set_status(client: GitHubClient, wanted: Publication, status: CommitStatus) -> None:
    repository, revision = wanted.pull_request.repository, wanted.revision
    body = {
        "state": status.state.value,
        "context": status.context,
        "description": status.description,
        **({"target_url": status.url} if status.url else {}),
    }
    last: Mapping[str, Any] = {}
    async for each in client.pages(f"/repos/{repository}/commits/{revision}/statuses?per_page=100"):
        if each.get("context") == status.context:
            last = each
            break
    if status.replaces and last.get("state") != status.replaces.value:
        return
    if any(last.get(name) != value for name, value in body.items()) or (last.get("target_url") or None) != status.url:
        await client.write("POST", f"/repos/{repository}/statuses/{revision}", body)


async def _last_status(client: GitHubClient, repository: str, id_: int) -> Mapping[str, Any] | None:
    statuses = await client.get(f"/repos/{repository}/deployments/{id_}/statuses?per_page=1")
    return statuses[0] if statuses else None


def _state(status: Mapping[str, Any] | None) -> str:
    return str(status["state"]) if status else ""


def _is_same(status: Mapping[str, Any] | None, deployment: Deployment) -> bool:
    if status is None or status["state"] != deployment.state.value:
        return False
    if deployment.state is DeploymentState.INACTIVE:
        return True
    same_url = (status.get("environment_url") or None) == deployment.url
    return same_url and (status.get("description") or "") == deployment.description


def _of_pull_request(wanted: Publication, login: str) -> _Target:
    repository, number = wanted.pull_request.repository, wanted.pull_request.number
    creation = {
        **_creation(wanted.owner, wanted.revision, {"pullRequest": number}),
        "transient_environment": True,
        "production_environment": False,
    }

    def is_found(found: Mapping[str, Any]) -> bool:
        one = _ours(found, repository, login)
        return one is not None and one.owner == wanted.owner and one.revision == wanted.revision

    return _Target(repository, wanted.revision, creation, is_found)


def _of_stage(wanted: StagePublication, login: str) -> _Target:
    """A deployment that no search for those of pull requests takes for its own, since its payload names none."""
    creation = {
        **_creation(wanted.owner, wanted.revision, {"version": wanted.version}),
        # Whether it is production's is GitHub's to say, by the name of the environment.
        "transient_environment": False,
    }

    def is_found(found: Mapping[str, Any]) -> bool:
        is_own = _login(found) == login and found.get("payload") == creation["payload"]
        return is_own and found.get("sha") == wanted.revision

    return _Target(wanted.repository, wanted.revision, creation, is_found)


def _creation(owner: Owner, revision: str, about: Mapping[str, object]) -> dict[str, Any]:
    """A deployment of exactly the commit.

    GitHub would otherwise merge the default branch into it, and wait for all contexts of which ours is one:
    https://docs.github.com/en/rest/deployments/deployments#create-a-deployment.
    """
    marker = {"cluster": owner.cluster, "namespace": owner.namespace, "name": owner.name, "uid": owner.uid}
    return {
        "ref": revision,
        "description": f"{owner.namespace}/{owner.name}"[:140],
        "payload": {GROUP: {**marker, **about}},
        "auto_merge": False,
        "required_contexts": [],
    }


def _login(found: Mapping[str, Any]) -> str | None:
    """Who created a deployment."""
    return (found.get("creator") or {}).get("login")


def _ours(found: Mapping[str, Any], repository: str, login: str) -> LeftDeployment | None:
    """A deployment as GitHub gives it; None if it is not ours."""
    payload = found.get("payload")
    marker = payload.get(GROUP) if isinstance(payload, Mapping) else None
    if _login(found) != login or not isinstance(marker, Mapping):
        return None
    texts, number = [marker.get(each) for each in ("cluster", "namespace", "name", "uid")], marker.get("pullRequest")
    if not all(isinstance(each, str) for each in texts) or not isinstance(number, int):
        return None
    pull_request = PullRequestKey(repository, number)
    return LeftDeployment(int(found["id"]), Owner(*map(str, texts)), pull_request, str(found["sha"]))
