from collections.abc import AsyncIterator

import pytest
from tests.aws import conftest as aws_fixtures
from tests.fixtures.platform import Aws
from tests.reconcile.world import Desk

from ephemeral_endpoints.aws.clients import Clients

clients = aws_fixtures.clients


@pytest.fixture
async def desk(fresh_aws: Aws, clients: Clients) -> AsyncIterator[Desk]:
    """An operator on an emptied account, found by the environment that ``clients`` makes, and a class."""
    assert clients.region
    fresh_aws.control.patch_sagemaker_settings(aws_fixtures.QUICK)
    desk = Desk()
    desk.make_class()
    yield desk
    await desk.stop()
