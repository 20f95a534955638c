"""The environment of a build's processes; it inherits nothing from this process."""

import os
from dataclasses import dataclass
from pathlib import Path

from eep_platform.aws import ministack
from eep_platform.codebuild.builds import Build
from eep_platform.codebuild.toolchain import Toolchain
from eep_platform.processes import MARKER


@dataclass(frozen=True, slots=True)
class BuildEnvironment:
    """What all builds share: the URL of AWS and the installed programs."""

    aws_endpoint: str
    toolchain: Toolchain

    def variables(self, build: Build, folder: Path) -> dict[str, str]:
        """The variables of a build in the folder `folder`, whose subfolder `src` has the source.

        Source: "Environment variables in build environments".
        """
        # Through the marker the platform finds its processes even if this process is killed.
        marker = {MARKER: os.environ[MARKER]} if MARKER in os.environ else {}
        region = build.account.region
        return {
            **marker,
            **ministack.credentials(),
            "AWS_ENDPOINT_URL": self.aws_endpoint,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "PATH": self.toolchain.path,
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "LANG": "C.UTF-8",
            "CODEBUILD_BUILD_ARN": build.arn,
            "CODEBUILD_BUILD_ID": build.id,
            "CODEBUILD_BUILD_IMAGE": build.order["environment"]["image"],
            "CODEBUILD_BUILD_NUMBER": str(build.number),
            "CODEBUILD_BUILD_SUCCEEDING": "1",
            "CODEBUILD_INITIATOR": "root",
            "CODEBUILD_LOG_PATH": build.uuid,
            "CODEBUILD_PROJECT_ARN": build.account.arn("codebuild", f"project/{build.project}"),
            "CODEBUILD_SOURCE_REPO_URL": build.order["source"].get("location", ""),
            "CODEBUILD_SOURCE_VERSION": build.order.get("sourceVersion", ""),
            "CODEBUILD_SRC_DIR": str(folder / "src"),
            "CODEBUILD_START_TIME": str(int(build.started.timestamp() * 1000)),
        }
