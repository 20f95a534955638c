from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from tests.engine.objects import subject

from ephemeral_endpoints.aws.account import Account, Owner
from ephemeral_endpoints.features.notifications.expiring import ExpiringStep
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.kube.cache import endpoint_key

ENDS = datetime(2026, 11, 4, 12, tzinfo=UTC)
"""Three days after the creation."""

HOUR = timedelta(hours=1)
TARGET: dict[str, Any] = {"name": "ml-team", "topic": {"arn": "arn:aws:sns:us-east-1:123456789012:t"}}


REVIEWS = {"secretName": "forge", "repositories": [{"repository": "acme/*", "namespaces": ["nlp"]}]}


def reconciliation(spec: dict[str, Any]) -> Reconciliation:
    found = subject(endpoint_class=spec)
    return Reconciliation(endpoint_key("nlp", "pr-42"), found, cast("Account", None), Owner("o", "u"), set())


@pytest.mark.parametrize(
    ("spec", "now", "is_told", "due"),
    [
        pytest.param({"notifications": {"targets": [TARGET]}}, ENDS - 2 * HOUR, False, 3600.0, id="not yet"),
        pytest.param({"notifications": {"targets": [TARGET]}}, ENDS - HOUR, True, None, id="an hour before the end"),
        pytest.param({"notifications": {"targets": [TARGET]}}, ENDS, True, None, id="and at the end"),
        pytest.param(
            {"notifications": {"targets": [TARGET], "expiringBefore": "1d"}},
            ENDS - 23 * HOUR,
            True,
            None,
            id="as it says",
        ),
        pytest.param(
            {"notifications": {"targets": [{**TARGET, "events": ["Gone"]}]}}, ENDS, False, None, id="nobody asks for it"
        ),
        pytest.param({}, ENDS, False, None, id="nobody is notified"),
        pytest.param({"reviews": REVIEWS}, ENDS - 2 * HOUR, False, 3600.0, id="the comment does not tell yet"),
        pytest.param({"reviews": REVIEWS}, ENDS - HOUR, True, None, id="the comment tells"),
        pytest.param({"reviews": {**REVIEWS, "comment": "Never"}}, ENDS, False, None, id="there is no comment"),
    ],
)
def test_an_object_says_that_it_ends_soon_where_somebody_is_told(
    spec: dict[str, Any],
    now: datetime,
    is_told: bool,  # noqa: FBT001 - a table's column
    due: float | None,
) -> None:
    step, given = ExpiringStep(lambda: now), reconciliation(spec)
    found = step.condition(given)
    assert (found.message if found else None) == (
        "the endpoint ends at 2026-11-04 12:00 UTC, unless its life is extended before" if is_told else None
    )
    assert step.due(given) == due


def test_an_object_as_old_as_its_class_allows_is_not_said_to_be_extended() -> None:
    given = reconciliation({"reviews": REVIEWS, "lifecycle": {"maxTtl": "72h"}})
    found = ExpiringStep(lambda: ENDS).condition(given)
    assert found
    assert found.message.endswith("when it is as old as its class lets an object be")
