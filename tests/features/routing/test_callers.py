"""What an object and its class say of callers, and the routes that follow from it."""

from typing import Any

import pytest
from tests.engine.objects import resolved, subject

from ephemeral_endpoints.api.v1alpha1.authentication import AuthType
from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.features.routing.apis import apis_of_class
from ephemeral_endpoints.features.routing.callers import (
    admission,
    auth_type,
    entrance,
    gateway_auth,
    invocation_url,
    refused_auth,
    required_claims,
)
from ephemeral_endpoints.features.routing.desired import desired, routes
from ephemeral_endpoints.features.routing.specs import (
    AUTHORIZER,
    FUNCTION,
    ROUTE,
    FunctionSpec,
    RouteSpec,
    authorizer_key,
    possible_route_keys,
    route_path,
)
from ephemeral_endpoints.features.subject import Subject

ISSUER = {"issuer": "https://token.actions.githubusercontent.com", "audiences": ["https://b", "https://a"]}
URL = "https://x/nlp/pr-42"


def object_of(type_: str, *, allowed: list[str] | None = None, issuer: Any = ISSUER, **api: Any) -> Subject:  # noqa: ANN401 - members of a spec
    auth: dict[str, Any] = {"allowed": allowed or [*AuthType], "jwt": issuer}
    given = api.pop("auth", {})
    return subject({"api": {"auth": {"type": type_, **given}, **api}}, {"routing": {"auth": auth}})


@pytest.mark.parametrize(
    ("type_", "allowed", "issuer", "used", "words", "reason"),
    [
        ("Token", None, None, "Token", "", "needs nothing of the class"),
        ("None", ["None"], None, "None", "", "the class allows it"),
        ("None", ["Token", "JWT"], None, "Token", "choose Token or JWT, or ask the platform team", "it does not"),
        ("IAM", ["JWT"], None, "Token", "choose JWT, or ask the platform team", "nor this; the token is never refused"),
        ("JWT", None, ISSUER, "JWT", "", "the class has an issuer"),
        ("JWT", None, None, "Token", "ask the platform team to set spec.routing.auth.jwt", "it has none"),
        ("JWT", ["IAM"], ISSUER, "Token", "choose IAM", "an issuer does not allow it"),
    ],
)
def test_what_the_class_does_not_allow_takes_the_token(  # noqa: PLR0917 - a row
    type_: str,
    allowed: list[str] | None,
    issuer: Any,  # noqa: ANN401 - JSON
    used: str,
    words: str,
    reason: str,
) -> None:
    given = object_of(type_, allowed=allowed, issuer=issuer)
    assert auth_type(given) == used, reason
    refusal = refused_auth(given)
    assert words in str(refusal or ""), reason
    assert (refusal is None) is (not words)
    assert refusal is None or "takes only the token in the object's Secret" in str(refusal)


def test_a_class_that_says_nothing_allows_all_but_open_urls() -> None:
    refused = {type_ for type_ in AuthType if refused_auth(object_of(type_, allowed=["Token", "JWT", "IAM"]))}
    assert refused == {AuthType.NONE}
    assert subject(endpoint_class={"routing": None}).endpoint_class.spec.routing.auth.allowed == (
        *(AuthType.TOKEN, AuthType.JWT, AuthType.IAM),
    )


def test_the_repository_of_the_source_must_call_unless_the_object_says_otherwise() -> None:
    assert required_claims(object_of("JWT")) == (("repository", "acme/sentiment"),)
    own = object_of("JWT", auth={"jwt": {"claims": {"sub": "repo:acme/*", "actor": "ada"}}})
    assert required_claims(own) == (("actor", "ada"), ("sub", "repo:acme/*"))
    general = {**ISSUER, "claims": {"repository": "acme/*"}}
    assert required_claims(object_of("JWT", issuer=general)) == (
        *(("repository", "acme/*"), ("repository", "acme/sentiment")),
    ), "the class's cannot be given up"


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        (object_of("Token"), ("ANY", "ANY/{proxy+}")),
        (object_of("None"), ("ANY", "ANY/{proxy+}")),
        (object_of("JWT"), ("ANY", "ANY/{proxy+}", "GET/healthz", "ANY/operator/{proxy+}", "GET")),
        (
            object_of("JWT", playground={"enabled": False}),
            ("ANY", "ANY/{proxy+}", "GET/healthz", "ANY/operator/{proxy+}"),
        ),
        (
            object_of("IAM", cors={"allowOrigins": ["https://a.example"]}),
            (
                *("ANY", "ANY/{proxy+}", "GET/healthz", "ANY/operator/{proxy+}", "GET"),
                *("OPTIONS", "OPTIONS/{proxy+}"),
            ),
        ),
    ],
    ids=["token", "open", "jwt", "jwt without a page", "iam with cors"],
)
def test_routes(given: Subject, keys: tuple[str, ...]) -> None:
    assert tuple(each.replace(" /nlp/pr-42", "") for each in routes(given)) == keys
    assert {*routes(given)} <= {*possible_route_keys("/nlp/pr-42")}


@pytest.mark.parametrize(("type_", "authorization"), [("JWT", "JWT"), ("IAM", "AWS_IAM")])
def test_the_usual_routes_are_authorised_and_only_after_the_forwarder_expects_it(
    type_: str, authorization: str
) -> None:
    given, found = object_of(type_), resolved()
    wanted = {each.key: each for each in desired(given, found, DesiredState()).resources}
    [function] = (each for key, each in wanted.items() if key.kind is FUNCTION)
    authorizer = authorizer_key(found.api)
    for key, route in wanted.items():
        if key.kind is not ROUTE:
            continue
        assert isinstance(route.spec, RouteSpec)
        is_usual = route.spec.route_key in {"ANY /nlp/pr-42", "ANY /nlp/pr-42/{proxy+}"}
        assert route.spec.authorization == (authorization if is_usual else "NONE")
        assert (authorizer in route.needs) is (route.spec.authorizer is not None) is (is_usual and type_ == "JWT")
        assert route.after == (frozenset({function.key}) if is_usual else frozenset())
    assert isinstance(function.spec, FunctionSpec)
    assert function.spec.forwarder is not None
    assert function.spec.forwarder.gateway_auth == gateway_auth(given)
    assert not function.update_after


def test_a_forwarder_that_takes_the_token_comes_after_the_routes() -> None:
    wanted = desired(object_of("Token"), resolved(), DesiredState()).resources
    [function] = (each for each in wanted if each.key.kind is FUNCTION)
    assert function.update_after == {each.key for each in wanted if each.key.kind is ROUTE}


def test_the_operator_calls_where_the_token_admits() -> None:
    places = {type_: (entrance(type_, URL), invocation_url(type_, URL)) for type_ in AuthType}
    own = (f"{URL}/operator", f"{URL}/operator/invocations")
    assert places == {"Token": (URL, URL), "None": (URL, URL), "JWT": own, "IAM": own}


def test_people_are_told_how_to_authenticate() -> None:
    told = {type_: admission(object_of(type_), "pr-42-endpoint-token") for type_ in AuthType}
    assert told == {
        "Token": "authenticate with the token in Secret pr-42-endpoint-token",
        "JWT": "authenticate with a JWT of https://token.actions.githubusercontent.com that claims "
        "repository=acme/sentiment",
        "IAM": "sign requests with AWS Signature Version 4 as a principal with execute-api:Invoke",
        "None": "",
    }


def test_each_api_has_one_authorizer_and_none_without_an_issuer() -> None:
    given, key = object_of("JWT"), resolved().api
    [_, authorizer] = apis_of_class("c1", given.endpoint_class, [key, key])
    assert (authorizer.key, authorizer.needs) == (authorizer_key(key), frozenset({key}))
    assert getattr(authorizer.spec, "audiences") == ("https://a", "https://b"), "their order means nothing"  # noqa: B009
    assert AUTHORIZER not in {
        each.key.kind for each in apis_of_class("c1", object_of("JWT", issuer=None).endpoint_class, [key])
    }


def test_the_path_of_a_route_is_that_of_its_object() -> None:
    keys = {each.key for each in desired(object_of("JWT"), resolved(), DesiredState()).resources}
    paths = {key.name.partition(" ")[2]: route_path(key) for key in keys if key.kind is ROUTE}
    assert paths.pop("ANY /nlp/pr-42/operator/{proxy+}") == "/nlp/pr-42/operator"
    assert set(paths.values()) == {"/nlp/pr-42"}
