from collections.abc import Mapping
from typing import Any

import pytest
from tests.engine.objects import CLUSTER, make_class

from ephemeral_endpoints.engine.conditions import ConditionStatus
from ephemeral_endpoints.engine.errors import AwsError, Denied, NotFound, Transient
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.features.routing.apis import api_key
from ephemeral_endpoints.features.routing.domain import (
    domain_base,
    found_cause,
    leads_to,
    mapping_path,
    mappings,
    taken_cause,
    update_of,
)
from ephemeral_endpoints.features.routing.specs import ApiMappingSpec, HttpApiSpec, mapping_key

DOMAIN = "previews.example.com"
REGIONAL = {
    "EndpointType": "REGIONAL",
    "CertificateArn": "arn:aws:acm:us-east-1:1:certificate/a",
    "DomainNameStatus": "AVAILABLE",
}


def of_domain(base: str | None = None) -> Any:  # noqa: ANN401 - a class
    return make_class({"spec": {"routing": {"domain": {"name": DOMAIN, **({"basePath": base} if base else {})}}}})


def mapped(path: str, api: Key | None = None, owner: str | None = None) -> tuple[Key, ObservedResource]:
    key = mapping_key(DOMAIN, path)
    return key, ObservedResource(key, Phase.READY, ApiMappingSpec(api, DOMAIN, path), id="m", owner=owner)


def served(number: int, *, staged: bool = True) -> ObservedResource:
    key = api_key(CLUSTER, of_domain(), number)
    return ObservedResource(key, Phase.READY, HttpApiSpec(staged=staged), id=f"api{number}", owner="class")


@pytest.mark.parametrize(
    ("base", "number", "expected"),
    [(None, 0, ""), (None, 17, "_17"), ("models", 0, "models"), ("team/models", 2, "team/models/_2")],
)
def test_each_api_of_a_class_has_a_path_of_its_own(base: str | None, number: int, expected: str) -> None:
    api = api_key(CLUSTER, of_domain(), number)
    assert mapping_path(of_domain(base), api) == expected
    assert domain_base(of_domain(base), api) == f"{DOMAIN}/{expected}".rstrip("/")
    assert domain_base(make_class(), api) is None


@pytest.mark.parametrize(
    ("known", "expected", "reason"),
    [
        ([served(0)], [""], "the API serves"),
        ([served(0, staged=False)], [], "AWS maps no API without a stage"),
        ([], [], "it does not exist yet"),
    ],
)
def test_an_api_is_mapped_once_it_has_a_stage(known: list[ObservedResource], expected: list[str], reason: str) -> None:
    found = mappings(of_domain(), [served(0).key], {each.key: each for each in known})
    assert [each.key for each in found] == [mapping_key(DOMAIN, path) for path in expected], reason


def test_a_path_that_is_another_s_is_left_to_it_and_told() -> None:
    api = served(0)
    for owner in (None, "another"):
        known = {api.key: api, **dict([mapped("", owner=owner)])}
        assert mappings(of_domain(), [api.key], known) == []
        cause = taken_cause([mapping_key(DOMAIN, "")], known)
        assert cause is not None
        assert cause.reason.name == "DomainPathTaken"
        assert "choose another spec.routing.domain.basePath" in cause.message
    own = {api.key: api, **dict([mapped("", api.key, "class")])}
    assert [each.key for each in mappings(of_domain(), [api.key], own)] == [mapping_key(DOMAIN, "")]
    assert mappings(make_class(), [api.key], own) == [], "a class without a domain has no mappings"


@pytest.mark.parametrize(
    ("paths", "asked", "expected", "reason"),
    [
        ([""], "/nlp/pr-42", "", "the whole domain"),
        (["", "_1"], "/_1/nlp/pr-42", "_1", "the longest"),
        (["", "_1", "_10"], "/_10/nlp", "_10", "the longest, though another is a prefix of it"),
        (["", "nl"], "/nlp/pr-42", "nl", "a string, not a segment: somebody's mapping takes the path"),
        (["models"], "/nlp", None, "nothing"),
    ],
)
def test_a_request_gets_to_the_longest_mapping_that_its_path_begins_with(
    paths: list[str], asked: str, expected: str | None, reason: str
) -> None:
    found = leads_to(DOMAIN, asked, dict(mapped(path) for path in paths))
    assert found == (None if expected is None else mapping_key(DOMAIN, expected)), reason
    assert leads_to("another.example.com", asked, dict(mapped(path) for path in paths)) is None


def answer(routing: str = "API_MAPPING_ONLY", **changes: str) -> Mapping[str, Any]:
    return {"DomainNameConfigurations": [{**REGIONAL, **changes}], "RoutingMode": routing}


@pytest.mark.parametrize(
    ("found", "reason", "words", "usable"),
    [
        (answer(), "DomainAvailable", "can be used", True),
        (answer(DomainNameStatus="UPDATING"), "DomainUpdating", "is changing", True),
        (answer(DomainNameStatus="PENDING_CERTIFICATE_REIMPORT"), "DomainPending", "imported into ACM again", True),
        (
            answer(DomainNameStatus="PENDING_OWNERSHIP_VERIFICATION", DomainNameStatusMessage="soon"),
            "DomainPending",
            "(soon)",
            True,
        ),
        (answer(EndpointType="EDGE"), "DomainUnusable", "need a regional one", False),
        (answer(routing="ROUTING_RULE_ONLY"), "DomainUnusable", "ignores API mappings", False),
        (
            answer(CertificateArn="arn:aws:acm:eu-west-1:1:certificate/a"),
            "DomainUnusable",
            "of region eu-west-1, and must be of us-east-1",
            False,
        ),
        (answer(CertificateArn=""), "DomainUnusable", "no certificate", False),
        (NotFound("no such domain"), "DomainNotFound", "if it exists in another account", False),
        (Denied("not you"), Denied.reason.name, "not you", True),
        (Transient("?"), Transient.reason.name, "?", True),
    ],
)
def test_the_condition_says_what_is_wrong_with_a_domain(
    found: Mapping[str, Any] | AwsError, reason: str, words: str, *, usable: bool
) -> None:
    cause, is_usable = found_cause(DOMAIN, found, "us-east-1", "1")
    assert (cause.reason.name, is_usable) == (reason, usable)
    assert words in cause.message
    expected = ConditionStatus.TRUE if reason == "DomainAvailable" else ConditionStatus.FALSE
    assert update_of(cause).status is expected
