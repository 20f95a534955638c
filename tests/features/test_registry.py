"""The list of features covers everything that is to be said of a kind of AWS resource."""

import gc
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
import yaml
from tests.aws.cloud import OF_CLASSES, Cloud
from tests.engine.objects import CLUSTER, make_class, resolved, subject

from eep_platform.aws.contents import contents
from ephemeral_endpoints import features
from ephemeral_endpoints.aws.clients import Sessions
from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.controllers.endpoint_class.desired import desired_of_class
from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.engine.resources import ObservedResource, Phase, ResourceKind
from ephemeral_endpoints.features import stages
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.feature import Feature
from ephemeral_endpoints.features.images.policy import images_of
from ephemeral_endpoints.features.images.reasons import IMAGE_READY
from ephemeral_endpoints.features.reaping.desired import reaper_of_class
from ephemeral_endpoints.features.registry import FEATURES, KINDS, components
from ephemeral_endpoints.features.routing.apis import api_key
from ephemeral_endpoints.features.routing.domain import mappings
from ephemeral_endpoints.features.routing.feedback.specs import FEEDBACK_TABLE
from ephemeral_endpoints.features.routing.parameters.specs import PARAMETER
from ephemeral_endpoints.features.routing.specs import FUNCTION_CONCURRENCY, ROUTE_THROTTLE, HttpApiSpec
from ephemeral_endpoints.features.serving.feature import SERVING
from ephemeral_endpoints.features.serving.specs import SERVING_KINDS
from ephemeral_endpoints.features.stages import ConditionInput

NOTHING = ConditionInput(DesiredState(), own={}, others={}, image=None)
STAGES = {found.update.type for stage in stages.STAGES if (found := stage(NOTHING))} - {IMAGE_READY}
"""The types of the conditions about resources."""

EXAMPLES = Path(__file__).parents[2] / "examples"

kinds = pytest.mark.parametrize("kind", KINDS, ids=str)


def test_names_are_unique() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)


def test_every_declared_feature_is_listed() -> None:
    folders = [file.parent.name for file in Path(features.__path__[0]).glob("*/feature.py")]
    modules = [import_module(f"{features.__name__}.{folder}.feature") for folder in folders]
    found = {each.name for module in modules for each in vars(module).values() if isinstance(each, Feature)}
    assert found == {feature.name for feature in FEATURES}


def test_clients_go_with_their_components() -> None:
    clients = Sessions(connections=1).connect("us-east-1")
    made = components(clients, Scope("c1", "000000000000", clients.region))
    known = ref(clients.apigateway)
    del clients, made
    gc.collect()
    assert known() is None


@kinds
def test_every_kind_that_an_object_needs_to_be_served_has_a_condition(kind: ResourceKind) -> None:
    assert (kind.stage is None) is (
        kind in OF_CLASSES | {FEEDBACK_TABLE, FUNCTION_CONCURRENCY, PARAMETER, ROUTE_THROTTLE}
    )
    assert kind.stage is None or kind.stage in STAGES


def test_every_condition_about_resources_has_a_kind() -> None:
    assert {kind.stage for kind in KINDS} - {None} == STAGES


@kinds
def test_a_kind_is_listed_after_those_that_its_lists_refer_to(kind: ResourceKind) -> None:
    assert set(kind.lineage[:-1]) <= set(KINDS[: KINDS.index(kind)])


def test_what_serves_is_what_the_feature_makes() -> None:
    assert set(SERVING.kinds) == SERVING_KINDS


def specs() -> list[dict[str, Any]]:
    """The specs of the objects in examples/ whose images others push; they use every other field."""
    files = sorted(EXAMPLES.glob("endpoint*.yaml"))
    found = (each for file in files for each in yaml.safe_load_all(file.read_text(encoding="utf-8")))
    return [each["spec"] for each in found if "image" in each["spec"].get("model", {})]


def test_every_kind_is_made_for_some_object_or_class() -> None:
    spec = {"instances": {"maxCount": 500}, "builds": {"codeBuild": {"project": "builds"}}}
    issuer = {"issuer": "https://token.actions.githubusercontent.com", "audiences": ["https://previews.example.com"]}
    routing = {"reservedConcurrency": 5, "auth": {"jwt": issuer}, "domain": {"name": "previews.example.com"}}
    spec |= {"routing": routing, "parameters": {"prefix": "/previews"}}
    subjects = [subject(each, spec) for each in specs()]
    wanted = [desired(each, replace(resolved(images=tuple(images_of(each))), url="https://api")) for each in subjects]
    role = "arn:aws:iam::123456789012:role/delivery"
    made = {"capture": {"s3Uri": "s3://captures/a", "deliveryRoleArn": role}, "reaper": {"roleArn": role}}
    endpoint_class = make_class({"spec": spec | made})
    api = ObservedResource(api_key(CLUSTER, endpoint_class), Phase.READY, HttpApiSpec(), owner="class")
    mapped = mappings(endpoint_class, [api.key], {api.key: api})
    shared = desired_of_class(CLUSTER, endpoint_class, [api.key], makes_images=True, captures=True, mappings=mapped)
    states = (*wanted, shared, DesiredState(tuple(reaper_of_class(CLUSTER, endpoint_class, (), is_used=False))))
    assert {resource.key.kind for state in states for resource in state.resources} == set(KINDS)


@kinds
async def test_a_list_needs_no_others_than_those_before_it(cloud: Cloud, kind: ResourceKind) -> None:
    resource = await cloud.prepare(kind)
    await cloud.make(resource)
    component = cloud.components[kind]
    before = {key: observed for key, observed in cloud.known.items() if key.kind in kind.lineage[:-1]}
    found, called = [], []
    for known in (before, cloud.others(kind)):
        cloud.aws.control.reset_meter()
        found.append(await component.list_all(cloud.calls, known))
        called.append(cloud.aws.control.calls())
    assert found[0] == found[1]
    assert called[0] == called[1]


@kinds
async def test_the_proof_that_nothing_is_left_sees_every_kind(cloud: Cloud, kind: ResourceKind) -> None:
    await cloud.make(await cloud.prepare(kind))
    assert kind.name in contents(cloud.aws.client)
