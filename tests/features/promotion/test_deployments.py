"""What a forge shows of the versions of a stage, by its status alone."""

from collections.abc import Collection, Mapping
from typing import Any

import pytest
from tests.features.promotion.test_news import URL, record, state

from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStageStatus
from ephemeral_endpoints.features.promotion.deployments import deployments
from ephemeral_endpoints.features.reviews.forge import Deployment, DeploymentState
from ephemeral_endpoints.features.reviews.publishing.desired import MOST_DESCRIPTION

CURRENT = {"version": "wine/6", "since": "2026-12-01T11:00:00Z", "promotion": "p1"}
FAILED = record("RolledBack")
SHOWN = ("wine/6", "wine/7")


def wanted(
    status: Mapping[str, Any], running: str | None = None, shown: Collection[str] = ()
) -> Mapping[str, Deployment]:
    return deployments(ModelStageStatus.model_validate(status), "production", running, shown)


@pytest.mark.parametrize(
    ("status", "running", "shown", "expected", "why"),
    [
        ({}, None, (), {}, "nothing is known"),
        (state("AwaitingApproval", candidate="wine/7"), None, (), {"wine/7": "queued"}, "it waits for a person"),
        (state("Frozen", candidate="wine/7"), None, (), {"wine/7": "queued"}, "it waits for the end of a freeze"),
        (state("Soaking", candidate="wine/7"), None, (), {}, "it may never get here"),
        (
            state("Promoting", candidate="wine/7", current=CURRENT),
            "wine/7",
            (),
            {"wine/6": "success", "wine/7": "in_progress"},
            "what serves does so until the next one does",
        ),
        (
            state("StagePinned", current=CURRENT, history=[FAILED]),
            None,
            SHOWN,
            {"wine/6": "success", "wine/7": "failure"},
            "it failed",
        ),
        (
            state("StagePinned", current=CURRENT, history=[FAILED]),
            None,
            (),
            {"wine/6": "success", "wine/7": "failure"},
            "it failed before its beginning was shown",
        ),
        (
            state("Promoted", current=CURRENT, history=[record("Succeeded", version="wine/6", name="p3"), FAILED]),
            None,
            ("wine/6",),
            {"wine/6": "success"},
            "a failure of the past is not shown any more where it never was",
        ),
        (
            state("Promoted", current=CURRENT, history=[record("Succeeded", kind="Rollback", version="wine/6")]),
            None,
            SHOWN,
            {"wine/6": "success", "wine/7": "inactive"},
            "a person went back",
        ),
        (state("Promoted", current=CURRENT), None, SHOWN, {"wine/6": "success", "wine/7": "inactive"}, "it waited"),
        (
            state("PromotionFailed", current={**CURRENT, "version": "wine/7"}, history=[record("Failed")]),
            None,
            SHOWN,
            {"wine/6": "inactive", "wine/7": "failure"},
            "it served once, and failed when it was promoted again",
        ),
        (
            state("GoingBack", current={**CURRENT, "version": "wine/7"}),
            "wine/6",
            SHOWN,
            {"wine/6": "in_progress", "wine/7": "success"},
            "the way back is a rollout, too",
        ),
    ],
)
def test_each_version_has_the_state_that_its_last_promotion_has(
    status: Mapping[str, Any], running: str | None, shown: Collection[str], expected: Mapping[str, str], why: str
) -> None:
    assert {version: each.state for version, each in wanted(status, running, shown).items()} == expected, why


def test_only_a_plain_url_is_shown_and_words_of_a_model_stay_words() -> None:
    serving = state("Promoted", current=CURRENT)
    assert wanted({**serving, "url": URL})["wine/6"].url == URL
    assert wanted({**serving, "url": "javascript:alert(1)"})["wine/6"].url is None
    hostile = record("RolledBack", message=f"ghp_{'a' * 36}\n\u202e" + "w" * 500)
    failed = wanted(state("StagePinned", history=[hostile]))["wine/7"]
    assert failed.state is DeploymentState.FAILURE
    assert "ghp_" not in failed.description
    assert failed.description.isprintable()
    assert len(failed.description) <= MOST_DESCRIPTION
