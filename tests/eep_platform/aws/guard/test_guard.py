"""Keys that are held to policies, on the embedded AWS as it runs."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError
from tests.fixtures.platform import ONE_ATTEMPT, Aws

from eep_platform.aws import ministack
from eep_platform.aws.guard.record import Denial, Use
from eep_platform.aws.ledger import Outcome
from eep_platform.errors import PlatformError

KEY = "visitor"
GROUP = "/aws/lambda/guarded"
ARN = f"arn:aws:logs:us-east-1:{ministack.ACCOUNT}:log-group:{GROUP}"
ROLE = f"arn:aws:iam::{ministack.ACCOUNT}:role/guest"


def allowing(action: str, resource: str = "*", **conditions: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    row: dict[str, Any] = {"Sid": "Row", "Effect": "Allow", "Action": action, "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [row | ({"Condition": conditions} if conditions else {})]}


def client(aws: Aws, service: str, **credentials: str) -> Any:  # noqa: ANN401 - any service's
    """A client that signs with the key that is held."""
    given = credentials or {"aws_access_key_id": KEY, "aws_secret_access_key": "any"}
    session: Any = boto3.Session
    make: Any = session(region_name="us-east-1", **given).client
    return make(service, endpoint_url=aws.endpoint, config=ONE_ATTEMPT)


@pytest.fixture
def guarded(fresh_aws: Aws) -> Iterator[Aws]:
    yield fresh_aws
    fresh_aws.control.release()


def test_a_held_key_may_do_what_its_policies_allow_and_nothing_else(guarded: Aws) -> None:
    logs = client(guarded, "logs")
    guarded.control.hold_to(KEY, [allowing("logs:CreateLogGroup", f"{ARN}*")])
    logs.create_log_group(logGroupName=GROUP)
    with pytest.raises(ClientError) as caught:
        logs.delete_log_group(logGroupName=GROUP)
    answer: Any = caught.value.response
    assert answer["Error"]["Code"] == "AccessDeniedException"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert answer["Error"]["Message"] == (
        f"User: arn:aws:iam::{ministack.ACCOUNT}:user/{KEY} is not authorized to perform: logs:DeleteLogGroup on "
        f"resource: {ARN} because no identity-based policy allows the logs:DeleteLogGroup action"
    )
    assert guarded.client("logs").describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"], "it was not passed on"


def test_used_and_denied_actions_are_listed_until_they_are_cleared(guarded: Aws) -> None:
    guarded.control.hold_to(KEY, [allowing("logs:CreateLogGroup", f"{ARN}*")])
    logs = client(guarded, "logs")
    logs.create_log_group(logGroupName=GROUP)
    with pytest.raises(ClientError):
        logs.delete_log_group(logGroupName=GROUP)
    reported = guarded.control.permissions(KEY)
    assert reported.used == {Use("logs:CreateLogGroup", ARN, "Row")}
    assert reported.denied == [Denial("logs:DeleteLogGroup", "logs:DeleteLogGroup", ARN)]
    assert guarded.control.calls(Outcome.DENIED) == {"logs": {"DeleteLogGroup": 1}}
    guarded.control.forget_permissions()
    assert guarded.control.permissions(KEY).used == set()


def test_of_a_permission_that_two_statements_give_none_is_needed(guarded: Aws) -> None:
    twice = allowing("logs:CreateLogGroup")
    twice["Statement"].append({**twice["Statement"][0], "Sid": "Other"})
    guarded.control.hold_to(KEY, [twice])
    client(guarded, "logs").create_log_group(logGroupName=GROUP)
    assert guarded.control.permissions(KEY).used == {Use("logs:CreateLogGroup", ARN, "Row", needed=False)}


def test_other_keys_and_released_ones_may_do_everything(guarded: Aws) -> None:
    guarded.control.hold_to(KEY, [allowing("logs:GetLogEvents")])
    guarded.client("logs").create_log_group(logGroupName=GROUP)
    guarded.control.release(KEY)
    client(guarded, "logs").delete_log_group(logGroupName=GROUP)
    assert guarded.control.permissions(KEY).denied == []


def test_tags_decide_as_the_service_has_them(guarded: Aws) -> None:
    condition = {"StringEquals": {"aws:ResourceTag/team": "ours"}}
    guarded.control.hold_to(KEY, [allowing("logs:DeleteLogGroup", f"{ARN}*", **condition)])
    admin, visitor = guarded.client("logs"), client(guarded, "logs")
    admin.create_log_group(logGroupName=GROUP, tags={"team": "theirs"})
    with pytest.raises(ClientError, match="not authorized"):
        visitor.delete_log_group(logGroupName=GROUP)
    admin.tag_resource(resourceArn=ARN, tags={"team": "ours"})
    visitor.delete_log_group(logGroupName=GROUP)


def test_a_call_that_nobody_said_how_to_authorise_is_denied(guarded: Aws) -> None:
    guarded.control.hold_to(KEY, [allowing("sqs:*")])
    with pytest.raises(ClientError) as caught:
        client(guarded, "iam").list_roles()
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    assert "iam:ListRoles" in str(caught.value)


def test_a_denial_by_a_statement_says_so(guarded: Aws) -> None:
    denial = allowing("logs:CreateLogGroup")
    denial["Statement"][0]["Effect"] = "Deny"
    guarded.control.hold_to(KEY, [allowing("logs:CreateLogGroup"), denial])
    with pytest.raises(ClientError, match="with an explicit deny in an identity-based policy"):
        client(guarded, "logs").create_log_group(logGroupName=GROUP)


def test_a_session_of_a_restricted_role_is_restricted_too(guarded: Aws) -> None:
    guarded.control.hold_to(ROLE, [allowing("logs:DescribeLogGroups")])
    found = guarded.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="test")["Credentials"]
    logs = client(
        guarded,
        "logs",
        aws_access_key_id=found["AccessKeyId"],
        aws_secret_access_key=found["SecretAccessKey"],
        aws_session_token=found["SessionToken"],
    )
    logs.describe_log_groups()
    with pytest.raises(ClientError, match="not authorized to perform: logs:CreateLogGroup"):
        logs.create_log_group(logGroupName=GROUP)
    assert [each.action for each in guarded.control.permissions(ROLE).denied] == ["logs:CreateLogGroup"]


@pytest.mark.parametrize("bad", [{"Statement": []}, {"Statement": [{"Effect": "Perhaps"}]}], ids=["empty", "effect"])
def test_what_is_no_policy_is_refused_with_the_reason(guarded: Aws, bad: dict[str, Any]) -> None:
    with pytest.raises(PlatformError, match="Statement"):
        guarded.control.hold_to(KEY, [bad])


def test_resetting_the_meter_leaves_policies_in_force_and_emptying_the_account_does_not(guarded: Aws) -> None:
    guarded.control.hold_to(KEY, [allowing("logs:GetLogEvents")])
    guarded.control.reset_meter()
    with pytest.raises(ClientError, match="not authorized"):
        client(guarded, "logs").create_log_group(logGroupName=GROUP)
    guarded.control.reset()
    client(guarded, "logs").create_log_group(logGroupName=GROUP)


def test_functions_sign_with_the_account(guarded: Aws) -> None:
    """What the forwarders' policies are held against."""
    guarded.control.hold_to(ministack.ACCOUNT, [allowing("s3:GetObject", "arn:aws:s3:::data/*")])
    visitor = client(guarded, "s3", aws_access_key_id=ministack.ACCOUNT, aws_secret_access_key="any")  # noqa: S106 - an emulator's, which checks none
    guarded.client("s3").create_bucket(Bucket="data")
    with pytest.raises(ClientError) as caught:
        visitor.put_object(Bucket="data", Key="a/b", Body=b"x")
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    [denial] = guarded.control.permissions(ministack.ACCOUNT).denied
    assert (denial.action, denial.resource) == ("s3:PutObject", "arn:aws:s3:::data/a/b")


def test_what_cannot_be_understood_is_answered_as_that(guarded: Aws) -> None:
    answer = requests.put(f"{guarded.endpoint}/_meter/policies", json=["no"], timeout=60)
    assert answer.status_code == 400
