"""The projects, and the builds in the order of their start; all in memory."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from eep_platform.codebuild.builds import Build
from eep_platform.codebuild.errors import project_not_found
from eep_platform.emulation.account import Account

Body = dict[str, Any]


@dataclass(slots=True)
class Project:
    """A project; `body` holds the members of CreateProject and UpdateProject, and defaults."""

    body: Body
    created: datetime
    modified: datetime
    builds_started: int = 0


@dataclass(slots=True)
class BuildStore:
    """All state of the service."""

    account: Account
    projects: dict[str, Project] = field(default_factory=dict)
    builds: dict[str, Build] = field(default_factory=dict)

    def project_arn(self, name: str) -> str:
        """The ARN of a project of this name, whether it exists or not."""
        return self.account.arn("codebuild", f"project/{name}")

    def project_name(self, name_or_arn: str) -> str:
        """The name of a project that a request names by its name or ARN."""
        return name_or_arn.removeprefix(self.project_arn(""))

    def project(self, name_or_arn: str) -> Project:
        """A project; raises the service's error if there is none."""
        name = self.project_name(name_or_arn)
        if name not in self.projects:
            raise project_not_found(self.project_arn(name))
        return self.projects[name]

    def builds_of(self, project: str) -> list[Build]:
        """The builds of a project, the earliest first."""
        return [build for build in self.builds.values() if build.project == project]

    def active(self) -> list[Build]:
        """The builds that are queued or running."""
        return [build for build in self.builds.values() if not build.is_over]

    def clear(self) -> None:
        """Delete everything."""
        self.projects.clear()
        self.builds.clear()
