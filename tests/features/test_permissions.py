"""Declared permissions are sufficient and minimal: what the whole life of a kind calls, and nothing else."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from tests.aws.cloud import Cloud, with_spec
from tests.features.serving.test_autoscaling import NIGHT, scaling
from tests.features.test_components import (
    disabled,
    kinds,
    no_expiry,
    no_scan,
    no_stage,
    not_permitted,
    other_code,
    other_function,
    other_memory,
    other_retention,
    other_throttle,
    tags_that_move,
)

from eep_platform.aws.guard.authorization import actions_of
from ephemeral_endpoints.api.v1alpha1.serving import Strategy
from ephemeral_endpoints.engine.errors import AwsError
from ephemeral_endpoints.engine.names import endpoint_logs
from ephemeral_endpoints.engine.resources import ObservedResource, ResourceKind
from ephemeral_endpoints.engine.tags import RETAINED_TAGS
from ephemeral_endpoints.features.images import registry as images
from ephemeral_endpoints.features.images.references import ImageFacts, ImageReference
from ephemeral_endpoints.features.images.specs import REPOSITORY
from ephemeral_endpoints.features.monitoring.log_groups import READ_ACTIONS, last_lines
from ephemeral_endpoints.features.monitoring.policy import Attempt
from ephemeral_endpoints.features.monitoring.specs import LOG_GROUP
from ephemeral_endpoints.features.reaping.specs import EVENT_RULE
from ephemeral_endpoints.features.routing.feedback.components import CountKey, FeedbackTableComponent
from ephemeral_endpoints.features.routing.specs import FUNCTION, HTTP_API
from ephemeral_endpoints.features.serving.specs import ENDPOINT, ENDPOINT_CONFIG, MODEL, SCALABLE_TARGET, RolloutSpec

NO_DIGEST = f"sha256:{'0' * 64}"

DRIFTS: Mapping[ResourceKind, list[Callable[[Cloud, str], None]]] = {
    EVENT_RULE: [disabled, other_function, not_permitted],
    FUNCTION: [other_code, other_memory],
    HTTP_API: [no_stage, other_throttle],
    LOG_GROUP: [other_retention],
    REPOSITORY: [tags_that_move, no_scan, no_expiry],
}
"""Kinds that different changes repair by different calls."""


def needed(called: dict[str, dict[str, int]]) -> set[str]:
    """The IAM actions that the calls need."""
    return {action for service, names in called.items() for name in names for action in actions_of(service, name)}


async def live(cloud: Cloud, kind: ResourceKind, *, tagging: bool = True) -> None:
    """Everything that the component can do to one resource; without ``tagging`` all but changing its tags."""
    resource, component = cloud.resources[kind], cloud.components[kind]
    observed = await cloud.make(resource)
    await component.list_all(cloud.calls, cloud.known)
    await component.tags(cloud.calls, observed)
    if tagging:
        await component.add_tags(cloud.calls, observed, RETAINED_TAGS)
    await update(cloud, kind, observed)
    await cloud.remove(kind)


async def update(cloud: Cloud, kind: ResourceKind, observed: ObservedResource) -> None:
    """Every way to repair."""
    resource = cloud.resources[kind]
    if kind in {MODEL, ENDPOINT_CONFIG}:
        return
    component = cloud.components[kind]
    if isinstance(component, FeedbackTableComponent):
        await component.votes(cloud.calls, CountKey(resource.key.name, "0123456789ab.main"))
        return
    for drift in DRIFTS.get(kind, []):
        drift(cloud, resource.key.name)
        drifted = await cloud.components[kind].describe(cloud.calls, resource.key, cloud.known)
        assert drifted is not None
        cloud.known[resource.key] = drifted
        await cloud.make(resource)
    if kind is SCALABLE_TARGET:
        for changes in ({"schedule": (NIGHT,), "tracking": None}, {"schedule": ()}):
            await cloud.make(scaling(cloud, **changes))
    if kind is ENDPOINT:
        resource = with_spec(resource, rollout=RolloutSpec(Strategy.CANARY, 10, 0))
    if kind not in DRIFTS:
        await cloud.components[kind].apply(cloud.calls, resource, observed, cloud.known)
        await cloud.rest(resource.key)


@kinds
async def test_a_component_declares_exactly_the_actions_that_it_needs(
    cloud: Cloud, kind: ResourceKind, reported: list[tuple[str, str, str]]
) -> None:
    await cloud.prepare(kind)
    reported.clear()
    await live(cloud, kind)
    called: dict[str, dict[str, int]] = {}
    for service, operation, outcome in reported:
        if outcome == "ok":
            called.setdefault(service, {})[operation] = 1
    assert needed(called) == cloud.components[kind].actions


async def test_reading_logs_and_images_needs_what_they_declare(cloud: Cloud) -> None:
    group = endpoint_logs(cloud.names.base)
    cloud.clients.logs.create_log_group(logGroupName=group)
    cloud.clients.logs.create_log_stream(logGroupName=group, logStreamName="s")
    event = {"timestamp": int(time.time() * 1000), "message": "line\n"}
    cloud.clients.logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[event])  # type: ignore[list-item]
    cloud.aws.control.reset_meter()
    assert await last_lines(cloud.calls, cloud.clients.logs, group, Attempt(), count=2) == ("line",)
    assert needed(cloud.aws.control.calls()) == READ_ACTIONS

    cloud.aws.control.reset_meter()
    uri = f"{cloud.scope.account_id}.dkr.ecr.{cloud.scope.region}.amazonaws.com/none:1"
    reference, ecr = ImageReference.parse(uri), images.Images(cloud.clients.ecr)
    await ecr.resolve(cloud.calls, reference)
    for each in (ecr.scan(cloud.calls, reference, NO_DIGEST), ecr.list_tagged(cloud.calls, "none")):
        with suppress(AwsError):
            await each
    await ecr.take_off(cloud.calls, "none", ["1"])
    await ecr.commands.unstartable(cloud.calls, reference, NO_DIGEST, ImageFacts(config=NO_DIGEST))
    assert needed(cloud.aws.control.calls()) == images.ACTIONS
