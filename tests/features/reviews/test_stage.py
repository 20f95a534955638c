from datetime import UTC, datetime

import pytest

from ephemeral_endpoints.api.v1alpha1.base import Condition
from ephemeral_endpoints.engine.status import conditions
from ephemeral_endpoints.features.reviews.access import Access
from ephemeral_endpoints.features.reviews.errors import (
    ForgeDenied,
    ForgeError,
    ForgeLimited,
    ForgeSecretMissing,
    ForgeUnavailable,
)
from ephemeral_endpoints.features.reviews.stage import forge_condition, remembered

URL = "https://github.com"
NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("found", "status", "reason", "words"),
    [
        (Access("previews[bot]"), "True", "ForgeConnected", "https://github.com takes the operator for previews[bot]"),
        (
            Access("ada", missing=("Deployments: write", "Commit statuses: write"), hidden=("acme/x",)),
            "False",
            "ForgePermissionMissing",
            "ada lacks Deployments: write, Commit statuses: write: a platform engineer must grant it",
        ),
        (Access("ada", hidden=("acme/x", "acme/y")), "False", "ForgeNotFound", "ada cannot see acme/x, acme/y"),
        (ForgeDenied("revoked"), "False", "ForgeDenied", "revoked"),
        (ForgeSecretMissing("none"), "False", "ForgeSecretMissing", "none"),
        (ForgeUnavailable("502"), "Unknown", "ForgeUnavailable", "502"),
        (ForgeLimited("slower", 60.0), "Unknown", "ForgeLimited", "slower"),
    ],
)
def test_the_condition_says_what_is_known_of_the_forge(
    found: Access | ForgeError, status: str, reason: str, words: str
) -> None:
    update = forge_condition(found, URL)
    assert (update.type, update.status.value, update.reason.name) == ("ForgeConnected", status, reason)
    assert words in update.message


def test_a_new_process_says_what_the_last_one_found_until_it_knows_itself() -> None:
    update = forge_condition(ForgeDenied("revoked"), URL)
    written = conditions([update], (), generation=1, now=NOW)
    assert remembered(written) == update
    assert conditions([update], written, generation=1, now=NOW.replace(hour=1)) == written
    assert remembered(()) is None


def test_what_another_version_wrote_is_not_repeated() -> None:
    unheard_of = Condition(type="ForgeConnected", status="False", last_transition_time=NOW, reason="UnheardOf")
    other = Condition(type="Ready", status="True", last_transition_time=NOW, reason="ForgeDenied")
    assert remembered((unheard_of, other)) is None
