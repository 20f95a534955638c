"""A build as a value that goes through its phases, and how answers show it; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from ephemeral_endpoints.local.sagemaker.store import Account

CLOUDWATCH_DISABLED = "DISABLED"


class Status(StrEnum):
    """How a build, or one of its phases, stands."""

    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    FAULT = "FAULT"
    STOPPED = "STOPPED"
    TIMED_OUT = "TIMED_OUT"


class PhaseType(StrEnum):
    """The phases in their order."""

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
class Context:
    """Why a phase ended as it did."""

    code: str = ""
    message: str = ""


NO_REASON = Context()


@dataclass(slots=True)
class Phase:
    """One phase that a build has entered."""

    type: PhaseType
    start: datetime
    end: datetime | None = None
    status: Status | None = None
    context: Context = NO_REASON

    def shown(self) -> dict[str, Any]:
        """As BatchGetBuilds has it; COMPLETED has neither status nor end."""
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
    """One build. `order` is what it was asked for: the project's settings under the overrides of StartBuild."""

    account: Account
    project: str
    uuid: str
    number: int
    order: Mapping[str, Any]
    started: datetime
    status: Status = Status.IN_PROGRESS
    phases: list[Phase] = field(default_factory=list)
    resolved_version: str | None = None
    ended: datetime | None = None

    @property
    def id(self) -> str:
        """What requests name it by."""
        return f"{self.project}:{self.uuid}"

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.account.arn(f"build/{self.id}", service="codebuild")

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.ended is not None

    @property
    def is_queued(self) -> bool:
        """Whether it waits for its turn."""
        return self.phases[-1].type is PhaseType.QUEUED and self.phases[-1].end is None

    @property
    def log_group(self) -> str:
        """The log group that its output goes to."""
        return str(self._cloudwatch.get("groupName") or f"/aws/codebuild/{self.project}")

    @property
    def log_stream(self) -> str:
        """The stream of its own."""
        prefix = self._cloudwatch.get("streamName")
        return f"{prefix}/{self.uuid}" if prefix else self.uuid

    @property
    def is_logged(self) -> bool:
        """Whether its output goes to CloudWatch Logs at all."""
        return self._cloudwatch.get("status") != CLOUDWATCH_DISABLED

    @property
    def _cloudwatch(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.order.get("logsConfig", {}).get("cloudWatchLogs", {})
        return found

    def enter(self, phase: PhaseType, now: datetime) -> None:
        """Begin a phase; the one before must have been left."""
        self.phases.append(Phase(phase, now))

    def leave(self, status: Status, now: datetime, context: Context = NO_REASON) -> None:
        """End the phase that it is in; the last one that was no success is the outcome of the build."""
        phase = self.phases[-1]
        phase.end, phase.status, phase.context = now, status, context
        if status is not Status.SUCCEEDED:
            self.status = status

    def complete(self, now: datetime) -> None:
        """Be over, with success if no phase ended otherwise."""
        self.enter(PhaseType.COMPLETED, now)
        self.ended = now
        if self.status is Status.IN_PROGRESS:
            self.status = Status.SUCCEEDED

    @property
    def succeeding(self) -> bool:
        """Whether no phase has ended otherwise than with success so far."""
        return all(phase.status in {None, Status.SUCCEEDED} for phase in self.phases)

    def shown(self) -> dict[str, Any]:
        """As BatchGetBuilds has it. While phases still run the status is IN_PROGRESS, whatever failed before."""
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
            "buildStatus": self.status if self.is_over else Status.IN_PROGRESS,
            "buildComplete": self.is_over,
            "phases": [phase.shown() for phase in self.phases],
            "resolvedSourceVersion": self.resolved_version,
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
            "cloudWatchLogsArn": self.account.arn(
                f"log-group:{self.log_group}:log-stream:{self.log_stream}", service="logs"
            ),
        }
