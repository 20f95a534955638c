"""What stages and promotions say."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from tests.features.promotion.test_news import URL, record, stage, state
from tests.features.promotion.test_policy import (
    ALL,
    BACK,
    NOW,
    OK,
    ONE,
    PENDING,
    PINNED,
    REJECTED,
    SOON,
    TWO,
    UP,
    V1,
    V2,
    V3,
    V4,
    asked,
    done,
    offer,
    running,
    serving,
)

from ephemeral_endpoints.api.v1alpha1.model_promotion import Outcome
from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStageStatus
from ephemeral_endpoints.controllers.model_stage.ready import ready_of
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionType, ConditionUpdate
from ephemeral_endpoints.features.notifications.messages import plain
from ephemeral_endpoints.features.promotion import causes, reasons, report
from ephemeral_endpoints.features.promotion.deployments import deployments
from ephemeral_endpoints.features.promotion.news import News, news_of, notification_of
from ephemeral_endpoints.features.promotion.policy import Endpoint, Offer, Situation, Step, decide
from ephemeral_endpoints.features.reviews.publishing.stage import commit_unknown, not_shown, versions_shown

_STAGE = stage(
    state(
        "StagePinned",
        candidate="wine/7",
        url=URL,
        history=[
            record("Failed", name="p3", kind="Rollback", version="wine/2"),
            record("RolledBack", name="p2"),
            record("Succeeded", name="p1", by="anna", version="wine/2", message="wine/2 serves"),
        ],
    )
)
_RUNNING = ModelStageStatus.model_validate(state("Promoting", candidate="wine/7", promotion="p2"))
_FAILURE = "ChecksFailed: the check positive failed: expected the label positive"
_DENIED = Cause(reasons.REGISTRY_UNAVAILABLE, "no permission for sagemaker:ListModelPackages (AccessDeniedException)")
_ROLLING = Situation(offer(ALL), ONE, running(V2, V1))
_ROLLED_OUT = replace(_ROLLING, endpoint=Endpoint(V2, is_rolled_out=True))


def told() -> Iterator[tuple[str, str]]:
    for refusal in (
        causes.no_class("production"),
        causes.not_allowed("production"),
        causes.no_time_zone("Mars/Base"),
        causes.name_taken("staging"),
    ):
        yield from _rows(ConditionUpdate.of(ConditionType.READY, ConditionStatus.FALSE, refusal))
    yield from _rows(ready_of(None))
    yield from _rows(*report.of_waiting(causes.no_stage("staging")))
    for situation in (*_at_rest(), *_running(), *_asked()):
        yield from _decided(situation)
    bypassed = causes.bypassed("anna", V2, "production")
    yield f"Warning {bypassed.reason}", bypassed.message
    for update in (versions_shown("acme/wine", "production"), not_shown(commit_unknown(["wine/2"], "acme/wine"))):
        yield from _rows(update)
    for news in _news():
        yield news.event, " / ".join(plain(notification_of(news, _STAGE)).splitlines())
    for each in deployments(_STAGE.status, "production", "wine/3", ["wine/1", "wine/2"]).values():
        yield each.state, each.description


def _news() -> Iterator[News]:
    """Each event of stages once."""
    for before, after in ((_RUNNING, _STAGE.status), (ModelStageStatus(), _RUNNING)):
        yield from news_of(before, after)
    for reason in ("AwaitingApproval", "Frozen"):
        waits = ModelStageStatus.model_validate(state(reason, candidate="wine/7"))
        yield from news_of(ModelStageStatus(), waits)


def _at_rest() -> Iterator[Situation]:
    """Stages in which nothing runs."""
    yield Situation(offer({}))
    yield Situation(offer({V1: OK}), ONE)
    yield Situation(offer({V1: OK, V2: PENDING}), ONE)
    yield Situation(offer({V1: OK, V2: PENDING}, next_at=SOON), ONE)
    yield Situation(offer(ALL), ONE, suspended=True)
    yield Situation(offer(ALL), ONE, frozen_until=SOON)
    yield Situation(offer(ALL), PINNED)
    yield Situation(offer(ALL, by_hand=V4), (*TWO, done(V3, 6)))
    yield Situation(offer({V1: OK, V2: REJECTED}), TWO)
    yield Situation(offer({V2: REJECTED}), TWO)
    yield Situation(Offer(None, error=_DENIED), ONE)
    yield Situation(Offer(None, error=causes.no_source("staging")), ONE)
    for kind in (UP, BACK):
        yield Situation(offer({V1: OK}), (done(V1, 9, Outcome.FAILED, kind, message=_FAILURE),))


def _running() -> Iterator[Situation]:
    """Stages in which a promotion runs, or ends."""
    yield _ROLLING
    yield _ROLLED_OUT
    yield replace(_ROLLED_OUT, endpoint=Endpoint(V2, is_rolled_out=True, unclear="the endpoint did not answer"))
    yield replace(_ROLLING, endpoint=serving(V2))
    yield replace(_ROLLING, endpoint=Endpoint(V2, failure=_FAILURE))
    yield replace(_ROLLING, endpoint=Endpoint(V2, failure=_FAILURE), auto_rollback=False)
    yield replace(_ROLLING, timeout=timedelta(minutes=5))
    yield replace(_ROLLING, offer=offer({V1: OK, V2: REJECTED}))
    yield Situation(offer(ALL), TWO, running(V1, V2, BACK))


def _asked() -> Iterator[Situation]:
    """Stages of which somebody asks for a promotion."""
    unapproved = offer({V1: OK, V2: PENDING})
    for request, situation in (
        (asked(V2), Situation(unapproved, ONE)),
        (asked(V2), Situation(Offer(None), ONE)),
        (asked(V3), _ROLLING),
        (asked(None, BACK), _ROLLING),
        (asked(V2), Situation(offer({V2: REJECTED}), ONE)),
        (asked(V4), Situation(offer(ALL), ONE)),
        (asked(V2, is_own=True), Situation(unapproved, ONE)),
        (asked(V1), Situation(offer(ALL), ONE)),
        (asked(None, BACK), Situation(offer(ALL), ONE)),
        (asked(V3, BACK), Situation(offer(ALL), TWO)),
        (asked(V1, BACK), Situation(offer({V1: REJECTED}), TWO)),
        (asked(V1, BACK), Situation(offer(ALL), ONE)),
    ):
        yield replace(situation, requests=(request,))


def _decided(situation: Situation) -> Iterator[tuple[str, str]]:
    """What the stage says of itself, of a promotion that waits, and of one that runs or has ended."""
    decision = decide(situation, NOW)
    action = decision.action
    if action is None:
        yield from _rows(report.promoted(decision.state))
    elif action.step is Step.END and action.outcome:
        yield from _rows(*report.of_ended(action.outcome, situation.endpoint, action.message))
    elif action.step is Step.MAKE:
        yield from _rows(report.promoted(decision.state))
    for cause in decision.waits.values():
        yield from _rows(*report.of_waiting(cause))
    if situation.running and action is None:
        for given in _given():
            yield from _rows(*report.of_running(situation.endpoint, decision.state, given))


def _given() -> Iterator[Cause]:
    """How promotions come to begin."""
    yield causes.given(is_rollback=True, is_bypassed=False, is_from_stage=False)
    yield causes.given(is_rollback=False, is_bypassed=True, is_from_stage=False)
    for is_from_stage in (False, True):
        yield causes.given(is_rollback=False, is_bypassed=False, is_from_stage=is_from_stage)


def _rows(*updates: ConditionUpdate) -> Iterator[tuple[str, str]]:
    return ((f"{update.type}={update.status} {update.reason}", update.message) for update in updates)
