"""What people are told of a stage, once for each promotion and each wait, whatever its words are."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.engine.objects import merged

from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStage, ModelStageStatus
from ephemeral_endpoints.features.notifications.messages import MOST_DETAIL, plain, slack
from ephemeral_endpoints.features.promotion.news import news_of, notification_of

URL = "https://a1b2.execute-api.us-east-1.amazonaws.com/wine/production"


def state(reason: str, **fields: object) -> dict[str, Any]:
    """A status whose condition Promoted has a reason."""
    condition = {"type": "Promoted", "status": "False", "reason": reason, "message": f"{reason} of wine/7"}
    return {"conditions": [{**condition, "lastTransitionTime": "2026-12-01T12:00:00Z"}], **fields}


def record(outcome: str, *, kind: str = "Promotion", name: str = "p2", **fields: object) -> dict[str, Any]:
    """A promotion of wine/7 that has ended."""
    times = {"startedAt": "2026-12-01T11:00:00Z", "finishedAt": "2026-12-01T12:00:00Z"}
    made = {"promotion": name, "version": "wine/7", "replaced": "wine/6", "kind": kind, "outcome": outcome, **times}
    return {"message": "why", **made, **fields}


def stage(status: Mapping[str, Any]) -> ModelStage:
    return ModelStage.model_validate(
        {
            "metadata": {"name": "production", "namespace": "wine", "uid": "uid-1"},
            "spec": {"className": "default", "repository": "acme/wine", "source": {"group": "wine"}},
            "status": status,
        }
    )


def told(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The notifications, each on one line."""
    one = stage(after)
    found = news_of(ModelStageStatus.model_validate(before), one.status)
    return [" / ".join(plain(notification_of(each, one)).splitlines()) for each in found]


ABOUT = "acme/wine, version wine/7"
WAITING = state("AwaitingApproval", candidate="wine/7")
FROZEN = state("Frozen", candidate="wine/7")
RUNNING = state("Promoting", candidate="wine/7", promotion="p2")
BACK = "Nothing is promoted by itself until a person promotes a version: `eep stage promote production VERSION -n wine`"
APPROVE = "Approve it: `eep stage approve production wine/7 -n wine`"
GO_BACK = "To go back: `eep stage rollback production -n wine`"
MORE = "More: `eep stage history production -n wine`"


@pytest.mark.parametrize(
    ("before", "after", "expected", "why"),
    [
        (
            {},
            WAITING,
            [f"wine/production waits for an approval of wine/7 / {ABOUT} / AwaitingApproval of wine/7 / {APPROVE}"],
            "the approver is told what to run",
        ),
        (WAITING, WAITING, [], "it still waits"),
        (state("AwaitingApproval", candidate="wine/6"), WAITING, 1, "another version waits"),
        (WAITING, FROZEN, 1, "it is approved, and frozen"),
        (FROZEN, state("Frozen", candidate="wine/7", url=URL), [], "it is frozen still"),
        (FROZEN, RUNNING, [f"wine/production begins to roll out wine/7 / {ABOUT} / {MORE}"], "it begins"),
        (RUNNING, state("Verifying", candidate="wine/7", promotion="p2"), [], "it goes on"),
        (
            RUNNING,
            state("Promoted", history=[record("Succeeded", by="anna", message="wine/7 serves")], url=URL),
            [f"wine/production serves wine/7 / {ABOUT} / wine/7 serves (by anna) / {URL} / {MORE}"],
            "it is promoted, by whom and where",
        ),
        (
            RUNNING,
            state("StagePinned", history=[record("RolledBack")], pinnedTo="wine/6"),
            [f"wine/production went back to wine/6 / {ABOUT} / why / {BACK}"],
            "it failed, and the stage is pinned",
        ),
        (
            state("GoingBack", promotion="p3"),
            state("StagePinned", history=[record("Succeeded", kind="Rollback", version="wine/6")]),
            [f"wine/production went back to wine/6 / acme/wine, version wine/6 / why / {BACK}"],
            "a person went back",
        ),
        (
            RUNNING,
            state("PromotionFailed", history=[record("Failed")]),
            [f"wine/production failed to promote wine/7 / {ABOUT} / why / {GO_BACK}"],
            "it failed, and nothing went back",
        ),
        (
            state("GoingBack", promotion="p3"),
            state("RollbackFailed", history=[record("Failed", kind="Rollback")]),
            [f"wine/production could not go back to wine/7 / {ABOUT} / why / {GO_BACK}"],
            "the way back failed",
        ),
        (
            state("Promoted"),
            state("GoingBack", promotion="p3", candidate="wine/8"),
            [],
            "the end of a rollback is told",
        ),
        (RUNNING, state("GoingBack", history=[record("Superseded")]), [], "the rollback that ended it is told"),
        (
            RUNNING,
            state("Promoting", promotion="p3", candidate="wine/8", history=[record("Succeeded")]),
            2,
            "the next one begins at once",
        ),
        (
            state("Promoted", history=[record("Succeeded")]),
            state("Promoted", history=[record("Succeeded")], url=URL),
            [],
            "what was told",
        ),
        (state("Promoted"), state("Soaking", candidate="wine/7"), [], "a wait that ends by itself"),
    ],
)
def test_a_transition_is_told_once(
    before: Mapping[str, Any], after: Mapping[str, Any], expected: list[str] | int, why: str
) -> None:
    found = told(before, after)
    assert (found if isinstance(expected, list) else len(found)) == expected, why


def test_hostile_words_stay_words_and_secrets_are_masked() -> None:
    token = f"ghp_{'a' * 36}"
    words = f"```<!channel> <https://evil.example|here> & {token} arn:aws:x:y:123456789012:z\n{'w' * 2000}"
    after = merged(RUNNING, {"history": [record("RolledBack", message=words)], "promotion": None})
    one = stage(after)
    (news,) = news_of(ModelStageStatus.model_validate(RUNNING), one.status)
    notification = notification_of(news, one)
    text = str(slack(notification)["text"])
    assert "<!channel>" not in text
    assert "<https://evil" not in text
    assert text.count("```") == 2, "the words end no code"
    for secret in (token, "123456789012"):
        assert secret not in plain(notification)
    assert len(notification.detail) <= MOST_DETAIL
