"""What classes say about published results."""

from collections.abc import Iterator

from tests.features.routing.test_results import LOST, TOPIC, a_class

from ephemeral_endpoints.engine.errors import Denied
from ephemeral_endpoints.features.routing.results.stage import published

_FAILED = Denied("not authorized to perform cloudwatch:PutMetricAlarm", operation="PutMetricAlarm")


def told() -> Iterator[tuple[str, str]]:
    """The condition of a class."""
    policy = a_class(topicArn=TOPIC).spec.results
    updates = (
        published(policy, None, None, asked=False),
        published(policy, None, _FAILED, asked=True),
        published(policy, LOST, None, asked=True),
        published(policy, None, None, asked=True),
    )
    for update in filter(None, updates):
        yield f"{update.type}={update.status} {update.reason}", update.message
