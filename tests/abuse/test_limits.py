"""Nobody takes the place of another one by what they write into an object."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

Body = dict[str, Any]

LONG_AGO = "2001-01-01T00:00:00Z"


def _is_recent(body: Body) -> bool:
    created_at = datetime.fromisoformat(body["metadata"]["creationTimestamp"])
    return datetime.now(UTC) - created_at < timedelta(hours=1)


def test_nobody_gets_ahead_by_an_old_creation_timestamp(
    endpoint: Body, stored: Callable[[Body], Body], patch: Callable[[Body, Body], Body]
) -> None:
    endpoint["metadata"]["creationTimestamp"] = LONG_AGO
    body = stored(endpoint)
    assert _is_recent(body)
    assert _is_recent(patch(body, {"metadata": {"creationTimestamp": LONG_AGO, "labels": {"a": "b"}}}))
