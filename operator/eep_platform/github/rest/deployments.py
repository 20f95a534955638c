"""Operations on deployments. Source: https://docs.github.com/rest/deployments."""

from typing import Final
from urllib.parse import urlsplit

from eep_platform.github.access import Need
from eep_platform.github.errors import conflict, not_found, unprocessable, validation_failed
from eep_platform.github.people import People
from eep_platform.github.records import Deployment, DeploymentStatus, PullRequest, Repository
from eep_platform.github.rest.operations import Answer, Call, operation
from eep_platform.github.rest.paging import paged
from eep_platform.github.store import Store
from eep_platform.github.views.views import Views

MOST_DESCRIPTION: Final = 140

_READ: Final = Need("deployments", "read")
_WRITE: Final = Need("deployments", "write")
_PRODUCTION: Final = "production"


class DeploymentOperations:
    """Creates and reads deployments and their statuses."""

    def __init__(self, store: Store, views: Views, people: People) -> None:
        self._store = store
        self._views = views
        self._people = people

    @operation(
        "repos/create-deployment",
        "POST /repos/{owner}/{repo}/deployments",
        {201: "Deployment", 202: "ReposOwnerRepoDeploymentsPostResponse202"},
        body="ReposOwnerRepoDeploymentsPostBody",
        need=_WRITE,
    )
    def create(self, call: Call) -> Answer:
        """Create a deployment, with GitHub's defaults: it merges the base first, and wants all contexts green."""
        _check_description("Deployment", call)
        repository, ref = call.repository, str(call.body["ref"])
        sha = repository.resolve(ref)
        if sha is None:
            raise unprocessable(f"No ref found for: {ref}")
        if call.body.get("auto_merge", True) and (merged := self._merge_base(repository, ref, sha)):
            return merged
        _require_contexts(repository, ref, sha, call.body.get("required_contexts"))
        environment = call.text("environment", _PRODUCTION)
        now = self._store.clock()
        made = Deployment(
            id=self._store.new_id(),
            sha=sha,
            ref=ref,
            task=call.text("task", "deploy"),
            payload=call.body.get("payload") or {},
            environment=environment,
            original_environment=environment,
            description=call.text("description", "") or None,
            creator=call.user,
            created=now,
            updated=now,
            is_transient=bool(call.body.get("transient_environment", False)),
            is_production=bool(call.body.get("production_environment", environment == _PRODUCTION)),
            app=call.caller.via,
        )
        repository.deployments[made.id] = made
        return Answer(self._views.deployment(repository, made), status=201)

    @operation("repos/list-deployments", "GET /repos/{owner}/{repo}/deployments", {200: "list[Deployment]"}, need=_READ)
    def list(self, call: Call) -> Answer:
        """Deployments, the newest first."""
        wanted = {name: call.query[name] for name in ("sha", "ref", "task", "environment") if call.query.get(name)}
        found = [
            each
            for each in reversed(call.repository.deployments.values())
            if all(getattr(each, name) == value for name, value in wanted.items())
        ]
        return paged(call, found, lambda each: self._views.deployment(call.repository, each))

    @operation(
        "repos/get-deployment",
        "GET /repos/{owner}/{repo}/deployments/{deployment_id}",
        {200: "Deployment"},
        need=_READ,
    )
    def get(self, call: Call) -> Answer:
        """One deployment."""
        return Answer(self._views.deployment(call.repository, _deployment(call)))

    @operation(
        "repos/create-deployment-status",
        "POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses",
        {201: "DeploymentStatus"},
        body="ReposOwnerRepoDeploymentsDeploymentIdStatusesPostBody",
        need=_WRITE,
    )
    def create_status(self, call: Call) -> Answer:
        """Add a status; a success ends others that were successful in the environment, unless they are transient."""
        deployment = _deployment(call)
        _check_description("DeploymentStatus", call)
        for name in ("environment_url", "log_url", "target_url"):
            check_url("DeploymentStatus", name, call.text(name, ""))
        made = self._status(call, deployment, str(call.body["state"]))
        made.description = call.text("description", "")
        made.environment_url = call.text("environment_url", "")
        made.log_url = call.text("log_url", "") or call.text("target_url", "")
        if made.state == "success" and call.body.get("auto_inactive", True):
            self._end_others(call, deployment)
        deployment.environment = made.environment = call.text("environment", deployment.environment)
        return Answer(self._views.deployment_status(call.repository, deployment, made), status=201)

    @operation(
        "repos/list-deployment-statuses",
        "GET /repos/{owner}/{repo}/deployments/{deployment_id}/statuses",
        {200: "list[DeploymentStatus]"},
        need=_READ,
    )
    def statuses(self, call: Call) -> Answer:
        """The statuses of a deployment, the newest first."""
        deployment = _deployment(call)
        newest_first = deployment.statuses[::-1]
        return paged(call, newest_first, lambda each: self._views.deployment_status(call.repository, deployment, each))

    def _status(self, call: Call, deployment: Deployment, state: str) -> DeploymentStatus:
        made = DeploymentStatus(
            id=self._store.new_id(),
            state=state,
            creator=call.user,
            created=self._store.clock(),
            environment=deployment.environment,
            app=call.caller.via,
        )
        deployment.statuses.append(made)
        deployment.updated = made.created
        return made

    def _end_others(self, call: Call, deployment: Deployment) -> None:
        for each in call.repository.deployments.values():
            is_prior = each.id < deployment.id and each.environment == deployment.environment
            if is_prior and each.state == "success" and not each.is_transient and not each.is_production:
                self._status(call, each, "inactive")

    def _merge_base(self, repository: Repository, ref: str, sha: str) -> Answer | None:
        """Merge the default branch into the ref if it is behind; None if it is not."""
        pull = _open_pull(repository, ref, sha)
        if pull is None or pull.base_sha == repository.branches[pull.base_branch]:
            return None
        if ref not in repository.branches:
            raise conflict(f"Conflict merging {pull.base_branch} into {ref}.")
        self._people.merge_base(repository, pull)
        return Answer({"message": f"Auto-merged {pull.base_branch} into {ref} on deployment."}, status=202)


def check_url(resource: str, field: str, url: str) -> None:
    """Raise GitHub's error 422 for a URL that is not one of the web."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if url and not (parts.scheme in {"http", "https"} and parts.hostname):
        raise validation_failed(resource, field, "custom", f"{field} must use http(s) scheme")


def _check_description(resource: str, call: Call) -> None:
    if len(call.text("description", "")) > MOST_DESCRIPTION:
        message = f"description is too long (maximum is {MOST_DESCRIPTION} characters)"
        raise validation_failed(resource, "description", "custom", message)


def _deployment(call: Call) -> Deployment:
    number = call.number("deployment_id")
    if number not in call.repository.deployments:
        raise not_found()
    return call.repository.deployments[number]


def _open_pull(repository: Repository, ref: str, sha: str) -> PullRequest | None:
    opened = (pull for pull in repository.pulls.values() if pull.is_open)
    return next((pull for pull in opened if pull.head == sha or (pull.head_branch == ref and not pull.fork)), None)


def _require_contexts(repository: Repository, ref: str, sha: str, contexts: "list[str] | None") -> None:
    latest = {status.context: status.state for status in repository.latest_statuses(sha)}
    wanted = list(latest) if contexts is None else contexts
    failing = [
        {"context": each, "state": latest.get(each, "pending")} for each in wanted if latest.get(each) != "success"
    ]
    if failing:
        error = {"contexts": failing, "resource": "Deployment", "field": "required_contexts", "code": "invalid"}
        raise conflict(f"Conflict: Commit status checks failed for {ref}.", [error])
