"""What a parameter of SSM says of an object, and when."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.engine.objects import DIGEST, resolved, subject

from ephemeral_endpoints.engine.plan import Update, plan
from ephemeral_endpoints.engine.resources import DesiredResource, ObservedResource, Phase
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.images.policy import images_of
from ephemeral_endpoints.features.routing.parameters.specs import PARAMETER, ParameterSpec
from ephemeral_endpoints.features.serving.specs import ENDPOINT
from ephemeral_endpoints.features.subject import Resolved, Subject

CLASS = {"parameters": {"prefix": "/ml/previews"}}
URL = "https://a1b2.execute-api.us-east-1.amazonaws.com/nlp/pr-42"
SPLIT: list[dict[str, Any]] = [{"name": name, "weight": 1, "model": {}} for name in ("a", "b")]
ON_INSTANCES = {"instances": {"type": "ml.m5.large"}}


def known(one: Subject, **changes: Any) -> Resolved:  # noqa: ANN401 - members of any type
    return replace(resolved(images=tuple(images_of(one))), **{"url": URL, **changes})


def parameter(one: Subject, **changes: Any) -> DesiredResource | None:  # noqa: ANN401 - likewise
    return next((each for each in desired(one, known(one, **changes)).resources if each.key.kind is PARAMETER), None)


def said(one: Subject, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - likewise
    found = parameter(one, **changes)
    assert found
    assert isinstance(found.spec, ParameterSpec)
    value: dict[str, Any] = json.loads(found.spec.value)
    return value


def test_an_object_has_one_parameter_below_the_prefix_of_its_class() -> None:
    one = subject({}, CLASS)
    found = parameter(one)
    assert found
    assert found.key.name == f"/ml/previews/nlp/pr-42/{one.names.base}"
    assert said(one) == {
        "namespace": "nlp",
        "name": "pr-42",
        "revision": "1f0c2a9",
        "region": "us-east-1",
        "url": URL,
        "endpointName": one.names.base,
        "variants": [{"name": "main", "endpointName": one.names.base, "weight": 1}],
    }


def test_without_a_prefix_there_is_none() -> None:
    assert parameter(subject()) is None
    assert not desired(subject(), known(subject())).keeps(PARAMETER), "one that is there is deleted"


@pytest.mark.parametrize(
    ("serving", "endpoints", "reason"),
    [
        ({"variants": SPLIT}, 2, "serverless variants have an endpoint each"),
        ({**ON_INSTANCES, "variants": SPLIT}, 1, "variants on instances share one"),
    ],
)
def test_every_variant_is_named(serving: Mapping[str, Any], endpoints: int, reason: str) -> None:
    value = said(subject({"serving": serving}, CLASS))
    assert [each["name"] for each in value["variants"]] == ["a", "b"]
    assert len({each["endpointName"] for each in value["variants"]}) == endpoints, reason
    assert (value["endpointName"] is None) is (endpoints > 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"digests": {}}, "the image of the revision is not known yet"),
        ({"url": None}, "the API is not there yet"),
        ({"schemas": None}, "the function stays as it is"),
    ],
)
def test_what_is_not_known_yet_leaves_the_parameter_as_it_is(changes: Mapping[str, Any], reason: str) -> None:
    one = subject({}, CLASS)
    assert parameter(one, **changes) is None
    assert desired(one, known(one, **changes)).keeps(PARAMETER), reason


def test_an_object_whose_path_is_anothers_has_no_url_to_name() -> None:
    assert said(subject({}, CLASS), owns_path=False)["url"] is None


def test_a_revision_is_named_only_once_it_is_served() -> None:
    old, new = (subject({"source": {"revision": each}}, CLASS) for each in ("1" * 7, "2" * 7))
    state = desired(new, known(new))
    before = {each.key: each for each in desired(old, known(old)).resources}
    there = {key: ObservedResource(key, Phase.READY, spec=each.spec, arn="arn") for key, each in before.items()}
    changed = {
        each.key.kind.name for step in plan(state, there) if isinstance(step, Update) for each in [step.resource]
    }
    assert changed == {"Function"}, "which names the revision in its answers"
    served = there | {
        each.key: replace(there[each.key], spec=each.spec) for each in state.resources if each.key.kind is not PARAMETER
    }
    [update] = plan(state, served)
    assert isinstance(update, Update)
    assert update.key.kind is PARAMETER
    moving = {key: replace(each, phase=Phase.BUSY) if key.kind is ENDPOINT else each for key, each in served.items()}
    assert plan(state, moving) == ()


def test_the_longest_names_fit_into_a_standard_parameter() -> None:
    variants = [{"name": f"{number}{'v' * 29}", "weight": 100, "model": {}} for number in range(5)]
    one = subject({"serving": {"variants": variants}, "source": {"revision": "f" * 64}}, CLASS)
    found = parameter(one, url=f"https://{'a' * 60}/{'p' * 512}", digests=dict.fromkeys(images_of(one), DIGEST))
    assert found
    assert isinstance(found.spec, ParameterSpec)
    assert len(found.spec.value) < 4096
