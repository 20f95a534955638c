"""The CloudWatch side of a policy: its two alarms and the metric that it tracks."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from eep_platform.autoscaling.tracking import HIGH_PERIODS, LOW_PART, LOW_PERIODS, PERIOD_SECONDS
from eep_platform.emulation.aws import Aws
from eep_platform.sagemaker.metrics import NAMESPACE

PREDEFINED = "SageMakerVariantInvocationsPerInstance"
_LOOK_BACK = timedelta(minutes=3)
_log = logging.getLogger(__name__)


class PolicyAlarms:
    """The alarms of policies."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    async def put(
        self, resource_id: str, policy_arn: str, config: Mapping[str, Any], present: Mapping[str, str]
    ) -> dict[str, str]:
        """Create the alarms of a policy, or update the `present` ones; returns ARNs by name. Raises boto3's errors."""
        high, low = present or (f"TargetTracking-{resource_id}-Alarm{side}-{uuid4()}" for side in ("High", "Low"))
        shared = metric(resource_id, config) | {
            "Period": PERIOD_SECONDS,
            "AlarmActions": [policy_arn],
            "AlarmDescription": f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy_arn}.",
        }
        target = float(config["TargetValue"])
        await self._aws.call(
            "cloudwatch",
            "put_metric_alarm",
            AlarmName=high,
            ComparisonOperator="GreaterThanThreshold",
            Threshold=target,
            EvaluationPeriods=HIGH_PERIODS,
            **shared,
        )
        await self._aws.call(
            "cloudwatch",
            "put_metric_alarm",
            AlarmName=low,
            ComparisonOperator="LessThanThreshold",
            Threshold=target * LOW_PART,
            EvaluationPeriods=LOW_PERIODS,
            **shared,
        )
        described = await self._aws.call("cloudwatch", "describe_alarms", AlarmNames=[high, low])
        arns = {alarm["AlarmName"]: alarm["AlarmArn"] for alarm in described["MetricAlarms"]}
        return {high: arns[high], low: arns[low]}

    async def delete(self, names: Sequence[str]) -> None:
        """Delete alarms; raises botocore's errors."""
        if names:
            await self._aws.call("cloudwatch", "delete_alarms", AlarmNames=list(names))

    async def delete_if_possible(self, names: Sequence[str]) -> None:
        """Delete alarms; logs a warning if that fails."""
        try:
            await self.delete(names)
        except (BotoCoreError, ClientError) as error:
            _log.warning("cannot delete the alarms %s: %s", ", ".join(names), error)

    async def latest(self, resource_id: str, config: Mapping[str, Any], now: datetime) -> float | None:
        """The latest value of a policy's metric; None if CloudWatch has none. Raises botocore's errors."""
        wanted = metric(resource_id, config)
        statistic = wanted.pop("Statistic")
        answer = await self._aws.call(
            "cloudwatch",
            "get_metric_statistics",
            StartTime=now - _LOOK_BACK,
            EndTime=now + timedelta(seconds=1),
            Period=PERIOD_SECONDS,
            Statistics=[statistic],
            **wanted,
        )
        points = sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])
        return float(points[-1][statistic]) if points else None


def metric(resource_id: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The metric of a policy in the form of CloudWatch's requests; pure."""
    customized = config.get("CustomizedMetricSpecification")
    if customized:
        members = ("MetricName", "Namespace", "Dimensions", "Statistic", "Unit")
        return {member: customized[member] for member in members if member in customized}
    _, endpoint, _, variant = resource_id.split("/")
    return {
        "MetricName": "InvocationsPerInstance",
        "Namespace": NAMESPACE,
        "Dimensions": [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}],
        "Statistic": "Sum",
    }
