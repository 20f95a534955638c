from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from botocore.exceptions import ClientError
from tests.fixtures.platform import Aws

from eep_platform.aws.faults import Fault, FaultError
from eep_platform.aws.ministack import credentials
from ephemeral_endpoints.aws.clients import Role, Sessions


class Refused(Exception):  # noqa: N818 - what the check of this test raises
    pass


@pytest.fixture(autouse=True)
def environment(fresh_aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**credentials(), "AWS_ENDPOINT_URL": fresh_aws.endpoint}.items():
        monkeypatch.setenv(name, value)


def test_every_request_is_checked_and_none_leaves_once_the_check_refuses(fresh_aws: Aws) -> None:
    refuses = False

    def check() -> None:
        if refuses:
            raise Refused

    sessions = Sessions(connections=1, check=check)
    clients = sessions.connect("us-east-1")
    clients.logs.describe_log_groups()
    assert [call.operation for call in fresh_aws.control.log()] == ["DescribeLogGroups"]
    refuses = True
    calls: tuple[Callable[[], object], ...] = (
        lambda: clients.logs.create_log_group(logGroupName="late"),
        lambda: clients.sagemaker.delete_endpoint(EndpointName="late"),
        lambda: clients.lambda_.delete_function(FunctionName="late"),
        lambda: clients.apigateway.create_api(Name="late", ProtocolType="HTTP"),
        lambda: clients.cloudwatch.delete_alarms(AlarmNames=["late"]),
        clients.sts.get_caller_identity,
    )
    for call in calls:
        with pytest.raises(Refused):
            call()
    assert len(fresh_aws.control.log()) == 1


def test_a_role_is_not_even_assumed_once_the_check_refuses(fresh_aws: Aws) -> None:
    def check() -> None:
        raise Refused

    role = Role("arn:aws:iam::111111111111:role/operator")
    clients = Sessions(connections=1, check=check).connect("us-east-1", role)
    with pytest.raises(Refused):
        clients.logs.describe_log_groups()
    assert fresh_aws.control.log() == []


def test_the_date_of_every_answer_is_noted_also_of_a_refusal(fresh_aws: Aws) -> None:
    dates: list[str | None] = []
    clients = Sessions(connections=1, note_date=dates.append).connect("us-east-1")
    clients.logs.describe_log_groups()
    fresh_aws.control.add_faults(Fault(service="logs", error=FaultError(code="RequestExpired", status=400)))
    with pytest.raises(ClientError):
        clients.logs.describe_log_groups()
    for date in dates:
        assert abs(parsedate_to_datetime(str(date)) - datetime.now(UTC)) < timedelta(minutes=1)
    assert len(dates) == len(fresh_aws.control.log())
