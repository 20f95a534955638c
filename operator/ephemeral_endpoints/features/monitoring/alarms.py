"""CloudWatch alarms."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from typing_extensions import override

from ephemeral_endpoints.aws.batches import Batches, Fill
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Component, Scope, expect, items, tag_list, tag_map
from ephemeral_endpoints.engine import errors
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, ObservedResources, Phase
from ephemeral_endpoints.engine.tags import Tags
from ephemeral_endpoints.features.monitoring.iam import ALARMS
from ephemeral_endpoints.features.monitoring.specs import ALARM, IN_ALARM, AlarmSpec
from ephemeral_endpoints.iam.statement import granted

PAGE: Final = 100
_LOW: Final = "LessThanOrEqualToThreshold"


class AlarmComponent(Component):
    """Alarms; a change of one takes no tags (PutMetricAlarm ignores them then)."""

    kind: ClassVar = ALARM
    actions: ClassVar = granted(ALARMS)
    statements: ClassVar = ALARMS

    def __init__(self, clients: Clients, scope: Scope) -> None:
        super().__init__(clients, scope)
        self._client = clients.cloudwatch
        self._deletions: Batches[str, None] = Batches(self._delete, most=PAGE)

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        found = await items(
            calls,
            self._client.describe_alarms,
            "MetricAlarms",
            AlarmNamePrefix=self._scope.prefix,
            AlarmTypes=["MetricAlarm"],
            MaxRecords=PAGE,
        )
        return [self._observed(item) for item in found]

    @override
    async def describe(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        answer = await calls(self._client.describe_alarms, AlarmNames=[key.name], AlarmTypes=["MetricAlarm"])
        return next((self._observed(item) for item in answer["MetricAlarms"]), None)

    @override
    async def tags(self, calls: Calls, observed: ObservedResource) -> Mapping[str, str]:
        answer = await calls(self._client.list_tags_for_resource, ResourceARN=observed.arn)
        return tag_map(list(answer["Tags"]))

    @override
    async def add_tags(self, calls: Calls, observed: ObservedResource, tags: Tags) -> None:
        await calls(self._client.tag_resource, ResourceARN=observed.arn, Tags=tag_list(tags))

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        # CloudWatch creates and replaces by the same call.
        spec = expect(resource, AlarmSpec)
        await calls(
            self._client.put_metric_alarm,
            AlarmName=resource.key.name,
            AlarmDescription=spec.description,
            Namespace=spec.namespace,
            MetricName=spec.metric,
            Dimensions=[{"Name": name, "Value": value} for name, value in spec.dimensions],
            Statistic="Average",
            ComparisonOperator=_LOW if spec.is_low else "GreaterThanThreshold",
            Threshold=spec.threshold,
            Period=spec.period_seconds,
            EvaluationPeriods=spec.evaluation_periods,
            TreatMissingData="breaching" if spec.is_low else "notBreaching",
            AlarmActions=spec.actions,
            OKActions=spec.actions,
            Tags=tag_list(spec.tags),
        )
        name = resource.key.name
        arn = self._scope.arn("cloudwatch", f"alarm:{name}")
        return ObservedResource(resource.key, Phase.READY, spec=spec, arn=arn, owner=self._owner_of(name))

    @override
    async def delete(self, calls: Calls, observed: ObservedResource, known: ObservedResources) -> None:
        # CloudWatch takes three such calls a second, each with up to a hundred names.
        await self._deletions.ask(calls, observed.key.name)

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

    def _observed(self, item: Any) -> ObservedResource:
        name = item["AlarmName"]
        return ObservedResource(
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
                actions=_actions(item),
                is_low=item.get("ComparisonOperator") == _LOW,
            ),
            arn=item["AlarmArn"],
            status=IN_ALARM if item.get("StateValue") == IN_ALARM else "",
            owner=self._owner_of(name),
        )


def _actions(item: Any) -> tuple[str, ...]:
    """The topics of an alarm; those of no alarm of ours if its two transitions differ, or if they are disabled."""
    off, ended = (tuple(sorted(item.get(member, []))) for member in ("AlarmActions", "OKActions"))
    return off if off == ended and item.get("ActionsEnabled", True) else ("",)
