"""The environment that the processes of a build start with: nothing of this process's own."""

import os
from dataclasses import dataclass
from pathlib import Path

from ephemeral_endpoints.local.aws import ministack
from ephemeral_endpoints.local.codebuild.builds import Build
from ephemeral_endpoints.local.codebuild.toolchain import Toolchain
from ephemeral_endpoints.local.processes import MARKER


@dataclass(frozen=True, slots=True)
class BuildEnvironment:
    """What all builds have in common: where AWS answers, and the programs that they find."""

    aws_endpoint: str
    toolchain: Toolchain

    def variables(self, build: Build, workshop: Path) -> dict[str, str]:
        """The variables of a build in a folder; the source is in `src` of it.

        Source: "Environment variables in build environments".
        """
        # By it the platform finds what belongs to it, should this process be killed.
        marker = {MARKER: os.environ[MARKER]} if MARKER in os.environ else {}
        region = build.account.region
        return {
            **marker,
            **ministack.credentials(),
            "AWS_ENDPOINT_URL": self.aws_endpoint,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "PATH": self.toolchain.path,
            "HOME": str(workshop / "home"),
            "TMPDIR": str(workshop / "tmp"),
            "LANG": "C.UTF-8",
            "CODEBUILD_BUILD_ARN": build.arn,
            "CODEBUILD_BUILD_ID": build.id,
            "CODEBUILD_BUILD_IMAGE": build.order["environment"]["image"],
            "CODEBUILD_BUILD_NUMBER": str(build.number),
            "CODEBUILD_BUILD_SUCCEEDING": "1",
            "CODEBUILD_INITIATOR": "root",
            "CODEBUILD_LOG_PATH": build.uuid,
            "CODEBUILD_PROJECT_ARN": build.account.arn(f"project/{build.project}", service="codebuild"),
            "CODEBUILD_SOURCE_REPO_URL": build.order["source"].get("location", ""),
            "CODEBUILD_SOURCE_VERSION": build.order.get("sourceVersion", ""),
            "CODEBUILD_SRC_DIR": str(workshop / "src"),
            "CODEBUILD_START_TIME": str(int(build.started.timestamp() * 1000)),
        }
