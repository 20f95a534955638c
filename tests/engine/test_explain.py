from dataclasses import dataclass, replace

import pytest
from tests.engine.objects import resolved, subject

from ephemeral_endpoints.engine.explain import explain
from ephemeral_endpoints.engine.plan import DesiredState, View
from ephemeral_endpoints.engine.resources import (
    DesiredResource,
    Key,
    ObservedResource,
    ObservedResources,
    Phase,
    ResourceKind,
)
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.routing.specs import FUNCTION as FUNCTION_KIND
from ephemeral_endpoints.features.serving.specs import ENDPOINT as ENDPOINT_KIND
from ephemeral_endpoints.features.serving.specs import ENDPOINT_CONFIG
from ephemeral_endpoints.features.serving.specs import MODEL as MODEL_KIND

DESIRED = desired(subject(), resolved())
API = resolved().api
OTHERS = {API: ObservedResource(API, Phase.READY)}


def only(kind: ResourceKind) -> DesiredResource:
    return next(resource for resource in DESIRED.resources if resource.key.kind is kind)


MODEL, CONFIG, ENDPOINT, FUNCTION = map(only, (MODEL_KIND, ENDPOINT_CONFIG, ENDPOINT_KIND, FUNCTION_KIND))


def ready(*resources: DesiredResource) -> dict[Key, ObservedResource]:
    return {each.key: ObservedResource(each.key, Phase.READY, spec=each.spec) for each in resources}


EVERYTHING = ready(*DESIRED.resources)
LEFT = Key(MODEL_KIND, "left")
USER = Key(ENDPOINT_CONFIG, "user")


@dataclass(frozen=True)
class Case:
    reason: str
    key: Key
    own: ObservedResources
    following: str
    desired: DesiredState = DESIRED


CASES = (
    Case("everything is as desired", MODEL.key, EVERYTHING, "nothing"),
    Case("nothing stands in its way", MODEL.key, {}, "create"),
    Case("what it needs is missing", CONFIG.key, {}, f"waits for {MODEL.key}"),
    Case(
        "a change is under way",
        ENDPOINT.key,
        EVERYTHING | {ENDPOINT.key: ObservedResource(ENDPOINT.key, Phase.BUSY, status="Creating")},
        "waits until it is no longer Creating",
    ),
    Case(
        "it differs from what is desired",
        FUNCTION.key,
        EVERYTHING | {FUNCTION.key: replace(EVERYTHING[FUNCTION.key], spec=None)},
        "update",
    ),
    Case(
        "requests would go to an endpoint that does not serve",
        FUNCTION.key,
        EVERYTHING
        | {
            FUNCTION.key: replace(EVERYTHING[FUNCTION.key], spec=None),
            ENDPOINT.key: ObservedResource(ENDPOINT.key, Phase.BUSY, status="Creating"),
        },
        f"is updated once {ENDPOINT.key} serves",
    ),
    Case(
        "nobody desires it",
        LEFT,
        EVERYTHING | {LEFT: ObservedResource(LEFT, Phase.READY)},
        "delete",
    ),
    Case(
        "nobody desires it, and it is used",
        LEFT,
        {
            LEFT: ObservedResource(LEFT, Phase.READY),
            USER: ObservedResource(USER, Phase.READY, uses=frozenset({LEFT})),
        },
        f"deleted once {USER} is gone",
        DesiredState.absent(),
    ),
    Case(
        "nobody desires it, and it is being deleted",
        LEFT,
        {LEFT: ObservedResource(LEFT, Phase.DELETING, status="Deleting")},
        "deleted once it is no longer Deleting",
        DesiredState.absent(),
    ),
    Case(
        "its image is not known yet",
        LEFT,
        {LEFT: ObservedResource(LEFT, Phase.READY)},
        "kept: it is not known yet whether it is desired",
        DesiredState(keep_kinds=frozenset({MODEL_KIND})),
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_each_resource_says_what_comes_next(case: Case) -> None:
    found = {each.key: each.following for each in explain(View(case.desired, case.own, OTHERS))}
    assert found[case.key] == case.following


def test_what_is_there_and_what_is_desired_is_listed_once_in_the_order_of_keys() -> None:
    found = explain(View(DESIRED, EVERYTHING | {LEFT: ObservedResource(LEFT, Phase.READY)}, OTHERS))
    keys = [each.key for each in found]
    assert keys == sorted({*EVERYTHING, LEFT})
    assert [each.key for each in found if not each.is_desired] == [LEFT]


def test_a_state_is_in_the_words_of_aws_where_it_has_any() -> None:
    busy = EVERYTHING | {ENDPOINT.key: ObservedResource(ENDPOINT.key, Phase.BUSY, status="Updating")}
    states = {each.key: each.observed for each in explain(View(DESIRED, busy, OTHERS))}
    assert states[ENDPOINT.key] == "Updating"
    assert states[MODEL.key] == "Ready"
    assert {each.observed for each in explain(View(DESIRED, {}, OTHERS))} == {"absent"}
