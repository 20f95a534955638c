from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.engine.objects import REGISTRY, endpoint, resolved, subject

from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.routing.forwarder.config import AnswerPointers, ForwarderConfig, Playground
from ephemeral_endpoints.features.routing.policy import refused_postprocess
from ephemeral_endpoints.features.routing.specs import FUNCTION, FunctionSpec, dedicated_api
from ephemeral_endpoints.features.serving.desired import variants_of
from ephemeral_endpoints.features.subject import Resolved, Subject

OTHER_IMAGE = f"{REGISTRY}/models/sentiment:other"
REVIEWS = {"secretName": "forge", "repositories": [{"repository": "acme/*", "namespaces": ["*"]}]}


def function(subject: Subject, resolved: Resolved) -> FunctionSpec:
    [spec] = [each.spec for each in desired(subject, resolved).resources if each.key.kind is FUNCTION]
    assert isinstance(spec, FunctionSpec)
    return spec


def forwarder(subject: Subject, resolved: Resolved) -> ForwarderConfig:
    found = function(subject, resolved).forwarder
    assert found
    return found


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, Playground()),
        (
            {"title": "Moods", "answer": {"label": "/label", "image": ""}},
            Playground("Moods", AnswerPointers(label="/label", image="")),
        ),
        ({"enabled": False, "title": "Moods"}, None),
    ],
)
def test_the_forwarder_shows_the_page_that_the_object_asks_for(
    asked: Mapping[str, Any], expected: Playground | None
) -> None:
    assert forwarder(subject({"api": {"playground": asked}}), resolved()).playground == expected


@pytest.mark.parametrize(
    ("reviews", "source", "url"),
    [
        (REVIEWS, {}, "https://github.com/acme/sentiment/pull/42"),
        (
            {**REVIEWS, "url": "https://git.acme.example:8443"},
            {},
            "https://git.acme.example:8443/acme/sentiment/pull/42",
        ),
        ({**REVIEWS, "url": "http://localhost:4566"}, {}, None),
        (REVIEWS, {"pullRequest": None}, None),
        (None, {}, None),
    ],
)
def test_the_page_leads_to_the_pull_request(
    reviews: Mapping[str, Any] | None, source: Mapping[str, Any], url: str | None
) -> None:
    object_ = subject({"source": source}, {"reviews": reviews} if reviews else None)
    assert forwarder(object_, resolved()).about.pull_request_url == url


def test_the_forwarder_reaches_the_base_as_it_is_served() -> None:
    split = [{"name": "a", "weight": 3, "model": {}}, {"name": "b", "weight": 1, "model": {}}]
    base = subject({"serving": {"variants": split}})
    found = forwarder(subject(), replace(resolved(), base=base)).base
    assert found
    assert (found.name, found.function) == ("pr-42", base.names.base)
    served = [(each.name, each.endpoint, each.weight) for each in variants_of(base)]
    assert [(each.name, each.endpoint_name, each.weight) for each in found.variants] == served
    assert forwarder(subject(), resolved()).base is None


@pytest.mark.parametrize(
    ("domain", "api", "former", "expected"),
    [
        ({"name": "ml.acme.com", "basePath": "previews"}, "shared", None, "ml.acme.com/previews"),
        ({"name": "ml.acme.com", "basePath": "previews"}, "own", None, None),
        ({"name": "ml.acme.com", "basePath": "previews"}, "own", "shared", "ml.acme.com/previews"),
        ({"name": "ml.acme.com"}, "shared", None, None),
        (None, "shared", None, None),
    ],
    ids=["path", "own API", "its page is still below the path", "whole domain", "no domain"],
)
def test_the_page_may_call_below_the_path_of_the_domain_that_leads_to_it(
    domain: Mapping[str, Any] | None, api: str, former: str | None, expected: str | None
) -> None:
    object_ = subject({}, {"routing": {"domain": domain}} if domain else None)
    apis = {"own": dedicated_api(object_.names.base), "shared": resolved().api}
    found = replace(resolved(), api=apis[api], former_api=apis[former] if former else None)
    assert forwarder(object_, found).domain == expected


CHAIN = {"endpoint": "second", "input": "/text", "member": "text", "timeoutSeconds": 5}


def test_the_forwarder_reaches_the_models_of_the_second_object_and_a_push_to_it_changes_nothing() -> None:
    split = [{"name": "a", "weight": 3, "model": {}}, {"name": "b", "weight": 1, "model": {}}]
    second, own = subject({"serving": {"variants": split}}), subject({"api": {"postprocess": CHAIN}})
    found = forwarder(own, replace(resolved(), second=second)).postprocess
    assert found
    assert (found.name, found.input, found.member, found.timeout_seconds) == ("second", "/text", "text", 5)
    assert [(each.name, each.weight) for each in found.variants] == [("a", 3), ("b", 1)]
    assert found.refusal is None
    pushed = endpoint({"spec": {"serving": {"variants": split}}, "status": {"revision": "0" * 40}})
    after = replace(second, endpoint=pushed)
    assert forwarder(own, replace(resolved(), second=after)).postprocess == found
    assert function(own, replace(resolved(), second=after)) == function(own, replace(resolved(), second=second))
    assert found.function == second.names.base, "which says what it serves"


@pytest.mark.parametrize(
    ("asked", "listed", "refusal"),
    [
        ({"endpoint": "second"}, (), "The endpoint second does not exist"),
        ({"sageMakerEndpoint": "shared"}, (), "The class does not allow"),
        ({"sageMakerEndpoint": "shared"}, ("Shared", "shared-2"), "The class does not allow"),
        ({"sageMakerEndpoint": "shared"}, ("other", "shared"), None),
    ],
)
def test_what_must_not_be_asked_is_in_no_bundle(
    asked: Mapping[str, Any], listed: tuple[str, ...], refusal: str | None
) -> None:
    own = subject({"api": {"postprocess": asked}}, {"routing": {"postprocessors": listed}})
    found = forwarder(own, resolved()).postprocess
    assert found
    assert found.variants == ()
    assert (found.refusal or "").startswith(refusal or "")
    assert (found.refusal is None) is (refusal is None)
    assert (refused_postprocess(own.endpoint.spec.api, own.endpoint_class.spec.routing) is None) is (
        refusal is None or "endpoint" in asked
    )


def test_a_push_to_the_base_changes_nothing_of_the_objects_that_are_compared_with_it() -> None:
    pushed = endpoint(
        {"spec": {"source": {"revision": "0" * 40}, "model": {"image": OTHER_IMAGE}}, "status": {"revision": "0" * 40}}
    )
    base = subject()
    states = [desired(subject(), replace(resolved(), base=each)) for each in (base, replace(base, endpoint=pushed))]
    assert states[0] == states[1]
