"""A build, its phases, and its form in answers; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from eep_platform.emulation.account import Account

CLOUDWATCH_DISABLED = "DISABLED"


class BuildStatus(StrEnum):
    """The status of a build or of one of its phases."""

    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    FAULT = "FAULT"
    STOPPED = "STOPPED"
    TIMED_OUT = "TIMED_OUT"


class PhaseType(StrEnum):
    """The phases in order."""

    SUBMITTED = "SUBMITTED"
    QUEUED = "QUEUED"
    PROVISIONING = "PROVISIONING"
    DOWNLOAD_SOURCE = "DOWNLOAD_SOURCE"
    INSTALL = "INSTALL"
    PRE_BUILD = "PRE_BUILD"
    BUILD = "BUILD"
    POST_BUILD = "POST_BUILD"
    UPLOAD_ARTIFACTS = "UPLOAD_ARTIFACTS"
    FINALIZING = "FINALIZING"
    COMPLETED = "COMPLETED"


@dataclass(frozen=True, slots=True)
class PhaseContext:
    """The reason for a phase's status."""

    code: str = ""
    message: str = ""


NO_REASON = PhaseContext()


@dataclass(slots=True)
class Phase:
    """A phase that a build has entered."""

    type: PhaseType
    start: datetime
    end: datetime | None = None
    status: BuildStatus | None = None
    context: PhaseContext = NO_REASON

    def shown(self) -> dict[str, Any]:
        """The phase in BatchGetBuilds' answer; COMPLETED has neither status nor end."""
        if self.end is None:
            return {"phaseType": self.type, "startTime": self.start}
        return {
            "phaseType": self.type,
            "phaseStatus": self.status,
            "startTime": self.start,
            "endTime": self.end,
            "durationInSeconds": round((self.end - self.start).total_seconds()),
            "contexts": [{"statusCode": self.context.code, "message": self.context.message}],
        }


@dataclass(slots=True)
class Build:
    """One build. `order` holds the project's settings with the overrides of StartBuild."""

    account: Account
    project: str
    uuid: str
    number: int
    order: Mapping[str, Any]
    started: datetime
    status: BuildStatus = BuildStatus.IN_PROGRESS
    phases: list[Phase] = field(default_factory=list)
    resolved_version: str | None = None
    ended: datetime | None = None
    exported: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The ID in requests."""
        return f"{self.project}:{self.uuid}"

    @property
    def arn(self) -> str:
        """The ARN of the build."""
        return self.account.arn("codebuild", f"build/{self.id}")

    @property
    def is_over(self) -> bool:
        """Whether all its processes have ended."""
        return self.ended is not None

    @property
    def is_queued(self) -> bool:
        """Whether the build is waiting in the queue."""
        return self.phases[-1].type is PhaseType.QUEUED and self.phases[-1].end is None

    @property
    def log_group(self) -> str:
        """The log group for its output."""
        return str(self._cloudwatch.get("groupName") or f"/aws/codebuild/{self.project}")

    @property
    def log_stream(self) -> str:
        """The log stream for its output."""
        prefix = self._cloudwatch.get("streamName")
        return f"{prefix}/{self.uuid}" if prefix else self.uuid

    @property
    def is_logged(self) -> bool:
        """Whether its output goes to CloudWatch Logs."""
        return self._cloudwatch.get("status") != CLOUDWATCH_DISABLED

    @property
    def _cloudwatch(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.order.get("logsConfig", {}).get("cloudWatchLogs", {})
        return found

    def begin_phase(self, phase: PhaseType, now: datetime) -> None:
        """Begin a phase; the previous one must have ended."""
        self.phases.append(Phase(phase, now))

    def end_phase(self, status: BuildStatus, now: datetime, context: PhaseContext = NO_REASON) -> None:
        """End the present phase; the last status other than SUCCEEDED becomes the build's."""
        phase = self.phases[-1]
        phase.end, phase.status, phase.context = now, status, context
        if status is not BuildStatus.SUCCEEDED:
            self.status = status

    def complete(self, now: datetime) -> None:
        """End the build; it succeeded if no phase had another status."""
        self.begin_phase(PhaseType.COMPLETED, now)
        self.ended = now
        if self.status is BuildStatus.IN_PROGRESS:
            self.status = BuildStatus.SUCCEEDED

    @property
    def succeeding(self) -> bool:
        """Whether all phases so far succeeded."""
        return all(phase.status in {None, BuildStatus.SUCCEEDED} for phase in self.phases)

    def shown(self) -> dict[str, Any]:
        """The build in BatchGetBuilds' answer. The status is IN_PROGRESS until it is over, even if a phase failed."""
        copied = ("source", "sourceVersion", "environment", "serviceRole", "cache", "vpcConfig", "encryptionKey")
        return {
            **{name: self.order[name] for name in copied if name in self.order},
            "id": self.id,
            "arn": self.arn,
            "buildNumber": self.number,
            "projectName": self.project,
            "startTime": self.started,
            "endTime": self.ended,
            "currentPhase": self.phases[-1].type,
            "buildStatus": self.status if self.is_over else BuildStatus.IN_PROGRESS,
            "buildComplete": self.is_over,
            "phases": [phase.shown() for phase in self.phases],
            "resolvedSourceVersion": self.resolved_version,
            "exportedEnvironmentVariables": [{"name": name, "value": value} for name, value in self.exported.items()],
            "artifacts": {"location": ""},
            "logs": self._logs(),
            "timeoutInMinutes": self.order["timeoutInMinutes"],
            "queuedTimeoutInMinutes": self.order["queuedTimeoutInMinutes"],
            "initiator": "root",
        }

    def _logs(self) -> dict[str, Any]:
        config = self.order.get("logsConfig", {})
        shown = {
            "cloudWatchLogs": {"status": "ENABLED"} | dict(self._cloudwatch),
            "s3Logs": config.get("s3Logs", {"status": "DISABLED", "encryptionDisabled": False}),
        }
        if not self.is_logged:
            return shown
        region = self.account.region
        console = f"https://console.aws.amazon.com/cloudwatch/home?region={region}#logsV2:log-groups/log-group"
        return shown | {
            "groupName": self.log_group,
            "streamName": self.log_stream,
            "deepLink": f"{console}/{quote(self.log_group, safe='')}/log-events/{quote(self.log_stream, safe='')}",
            "cloudWatchLogsArn": self.account.arn("logs", f"log-group:{self.log_group}:log-stream:{self.log_stream}"),
        }
