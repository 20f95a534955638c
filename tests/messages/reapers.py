"""What classes say about their reapers."""

from collections.abc import Iterator

from tests.engine.objects import CLUSTER
from tests.features.reaping.test_reaping import CLASS, STATES

from ephemeral_endpoints.features.reaping.desired import function_key
from ephemeral_endpoints.features.reaping.stage import reaping


def told() -> Iterator[tuple[str, str]]:
    """The condition in each state."""
    for found, error, _ in STATES:
        update = reaping(CLASS.spec.reaper, function_key(CLUSTER, CLASS), found, error)
        assert update is not None
        yield f"{update.type}={update.status} {update.reason}", update.message
