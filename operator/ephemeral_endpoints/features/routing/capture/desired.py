"""Where the records of an object go, and the stream of a class with its alarms. Pure.

Firehose partitions the records by namespace and object, so that each object's are below a prefix of its own: who may
read, compare with, or delete the records of one need not touch others'.
"""

from typing import Final

from ephemeral_endpoints.api.v1alpha1.capture import DEFAULT_MAX_BYTES
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.engine.names import capture_name
from ephemeral_endpoints.engine.resources import DesiredResource, Key
from ephemeral_endpoints.engine.tags import class_tags
from ephemeral_endpoints.features.monitoring.specs import ALARM, AlarmSpec
from ephemeral_endpoints.features.routing.capture.specs import DELIVERY_STREAM, DeliveryStreamSpec
from ephemeral_endpoints.features.routing.forwarder.capture import LOST, STREAM
from ephemeral_endpoints.features.routing.forwarder.config import CaptureConfig
from ephemeral_endpoints.features.routing.forwarder.outlet import NAMESPACE
from ephemeral_endpoints.features.routing.forwarder.records import OWNER
from ephemeral_endpoints.features.subject import Subject

BUFFER_SECONDS: Final = 60
BUFFER_MEGABYTES: Final = 64
"""The least that Firehose allows a stream that partitions its records."""

STALE_SECONDS: Final = 900
"""Records that wait for longer are not taken by the bucket: Firehose drops them after a day."""

_ALARM_SECONDS: Final = 300
_ERRORS: Final = "_errors"
"""The folder of records without a place; no namespace can have the name."""


def captures(endpoint: EphemeralEndpoint) -> bool:
    """Whether the forwarder of the object is asked to capture, and not SageMaker itself."""
    asked = endpoint.spec.capture
    return asked is not None and asked.s3_uri is None


def stream_key(cluster_id: str, endpoint_class: EphemeralEndpointClass) -> Key:
    """The delivery stream of a class, if it has one of its own."""
    metadata = endpoint_class.metadata
    return Key(DELIVERY_STREAM, capture_name(cluster_id, metadata.name, metadata.uid))


def lost_alarm(stream: Key) -> Key:
    """The alarm on records that forwarders could not put into the stream of a class, or into that which it names."""
    return Key(ALARM, f"{stream.name}:lost")


def stale_alarm(stream: Key) -> Key:
    """The alarm on records that the bucket does not take from the stream."""
    return Key(ALARM, f"{stream.name}:stale")


def forwarder_capture(subject: Subject) -> CaptureConfig | None:
    """How the forwarder of an object captures; None if it does not, or the class does not say where to."""
    asked, policy = subject.endpoint.spec.capture, subject.endpoint_class.spec.capture
    if asked is None or policy is None or not captures(subject.endpoint):
        return None
    own = stream_key(subject.cluster_id, subject.endpoint_class).name
    return CaptureConfig(
        stream=policy.kinesis_stream or policy.delivery_stream or own,
        is_kinesis=policy.kinesis_stream is not None,
        sampling_percent=asked.sampling_percent,
        max_bytes=asked.max_bytes or DEFAULT_MAX_BYTES,
        redact=tuple(dict.fromkeys((*policy.redact, *asked.redact))),
        uid=subject.endpoint.metadata.uid,
    )


def capture_of_class(cluster_id: str, endpoint_class: EphemeralEndpointClass) -> list[DesiredResource]:
    """What a class with objects that capture has: its stream, and alarms on what is lost on the way."""
    policy = endpoint_class.spec.capture
    if policy is None:
        return []
    key = stream_key(cluster_id, endpoint_class)
    stream = policy.kinesis_stream or policy.delivery_stream or key.name
    lost = AlarmSpec(
        namespace=NAMESPACE,
        metric=LOST,
        dimensions=((STREAM, stream),),
        threshold=0.0,
        period_seconds=_ALARM_SECONDS,
        evaluation_periods=1,
        description=f"Captured requests are lost on the way to {stream}",
        actions=tuple(sorted(set(endpoint_class.spec.alarms.actions))),
        tags=class_tags(cluster_id=cluster_id, name=endpoint_class.metadata.name, uid=endpoint_class.metadata.uid),
    )
    alarms = [DesiredResource(lost_alarm(key), lost)]
    if policy.s3_uri is None or policy.delivery_role_arn is None:
        return alarms
    stale = AlarmSpec(
        namespace="AWS/Firehose",
        metric="DeliveryToS3.DataFreshness",
        dimensions=(("DeliveryStreamName", key.name),),
        threshold=float(STALE_SECONDS),
        period_seconds=_ALARM_SECONDS,
        evaluation_periods=1,
        description=f"Captured requests do not get into {policy.s3_uri}",
        actions=lost.actions,
        tags=lost.tags,
    )
    bucket, _, path = policy.s3_uri.removeprefix("s3://").rstrip("/").partition("/")
    folder = f"{path}/" if path else ""
    place = "!{partitionKeyFromQuery:namespace}/!{partitionKeyFromQuery:name}/!{timestamp:yyyy/MM/dd/HH}/"
    spec = DeliveryStreamSpec(
        bucket=bucket,
        prefix=f"{folder}{place}",
        error_prefix=f"{folder}{_ERRORS}/!{{firehose:error-output-type}}/!{{timestamp:yyyy/MM/dd}}/",
        role_arn=policy.delivery_role_arn,
        query=f"{{namespace:.{OWNER}.namespace,name:.{OWNER}.name}}",
        extension=".jsonl",
        buffer_seconds=BUFFER_SECONDS,
        buffer_megabytes=BUFFER_MEGABYTES,
        tags=lost.tags,
    )
    return [DesiredResource(key, spec), *alarms, DesiredResource(stale_alarm(key), stale)]
