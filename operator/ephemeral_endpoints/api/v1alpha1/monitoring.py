"""Logs and alarms of an endpoint."""

from typing import Annotated

from pydantic import Field

from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.types import Integer, RetentionDays


class Alarms(ApiModel):
    """Thresholds of the CloudWatch alarms."""

    enabled: bool = True
    """Whether the endpoint has alarms; without them, none takes a rollout back. Default true."""

    latency_ms: Annotated[Integer, Field(ge=1, le=60_000)] = 5000
    """Latency of the model above which an alarm goes off, in milliseconds, 1 to 60000 (SageMaker's timeout). Default
    5000."""

    error_rate_percent: Annotated[Integer, Field(ge=1, le=100)] = 5
    """Share of failed requests above which an alarm goes off, in percent, 1 to 100. Default 5."""


class Monitoring(ApiModel):
    """Logs and alarms."""

    log_retention_days: RetentionDays = 7
    """Days that log events are kept, one of the values that CloudWatch Logs supports. The logs are deleted with the
    object. Default 7."""

    alarms: Alarms = Alarms()
    """Thresholds of the alarms."""
