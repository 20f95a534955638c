"""What AWS has counted of an object, and keeps for it, read with the AWS credentials of this shell."""

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from ephemeral_endpoints.cli.credentials import CONFIG, mismatch
from ephemeral_endpoints.features.capacity.usage import Metric, Number, Source, StoredImage, StoredLogs, StoredModel
from ephemeral_endpoints.features.images.references import ImageReference, facts_of_manifest

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


@dataclass(frozen=True, slots=True)
class Counts:
    """What sources have counted; None of one that AWS does not tell, and why in ``unread``."""

    by_source: Mapping[Source, Decimal | None]
    unread: tuple[str, ...] = ()


@dataclass(slots=True)
class _Reader:
    """Reads what is kept in bytes. A right that is missing costs the lines that need it, and no other."""

    session: boto3.Session
    unread: list[str] = field(default_factory=list)

    def read(self, source: Source) -> Decimal | None:
        """The bytes; None if they cannot be read."""
        try:
            match source:
                case StoredLogs(group):
                    return self._logs(group)
                case StoredImage(uri, digest):
                    return self._image(ImageReference.parse(uri), digest)
                case StoredModel(arn):
                    return self._model(arn)
                case _:
                    return None
        except (BotoCoreError, ClientError) as error:
            self.unread.append(str(error))
            return None

    def _logs(self, group: str) -> Decimal:
        with closing(self.session.client("logs", config=CONFIG)) as logs:
            answer = logs.describe_log_groups(logGroupNamePrefix=group)
        # The names that begin with a name come after it. A group that is gone keeps nothing.
        found = (each.get("storedBytes", 0) for each in answer["logGroups"] if each.get("logGroupName") == group)
        return Decimal(next(found, 0))

    def _image(self, reference: ImageReference, digest: str) -> Decimal | None:
        registry = reference.registry
        with closing(self.session.client("ecr", region_name=registry.region, config=CONFIG)) as ecr:
            answer = ecr.batch_get_image(
                registryId=registry.account, repositoryName=reference.repository, imageIds=[{"imageDigest": digest}]
            )
        sizes = (facts_of_manifest(each["imageManifest"]).size_bytes for each in answer["images"])
        size = next(sizes, None)
        return None if size is None else Decimal(size)

    def _model(self, arn: str) -> Decimal:
        with closing(self.session.client("sagemaker", config=CONFIG)) as sagemaker:
            package: Any = sagemaker.describe_model_package(ModelPackageName=arn)
        containers = package.get("InferenceSpecification", {}).get("Containers", [])
        urls = dict.fromkeys(filter(None, (each.get("ModelDataUrl") for each in containers)))
        with closing(self.session.client("s3", config=CONFIG)) as s3:
            places = [(parts.netloc, parts.path.lstrip("/")) for parts in map(urlsplit, urls)]
            sizes = [s3.head_object(Bucket=bucket, Key=key)["ContentLength"] for bucket, key in places]
        return Decimal(sum(sizes))


def counts(sources: Iterable[Source], *, region: str, account: str, start: datetime, end: datetime) -> Counts:
    """What the sources of an account have counted since the hour of ``start``, and keep now.

    Blocks; raises UsageUnavailable if the metrics cannot be read. What else cannot be read is left out and named.
    """
    asked = [each for each in dict.fromkeys(sources) if not isinstance(each, Number)]
    metrics = [each for each in asked if isinstance(each, Metric)]
    since = start.replace(minute=0, second=0, microsecond=0)
    try:
        session = boto3.Session(region_name=region)
        if wrong := mismatch(session, account, "CloudWatch has counted"):
            raise UsageUnavailable(wrong)
        with closing(session.client("cloudwatch", config=CONFIG)) as cloudwatch:
            found = _read(cloudwatch, metrics, since, end) if metrics else {}
    except (BotoCoreError, ClientError) as error:
        raise UsageUnavailable(
            f"CloudWatch cannot be asked: {error}. It is read with the AWS credentials of this shell, which need "
            f"cloudwatch:GetMetricData in the account {account}"
        ) from error
    reader = _Reader(session)
    found |= {each: reader.read(each) for each in asked if not isinstance(each, Metric)}
    return Counts(found, tuple(dict.fromkeys(reader.unread)))


def _read(
    cloudwatch: "CloudWatchClient", asked: list[Metric], start: datetime, end: datetime
) -> dict[Source, Decimal | None]:
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
