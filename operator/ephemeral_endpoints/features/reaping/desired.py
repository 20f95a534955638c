"""The parts of the reaper of a class: its logs, its function, the rule that runs it, and its alarms."""

import base64
import hashlib
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.reaper import ReaperPolicy
from ephemeral_endpoints.engine.names import LAMBDA_LOG_PREFIX, is_of_reaper, reaper_name
from ephemeral_endpoints.engine.resources import DesiredResource, Key
from ephemeral_endpoints.engine.tags import class_tags, joined, rendered
from ephemeral_endpoints.features.expiry.reaper import bundle
from ephemeral_endpoints.features.expiry.reaper.report import NAMESPACE_OF_METRICS
from ephemeral_endpoints.features.monitoring.specs import ALARM, LOG_GROUP, AlarmSpec, LogGroupSpec
from ephemeral_endpoints.features.reaping.alarms import ALARMS, MINUTES, ReaperAlarm
from ephemeral_endpoints.features.reaping.package import HANDLER, package
from ephemeral_endpoints.features.reaping.specs import EVENT_RULE, EventRuleSpec
from ephemeral_endpoints.features.routing.specs import FUNCTION, FunctionSpec

LOG_DAYS: Final = 90
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


def function_key(cluster_id: str, endpoint_class: EphemeralEndpointClass) -> Key:
    """The function of the reaper of a class, if the operator makes one."""
    metadata = endpoint_class.metadata
    return Key(FUNCTION, reaper_name(cluster_id, metadata.name, metadata.uid))


def is_part(key: Key) -> bool:
    """Whether a resource is part of a reaper."""
    return key.kind in {ALARM, EVENT_RULE, FUNCTION, LOG_GROUP} and is_of_reaper(
        key.name.removeprefix(LAMBDA_LOG_PREFIX)
    )


def alarm_key(function: Key, alarm: ReaperAlarm) -> Key:
    """The alarm of the reaper with that function."""
    return Key(ALARM, f"{function.name}:{alarm.name}")


def reaper_of_class(
    cluster_id: str, endpoint_class: EphemeralEndpointClass, rest: Iterable[Key], *, is_used: bool
) -> list[DesiredResource]:
    """All parts of the class's reaper; none if it asks for none.

    A class that is deleted keeps it while it has objects (``is_used``) or any resource in AWS beside it, the ``rest``.
    """
    policy, metadata = endpoint_class.spec.reaper, endpoint_class.metadata
    is_last = metadata.deletion_timestamp is not None and not is_used and all(map(is_part, rest))
    if policy is None or is_last:
        return []
    own = class_tags(cluster_id=cluster_id, name=metadata.name, uid=metadata.uid)
    tags = joined(own, rendered(endpoint_class.spec.tags.values, {}))
    function = function_key(cluster_id, endpoint_class)
    logs = Key(LOG_GROUP, LAMBDA_LOG_PREFIX + function.name)
    code = package(_settings(cluster_id, metadata.name, policy))
    spec = FunctionSpec(
        code_sha256=base64.b64encode(hashlib.sha256(code).digest()).decode("ascii"),
        role_arn=policy.role_arn,
        runtime=bundle.RUNTIME,
        handler=HANDLER,
        memory_mb=bundle.MEMORY_MB,
        timeout_seconds=bundle.TIMEOUT_SECONDS,
        package=code,
        description="Deletes what ephemeral-endpoints left behind",
        tags=tags,
    )
    dimensions = (("Class", metadata.name), ("Cluster", cluster_id))
    topics = {*endpoint_class.spec.alarms.actions, *([policy.topic_arn] if policy.topic_arn else ())}
    alarms = [
        AlarmSpec(
            namespace="AWS/Lambda" if each.of_lambda else NAMESPACE_OF_METRICS,
            metric=each.metric,
            dimensions=(("FunctionName", function.name),) if each.of_lambda else dimensions,
            threshold=0.0,
            period_seconds=MINUTES * 60,
            evaluation_periods=each.periods,
            description=each.text,
            actions=tuple(sorted(topics)),
            tags=tags,
            is_low=each.is_low,
        )
        for each in ALARMS
    ]
    rule = EventRuleSpec(f"rate({MINUTES} minutes)", function.name, tags=tags)
    return [
        DesiredResource(logs, LogGroupSpec(LOG_DAYS, tags)),
        DesiredResource(function, spec, needs=frozenset({logs})),
        DesiredResource(Key(EVENT_RULE, function.name), rule, needs=frozenset({function})),
        *(DesiredResource(alarm_key(function, each), made) for each, made in zip(ALARMS, alarms, strict=True)),
    ]


def _settings(cluster_id: str, class_name: str, policy: ReaperPolicy) -> dict[str, str]:
    """The environment of the function, as in a stack."""
    return {
        "CLUSTER_ID": cluster_id,
        "CLASS_NAME": class_name,
        "GRACE_HOURS": str(policy.grace / _HOUR),
        "MOST_OBJECTS": str(policy.max_objects),
        "MOST_SHARE_PERCENT": str(policy.max_share_percent),
        "REPOSITORY_DAYS": str(policy.repository_age / _DAY),
        "TOPIC_ARN": policy.topic_arn or "",
    }
