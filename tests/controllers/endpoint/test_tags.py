"""Tags follow the object and its class, and come back where somebody removes them."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.controllers.endpoint.test_controls import annotated, changes, known
from tests.controllers.environment import Environment
from tests.fixtures.platform import Aws

from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.api import RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.controllers.endpoint.tags import AUDIT_SECONDS
from ephemeral_endpoints.engine.resources import ObservedResource, ResourceKind
from ephemeral_endpoints.engine.tags import CLUSTER, UID
from ephemeral_endpoints.features.monitoring.specs import ALARM
from ephemeral_endpoints.features.routing.specs import HTTP_API
from ephemeral_endpoints.features.serving.specs import MODEL
from ephemeral_endpoints.kube.cache import ObjectKey

POLICY: Mapping[str, Any] = {"values": {"CostCenter": "{namespace}"}, "allowedKeys": ["Team"]}


@pytest.fixture
async def tagged(env: Environment) -> ObjectKey:
    """A ready object in a class with tags, which adds one of its own."""
    env.make_class("tagging", tags=POLICY)
    key = env.make(className="tagging", tags={"Team": "nlp"})
    await env.ready(key)
    return key


def own(env: Environment) -> list[ObservedResource]:
    return [each for each in known(env).values() if each.key.kind.taggable and each.key.kind is not HTTP_API]


def one(env: Environment, kind: ResourceKind) -> ObservedResource:
    return next(each for each in own(env) if each.key.kind is kind)


async def tags(env: Environment, observed: ObservedResource) -> Mapping[str, str]:
    [account] = env.operator.accounts.connected
    return await account._components[observed.key.kind].tags(account.calls, observed) or {}  # noqa: SLF001 - what AWS shows, for all kinds alike


async def shown(env: Environment, key: str) -> set[str | None]:
    """The values of a tag on everything that the object has."""
    return {(await tags(env, each)).get(key) for each in own(env)}


async def test_everything_has_the_tags_of_class_and_object(env: Environment, tagged: ObjectKey) -> None:
    assert env.is_up_to_date(tagged)
    assert len({each.key.kind for each in own(env)}) == 6
    assert (await shown(env, "CostCenter"), await shown(env, "Team")) == ({"nlp"}, {"nlp"})


@pytest.mark.parametrize("whose", ["the object", "the class"])
async def test_a_change_reaches_what_exists_and_costs_nothing_afterwards(
    env: Environment, tagged: ObjectKey, fresh_aws: Aws, whose: str
) -> None:
    fresh_aws.control.reset_meter()
    if whose == "the object":
        env.api.change(tagged, {"spec": {"tags": {"Team": "cv"}}})
    else:
        [class_key] = [key for key in env.api.kept if key.name == "tagging"]
        env.api.change(class_key, {"spec": {"tags": {"values": {"CostCenter": "42"}}}})
    await env.refresh(tagged)
    assert await shown(env, "Team") == {"cv" if whose == "the object" else "nlp"}
    assert await shown(env, "CostCenter") == {"nlp" if whose == "the object" else "42"}
    assert not [each for each in changes(fresh_aws) if each.startswith(("Create", "Delete", "Put", "Update"))]
    fresh_aws.control.reset_meter()
    await env.refresh(tagged)
    assert fresh_aws.control.calls() == {}


def strip(aws: Aws, observed: ObservedResource, *keys: str) -> None:
    if observed.key.kind is ALARM:
        aws.client("cloudwatch").untag_resource(ResourceARN=observed.arn, TagKeys=list(keys))
    else:
        aws.client("sagemaker").delete_tags(ResourceArn=observed.arn, TagKeys=list(keys))


async def test_a_removed_tag_comes_back_when_somebody_asks_for_a_fresh_look(
    env: Environment, tagged: ObjectKey, fresh_aws: Aws
) -> None:
    for kind in (MODEL, ALARM):
        strip(fresh_aws, one(env, kind), "CostCenter", "ManagedBy")
    await env.refresh(tagged)
    assert await shown(env, "CostCenter") == {"nlp", None}, "lists do not show tags"
    env.api.change(tagged, annotated(RECONCILE_AT_ANNOTATION, "now"))
    await env.rest()
    assert (await shown(env, "CostCenter"), await shown(env, "ManagedBy")) == ({"nlp"}, {"ephemeral-endpoints"})


async def test_a_removed_tag_comes_back_within_a_day(env: Environment, tagged: ObjectKey, fresh_aws: Aws) -> None:
    strip(fresh_aws, one(env, MODEL), "Team")
    for _ in range(2):
        env.clock.advance(AUDIT_SECONDS)
        await env.refresh(tagged)
        assert await shown(env, "Team") == {"nlp"}
        strip(fresh_aws, one(env, MODEL), "Team")


async def test_what_has_no_proof_of_ownership_is_not_tagged(
    env: Environment, tagged: ObjectKey, fresh_aws: Aws
) -> None:
    strip(fresh_aws, one(env, MODEL), "Team", UID)
    env.api.change(tagged, annotated(RECONCILE_AT_ANNOTATION, "now"))
    await env.rest()
    found = await tags(env, one(env, MODEL))
    assert (found.get("Team"), UID in found, CLUSTER in found) == (None, False, True)


async def test_a_failed_repair_is_tried_again(env: Environment, tagged: ObjectKey, fresh_aws: Aws) -> None:
    strip(fresh_aws, one(env, MODEL), "Team")
    denied = FaultError(code="AccessDeniedException", message="not you", status=400)
    fresh_aws.control.add_faults(Fault(service="sagemaker", operation="AddTags", error=denied))
    env.api.change(tagged, annotated(RECONCILE_AT_ANNOTATION, "now"))
    await env.rest()
    assert await shown(env, "Team") == {"nlp", None}
    assert env.is_up_to_date(tagged), "what serves is not affected"
    fresh_aws.control.clear_faults()
    env.clock.advance(600)
    await env.refresh(tagged)
    assert await shown(env, "Team") == {"nlp"}


async def test_a_change_that_was_made_while_no_operator_ran_is_followed(env: Environment, tagged: ObjectKey) -> None:
    await env.stop()
    env.api.watch = lambda _: None
    env.api.change(tagged, {"spec": {"tags": {"Team": "cv"}}})
    await env.restart()
    await env.ready(tagged)
    assert await shown(env, "Team") == {"cv"}
