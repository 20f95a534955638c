"""Where what the model of an object answers is published, and the alarm of a class on what is lost. Pure."""

from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.results import ResultsPolicy
from ephemeral_endpoints.engine.errors import NotAllowed
from ephemeral_endpoints.engine.names import capture_name
from ephemeral_endpoints.engine.resources import DesiredResource, Key
from ephemeral_endpoints.engine.tags import class_tags
from ephemeral_endpoints.features.monitoring.specs import ALARM, AlarmSpec
from ephemeral_endpoints.features.routing.forwarder.config import ResultsConfig
from ephemeral_endpoints.features.routing.forwarder.outlet import NAMESPACE
from ephemeral_endpoints.features.routing.forwarder.results import DIMENSION, LOST
from ephemeral_endpoints.features.routing.forwarder.sink import FIREHOSE, KINESIS, SNS
from ephemeral_endpoints.features.subject import Subject

_ALARM_SECONDS: Final = 300


def publishes(endpoint: EphemeralEndpoint) -> bool:
    """Whether the object asks for its results to be published."""
    return endpoint.spec.results is not None


def target_of(policy: ResultsPolicy) -> str:
    """The topic's ARN or the stream's name, by which lost results count."""
    return policy.topic_arn or policy.delivery_stream or policy.kinesis_stream or ""


def alarm_key(cluster_id: str, endpoint_class: EphemeralEndpointClass) -> Key:
    """The alarm of a class on results that are lost."""
    metadata = endpoint_class.metadata
    return Key(ALARM, f"{capture_name(cluster_id, metadata.name, metadata.uid)}:results")


def results_of_class(cluster_id: str, endpoint_class: EphemeralEndpointClass) -> list[DesiredResource]:
    """What a class with objects that publish has: an alarm on what is lost on the way."""
    policy, metadata = endpoint_class.spec.results, endpoint_class.metadata
    if policy is None:
        return []
    lost = AlarmSpec(
        namespace=NAMESPACE,
        metric=LOST,
        dimensions=((DIMENSION, target_of(policy)),),
        threshold=0.0,
        period_seconds=_ALARM_SECONDS,
        evaluation_periods=1,
        description=f"Results are lost on the way to {target_of(policy)}",
        actions=tuple(sorted(set(endpoint_class.spec.alarms.actions))),
        tags=class_tags(cluster_id=cluster_id, name=metadata.name, uid=metadata.uid),
    )
    return [DesiredResource(alarm_key(cluster_id, endpoint_class), lost)]


def forwarder_results(subject: Subject) -> ResultsConfig | None:
    """How the forwarder of an object publishes; None if it does not, or the class does not say where to."""
    asked, policy = subject.endpoint.spec.results, subject.endpoint_class.spec.results
    if asked is None or policy is None:
        return None
    targets = (
        (SNS, policy.topic_arn),
        (FIREHOSE, policy.delivery_stream),
        (KINESIS, policy.kinesis_stream),
    )
    [(operation, target)] = [(operation, target) for operation, target in targets if target is not None]
    return ResultsConfig(operation.service, target, asked.include_request)


def refused_results(subject: Subject) -> NotAllowed | None:
    """Why what the model answers is not published although the object asks for that; None if it is."""
    if subject.endpoint.spec.results is None or subject.endpoint_class.spec.results is not None:
        return None
    return NotAllowed(
        "the class does not say where results are published, and the endpoint serves without publishing them: remove "
        "spec.results, or ask the platform team to set spec.results of the class"
    )
