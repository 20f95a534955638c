"""What the service remembers: projects, and builds in the order in which they were started; all of it in memory."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ephemeral_endpoints.local.codebuild.builds import Build
from ephemeral_endpoints.local.codebuild.errors import project_not_found
from ephemeral_endpoints.local.sagemaker.store import Account

Body = dict[str, Any]


@dataclass(slots=True)
class Project:
    """A project; `body` is what CreateProject and UpdateProject gave, with defaults filled in."""

    body: Body
    created: datetime
    modified: datetime
    builds_started: int = 0


@dataclass(slots=True)
class Store:
    """Everything that the service remembers."""

    account: Account
    projects: dict[str, Project] = field(default_factory=dict)
    builds: dict[str, Build] = field(default_factory=dict)

    def project_arn(self, name: str) -> str:
        """The ARN that a project of this name has or would have."""
        return self.account.arn(f"project/{name}", service="codebuild")

    def project_name(self, name_or_arn: str) -> str:
        """The name of what requests may also give the ARN of."""
        return name_or_arn.removeprefix(self.project_arn(""))

    def project(self, name_or_arn: str) -> Project:
        """A project; raises the service's refusal if there is none."""
        name = self.project_name(name_or_arn)
        if name not in self.projects:
            raise project_not_found(self.project_arn(name))
        return self.projects[name]

    def builds_of(self, project: str) -> list[Build]:
        """The builds of a project, the earliest first."""
        return [build for build in self.builds.values() if build.project == project]

    def active(self) -> list[Build]:
        """The builds that are not over."""
        return [build for build in self.builds.values() if not build.is_over]

    def clear(self) -> None:
        """Forget everything."""
        self.projects.clear()
        self.builds.clear()
