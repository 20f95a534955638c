"""The EventBridge event of a build that has begun or ended: `CodeBuild Build State Change`.

Source: "Build notifications input format reference" in the CodeBuild user guide
(https://docs.aws.amazon.com/codebuild/latest/userguide/sample-build-notifications-ref.html).
"""

import json
from datetime import datetime
from typing import Any

from eep_platform.codebuild.builds import Build, Phase

_TIME = "%b %-d, %Y %-I:%M:%S %p"


def state_change(build: Build, now: datetime) -> dict[str, Any]:
    """The entry for PutEvents that announces the build's present state. Its `build-id` is the ARN."""
    shown = build.shown()
    detail = {
        "build-status": shown["buildStatus"],
        "project-name": build.project,
        "build-id": build.arn,
        "additional-information": _information(build, shown),
        "current-phase": shown["currentPhase"],
        "current-phase-context": "[]",
        "version": "1",
    }
    return {
        "Source": "aws.codebuild",
        "DetailType": "CodeBuild Build State Change",
        "Detail": json.dumps(detail),
        "Resources": [build.arn],
        "Time": now,
    }


def _information(build: Build, shown: dict[str, Any]) -> dict[str, Any]:
    environment, logs = build.order["environment"], shown["logs"]
    return {
        "environment": {
            "image": environment["image"],
            "privileged-mode": environment.get("privilegedMode", False),
            "compute-type": environment["computeType"],
            "type": environment["type"],
            "environment-variables": environment["environmentVariables"],
        },
        "timeout-in-minutes": build.order["timeoutInMinutes"],
        "queued-timeout-in-minutes": build.order["queuedTimeoutInMinutes"],
        "build-number": float(build.number),
        "build-complete": build.is_over,
        "initiator": shown["initiator"],
        "build-start-time": build.started.strftime(_TIME),
        "source": {name: build.order["source"][name] for name in ("location", "type") if name in build.order["source"]},
        "logs": {
            name: logs[member]
            for name, member in (("group-name", "groupName"), ("stream-name", "streamName"), ("deep-link", "deepLink"))
            if member in logs
        },
        "phases": [_phase(each) for each in build.phases],
    }


def _phase(phase: Phase) -> dict[str, Any]:
    began = {"phase-type": phase.type, "start-time": phase.start.strftime(_TIME)}
    if phase.end is None:
        return began
    context = phase.context
    return began | {
        "phase-context": [f"{context.code}: {context.message}"] if context.code else [],
        "phase-status": phase.status,
        "end-time": phase.end.strftime(_TIME),
        "duration-in-seconds": round((phase.end - phase.start).total_seconds()),
    }
