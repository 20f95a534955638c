"""What has become of a training, as SageMaker tells it. Pure."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Final

from ephemeral_endpoints.api.v1alpha1.training import TrainedStep
from ephemeral_endpoints.engine.conditions import Cause
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.log_lines import quoting
from ephemeral_endpoints.engine.reasons import Reason
from ephemeral_endpoints.features.monitoring.policy import JobStreams
from ephemeral_endpoints.features.training import reasons
from ephemeral_endpoints.features.training.definition import GATE
from ephemeral_endpoints.features.training.job_log import JobLog

EXECUTING: Final = "Executing"
STOPPING: Final = "Stopping"
STOPPED: Final = "Stopped"
FAILED: Final = "Failed"
SUCCEEDED: Final = "Succeeded"
RUNNING: Final = frozenset({EXECUTING, STOPPING})

_AWAITED: Final = "another commit, or a change of the spec or of the class"

# The texts are SageMaker's own and documented nowhere: what they do not match is reported as it is.
_NO_DATA: Final = re.compile(
    r"no s3 objects found|no objects? (were|was) found|nosuchkey|nosuchbucket|\b404\b", re.IGNORECASE
)
_NO_ACCESS: Final = re.compile(r"access ?denied|forbidden|not authorized|\b403\b", re.IGNORECASE)
# The names of jobs are documented by examples only: https://docs.aws.amazon.com/sagemaker/latest/dg/run-pipeline.html
_JOB: Final = re.compile(r"(pipelines-[a-z0-9]+-)(.*)")
_OF_DATA: Final = re.compile(r"\bs3\b|download|upload|bucket|data", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Run:
    """An execution of a pipeline."""

    arn: str
    name: str
    status: str
    failure: str = ""

    @property
    def attempt(self) -> int:
        """Which attempt it is at what its name says that it trains; 0 for a name that is none of ours."""
        number = self.name.rpartition("-")[2]
        return int(number) if number.isascii() and number.isdecimal() else 0


@dataclass(frozen=True, slots=True)
class Step:
    """A step of an execution. ``outcome`` is that of a condition, ``package`` the ARN of what was registered."""

    name: str
    status: str
    job_arn: str | None = None
    is_cached: bool = False
    failure: str = ""
    outcome: str | None = None
    package: str | None = None
    is_fail: bool = False

    @property
    def shown(self) -> TrainedStep:
        """The step in the status of an object."""
        status = "Cached" if self.is_cached and self.status == SUCCEEDED else self.status
        return TrainedStep(name=self.name, status=status, job_arn=self.job_arn, message=self.failure or None)

    @property
    def streams(self) -> JobStreams:
        """The log streams of its job, whose name has that of the step in it, as far as it fits."""
        job = (self.job_arn or "").rpartition("/")[2]
        found = _JOB.fullmatch(job)
        if found is None:
            return JobStreams(job, job)
        same = takewhile(lambda pair: pair[0].lower() == pair[1].lower(), zip(self.name, found[2], strict=False))
        return JobStreams(job, found[1] + "".join(own for own, _ in same))


@dataclass(frozen=True, slots=True)
class Package:
    """A model package as far as it is served."""

    arn: str
    group: str
    image: str
    data_url: str
    evaluation: str | None = None
    """The S3 URL of its figures."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known of a training: the present execution and its results.

    ``metric`` and ``bound`` are those of the gate, ``value`` what the metric was, None where it is not known. ``log``
    is that of a job that failed. ``error`` keeps the operator from going on.
    """

    metric: str
    bound: str
    run: Run | None = None
    steps: tuple[Step, ...] = ()
    value: float | None = None
    log: JobLog = field(default_factory=JobLog)
    package: Package | None = None
    is_waiting: bool = False
    error: ReconcileError | None = None

    @property
    def is_refused(self) -> bool:
        """Whether the gate has refused the model."""
        return self.run is not None and self.run.status == FAILED and was_refused(self.steps)


def was_refused(steps: Iterable[Step]) -> bool:
    """Whether a condition was not met, and no job failed."""
    known = list(steps)
    return any(each.outcome == "False" for each in known) and failed_job(known) is None


def failed_job(steps: Iterable[Step]) -> Step | None:
    """The first step whose job failed."""
    return next((each for each in steps if each.status == FAILED and each.job_arn), None)


def registered(steps: Iterable[Step]) -> str | None:
    """The ARN of the package that a pipeline has registered."""
    return next((each.package for each in steps if each.package and each.status == SUCCEEDED), None)


def number_at(content: bytes, path: str) -> float | None:
    """The number at a path of names in a JSON document; None where there is none that could be compared."""
    try:
        found: Any = json.loads(content)
    except (ValueError, RecursionError):
        return None
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    is_number = isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)
    return float(found) if is_number else None


def cause_of(progress: Progress) -> Cause:
    """Why a training is where it is."""
    run = progress.run
    if run is None:
        waiting = Cause(reasons.WAITING, "the training waits for the image")
        return waiting if progress.is_waiting else Cause(reasons.STARTING, "the operator is starting the pipeline")
    if run.status == SUCCEEDED:
        return _success(progress)
    if run.status == FAILED:
        return _failure(progress, run)
    settled = {
        STOPPED: Cause(reasons.STOPPED, "the pipeline was stopped by another client", _AWAITED),
        STOPPING: Cause(reasons.STOPPING, "SageMaker is stopping the pipeline"),
    }
    running = Cause(reasons.RUNNING, f"the pipeline is running: {_described(progress.steps)}")
    return settled.get(run.status, running)


def _success(progress: Progress) -> Cause:
    jobs = [each for each in progress.steps if each.job_arn]
    value = "" if progress.value is None else f" with {progress.metric} = {progress.value:g}"
    if jobs and all(each.is_cached for each in jobs):
        return Cause(reasons.CACHED, f"the same was trained before{value}; at least {progress.bound} is required")
    return Cause(reasons.SUCCEEDED, f"the model is trained{value}; at least {progress.bound} is required")


def _failure(progress: Progress, run: Run) -> Cause:
    if progress.is_refused:
        value = "an unknown value" if progress.value is None else f"{progress.value:g}"
        message = (
            f"{progress.metric} is {value}, but at least {progress.bound} is required: the model is not registered"
        )
        return Cause(reasons.GATE_FAILED, message, _AWAITED)
    failed = failed_job(progress.steps) or next((each for each in progress.steps if each.status == FAILED), None)
    text = (failed.failure if failed else "") or run.failure or "SageMaker gives no reason"
    where = f"step {failed.name} failed" if failed else "the pipeline failed"
    log = progress.log
    unread = f"; the operator could not read the log of the job: {log.error.described}" if log.error else ""
    message = quoting(f"{where}: {text}{unread}", log.lines)
    return Cause(_reason(failed, text, log.lines), message, _AWAITED)


def _reason(failed: Step | None, text: str, lines: Sequence[str]) -> Reason:
    if failed and failed.name == GATE and not failed.is_fail:
        return reasons.METRIC_MISSING
    # A program may write such words too; then the job had its data, and has a log.
    if not lines and _OF_DATA.search(text):
        found = ((_NO_DATA, reasons.DATA_NOT_FOUND), (_NO_ACCESS, reasons.DATA_DENIED))
        if reason := next((reason for pattern, reason in found if pattern.search(text)), None):
            return reason
    return reasons.JOB_FAILED if failed and failed.job_arn else reasons.PIPELINE_FAILED


def _described(steps: Iterable[Step]) -> str:
    shown = [f"{each.name} {each.shown.status}" for each in steps]
    return ", ".join(shown) or "no step has started"
