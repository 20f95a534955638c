import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.aws.world import World
from tests.fixtures.platform import Aws

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients, Sessions
from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.aws.limits import Limiter
from ephemeral_endpoints.local.aws import ministack

CLUSTER = "c1"

# As soon as AWS could ever be: what is tested is what the operator makes of the states, not how long they take.
QUICK = {
    "containers": "off",
    "behaviour": {"create_seconds": 0.05, "update_seconds": 0.05, "delete_seconds": 0.05, "rollback_seconds": 0.0},
}


@pytest.fixture(scope="session")
def clients(aws: Aws) -> Iterator[Clients]:
    """The operator's own clients, by the default chain as in a pod; nothing of the user's configuration is read."""
    settings = {
        **ministack.credentials(),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_ENDPOINT_URL": aws.endpoint,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in settings.items():
            patch.setenv(name, value)
        yield Sessions(connections=16).connect(ministack.REGION)


@pytest.fixture(scope="session")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16, "aws") as pool:
        yield pool


@pytest.fixture
def told() -> list[tuple[str, str, str]]:
    """What the observer of calls was told: service, operation and outcome."""
    return []


@pytest.fixture
def calls(pool: ThreadPoolExecutor, told: list[tuple[str, str, str]]) -> Calls:
    """The door without limits of our own."""

    def observe(service: str, operation: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        told.append((service, operation, outcome))

    return Calls(Limiter(time.monotonic, {}), pool, observe)


@pytest.fixture
def world(fresh_aws: Aws, clients: Clients, calls: Calls) -> World:
    """An emptied account and everything that an object owns in it."""
    fresh_aws.control.patch_sagemaker_settings(QUICK)
    return World(fresh_aws, clients, calls, Scope(CLUSTER, ministack.ACCOUNT, ministack.REGION))
