from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

import pytest
from tests.engine.objects import ENDPOINT, merged

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.reviews import PullRequestState, ReviewStatus
from ephemeral_endpoints.controllers.endpoint.report import Reporter, StatusInput
from ephemeral_endpoints.engine import errors, reasons
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionType, ConditionUpdate
from ephemeral_endpoints.engine.reasons import Reason
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.features.capacity.cost import HourlyCost, Part
from ephemeral_endpoints.features.images.reasons import IMAGE_READY, PINNED, ImageProblem
from ephemeral_endpoints.features.monitoring.specs import MONITORED
from ephemeral_endpoints.features.routing.stage import SERVING as SERVING_REASON
from ephemeral_endpoints.features.serving.specs import ENDPOINT as ENDPOINT_KIND
from ephemeral_endpoints.features.serving.specs import ENDPOINT_READY
from ephemeral_endpoints.kube.cache import ObjectKey, Store
from ephemeral_endpoints.kube.client import Kube
from ephemeral_endpoints.kube.errors import Conflict, Gone

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
CREATING = StatusInput((ConditionUpdate(ConditionType.READY, ConditionStatus.FALSE, reasons.CREATING, "waits"),))
SERVING = StatusInput((ConditionUpdate(ConditionType.READY, ConditionStatus.TRUE, reasons.UP_TO_DATE, "answers"),))


class ApiServer:
    """What is written, in order; one write of the status can fail, before or after it is done."""

    def __init__(self) -> None:
        self.written: list[tuple[str, Any]] = []
        self.failure: Exception | None = None
        self.version = 10
        self.object: Mapping[str, Any] = ENDPOINT

    async def write_status(self, _: Mapping[str, Any], patch: Mapping[str, Any]) -> Mapping[str, Any]:
        if failure := self.failure:
            self.failure = None
            raise failure
        self.version += 1
        self.written.append(("status", patch))
        changes = {"metadata": {"resourceVersion": str(self.version)}, "status": patch}
        self.object = merged(self.object, changes)
        return self.object

    async def event(self, raw: Mapping[str, Any], *, type_: str, reason: Reason, message: str) -> None:
        self.written.append(("event", (raw.get("status"), type_, reason, message)))


class Heard:
    """What a listener was told."""

    def __init__(self) -> None:
        self.reports: list[tuple[ObjectKey, str | None, list[str]]] = []
        self.ended: list[ObjectKey] = []

    def reported(self, key: ObjectKey, endpoint: EphemeralEndpoint, changed: Collection[ConditionUpdate]) -> None:
        self.reports.append((key, endpoint.status.url, [each.type for each in changed]))

    def gone(self, key: ObjectKey, endpoint: EphemeralEndpoint) -> None:
        assert endpoint.metadata.uid
        self.ended.append(key)


class ReportedObject:
    """A reporter on an object that an operator has just taken in; ``restart`` is the next operator's."""

    def __init__(self) -> None:
        self.server = ApiServer()
        self.heard = Heard()
        self.start(ENDPOINT)

    def start(self, raw: Mapping[str, Any]) -> None:
        self.store = Store()
        self.key = self.store.put(raw)
        self._reporter = Reporter(cast("Kube", self.server), self.store, lambda: NOON, [self.heard])

    async def update_status(self, inputs: StatusInput) -> None:
        endpoint = self.store.endpoint(self.key)
        assert endpoint is not None
        await self._reporter.update_status(self.key, endpoint, inputs)


@pytest.fixture
def reported() -> ReportedObject:
    return ReportedObject()


async def test_what_says_nothing_new_is_not_written(reported: ReportedObject) -> None:
    await reported.update_status(CREATING)
    assert [what for what, _ in reported.server.written] == ["event", "status"]
    await reported.update_status(CREATING)
    assert len(reported.server.written) == 2


async def test_listeners_are_told_of_what_was_written_and_of_nothing_else(reported: ReportedObject) -> None:
    await reported.update_status(replace(CREATING, url="https://api/nlp/pr-42"))
    await reported.update_status(replace(CREATING, url="https://api/nlp/pr-42"))
    assert reported.heard.reports == [(reported.key, "https://api/nlp/pr-42", ["Ready"])]
    for failure in (Gone("deleted meanwhile"), Conflict("changed meanwhile")):
        reported.server.failure = failure
        with suppress(Conflict):
            await reported.update_status(SERVING)
    assert len(reported.heard.reports) == 1
    await reported.update_status(SERVING)
    assert reported.heard.reports[1:] == [(reported.key, None, ["Ready"])], "as it was written then"


async def test_fields_of_steps_that_follow_readiness_are_kept_until_they_are_told_anew(
    reported: ReportedObject,
) -> None:
    known = ReviewStatus(state=PullRequestState.OPEN, comment_id=7)
    await reported.update_status(replace(SERVING, fields={"review": known}))
    await reported.update_status(CREATING)
    written = reported.store.endpoint(reported.key)
    assert written
    assert written.status.review == known
    await reported.update_status(replace(CREATING, fields={"review": None}))
    assert "review" not in reported.server.object["status"] or reported.server.object["status"]["review"] is None


async def test_an_event_is_not_lost_with_a_write_that_conflicted(reported: ReportedObject) -> None:
    reported.server.failure = Conflict("changed meanwhile")
    with pytest.raises(Conflict):
        await reported.update_status(CREATING)
    await reported.update_status(CREATING)
    first, second, (last, _) = reported.server.written
    assert first == second, "the same Event upon the same status, which is there once"
    assert last == "status"


async def test_a_transition_that_a_conflict_kept_from_being_reported_is_reported_later(
    reported: ReportedObject,
) -> None:
    reported.server.failure = Conflict("changed meanwhile")
    with pytest.raises(Conflict):
        await reported.update_status(CREATING)
    await reported.update_status(SERVING)
    assert [said[2] for what, said in reported.server.written if what == "event"] == [
        reasons.CREATING,
        reasons.UP_TO_DATE,
    ]


async def test_an_event_is_not_lost_with_an_operator_that_dies_before_the_status_is_written(
    reported: ReportedObject,
) -> None:
    reported.server.failure = RuntimeError("killed")
    with pytest.raises(RuntimeError):
        await reported.update_status(CREATING)
    reported.start(ENDPOINT)
    await reported.update_status(CREATING)
    assert reported.server.written[0] == reported.server.written[1]


async def test_an_object_that_is_gone_is_left_alone(reported: ReportedObject) -> None:
    reported.server.failure = Gone("deleted")
    await reported.update_status(CREATING)
    assert [what for what, _ in reported.server.written] == ["event"]


TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
READY, STALLED, RECONCILING = ConditionType.READY, ConditionType.STALLED, ConditionType.RECONCILING
NOT_FOUND = Cause(ImageProblem.NOT_FOUND.reason, "push it")
ANSWERS = Cause(SERVING_REASON, "answers")
IS_PINNED = Cause(PINNED, "pinned")
NO_STALL = Cause(reasons.NOT_STALLED, "-")
QUOTA = Cause(errors.QuotaExceeded.reason, "2nd of 3 waiting")
DENIED = Cause(errors.Denied.reason, "may not")
INVALID = Cause(errors.Invalid.reason, "wrong")
WAITS = Cause(reasons.CREATING, "waits")


def update(type_: str, status: ConditionStatus, cause: Cause) -> ConditionUpdate:
    return ConditionUpdate.of(type_, status, cause)


@pytest.mark.parametrize(
    ("updates", "type_", "reason", "message"),
    [
        pytest.param(
            (
                update(READY, FALSE, QUOTA),
                update(IMAGE_READY, TRUE, IS_PINNED),
                update(ENDPOINT_READY, FALSE, QUOTA),
            ),
            "Warning",
            QUOTA.reason,
            "2nd of 3 waiting; ImageReady: pinned",
            id="a quota is used up, and the image is pinned at the same time",
        ),
        pytest.param(
            (
                update(READY, FALSE, NOT_FOUND),
                update(IMAGE_READY, FALSE, NOT_FOUND),
            ),
            "Warning",
            NOT_FOUND.reason,
            "push it",
            id="somebody has to act, and the operator goes on by itself then",
        ),
        pytest.param(
            (update(READY, UNKNOWN, DENIED), update(RECONCILING, TRUE, DENIED)),
            "Warning",
            DENIED.reason,
            "may not",
            id="nobody knows whether it serves",
        ),
        pytest.param(
            (update(READY, FALSE, WAITS), update(ENDPOINT_READY, FALSE, WAITS), update(MONITORED, FALSE, DENIED)),
            "Warning",
            DENIED.reason,
            "may not; Ready: waits",
            id="a failure of a later stage comes before what is only not done yet",
        ),
        pytest.param(
            (update(READY, FALSE, DENIED), update(STALLED, TRUE, INVALID), update(MONITORED, FALSE, INVALID)),
            "Warning",
            INVALID.reason,
            "wrong; Ready: may not",
            id="what no retry helps comes first",
        ),
        pytest.param(
            (
                update(READY, FALSE, WAITS),
                update(IMAGE_READY, TRUE, IS_PINNED),
                update(ENDPOINT_READY, FALSE, WAITS),
            ),
            "Normal",
            reasons.CREATING,
            "waits; ImageReady: pinned",
            id="nothing has failed",
        ),
        pytest.param(
            (
                update(READY, TRUE, ANSWERS),
                update(STALLED, FALSE, NO_STALL),
            ),
            "Normal",
            SERVING_REASON,
            "answers",
            id="it has recovered",
        ),
        pytest.param(
            (update(RECONCILING, TRUE, DENIED), update(STALLED, FALSE, NO_STALL)),
            None,
            None,
            None,
            id="only the summary has changed",
        ),
    ],
)
async def test_a_failure_is_a_warning_with_its_own_reason(
    updates: tuple[ConditionUpdate, ...],
    type_: str | None,
    reason: Reason | None,
    message: str | None,
    reported: ReportedObject,
) -> None:
    await reported.update_status(StatusInput(updates))
    events = [said[1:] for what, said in reported.server.written if what == "event"]
    assert events == ([(type_, reason, message)] if type_ else [])


async def test_running_capacity_has_a_cost_and_unknown_values_keep_the_reported_ones(reported: ReportedObject) -> None:
    endpoint = Key(ENDPOINT_KIND, "e")
    there = {endpoint: ObservedResource(endpoint, Phase.READY)}

    async def cost(inputs: StatusInput) -> object:
        await reported.update_status(inputs)
        found = reported.store.endpoint(reported.key)
        assert found is not None
        return found.status.cost and found.status.cost.hourly_usd

    inputs = replace(SERVING, own=there)
    assert await cost(inputs) is None
    assert await cost(replace(inputs, hourly_cost=HourlyCost())) == "0.00"
    assert await cost(inputs) == "0.00", "nothing new is known"
    assert (
        await cost(replace(inputs, hourly_cost=HourlyCost((Part("ml.x.y", "1 x ml.x.y", Decimal(1), None),)))) is None
    )
    assert await cost(replace(SERVING, own={})) == "0.00", "nothing stands any more"
