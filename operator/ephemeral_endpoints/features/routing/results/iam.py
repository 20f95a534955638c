"""What forwarders do in SNS. Streams that a class names are those of captured requests, see ``capture.iam``.

Reference: "Actions, resources, and condition keys for Amazon SNS"
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html).
"""

from typing import Final

from ephemeral_endpoints.iam.scope import arn
from ephemeral_endpoints.iam.statement import Statement

FORWARDER_TOPIC: Final = (
    Statement(
        "PublishResults",
        ("sns:Publish",),
        (arn("sns", "${ResultsTopic}"),),
        "What models answer, for subscribers of the topic.",
    ),
)
