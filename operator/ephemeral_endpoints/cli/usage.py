"""What CloudWatch has counted of an object, read with the AWS credentials of this shell."""

from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from ephemeral_endpoints.cli.credentials import CONFIG, mismatch
from ephemeral_endpoints.features.capacity.usage import Metric

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_cloudwatch.type_defs import DimensionTypeDef, MetricDataQueryTypeDef, MetricTypeDef

PERIOD_SECONDS: Final = 3600
"""CloudWatch keeps sums of whole hours the longest:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html."""

_COMPLETE: Final = "Complete"
_PARTIAL: Final = "PartialData"
_MOST_PAGES: Final = 100


class UsageUnavailable(Exception):  # noqa: N818 - what it is about
    """What was counted cannot be read; the message says what is missing."""


def sums(
    metrics: Iterable[Metric], *, region: str, account: str, start: datetime, end: datetime
) -> dict[Metric, Decimal | None]:
    """The sums of metrics in an account since the hour of ``start``; None for one that CloudWatch does not tell.

    Blocks; raises UsageUnavailable.
    """
    asked = list(dict.fromkeys(metrics))
    since = start.replace(minute=0, second=0, microsecond=0)
    try:
        session = boto3.Session(region_name=region)
        if wrong := mismatch(session, account, "CloudWatch has counted"):
            raise UsageUnavailable(wrong)
        with closing(session.client("cloudwatch", config=CONFIG)) as cloudwatch:
            return _read(cloudwatch, asked, since, end)
    except (BotoCoreError, ClientError) as error:
        raise UsageUnavailable(
            f"CloudWatch cannot be asked: {error}. It is read with the AWS credentials of this shell, which need "
            f"cloudwatch:GetMetricData in the account {account}"
        ) from error


def _read(
    cloudwatch: "CloudWatchClient", asked: list[Metric], start: datetime, end: datetime
) -> dict[Metric, Decimal | None]:
    by_id = {f"m{number}": metric for number, metric in enumerate(asked)}
    totals = dict.fromkeys(by_id, Decimal(0))
    states: dict[str, str] = {}
    further: dict[str, str] = {}
    queries = [_query(name, metric) for name, metric in by_id.items()]
    for _ in range(_MOST_PAGES):
        answer = cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=start, EndTime=end, **further)  # type: ignore[arg-type]  # a token
        for each in answer["MetricDataResults"]:
            name = each["Id"]
            totals[name] += sum((Decimal(str(value)) for value in each["Values"]), Decimal(0))
            # A failure stays one, whatever further pages say.
            if states.get(name, _PARTIAL) in {_COMPLETE, _PARTIAL}:
                states[name] = each["StatusCode"]
        if not (token := answer.get("NextToken")):
            break
        further = {"NextToken": token}
    else:
        states.clear()
    return {metric: totals[name] if states.get(name) == _COMPLETE else None for name, metric in by_id.items()}


def _query(name: str, metric: Metric) -> "MetricDataQueryTypeDef":
    dimensions: list[DimensionTypeDef] = [{"Name": key, "Value": value} for key, value in metric.dimensions]
    found: MetricTypeDef = {"Namespace": metric.namespace, "MetricName": metric.name, "Dimensions": dimensions}
    return {"Id": name, "MetricStat": {"Metric": found, "Period": PERIOD_SECONDS, "Stat": "Sum"}}
