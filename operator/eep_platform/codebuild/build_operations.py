"""The operations on builds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from eep_platform.codebuild.builds import Build, BuildStatus, PhaseType
from eep_platform.codebuild.errors import (
    invalid_input,
    invalid_next_token,
    not_found,
    too_many_active,
    too_many_queued,
)
from eep_platform.codebuild.projects import check_source
from eep_platform.codebuild.runner import Runner
from eep_platform.codebuild.settings import BuildSettings
from eep_platform.codebuild.store import Body, BuildStore, Project
from eep_platform.emulation.clock import Clock
from eep_platform.emulation.paging import Position, page

# The member of the project, and the member within it, that an override of StartBuild replaces.
_OVERRIDES: Final[Mapping[str, tuple[str, str | None]]] = {
    "sourceTypeOverride": ("source", "type"),
    "sourceLocationOverride": ("source", "location"),
    "sourceAuthOverride": ("source", "auth"),
    "gitCloneDepthOverride": ("source", "gitCloneDepth"),
    "gitSubmodulesConfigOverride": ("source", "gitSubmodulesConfig"),
    "insecureSslOverride": ("source", "insecureSsl"),
    "reportBuildStatusOverride": ("source", "reportBuildStatus"),
    "buildStatusConfigOverride": ("source", "buildStatusConfig"),
    "buildspecOverride": ("source", "buildspec"),
    "environmentTypeOverride": ("environment", "type"),
    "imageOverride": ("environment", "image"),
    "computeTypeOverride": ("environment", "computeType"),
    "certificateOverride": ("environment", "certificate"),
    "privilegedModeOverride": ("environment", "privilegedMode"),
    "registryCredentialOverride": ("environment", "registryCredential"),
    "imagePullCredentialsTypeOverride": ("environment", "imagePullCredentialsType"),
    "fleetOverride": ("environment", "fleet"),
    "hostKernelOverride": ("environment", "hostKernel"),
    "sourceVersion": ("sourceVersion", None),
    "serviceRoleOverride": ("serviceRole", None),
    "timeoutInMinutesOverride": ("timeoutInMinutes", None),
    "queuedTimeoutInMinutesOverride": ("queuedTimeoutInMinutes", None),
    "encryptionKeyOverride": ("encryptionKey", None),
    "cacheOverride": ("cache", None),
    "logsConfigOverride": ("logsConfig", None),
}
_TAKEN = frozenset(
    {*_OVERRIDES, "projectName", "environmentVariablesOverride", "idempotencyToken", "debugSessionEnabled"}
)
_TOKEN_LIFE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _IdempotentStart:
    """A StartBuild request with a token, and its build."""

    time: datetime
    request: Mapping[str, Any]
    build: Build


class BuildOperations:
    """The operations on builds."""

    def __init__(self, store: BuildStore, runner: Runner, settings: BuildSettings, clock: Clock) -> None:
        self._store = store
        self._runner = runner
        self._settings = settings
        self._clock = clock
        self._tokens: dict[str, _IdempotentStart] = {}

    async def start_build(self, request: Mapping[str, Any]) -> Body:
        """StartBuild."""
        if unknown := sorted(set(request) - _TAKEN):
            raise invalid_input(f"The embedded CodeBuild does not support {', '.join(unknown)}")
        project = self._store.project(request["projectName"])
        token = request.get("idempotencyToken")
        earlier = self._earlier(token, request) if token else None
        if earlier is not None:
            return {"build": earlier.shown()}
        order = _ordered(project, request)
        check_source(order["source"])
        self._refuse_too_many(project)
        build = self._begin(project, order)
        if token:
            self._tokens[token] = _IdempotentStart(build.started, request, build)
        return {"build": build.shown()}

    async def batch_get_builds(self, request: Mapping[str, Any]) -> Body:
        """BatchGetBuilds."""
        ids = request["ids"]
        found = {given: build for given in ids if (build := self._find(given)) is not None}
        return {
            "builds": [build.shown() for build in found.values()],
            "buildsNotFound": [given for given in ids if given not in found],
        }

    async def list_builds_for_project(self, request: Mapping[str, Any]) -> Body:
        """ListBuildsForProject: the latest first by default."""
        name = self._store.project(request["projectName"]).body["name"]
        descending = request.get("sortOrder", "DESCENDING") == "DESCENDING"
        builds, token = page(
            sorted(self._store.builds_of(name), key=_position, reverse=descending),
            _position,
            request.get("nextToken"),
            self._settings.now.page_size,
            invalid_token=invalid_next_token,
            descending=descending,
        )
        return {"ids": [build.id for build in builds], "nextToken": token}

    async def stop_build(self, request: Mapping[str, Any]) -> Body:
        """StopBuild: answers when all processes of the build have ended; a build that is over stays as it is."""
        build = self._find(request["id"])
        if build is None:
            raise not_found(f"Build cannot be found: {request['id']}")
        await self._runner.stop(build)
        return {"build": build.shown()}

    def forget_tokens(self) -> None:
        """Forget the idempotency tokens."""
        self._tokens.clear()

    def _find(self, id_or_arn: str) -> Build | None:
        return self._store.builds.get(id_or_arn.removeprefix(self._store.account.arn("codebuild", "build/")))

    def _earlier(self, token: str, request: Mapping[str, Any]) -> Build | None:
        now = self._clock()
        self._tokens = {key: value for key, value in self._tokens.items() if now - value.time < _TOKEN_LIFE}
        known = self._tokens.get(token)
        if known is None:
            return None
        if known.request != request:
            raise invalid_input("Idempotency token was used before with other parameters: parameter mismatch")
        return known.build

    def _refuse_too_many(self, project: Project) -> None:
        active = self._store.active()
        limit = project.body.get("concurrentBuildLimit")
        if limit is not None and sum(build.project == project.body["name"] for build in active) >= limit:
            raise too_many_active(limit)
        most = self._settings.now.most_queued
        if most is not None and sum(build.is_queued for build in active) >= most:
            raise too_many_queued(most)

    def _begin(self, project: Project, order: Mapping[str, Any]) -> Build:
        now = self._clock()
        project.builds_started += 1
        build = Build(
            self._store.account, project.body["name"], str(uuid4()), project.builds_started, order, started=now
        )
        self._store.builds[build.id] = build
        build.begin_phase(PhaseType.SUBMITTED, now)
        build.end_phase(BuildStatus.SUCCEEDED, now)
        build.begin_phase(PhaseType.QUEUED, now)
        self._runner.begin(build)
        return build


def _position(build: Build) -> Position:
    return build.started.timestamp(), build.number


def _ordered(project: Project, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The project's settings with the overrides of a request."""
    order = {**project.body, "source": dict(project.body["source"]), "environment": dict(project.body["environment"])}
    for override, (member, part) in _OVERRIDES.items():
        if override in request and part is None:
            order[member] = request[override]
        elif override in request:
            order[member][part] = request[override]
    variables = {each["name"]: each for each in project.body["environment"].get("environmentVariables", [])}
    variables |= {each["name"]: each for each in request.get("environmentVariablesOverride", [])}
    order["environment"]["environmentVariables"] = [{"type": "PLAINTEXT", **each} for each in variables.values()]
    return order
