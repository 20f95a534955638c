"""Endpoints that fall asleep by an update."""

from dataclasses import replace
from typing import Any

import pytest
from tests.engine.objects import resolved, subject

from ephemeral_endpoints.engine.plan import DesiredState, View
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.features.routing.desired import desired as routing
from ephemeral_endpoints.features.routing.specs import FunctionSpec
from ephemeral_endpoints.features.serving.desired import desired
from ephemeral_endpoints.features.serving.forms import changing_form, served_configs
from ephemeral_endpoints.features.serving.specs import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    EndpointConfigSpec,
    EndpointSpec,
    ServerlessSpec,
)

PROVISIONED: Any = {"serving": {"serverless": {"maxConcurrency": 3, "provisionedConcurrency": 2}}}
VARIANTS: Any = {"serving": {**PROVISIONED["serving"], "variants": [{"name": "a"}, {"name": "b"}]}}
INSTANCES: Any = {"serving": {"instances": {"type": "ml.m5.large"}}}
OWN = subject().names.base


def state(spec: Any, *, asleep: bool = False) -> DesiredState:  # noqa: ANN401 - JSON
    return desired(subject(spec), replace(resolved(), asleep=asleep), DesiredState())


def configs(wanted: DesiredState) -> dict[str, EndpointConfigSpec]:
    return {each.key.name: each.spec for each in wanted.resources if isinstance(each.spec, EndpointConfigSpec)}


@pytest.mark.parametrize("spec", [PROVISIONED, VARIANTS])
def test_asleep_an_endpoint_differs_by_its_provisioned_concurrency_alone(spec: Any) -> None:  # noqa: ANN401 - JSON
    awake, asleep = state(spec), state(spec, asleep=True)
    assert {each.key for each in awake.resources if each.key.kind is not ENDPOINT_CONFIG} == {
        each.key for each in asleep.resources if each.key.kind is not ENDPOINT_CONFIG
    }
    assert not configs(awake).keys() & configs(asleep).keys()
    for wanted, provisioned in ((awake, 2), (asleep, None)):
        capacities = {each.capacity for config in configs(wanted).values() for each in config.variants}
        assert capacities == {ServerlessSpec(2048, 3, provisioned)}


def test_the_forwarder_of_an_endpoint_that_answers_asleep_knows_of_no_sleep() -> None:
    for spec, sleeps in ((PROVISIONED, False), (INSTANCES, True)):
        about = subject(spec, {"events": {"queueName": "eep-events"}})
        found = (routing(about, replace(resolved(), asleep=each), DesiredState()) for each in (False, True))
        awake, asleep = (
            next(each.spec.forwarder for each in state.resources if isinstance(each.spec, FunctionSpec))
            for state in found
        )
        assert awake == asleep
        assert awake is not None
        assert (awake.sleeps, awake.wakes) == (sleeps, sleeps)


AWAKE, ASLEEP = state(PROVISIONED), state(PROVISIONED, asleep=True)
[WARM], [COLD] = configs(AWAKE), configs(ASLEEP)


@pytest.mark.parametrize(
    ("wanted", "config", "uses", "phase", "status", "changes", "reason"),
    [
        (ASLEEP, WARM, {WARM}, Phase.READY, "InService", True, "the update has not begun"),
        (ASLEEP, WARM, {WARM, COLD}, Phase.BUSY, "Updating", True, "it runs"),
        (ASLEEP, COLD, {COLD}, Phase.READY, "InService", False, "it has ended"),
        (AWAKE, COLD, {COLD}, Phase.READY, "InService", True, "it wakes"),
        (AWAKE, COLD, {COLD, WARM}, Phase.BUSY, "RollingBack", True, "and does not get it: it serves all the same"),
        (AWAKE, "old", {"old", WARM}, Phase.BUSY, "Updating", False, "another revision serves"),
        (AWAKE, "old", {"old"}, Phase.READY, "InService", False, "it does so still"),
        (AWAKE, WARM, {WARM}, Phase.BUSY, "SystemUpdating", False, "SageMaker is at it, and not for sleep"),
        (AWAKE, COLD, {COLD}, Phase.BUSY, "Creating", False, "nothing serves yet"),
        (AWAKE, COLD, {COLD}, Phase.FAILED, "Failed", False, "nothing serves any more"),
    ],
)
def test_an_endpoint_that_gains_or_loses_its_provisioned_concurrency_serves_this_revision(  # noqa: PLR0917
    wanted: DesiredState, config: str, uses: set[str], phase: Phase, status: str, reason: str, *, changes: bool
) -> None:
    spec = EndpointSpec(config)
    used = frozenset(Key(ENDPOINT_CONFIG, each) for each in uses)
    endpoint = ObservedResource(Key(ENDPOINT, OWN), phase, spec=spec, uses=used, status=status)
    own = {endpoint.key: endpoint}
    assert bool(changing_form(wanted, own)) is changes, reason
    assert served_configs(View(wanted, own, {})) == ["old" if config == "old" else WARM], reason
