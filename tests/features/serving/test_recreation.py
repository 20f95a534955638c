from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.engine.objects import DIGEST, OTHER_DIGEST, resolved, subject

from ephemeral_endpoints.engine.plan import Create, Delete, DesiredState, Update, plan
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.serving.failures import Endpoints, worst
from ephemeral_endpoints.features.serving.recovery import EndpointHistory, RecoveryInput, recover
from ephemeral_endpoints.features.serving.recreation import Recreation
from ephemeral_endpoints.features.serving.specs import ENDPOINT as ENDPOINT_KIND
from ephemeral_endpoints.features.serving.specs import ENDPOINT_CONFIG, EndpointSpec

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ON_INSTANCES = {"serving": {"instances": {"type": "ml.m5.large"}}}
RECREATE = {"serving": {"instances": {"type": "ml.m5.large"}, "rollout": {"strategy": "Recreate"}}}
OLD, NEW, NEWER = (
    desired(subject(ON_INSTANCES), resolved(digest)) for digest in (DIGEST, OTHER_DIGEST, DIGEST[:-1] + "0")
)
ASKED = desired(subject(RECREATE), resolved(OTHER_DIGEST))
ENDPOINT = next(resource.key for resource in OLD.resources if resource.key.kind is ENDPOINT_KIND)
Own = dict[Key, ObservedResource]


def config_of(wanted: DesiredState) -> str:
    spec = next(resource.spec for resource in wanted.resources if resource.key == ENDPOINT)
    assert isinstance(spec, EndpointSpec)
    return spec.config


def there(wanted: DesiredState) -> Own:
    """All that is wanted and serves."""
    return {resource.key: ObservedResource(resource.key, Phase.READY, resource.spec) for resource in wanted.resources}


BESIDE = there(NEW) | there(OLD)
"""The old revision serves, and all that the new one needs is there."""

GONE = {key: each for key, each in BESIDE.items() if key != ENDPOINT}
DELETING = BESIDE | {ENDPOINT: ObservedResource(ENDPOINT, Phase.DELETING, status="Deleting")}
REFUSED = EndpointHistory().recreating(ENDPOINT, Recreation(config_of(NEW), "no room", NOON))


def recovered(wanted: DesiredState, own: Own, history: EndpointHistory) -> tuple[list[type], EndpointHistory]:
    """What is done about the endpoint, and what is known of it then."""
    found = recover(wanted, own, history, RecoveryInput(NOON + timedelta(minutes=1), generation=1))
    steps = [type(step) for step in plan(found.desired, own) if step.key == ENDPOINT]
    return steps, found.history


@pytest.mark.parametrize(
    ("wanted", "own", "history", "steps", "reason"),
    [
        (NEW, BESIDE, EndpointHistory(), [Update], "an update needs no downtime: nothing is recreated without need"),
        (ASKED, BESIDE, EndpointHistory(), [Delete], "the spec asks for it"),
        (ASKED, there(ASKED), EndpointHistory(), [], "it serves what is wanted"),
        (ASKED, there(OLD), EndpointHistory(), [], "what the new one needs is not there yet: the old one serves on"),
        (NEW, BESIDE, REFUSED, [Delete], "a quota has refused the update"),
        (NEW, DELETING, REFUSED, [], "it is going"),
        (NEW, GONE, REFUSED, [Create], "it is gone"),
        (NEW, GONE, EndpointHistory(), [Create], "whoever deleted it: the process has just started"),
        (ASKED, DELETING, EndpointHistory(), [], "the process has just started"),
        (NEWER, BESIDE | there(NEWER) | {ENDPOINT: BESIDE[ENDPOINT]}, REFUSED, [Update], "another one was refused"),
        (OLD, BESIDE, REFUSED, [], "the old revision is wanted again"),
    ],
)
def test_what_is_recreated(
    wanted: DesiredState, own: Own, history: EndpointHistory, steps: list[type], reason: str
) -> None:
    assert recovered(wanted, own, history)[0] == steps, reason


def test_a_recreation_is_known_from_its_decision_until_the_endpoint_serves() -> None:
    history = REFUSED
    creating = replace(there(NEW)[ENDPOINT], phase=Phase.BUSY, status="Creating")
    for own in (BESIDE, DELETING, GONE, GONE | {ENDPOINT: creating}):
        _, history = recovered(NEW, own, history)
        assert history.recreations == REFUSED.recreations
    _, history = recovered(NEW, there(NEW), history)
    assert history.recreations == {}


def test_a_push_meanwhile_changes_what_is_created_and_not_that_the_endpoint_is_down() -> None:
    own = GONE | {key: each for key, each in there(NEWER).items() if key != ENDPOINT}
    steps, history = recovered(NEWER, own, REFUSED)
    assert steps == [Create]
    assert history.recreations == {ENDPOINT: Recreation(config_of(NEWER), "no room", NOON)}


def test_a_recreation_survives_that_the_image_is_not_pinned_yet() -> None:
    _, history = recovered(desired(subject(ON_INSTANCES), resolved(None)), GONE, REFUSED)
    assert history.recreations == REFUSED.recreations


def test_the_downtime_and_its_reason_are_told() -> None:
    _, history = recovered(ASKED, BESIDE, EndpointHistory())
    [recreation] = history.recreations.values()
    failure = worst(Endpoints(recreated={ENDPOINT: recreation.message}), ASKED.resources, GONE)
    assert failure
    assert (failure.reason.name, failure.terminal) == ("Recreating", False)
    assert "serves nothing from 12:01:00 UTC until SageMaker has created it" in failure.message
    assert "spec.serving.rollout.strategy is Recreate" in failure.message


def test_a_recreated_endpoint_has_nothing_to_be_rolled_back_to() -> None:
    spec = next(resource.spec for resource in ASKED.resources if resource.key == ENDPOINT)
    assert isinstance(spec, EndpointSpec)
    assert spec.rollout
    assert spec.rollout.alarms == ()
    assert Key(ENDPOINT_CONFIG, spec.config) in {resource.key for resource in ASKED.resources}
