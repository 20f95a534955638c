"""The account's quotas for jobs; pure."""

from collections.abc import Iterable

from eep_platform.sagemaker.errors import limit_exceeded
from eep_platform.sagemaker.jobs.states import Job
from eep_platform.sagemaker.settings import Quotas

_LONGEST = "Longest run time for a training job"


def refuse_another(quotas: Quotas, usage: str, instance_type: str, running: Iterable[Job]) -> None:
    """Raise `ResourceLimitExceeded` if the quota has no instance for one more job.

    `usage` is such as "training job usage", and `running` are the jobs on instances of this type and usage.
    """
    limit = f"{instance_type} for {usage}"
    allowed = quotas.job_instances.get(limit, quotas.job_instances_of_any_other_type)
    used = sum(not job.is_ended for job in running)
    if allowed != "unlimited" and used + 1 > allowed:
        raise limit_exceeded(limit, unit="Instances", allowed=allowed, used=used, delta=1)


def refuse_long(quotas: Quotas, seconds: int) -> None:
    """Raise `ResourceLimitExceeded` if a training job may not run for so long."""
    allowed = quotas.training_seconds
    if allowed != "unlimited" and seconds > allowed:
        raise limit_exceeded(_LONGEST, unit="Seconds", allowed=allowed, used=0, delta=seconds)
