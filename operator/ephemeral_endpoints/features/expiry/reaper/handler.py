"""The entry of the Lambda function: reads its rules from the environment, makes a run and reports it."""

import os
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final

import boto3
from botocore.config import Config

from ephemeral_endpoints.features.expiry.reaper.deletion import THREADS
from ephemeral_endpoints.features.expiry.reaper.kinds import Aws
from ephemeral_endpoints.features.expiry.reaper.policy import Rules
from ephemeral_endpoints.features.expiry.reaper.report import NAMESPACE_OF_METRICS, Report
from ephemeral_endpoints.features.expiry.reaper.run import Run

CONFIG: Final = Config(
    connect_timeout=5,
    read_timeout=10,
    retries={"total_max_attempts": 3, "mode": "standard"},
    max_pool_connections=THREADS,
)
SPARE_SECONDS: Final = 60
"""What a call that hangs may take, and the report after it: a run ends so long before Lambda would end it."""


def handle(_: object, context: Any) -> dict[str, Any]:
    """Make one run. Raises what kept it from reading everything: Lambda counts that as an error."""
    make: Callable[..., Any] = boto3.client
    aws = Aws(partial(make, config=CONFIG), time.time)  # noqa: TID251 - the clock is injected here
    return reap(os.environ, aws, context.get_remaining_time_in_millis)


def reap(environment: Mapping[str, str], aws: Aws, remaining_millis: Any) -> dict[str, Any]:
    """Make one run and report it, whatever became of it."""
    rules = rules_of(environment)
    report = Report(rules.cluster_id, rules.class_name)
    try:
        Run(aws, rules, report, lambda: remaining_millis() < SPARE_SECONDS * 1000).run()
    except Exception as error:
        report.failed("run", error)
        raise
    finally:
        report.calls = aws.calls + 1
        print(report.json(), flush=True)  # noqa: T201 - Lambda's log
        aws.client("cloudwatch").put_metric_data(Namespace=NAMESPACE_OF_METRICS, MetricData=report.metrics())
        if (topic := environment.get("TOPIC_ARN")) and report.tells_something:
            subject = f"Reaper of class {rules.class_name} in cluster {rules.cluster_id}"
            aws.client("sns").publish(TopicArn=topic, Subject=subject[:100], Message=report.json())
    return {"deleted": len(report.deleted), "held": report.held, "failures": report.failures}


def rules_of(environment: Mapping[str, str]) -> Rules:
    """The rules that the environment of the function sets. Raises ValueError for a grace that is too short."""
    return Rules(
        environment["CLUSTER_ID"],
        environment["CLASS_NAME"],
        timedelta(hours=float(environment.get("GRACE_HOURS", "24"))),
        int(environment.get("MOST_OBJECTS", "100")),
        float(environment.get("MOST_SHARE_PERCENT", "20")) / 100,
        timedelta(days=float(environment.get("REPOSITORY_DAYS", "30"))),
    )
