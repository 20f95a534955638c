import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psutil
import pytest
import yaml
from dulwich import porcelain
from dulwich.repo import Repo
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack

ECR: Final = f"{ministack.ACCOUNT}.dkr.ecr.{ministack.REGION}.amazonaws.com"
ROLE: Final = f"arn:aws:iam::{ministack.ACCOUNT}:role/any"
QUICK: Final = {"provisioning_seconds": 0.0, "log_interval_seconds": 0.05, "grace_seconds": 0.3}

_AUTHOR = b"Somebody <somebody@example.com>"


def eventually(check: Callable[[], Any], what: str, seconds: float = 120.0) -> Any:  # noqa: ANN401 - as typed as JSON is
    """The first true value that `check` gives."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := check():
            return value
        time.sleep(0.02)
    return pytest.fail(f"not within {seconds} s: {what}")


def phases(build: Mapping[str, Any]) -> dict[str, str | None]:
    """The status by phase, in the order in which they were entered."""
    return {phase["phaseType"]: phase.get("phaseStatus") for phase in build["phases"]}


def context(build: Mapping[str, Any], phase: str) -> tuple[str, str]:
    """Why a phase ended as it did."""
    found = next(each for each in build["phases"] if each["phaseType"] == phase)["contexts"][0]
    return found["statusCode"], found["message"]


def spec(**commands: Any) -> str:  # noqa: ANN401 - commands, or a phase
    """A buildspec of phases, each given as a list of commands or whole."""
    named = {name: {"commands": each} if isinstance(each, list) else each for name, each in commands.items()}
    return yaml.safe_dump({"version": 0.2, "phases": named})


@dataclass(frozen=True)
class Source:
    """A bare repository on disk."""

    path: Path
    sha: str

    @property
    def override(self) -> dict[str, Any]:
        """The arguments of StartBuild that name it."""
        return {
            "sourceTypeOverride": "GITHUB",
            "sourceLocationOverride": f"file://{self.path}",
            "sourceVersion": self.sha,
        }


@pytest.fixture
def source_of(tmp_path: Path) -> Callable[..., Source]:
    """Commits folders, by their name in the repository, and files into a repository of their own."""

    def make(folders: Mapping[str, Path] | None = None, files: Mapping[str, str] | None = None) -> Source:
        work, bare = tmp_path / uuid4().hex, tmp_path / f"{uuid4().hex}.git"
        work.mkdir()
        for name, folder in (folders or {}).items():
            shutil.copytree(folder, work / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name, text in (files or {}).items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_text(text)
        with Repo.init(work, default_branch=b"main") as repo:
            porcelain.add(repo, [path for path in work.rglob("*") if path.is_file() and ".git" not in path.parts])
            sha = porcelain.commit(repo, message=b"all of it", author=_AUTHOR, committer=_AUTHOR)
            porcelain.tag_create(repo, b"v1", author=_AUTHOR, message=b"one", annotated=True, sign=False)
        porcelain.clone(str(work), str(bare), bare=True, checkout=False, errstream=porcelain.NoneStream()).close()
        return Source(bare, sha.decode())

    return make


@dataclass(frozen=True)
class CodeBuild:
    """The service as a test uses it: a project of its own, and what comes of its builds."""

    aws: Aws
    client: Any
    project: str

    def settings(self, **patch: object) -> None:
        self.aws.control.patch_codebuild_settings(patch)

    def start(self, buildspec: str, **overrides: Any) -> str:  # noqa: ANN401 - those of StartBuild
        answer = self.client.start_build(projectName=self.project, buildspecOverride=buildspec, **overrides)
        return str(answer["build"]["id"])

    def get(self, build_id: str) -> dict[str, Any]:
        answer = self.client.batch_get_builds(ids=[build_id])
        return dict(answer["builds"][0])

    def wait(self, build_id: str, seconds: float = 120.0) -> dict[str, Any]:
        def over() -> dict[str, Any] | None:
            build = self.get(build_id)
            return build if build["buildComplete"] else None

        return dict(eventually(over, f"the end of {build_id}", seconds))

    def wait_phase(self, build_id: str, phase: str) -> None:
        eventually(lambda: self.get(build_id)["currentPhase"] == phase, f"{phase} of {build_id}")

    def run(self, buildspec: str, **overrides: Any) -> dict[str, Any]:  # noqa: ANN401 - those of StartBuild
        return self.wait(self.start(buildspec, **overrides), seconds=240)

    def log(self, build: Mapping[str, Any]) -> list[str]:
        """The lines in CloudWatch Logs; none if there is no such stream."""
        logs = self.aws.client("logs")
        names = {"logGroupName": build["logs"]["groupName"], "logStreamName": build["logs"]["streamName"]}
        try:
            events = logs.get_log_events(**names, startFromHead=True, limit=10_000)["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in events]

    def processes(self, build_id: str) -> list[psutil.Process]:
        """The processes that say that they belong to a build."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("CODEBUILD_BUILD_ID") == build_id:
                    found.append(process)
            except psutil.Error:
                continue
        return found


@pytest.fixture
def codebuild(aws: Aws) -> Iterator[CodeBuild]:
    """CodeBuild with quick settings and a project without source."""
    client = aws.client("codebuild")
    name = f"project-{uuid4().hex[:8]}"
    client.create_project(
        name=name,
        source={"type": "NO_SOURCE", "buildspec": spec(build=["true"])},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "privilegedMode": True,
        },
        serviceRole=ROLE,
    )
    fresh = dict.fromkeys(aws.control.codebuild_settings())
    aws.control.patch_codebuild_settings(fresh | QUICK)
    service = CodeBuild(aws, client, name)
    yield service
    pages = client.get_paginator("list_builds_for_project").paginate(projectName=name)
    for build_id in [each for page in pages for each in page["ids"]]:
        client.stop_build(id=build_id)
    aws.control.patch_codebuild_settings(fresh)
