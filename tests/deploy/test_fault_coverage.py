"""Each change that the operator's policies allow is made to fail in every way, or is listed with the reason."""

import re
from fnmatch import fnmatchcase
from pathlib import Path

from tests.controllers.endpoint.test_feature_faults import CHANGED, DELETED, MADE
from tests.controllers.endpoint.test_package_faults import SERVED
from tests.controllers.orphans.test_sweep_faults import SWEPT
from tests.features.images.test_faults import BEGUN, ENDED, MENDED
from tests.features.training.test_faults import FIRST, LAST, NEXT

from eep_platform.chaos.points import is_mutating
from ephemeral_endpoints.deploy.policies import Principal, of

IN_TESTS = (*FIRST, *NEXT, *LAST, *SERVED, *MADE, *CHANGED, *DELETED, *BEGUN, *MENDED, *ENDED, *SWEPT)
PAGE = Path(__file__).parents[2] / "docs/reliability.md"

NO_CALL = {
    "*:TagDeliveryStream": "a part of the creation",
    "application-autoscaling:TagResource": "a part of RegisterScalableTarget",
    "ecr:TagResource": "a part of the creation",
    "events:TagResource": "a part of PutRule",
    "iam:CreateServiceLinkedRole": "AWS makes the role with the first scalable target",
    "iam:PassRole": "a part of creations",
    "kms:CreateGrant": "SageMaker makes the grant with an endpoint",
    "sagemaker:UpdateEndpointWeightsAndCapacities": "Application Auto Scaling calls it",
}
OTHER_NAMES = {
    "apigateway:*": "the verbs of operations that the page has by their names",
    "sqs:DeleteMessage": "DeleteMessageBatch",
    "sts:AssumeRole": "there is no connection then: tests/aws/test_accounts.py",
}
SOME_WAYS_ONLY = {
    "sns:Publish": "notifications: tests/features/notifications/test_delivery.py",
}
"""What is not made to fail in every way yet, each by its name: make this shorter, and never longer."""


def test_every_change_that_the_operator_may_make_is_made_to_fail_or_listed() -> None:
    allowed = {
        action
        for policy in of(Principal.OPERATOR)
        for row in policy.statements
        for action in row.actions
        if is_mutating(action.partition(":")[2])
    }
    on_page = re.findall(r"^\| ([a-z0-9-]+) `([A-Z]\w+)`", PAGE.read_text(), re.MULTILINE)
    fails = {f"{service}:{operation}" for service, operation in (*on_page, *IN_TESTS)}
    listed = NO_CALL | OTHER_NAMES | SOME_WAYS_ONLY
    rest = allowed - fails
    assert {each for each in rest if not any(fnmatchcase(each, known) for known in listed)} == set()
    assert {known for known in listed if not any(fnmatchcase(each, known) for each in rest)} == set(), "needed no more"
