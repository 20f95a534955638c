"""Builds in AWS CodeBuild, in a project that exists.

A build carries the image that it makes as an environment variable, by which any process finds it again.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.engine import errors
from ephemeral_endpoints.features.images.builds.buildspec import (
    DIGEST_VARIABLE,
    IMAGE_VARIABLE,
    OWNER_VARIABLE,
    Tools,
    buildspec,
    variables,
)
from ephemeral_endpoints.features.images.builds.iam import BUILDS
from ephemeral_endpoints.features.images.builds.policy import Build, BuildTarget, Commit, Result, Step, telling_lines
from ephemeral_endpoints.features.images.references import is_digest
from ephemeral_endpoints.iam.statement import granted

if TYPE_CHECKING:
    from types_boto3_codebuild import CodeBuildClient
    from types_boto3_logs import CloudWatchLogsClient

ACTIONS: Final = granted(BUILDS)
MOST: Final = 100
"""Builds a call (https://docs.aws.amazon.com/codebuild/latest/APIReference/API_BatchGetBuilds.html)."""

MESSAGE_LENGTH: Final = 300
_LAST_WORDS: Final = 99
"""Of a long message so much of its end is kept: it contains the reason, after the whole command that failed."""

# https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html
_LEAST_MINUTES: Final = 5
_MOST_MINUTES: Final = 2160
_SOURCE_TYPES: Final[Mapping[str, Any]] = {
    "https://github.com/": "GITHUB",
    "https://gitlab.com/": "GITLAB",
    "https://bitbucket.org/": "BITBUCKET",
    "https://git-codecommit.": "CODECOMMIT",
    "https://git-codecommit-fips.": "CODECOMMIT",
}
_OTHER_SOURCE: Final[Any] = "GITHUB_ENTERPRISE"

_OUR_COMMAND: Final = re.compile(r"^Error while executing command: .* Reason: ")
"""The commands are the operator's own, and long: authors of Dockerfiles do not know them."""

_BOOKKEEPING: Final = re.compile(r"\[Container\] \d{4}/\d{2}/\d{2} ")
_LINES_BESIDE: Final = 100
"""So many lines more are read than requested: beside those of commands there are CodeBuild's own."""

# https://docs.aws.amazon.com/codebuild/latest/APIReference/API_Build.html
_RESULTS: Final[Mapping[str, Result]] = {
    "FAILED": Result.FAILED,
    "FAULT": Result.FAULT,
    "IN_PROGRESS": Result.RUNNING,
    "STOPPED": Result.STOPPED,
    "SUCCEEDED": Result.SUCCEEDED,
    "TIMED_OUT": Result.TIMED_OUT,
}
# https://docs.aws.amazon.com/codebuild/latest/APIReference/API_BuildPhase.html; all others come later.
_STEPS: Final[Mapping[str, Step]] = {
    "SUBMITTED": Step.WAITING,
    "QUEUED": Step.WAITING,
    "PROVISIONING": Step.WAITING,
    "DOWNLOAD_SOURCE": Step.FETCHING,
    "INSTALL": Step.CHECKING,
    "PRE_BUILD": Step.BUILDING,
    "BUILD": Step.BUILDING,
}
_NOT_OF_THE_COMMIT: Final = frozenset({"PRE_BUILD"})
"""Phases in which nothing depends on the commit: logging in, and setting up the builder."""

_UNSUCCESSFUL: Final = frozenset({"FAILED", "FAULT", "STOPPED", "TIMED_OUT"})


class CodeBuildBuilder:
    """Makes images in one project. All methods raise errors of the ``AwsError`` tree and never wait for a state."""

    def __init__(  # noqa: PLR0913, PLR0917 - the ways into AWS, and the place and owner of builds
        self,
        client: "CodeBuildClient",
        logs: "CloudWatchLogsClient",
        calls: Calls,
        project: str,
        tools: Tools,
        owner: str,
    ) -> None:
        """``owner`` identifies the class: several may use one project, and each knows its own builds only."""
        self._owner = owner
        self._client = client
        self._logs = logs
        self._calls = calls
        self._project = project
        self._tools = tools

    async def all(self) -> list[Build]:
        """The newest builds of the project that make images, the newest first: all that run, and some that have ended.

        Goes back page by page as long as a page still shows builds that run.
        """
        found: list[Build] = []
        more: dict[str, Any] = {}
        while True:
            page = await self._calls(
                self._client.list_builds_for_project, projectName=self._project, sortOrder="DESCENDING", **more
            )
            described = await self._described(page.get("ids", []))
            ours = (each for each in described.values() if _variable(each, OWNER_VARIABLE) == self._owner)
            found += [_build(each, image) for each in ours if (image := _variable(each, IMAGE_VARIABLE)) is not None]
            if not page.get("nextToken") or not any(_is_running(each) for each in described.values()):
                return found
            more = {"nextToken": page["nextToken"]}

    async def refresh(self, builds: Sequence[Build]) -> list[Build]:
        """The same builds as they are now, in their order; one that is not found any more counts as stopped."""
        described = await self._described([build.id for build in builds])
        return [_build(described[build.id], build.image) if build.id in described else _lost(build) for build in builds]

    async def begin(self, target: BuildTarget, *, attempt: int, timeout_seconds: int) -> Build:
        """Begin to make an image. The same ``attempt`` at the same image within five minutes is the same build.

        Raises QuotaExceeded while CodeBuild takes no more builds. ``attempt`` must count builds that were stopped too.
        """
        answer = await self._calls(
            self._client.start_build,
            projectName=self._project,
            buildspecOverride=buildspec(target, self._tools),
            environmentVariablesOverride=variables(target, self._owner),  # type: ignore[arg-type]  # dictionaries of its form
            timeoutInMinutesOverride=_minutes(timeout_seconds),
            idempotencyToken=hashlib.sha256(f"{self._owner} {target.image} {attempt}".encode()).hexdigest(),
            **_source(target),
        )
        return _build(answer["build"], target.image)

    async def stop(self, build: Build) -> None:
        """Stop a build; one that has ended or does not exist is fine."""
        try:
            await self._calls(self._client.stop_build, id=build.id)
        except errors.NotFound:
            return
        except errors.Invalid:
            if any(each.is_running for each in await self.refresh([build])):
                raise

    async def last_lines(self, build: Build, *, count: int) -> tuple[str, ...]:
        """The newest lines that the build's commands wrote, oldest first; CodeBuild's own if there are no others."""
        described = (await self._described([build.id])).get(build.id, {})
        logs = described.get("logs", {})
        group, stream = logs.get("groupName"), logs.get("streamName")
        if not group or not stream:
            return ()
        try:
            answer = await self._calls(
                self._logs.get_log_events,
                logGroupName=group,
                logStreamName=stream,
                limit=count + _LINES_BESIDE,
                startFromHead=False,
            )
        except errors.NotFound:
            return ()
        lines = [line.rstrip() for event in answer["events"] for line in event["message"].splitlines() if line.strip()]
        own = [line for line in lines if not _BOOKKEEPING.match(line)]
        return telling_lines(own or lines, count=count)

    async def _described(self, ids: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for start in range(0, len(ids), MOST):
            batch = list(ids[start : start + MOST])
            answer = await self._calls(self._client.batch_get_builds, ids=batch)
            builds: Iterable[Any] = answer["builds"]
            found |= {each["id"]: each for each in builds}
        return {id_: found[id_] for id_ in ids if id_ in found}


def _source(target: BuildTarget) -> dict[str, Any]:
    origin = target.origin
    if not isinstance(origin, Commit):
        return {"sourceTypeOverride": "NO_SOURCE"}
    types = (kind for host, kind in _SOURCE_TYPES.items() if origin.location.startswith(host))
    return {
        "sourceTypeOverride": next(types, _OTHER_SOURCE),
        "sourceLocationOverride": origin.location,
        "sourceVersion": origin.revision,
    }


def _minutes(seconds: int) -> int:
    return min(_MOST_MINUTES, max(_LEAST_MINUTES, -(-seconds // 60)))


def _variable(described: Any, name: str) -> str | None:
    given = described.get("environment", {}).get("environmentVariables", [])
    return next((each["value"] for each in given if each["name"] == name), None)


def _build(described: Any, image: str) -> Build:
    failed = _failed_phase(described)
    ended = described.get("endTime")
    return Build(
        id=described["id"],
        image=image,
        result=_result(described, failed),
        step=_step(described, failed),
        started_at=_moment(described["startTime"]),
        ended_at=_moment(ended) if ended else None,
        message=_message(failed),
        log_url=described.get("logs", {}).get("deepLink", ""),
        digest=_pushed(described),
    )


def _pushed(described: Any) -> str | None:
    exported = described.get("exportedEnvironmentVariables", [])
    values = (each.get("value", "") for each in exported if each.get("name") == DIGEST_VARIABLE)
    return next(filter(is_digest, values), None)


def _lost(build: Build) -> Build:
    return replace(
        build,
        result=Result.STOPPED,
        ended_at=build.ended_at or build.started_at,
        message="CodeBuild no longer knows the build",
    )


def _is_running(described: Any) -> bool:
    return _result(described, None) is Result.RUNNING


def _result(described: Any, failed: Mapping[str, Any] | None) -> Result:
    result = _RESULTS.get(described.get("buildStatus", ""), Result.FAULT)
    is_before_all = failed is not None and _STEPS.get(failed["phaseType"]) is Step.WAITING
    # The commit did not cause the failure of a build that never started: CodeBuild had no machine for too long.
    return Result.FAULT if is_before_all and result in (Result.FAILED, Result.TIMED_OUT) else result


def _step(described: Any, failed: Mapping[str, Any] | None) -> Step:
    if failed is None:
        return _STEPS.get(described.get("currentPhase", "SUBMITTED"), Step.PUSHING)
    if failed["phaseType"] in _NOT_OF_THE_COMMIT and failed["phaseStatus"] == "FAILED":
        return Step.WAITING
    return _STEPS.get(failed["phaseType"], Step.PUSHING)


def _failed_phase(described: Any) -> Mapping[str, Any] | None:
    """The first phase that did not succeed of a build that has ended; the later ones fail for its sake."""
    if _is_running(described):
        return None
    return next((each for each in described.get("phases", []) if each.get("phaseStatus") in _UNSUCCESSFUL), None)


def _message(failed: Mapping[str, Any] | None) -> str:
    contexts = failed.get("contexts", []) if failed else []
    messages = (_OUR_COMMAND.sub("", " ".join(each["message"].split())) for each in contexts if each.get("message"))
    text = "; ".join(messages).strip()
    if len(text) <= MESSAGE_LENGTH:
        return text
    return f"{text[: MESSAGE_LENGTH - _LAST_WORDS - 1]}…{text[-_LAST_WORDS:]}"


def _moment(time: datetime) -> datetime:
    return time.astimezone(UTC)
