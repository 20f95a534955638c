from collections.abc import Mapping
from typing import Any

import pytest
from tests.engine.objects import CLUSTER, make_class

from ephemeral_endpoints.controllers.endpoint_class.desired import desired_of_class
from ephemeral_endpoints.engine.plan import Delete, plan
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.features.images.desired import repository_name
from ephemeral_endpoints.features.images.specs import REPOSITORY as REPOSITORY_KIND
from ephemeral_endpoints.features.routing.apis import api_key

CLASS = make_class()
FIRST, SECOND = (api_key(CLUSTER, CLASS, number) for number in range(2))
BUILDS: Mapping[str, Any] = {"builds": {"codeBuild": {"project": "previews"}}}
BUILDING = make_class({"spec": BUILDS})
REPOSITORY = ObservedResource(Key(REPOSITORY_KIND, repository_name(CLUSTER, BUILDING)), Phase.READY)


def test_an_api_in_which_nobody_is_placed_is_not_wanted() -> None:
    assert [resource.key for resource in desired_of_class(CLUSTER, CLASS, [SECOND, SECOND]).resources] == [SECOND]
    assert desired_of_class(CLUSTER, CLASS, []).resources == ()


def test_no_api_is_taken_away_while_somebody_has_no_place_yet() -> None:
    api = ObservedResource(FIRST, Phase.READY)
    assert plan(desired_of_class(CLUSTER, CLASS, []), {FIRST: api}) == (Delete(api),)
    assert plan(desired_of_class(CLUSTER, CLASS, [], is_complete=False), {FIRST: api}) == ()


@pytest.mark.parametrize(
    ("spec", "makes_images", "is_wanted"),
    [
        pytest.param(BUILDS, True, True, id="an object wants an image to be made"),
        pytest.param(BUILDS, False, False, id="nobody does"),
        pytest.param({}, True, False, id="the class makes none"),
        pytest.param({**BUILDS, "images": {"repository": {"name": "previews"}}}, True, False, id="it uses another"),
    ],
)
def test_a_repository_is_made_when_it_is_needed(
    spec: Mapping[str, Any], *, makes_images: bool, is_wanted: bool
) -> None:
    desired = desired_of_class(CLUSTER, make_class({"spec": spec}), [], makes_images=makes_images)
    assert bool(desired.resources) is is_wanted


@pytest.mark.parametrize(
    ("changes", "is_used", "goes"),
    [
        pytest.param({"spec": BUILDS}, False, False, id="nobody wants an image now"),
        pytest.param({}, False, False, id="the class makes none any more: what it made may be served"),
        pytest.param(
            {"spec": BUILDS, "metadata": {"deletionTimestamp": "2026-11-02T00:00:00Z"}}, False, True, id="it goes"
        ),
        pytest.param(
            {"spec": BUILDS, "metadata": {"deletionTimestamp": "2026-11-02T00:00:00Z"}},
            True,
            False,
            id="it goes, and something was retained",
        ),
    ],
)
def test_a_repository_stays_as_long_as_its_images_may_be_served(
    changes: Mapping[str, Any], *, is_used: bool, goes: bool
) -> None:
    desired = desired_of_class(CLUSTER, make_class(changes), [], is_used=is_used)
    assert plan(desired, {REPOSITORY.key: REPOSITORY}) == ((Delete(REPOSITORY),) if goes else ())
