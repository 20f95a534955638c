"""What the operator does in S3: it writes reports of comparisons, and reads them and recorded requests.

Reference: "Actions, resources, and condition keys for Amazon S3"
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html).
"""

from typing import Final

from ephemeral_endpoints.iam.scope import arn
from ephemeral_endpoints.iam.statement import Statement, actions

ACTIONS: Final = actions("s3", "GetObject", "ListBucket", "PutObject")
"""The IAM actions that ``storage`` needs."""


def _bucket(name: str) -> str:
    return arn("s3", f"${{{name}}}", at=":")


STATEMENTS: Final = (
    Statement(
        "WriteReports",
        ("s3:GetObject", "s3:PutObject"),
        (f"{_bucket('ReportsBucket')}/${{ReportsPrefix}}/*",),
        "Reports of comparisons, which keep the answers that the next revision is compared with.",
    ),
    Statement(
        "ReadRecordings",
        ("s3:GetObject",),
        (f"{_bucket('RecordingsBucket')}/${{RecordingsPrefix}}/*",),
        "Recorded requests that objects may have sent to their models.",
    ),
    Statement(
        "ListReportsAndRecordings",
        ("s3:ListBucket",),
        (_bucket("ReportsBucket"), _bucket("RecordingsBucket")),
        "Recordings are listed. S3 reports a missing report only to callers that may list, on which no condition about "
        "a prefix can be set.",
    ),
)
