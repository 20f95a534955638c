"""Jobs as the Describe and List operations show them; pure."""

from collections.abc import Mapping
from typing import Any

from eep_platform.sagemaker.jobs.states import Job, JobStatus, Phase, Transition
from eep_platform.sagemaker.jobs.training import is_spot, model_artifacts

_NO_MODEL = frozenset({JobStatus.FAILED, JobStatus.IN_PROGRESS, JobStatus.STOPPING})


def training_job(job: Job) -> dict[str, Any]:
    """DescribeTrainingJob's answer."""
    seconds = round((job.ended - job.started).total_seconds()) if job.started and job.ended else None
    has_model = job.status not in _NO_MODEL or job.phase is Phase.UPLOADING
    spent = None if seconds is None else max(1, seconds)
    return {
        **_shown(job.request),
        **training_summary(job),
        "ModelArtifacts": {"S3ModelArtifacts": model_artifacts(job.request)} if has_model else None,
        "StoppingCondition": {"MaxRuntimeInSeconds": 86_400, **job.request.get("StoppingCondition", {})},
        "FailureReason": job.failure_reason or None,
        "TrainingStartTime": job.started,
        "SecondaryStatusTransitions": [_transition(each) for each in job.transitions],
        "FinalMetricDataList": [
            {"MetricName": name, "Value": metric.value, "Timestamp": metric.time}
            for name, metric in job.metrics.items()
        ]
        or None,
        "EnableNetworkIsolation": job.request.get("EnableNetworkIsolation", False),
        "EnableInterContainerTrafficEncryption": job.request.get("EnableInterContainerTrafficEncryption", False),
        "EnableManagedSpotTraining": is_spot(job.request),
        "TrainingTimeInSeconds": spent,
        "BillableTimeInSeconds": spent,
    }


def training_summary(job: Job) -> dict[str, Any]:
    """A job as ListTrainingJobs shows it."""
    return {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "CreationTime": job.created,
        "TrainingEndTime": job.ended,
        "LastModifiedTime": job.modified,
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.phase,
    }


def processing_job(job: Job) -> dict[str, Any]:
    """DescribeProcessingJob's answer."""
    return {**_shown(job.request), **processing_summary(job), "ProcessingStartTime": job.started}


def processing_summary(job: Job) -> dict[str, Any]:
    """A job as ListProcessingJobs shows it."""
    return {
        "ProcessingJobName": job.name,
        "ProcessingJobArn": job.arn,
        "CreationTime": job.created,
        "ProcessingEndTime": job.ended,
        "LastModifiedTime": job.modified,
        "ProcessingJobStatus": job.status,
        "FailureReason": job.failure_reason or None,
        "ExitMessage": job.exit_message or None,
    }


def transform_job(job: Job) -> dict[str, Any]:
    """DescribeTransformJob's answer."""
    return {**_shown(job.request), **transform_summary(job), "TransformStartTime": job.started}


def transform_summary(job: Job) -> dict[str, Any]:
    """A job as ListTransformJobs shows it."""
    return {
        "TransformJobName": job.name,
        "TransformJobArn": job.arn,
        "CreationTime": job.created,
        "TransformEndTime": job.ended,
        "LastModifiedTime": job.modified,
        "TransformJobStatus": job.status,
        "FailureReason": job.failure_reason or None,
    }


def _shown(request: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in request.items() if name != "Tags"}


def _transition(transition: Transition) -> dict[str, Any]:
    return {
        "Status": transition.phase,
        "StartTime": transition.start,
        "EndTime": transition.end,
        "StatusMessage": transition.message,
    }
