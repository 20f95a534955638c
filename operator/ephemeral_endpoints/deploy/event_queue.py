"""The queue of events: the patterns of its rules, and the policy that admits only them."""

from typing import Any, Final

from ephemeral_endpoints.features.serving.event_messages import (
    BUILD_CHANGED,
    BUILD_RUNS,
    CODEBUILD,
    ENDPOINT_CHANGED,
    PACKAGE_CHANGED,
    PIPELINE_CHANGED,
    SAGEMAKER,
)
from ephemeral_endpoints.iam.statement import VERSION

PATTERN: Final = {
    "source": [SAGEMAKER],
    "detail-type": [ENDPOINT_CHANGED, *PIPELINE_CHANGED, PACKAGE_CHANGED],
}
"""The pattern of the EventBridge rule of SageMaker's events
(https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html)."""


def builds_pattern(prefix: Any) -> dict[str, Any]:  # noqa: ANN401 - a template has more than strings
    """The pattern of the rule of the builds that end in projects with this prefix.

    An event has the environment variables of its build: those of others are none of the operator's business. See
    https://docs.aws.amazon.com/codebuild/latest/userguide/sample-build-notifications-ref.html.
    """
    detail = {"project-name": [{"prefix": prefix}], "build-status": [{"anything-but": BUILD_RUNS}]}
    return {"source": [CODEBUILD], "detail-type": [BUILD_CHANGED], "detail": detail}


def queue_policy(queue_arn: Any, *rule_arns: Any) -> dict[str, Any]:  # noqa: ANN401 - a template has more than strings
    """The resource policy of the queue: only the rules can send.

    See https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html.
    """
    statement = {
        "Sid": "OnlyTheRules",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": list(rule_arns)}},
    }
    return {"Version": VERSION, "Statement": [statement]}
