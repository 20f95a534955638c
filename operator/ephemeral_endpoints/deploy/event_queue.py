"""The queue of SageMaker's events: the pattern of its events, and the policy that admits only them."""

from typing import Any, Final

from ephemeral_endpoints.features.serving.event_messages import ENDPOINT_CHANGED, PACKAGE_CHANGED, PIPELINE_CHANGED
from ephemeral_endpoints.iam.statement import VERSION

PATTERN: Final = {
    "source": ["aws.sagemaker"],
    "detail-type": [ENDPOINT_CHANGED, *PIPELINE_CHANGED, PACKAGE_CHANGED],
}
"""The pattern of the EventBridge rule
(https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html)."""


def queue_policy(queue_arn: Any, rule_arn: Any) -> dict[str, Any]:  # noqa: ANN401 - a template has more than strings
    """The resource policy of the queue: only the rule can send.

    See https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html.
    """
    statement = {
        "Sid": "OnlyTheRule",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
    }
    return {"Version": VERSION, "Statement": [statement]}
