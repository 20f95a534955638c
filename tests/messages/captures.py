"""What objects and classes say about captured requests."""

from collections.abc import Iterator

from tests.features.routing.test_capture import CLUSTER, STREAM, TO_S3, a_class, gone_off, observed, subject

from ephemeral_endpoints.engine.errors import Denied
from ephemeral_endpoints.engine.resources import Phase
from ephemeral_endpoints.features.routing.capture.desired import lost_alarm, stale_alarm
from ephemeral_endpoints.features.routing.capture.stage import captured, delivered

_FAILED = Denied("not authorized to perform firehose:CreateDeliveryStream", operation="CreateDeliveryStream")


def told() -> Iterator[tuple[str, str]]:
    """The condition of an object, then that of a class."""
    assert CLUSTER
    policy = a_class(**TO_S3).spec.capture
    updates = [
        captured(subject({}), {}),
        *(captured(subject({}, **TO_S3), found) for found in ({}, observed(), observed(Phase.FAILED, detail="role"))),
        delivered(policy, STREAM, {}, None, asked=False),
        delivered(policy, STREAM, {}, _FAILED, asked=True),
        *(
            delivered(policy, STREAM, found, None, asked=True)
            for found in (observed(), gone_off(lost_alarm(STREAM)), gone_off(stale_alarm(STREAM)))
        ),
    ]
    for update in filter(None, updates):
        yield f"{update.type}={update.status} {update.reason}", update.message
