"""What the operator does in SNS.

Reference: "Actions, resources, and condition keys for Amazon SNS"
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html).
"""

from typing import Final

from ephemeral_endpoints.iam.scope import arn
from ephemeral_endpoints.iam.statement import Statement, actions

ACTIONS: Final = actions("sns", "Publish")

STATEMENTS: Final = (
    Statement(
        "PublishNotifications",
        ("sns:Publish",),
        (arn("sns", "${NotificationTopics}"),),
        "Notifications of what happens to objects, to the topics that classes name.",
    ),
)
