"""The operations on projects."""

from collections.abc import Mapping
from typing import Any

from eep_platform.codebuild.errors import already_exists, invalid_input, invalid_next_token
from eep_platform.codebuild.settings import BuildSettings
from eep_platform.codebuild.store import Body, BuildStore, Project
from eep_platform.emulation.clock import Clock
from eep_platform.emulation.paging import Position, page

GIT_SOURCES = frozenset({"BITBUCKET", "CODECOMMIT", "GITHUB", "GITHUB_ENTERPRISE", "GITLAB", "GITLAB_SELF_MANAGED"})
NO_SOURCE = "NO_SOURCE"

_DEFAULTS: Mapping[str, Any] = {
    "timeoutInMinutes": 60,
    "queuedTimeoutInMinutes": 480,
    "cache": {"type": "NO_CACHE"},
    "tags": [],
}
_NOT_HERE = ("secondarySources", "secondaryArtifacts", "fileSystemLocations", "buildBatchConfig")
_NO_LIMIT = -1


class ProjectOperations:
    """The operations on projects."""

    def __init__(self, store: BuildStore, settings: BuildSettings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock

    async def create_project(self, request: Mapping[str, Any]) -> Body:
        """CreateProject."""
        name = request["name"]
        if name in self._store.projects:
            raise already_exists(self._store.project_arn(name))
        now = self._clock()
        encryption_key = self._store.account.arn("kms", "alias/aws/s3")
        project = Project(self._checked({"encryptionKey": encryption_key, **_DEFAULTS, **request}), now, now)
        self._store.projects[name] = project
        return {"project": self._shown(project)}

    async def update_project(self, request: Mapping[str, Any]) -> Body:
        """UpdateProject: members that the request does not have stay as they are."""
        project = self._store.project(request["name"])
        name = {"name": project.body["name"]}
        project.body = self._checked(project.body | dict(request) | name)
        project.modified = self._clock()
        return {"project": self._shown(project)}

    async def delete_project(self, request: Mapping[str, Any]) -> Body:
        """DeleteProject: idempotent; existing builds continue."""
        self._store.projects.pop(self._store.project_name(request["name"]), None)
        return {}

    async def batch_get_projects(self, request: Mapping[str, Any]) -> Body:
        """BatchGetProjects."""
        found: list[Body] = []
        missing: list[str] = []
        for name in request["names"]:
            project = self._store.projects.get(self._store.project_name(name))
            if project is None:
                missing.append(name)
            else:
                found.append(self._shown(project))
        return {"projects": found, "projectsNotFound": missing}

    async def list_projects(self, request: Mapping[str, Any]) -> Body:
        """ListProjects."""
        times = {"CREATED_TIME": "created", "LAST_MODIFIED_TIME": "modified"}
        by = times.get(request.get("sortBy", "NAME"))
        projects = self._store.projects
        descending = request.get("sortOrder") == "DESCENDING"

        def position(name: str) -> Position:
            return getattr(projects[name], by).timestamp() if by else name, name

        names, token = page(
            sorted(projects, key=position, reverse=descending),
            position,
            request.get("nextToken"),
            self._settings.now.page_size,
            invalid_token=invalid_next_token,
            descending=descending,
        )
        return {"projects": names, "nextToken": token}

    def _checked(self, body: Body) -> Body:
        check_source(body["source"])
        if body["artifacts"]["type"] != "NO_ARTIFACTS" or any(body.get(member) for member in _NOT_HERE):
            raise invalid_input(f"The embedded CodeBuild supports neither artifacts nor {', '.join(_NOT_HERE)}")
        limit = body.get("concurrentBuildLimit", _NO_LIMIT)
        if limit == _NO_LIMIT:
            return {name: value for name, value in body.items() if name != "concurrentBuildLimit"}
        if limit < 1:
            raise invalid_input("Project-level concurrent build limit must be greater than 0")
        return body

    def _shown(self, project: Project) -> Body:
        return {
            **project.body,
            "arn": self._store.project_arn(project.body["name"]),
            "created": project.created,
            "lastModified": project.modified,
            "badge": {"badgeEnabled": False},
            "projectVisibility": "PRIVATE",
        }


def check_source(source: Mapping[str, Any]) -> None:
    """Raise the service's error for a source of an unsupported type, or without a member that its type needs."""
    kind = source["type"]
    if kind == NO_SOURCE:
        if not source.get("buildspec"):
            raise invalid_input("Invalid project source: buildspec is required when source type is NO_SOURCE")
    elif kind not in GIT_SOURCES:
        raise invalid_input(f"Invalid project source: the embedded CodeBuild does not support the type {kind}")
    elif not source.get("location"):
        raise invalid_input(f"Invalid project source: location must be a valid URL of a {kind} repository")
