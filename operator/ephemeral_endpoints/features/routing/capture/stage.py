"""The conditions about captured requests, of an object and of its class. Pure."""

from typing import Final

from ephemeral_endpoints.api.v1alpha1.capture import CapturePolicy
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionUpdate
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.resources import IN_FLIGHT, Key, ObservedResource, ObservedResources, Phase
from ephemeral_endpoints.features.monitoring.specs import ALARM, IN_ALARM
from ephemeral_endpoints.features.routing.capture.desired import captures, lost_alarm, stale_alarm, stream_key
from ephemeral_endpoints.features.routing.capture.reasons import (
    CAPTURE_DELIVERED,
    CAPTURED,
    CAPTURING,
    DELIVERED,
    DELIVERY_FAILING,
    NO_DESTINATION,
    NOTHING_CAPTURED,
    RECORDS_LOST,
    STREAM_CHANGING,
    STREAM_FAILED,
)
from ephemeral_endpoints.features.subject import Subject

_PLACE: Final = "the class does not say where captured requests go"


def captured(subject: Subject, observed: ObservedResources) -> ConditionUpdate | None:
    """Whether the requests of an object are captured; None if it does not ask for it. ``observed`` is its class's."""
    policy = subject.endpoint_class.spec.capture
    if not captures(subject.endpoint):
        return None
    if policy is None:
        message = f"{_PLACE}: a platform engineer must set its spec.capture; the endpoint serves without capture"
        return ConditionUpdate.of(CAPTURED, ConditionStatus.FALSE, Cause(NO_DESTINATION, message))
    asked = subject.endpoint.spec.capture
    problem = _of_stream(policy, observed.get(stream_key(subject.cluster_id, subject.endpoint_class)))
    if problem or asked is None:
        return ConditionUpdate.of(CAPTURED, ConditionStatus.FALSE, problem) if problem else None
    message = (
        f"{asked.sampling_percent} % of the requests that callers send to the URL are captured in {_target(policy)}"
    )
    return ConditionUpdate.of(CAPTURED, ConditionStatus.TRUE, Cause(CAPTURING, message))


def delivered(
    policy: CapturePolicy | None, stream: Key, observed: ObservedResources, error: ReconcileError | None, *, asked: bool
) -> ConditionUpdate | None:
    """Whether the records of a class arrive; None if it does not say where. ``asked`` is whether any object captures.

    ``error`` is why the stream of that key, or an alarm, could not be made.
    """
    if policy is None:
        return None
    if not asked:
        message = "no object of the class captures requests"
        return ConditionUpdate.of(CAPTURE_DELIVERED, ConditionStatus.TRUE, Cause(NOTHING_CAPTURED, message))
    problem = _failure(error) or _of_stream(policy, observed.get(stream)) or _of_alarms(policy, stream, observed)
    if problem:
        return ConditionUpdate.of(CAPTURE_DELIVERED, ConditionStatus.FALSE, problem)
    message = f"captured requests arrive in {_target(policy)}"
    return ConditionUpdate.of(CAPTURE_DELIVERED, ConditionStatus.TRUE, Cause(DELIVERED, message))


def _failure(error: ReconcileError | None) -> Cause | None:
    if error is None:
        return None
    message = f"{error.described}; endpoints serve without capture until then, and the operator tries again"
    return Cause(STREAM_FAILED, message)


def _of_stream(policy: CapturePolicy, stream: ObservedResource | None) -> Cause | None:
    """Why the stream takes nothing; an existing one that the class names is not looked at."""
    if policy.s3_uri is None:
        return None
    if stream is None or stream.phase in IN_FLIGHT:
        message = "Firehose is creating or changing the delivery stream of the class; nothing needs to be done"
        return Cause(STREAM_CHANGING, message)
    if stream.phase is Phase.READY:
        return None
    detail = f": {stream.detail}" if stream.detail else ""
    message = f"the delivery stream {stream.key.name} is {stream.status}{detail}; a platform engineer must look at it"
    return Cause(STREAM_FAILED, message)


def _of_alarms(policy: CapturePolicy, stream: Key, observed: ObservedResources) -> Cause | None:
    if _is_off(observed, stale_alarm(stream)):
        message = (
            f"{policy.s3_uri} has not taken records for 15 minutes: a platform engineer must see that the bucket "
            f"exists and that {policy.delivery_role_arn} may write there; Firehose drops the records after a day"
        )
        return Cause(DELIVERY_FAILING, message)
    if _is_off(observed, lost_alarm(stream)):
        message = (
            f"forwarders cannot put all records into {_target(policy)}, and these are lost: a platform engineer must "
            "look for captureCause in the logs of the forwarders; callers get their answers"
        )
        return Cause(RECORDS_LOST, message)
    return None


def _is_off(observed: ObservedResources, alarm: Key) -> bool:
    found = observed.get(alarm)
    return alarm.kind is ALARM and found is not None and found.status == IN_ALARM


def _target(policy: CapturePolicy) -> str:
    return policy.s3_uri or f"the stream {policy.delivery_stream or policy.kinesis_stream}"
