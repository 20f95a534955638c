"""CloudWatch alarms."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ephemeral_endpoints.aws.batches import Batches, Fill
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.component import Scope, expect, pages, tag_list, tag_map
from ephemeral_endpoints.core import errors
from ephemeral_endpoints.core.names import owner_of
from ephemeral_endpoints.core.resources import AlarmSpec, Have, Haves, Key, Kind, Phase, Want
from ephemeral_endpoints.core.tags import Tags

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient

PAGE: Final = 100


class AlarmComponent:
    """Alarms; a change of one takes no tags (PutMetricAlarm ignores them then)."""

    kind: ClassVar = Kind.ALARM
    actions: ClassVar = frozenset(
        {
            "cloudwatch:DeleteAlarms",
            "cloudwatch:DescribeAlarms",
            "cloudwatch:ListTagsForResource",
            "cloudwatch:PutMetricAlarm",
            "cloudwatch:TagResource",
        }
    )

    def __init__(self, client: "CloudWatchClient", scope: Scope) -> None:
        self._client = client
        self._scope = scope
        self._deletions: Batches[str, None] = Batches(self._delete, most=PAGE)

    async def observe(self, calls: Calls, known: Haves) -> list[Have]:
        """See ``Component``."""
        listing = pages(
            calls,
            self._client.describe_alarms,
            AlarmNamePrefix=self._scope.prefix,
            AlarmTypes=["MetricAlarm"],
            MaxRecords=PAGE,
        )
        return [self._have(item) async for page in listing for item in page["MetricAlarms"]]

    async def look(self, calls: Calls, key: Key, known: Haves) -> Have | None:
        """See ``Component``."""
        answer = await calls(self._client.describe_alarms, AlarmNames=[key.name], AlarmTypes=["MetricAlarm"])
        return next((self._have(item) for item in answer["MetricAlarms"]), None)

    async def tags(self, calls: Calls, have: Have) -> Mapping[str, str]:
        """See ``Component``."""
        answer = await calls(self._client.list_tags_for_resource, ResourceARN=have.arn)
        return tag_map(list(answer["Tags"]))

    async def mark(self, calls: Calls, have: Have, marks: Tags) -> None:
        """See ``Component``."""
        await calls(self._client.tag_resource, ResourceARN=have.arn, Tags=tag_list(marks))

    async def apply(self, calls: Calls, want: Want, have: Have | None, known: Haves) -> Have:
        """See ``Component``. CloudWatch creates and replaces by the same call."""
        spec = expect(want, AlarmSpec)
        await calls(
            self._client.put_metric_alarm,
            AlarmName=want.key.name,
            AlarmDescription=spec.description,
            Namespace=spec.namespace,
            MetricName=spec.metric,
            Dimensions=[{"Name": name, "Value": value} for name, value in spec.dimensions],
            Statistic="Average",
            ComparisonOperator="GreaterThanThreshold",
            Threshold=spec.threshold,
            Period=spec.period_seconds,
            EvaluationPeriods=spec.evaluation_periods,
            TreatMissingData="notBreaching",
            Tags=tag_list(spec.tags),
        )
        scope = self._scope
        arn = f"arn:{scope.partition}:cloudwatch:{scope.region}:{scope.account_id}:alarm:{want.key.name}"
        return Have(want.key, Phase.READY, spec=spec, arn=arn, owner=owner_of(scope.cluster_id, want.key.name))

    async def delete(self, calls: Calls, have: Have, known: Haves) -> None:
        """See ``Component``. CloudWatch takes three such calls a second, each with up to a hundred names."""
        await self._deletions.ask(calls, have.key.name)

    async def _delete(self, calls: Calls, fill: Fill[str]) -> Mapping[str, None]:
        names: list[str] = []

        def arguments() -> dict[str, Any]:
            names[:] = fill()
            return {"AlarmNames": names}

        try:
            await calls.deferred(self._client.delete_alarms, arguments)
        except errors.NotFound:
            # One name that is not there keeps all the others from being deleted.
            if len(names) > 1:
                raise
        return dict.fromkeys(names)

    def _have(self, item: Any) -> Have:
        name = item["AlarmName"]
        return Have(
            Key(self.kind, name),
            Phase.READY,
            spec=AlarmSpec(
                namespace=item.get("Namespace", ""),
                metric=item.get("MetricName", ""),
                dimensions=tuple(sorted((each["Name"], each["Value"]) for each in item.get("Dimensions", []))),
                threshold=item.get("Threshold", 0.0),
                period_seconds=item.get("Period", 0),
                evaluation_periods=item.get("EvaluationPeriods", 0),
                description=item.get("AlarmDescription", ""),
            ),
            arn=item["AlarmArn"],
            owner=owner_of(self._scope.cluster_id, name),
        )
