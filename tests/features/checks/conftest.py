from collections.abc import AsyncIterator

import pytest
from tests.features.checks.model_server import ModelServer, serving


@pytest.fixture
async def model() -> AsyncIterator[ModelServer]:
    async with serving() as server:
        yield server
