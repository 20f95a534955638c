from collections.abc import Iterator
from types import ModuleType
from typing import Any
from uuid import uuid4

import pytest
from tests.features.routing.forwarder.deployed import Reply, Runtime, Time, deployed, serving
from tests.fixtures.platform import Aws

from ephemeral_endpoints.features.routing.forwarder import connection, exchange, notices, outlet
from ephemeral_endpoints.features.routing.forwarder.config import ForwarderConfig
from ephemeral_endpoints.features.routing.forwarder.feedback import PARTITION_KEY, SORT_KEY
from ephemeral_endpoints.features.routing.forwarder.outlet import WAIT_SECONDS


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    """The clock of the forwarder, which does not wait."""
    clock = Time()
    monkeypatch.setattr(exchange, "time", clock)
    return clock


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> float:
    """The seconds that an answer waits for its messages to be sent: a busy machine takes longer than 50 ms for that."""
    seconds = 60.0
    monkeypatch.setattr(outlet, "WAIT_SECONDS", seconds)
    monkeypatch.setattr(connection, "SOCKET_SECONDS", seconds)
    monkeypatch.setattr(connection, "IDLE_SECONDS", seconds)
    monkeypatch.setattr(notices, "SETTLE_SECONDS", seconds)
    return seconds


@pytest.fixture
def impatience(monkeypatch: pytest.MonkeyPatch, patience: float) -> float:
    """Those that it waits in Lambda."""
    assert patience > WAIT_SECONDS
    monkeypatch.setattr(outlet, "WAIT_SECONDS", WAIT_SECONDS)
    return WAIT_SECONDS


@pytest.fixture(scope="module")
def server() -> Iterator[Runtime]:
    """A server in SageMaker's place."""
    server = Runtime()
    with serving(server):
        yield server


@pytest.fixture
def runtime(server: Runtime) -> Runtime:
    """The same; it answers well, and has not been asked yet."""
    server.answer_with(Reply())
    return server


@pytest.fixture(scope="module")
def deployed_config(request: pytest.FixtureRequest) -> ForwarderConfig:
    """The configuration of the forwarder: the module's own."""
    found: ForwarderConfig = request.module.CONFIG
    return found


@pytest.fixture(scope="module")
def forwarder(
    deployed_config: ForwarderConfig, server: Runtime, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ModuleType]:
    """A forwarder as deployed, before that server."""
    url = f"http://127.0.0.1:{server.server_address[1]}"
    with deployed(deployed_config, tmp_path_factory.mktemp("function"), {"SAGEMAKER_RUNTIME": url}) as module:
        yield module


@pytest.fixture(scope="session")
def dynamodb(aws: Aws) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
    return aws.session.client("dynamodb", endpoint_url=aws.endpoint)


@pytest.fixture
def table(dynamodb: Any) -> Iterator[str]:  # noqa: ANN401 - likewise
    """A table for votes in the embedded DynamoDB."""
    name = f"votes-{uuid4().hex[:8]}"
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in (PARTITION_KEY, SORT_KEY)],
        KeySchema=[
            {"AttributeName": PARTITION_KEY, "KeyType": "HASH"},
            {"AttributeName": SORT_KEY, "KeyType": "RANGE"},
        ],
    )
    dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    yield name
    dynamodb.delete_table(TableName=name)
