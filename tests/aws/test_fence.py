from collections.abc import Callable

import pytest
from tests.fixtures.platform import Aws

from ephemeral_endpoints.aws.clients import Clients, connect
from ephemeral_endpoints.aws.fence import fence
from ephemeral_endpoints.local.aws.ministack import credentials


class Refused(Exception):  # noqa: N818 - what the check of this test raises
    pass


@pytest.fixture
def clients(fresh_aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Clients:
    for name, value in {**credentials(), "AWS_ENDPOINT_URL": fresh_aws.endpoint}.items():
        monkeypatch.setenv(name, value)
    return connect("us-east-1", connections=1)


def test_every_request_is_checked_and_none_leaves_once_the_check_refuses(fresh_aws: Aws, clients: Clients) -> None:
    refuses = False

    def check() -> None:
        if refuses:
            raise Refused

    fence(clients, check)
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
