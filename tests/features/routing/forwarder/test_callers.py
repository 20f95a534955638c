"""Whom the forwarder admits, by what API Gateway has verified and by the token."""

import hashlib
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.features.routing.forwarder.callers import IAM, JWT, authenticate
from ephemeral_endpoints.features.routing.forwarder.config import About, ForwarderConfig, GatewayAuth, Variant
from ephemeral_endpoints.features.routing.forwarder.documents import openapi
from ephemeral_endpoints.features.routing.forwarder.messages import Problem

TOKEN = "eep_secret"  # noqa: S105 - an example
SHA256 = hashlib.sha256(TOKEN.encode()).hexdigest()
CLAIMS = {"repository": "acme/wine", "ref": "refs/heads/main", "groups": "[admin dev]", "actor": "ada"}
BY_TOKEN = ForwarderConfig(
    (Variant("main", "pr", 1),), SHA256, 1000, "eu-west-1", About("nlp", "pr", "0" * 40, "acme/wine"), "/nlp/pr"
)
BY_IAM = replace(BY_TOKEN, gateway_auth=GatewayAuth(IAM))
OPEN = replace(BY_TOKEN, token_sha256=None)


def by_jwt(**claims: str) -> ForwarderConfig:
    wanted = claims or {"repository": "acme/wine"}
    return replace(BY_TOKEN, gateway_auth=GatewayAuth(JWT, tuple(wanted.items())))


def status(config: ForwarderConfig, authorizer: Any = None, token: str | None = None) -> int:  # noqa: ANN401 - JSON
    sent = {"authorization": f"Bearer {token}"} if token else {}
    context = {} if authorizer is None else {"authorizer": authorizer}
    try:
        authenticate({"requestContext": context}, sent, config, now=0)
    except Problem as problem:
        return 0 if any(value in problem.detail for value in CLAIMS.values()) else problem.status
    return HTTPStatus.OK


@pytest.mark.parametrize(
    ("config", "authorizer", "token", "expected", "reason"),
    [
        (by_jwt(), {"jwt": {"claims": CLAIMS}}, None, 200, "the claims match"),
        (by_jwt(), {"jwt": {"claims": {**CLAIMS, "repository": "mallory/wine"}}}, None, 403, "another repository"),
        (by_jwt(), {"jwt": {"claims": {**CLAIMS, "repository": "mallory/wine"}}}, TOKEN, 403, "whatever else it sends"),
        (by_jwt(), {"jwt": {"claims": {"actor": "ada"}}}, None, 403, "it claims no repository"),
        (by_jwt(), {"jwt": {"claims": {**CLAIMS, "repository": ["acme/wine"]}}}, None, 403, "claims are strings"),
        (by_jwt(), None, None, 401, "the route has no authorizer"),
        (by_jwt(), {}, None, 401, "the authorizer verified nothing"),
        (by_jwt(), {"jwt": {"claims": {}}}, None, 401, "no claims"),
        (by_jwt(), {"jwt": None}, None, 401, "no JWT"),
        (by_jwt(), {"iam": {"userArn": "arn:aws:iam::1:user/a"}}, None, 401, "a signature is no JWT"),
        (by_jwt(), None, TOKEN, 200, "the operator, on its own way"),
        (by_jwt(), None, "wrong", 401, "a wrong token there"),
        (by_jwt(ref="refs/heads/*"), {"jwt": {"claims": CLAIMS}}, None, 200, "* is any characters"),
        (by_jwt(ref="refs/heads/mai?"), {"jwt": {"claims": CLAIMS}}, None, 200, "? is one"),
        (by_jwt(repository="acme/win"), {"jwt": {"claims": CLAIMS}}, None, 403, "the whole claim must match"),
        (by_jwt(repository="ACME/wine"), {"jwt": {"claims": CLAIMS}}, None, 403, "case matters"),
        (by_jwt(groups="[[]admin*"), {"jwt": {"claims": CLAIMS}}, None, 403, "brackets stand for themselves"),
        (by_jwt(groups="[admin*"), {"jwt": {"claims": CLAIMS}}, None, 200, "and begin a list"),
        (by_jwt(repository="acme/wine", actor="bob"), {"jwt": {"claims": CLAIMS}}, None, 403, "all must match"),
        (BY_IAM, {"iam": {"userArn": "arn:aws:iam::1:user/a"}}, None, 200, "the gateway has authorised the signer"),
        (BY_IAM, {"jwt": {"claims": CLAIMS}}, None, 401, "a JWT is no signature"),
        (BY_IAM, None, None, 401, "the route asks for no signature"),
        (BY_IAM, {"iam": None}, None, 401, "the gateway knows nobody"),
        (BY_IAM, None, TOKEN, 200, "the operator, on its own way"),
        (BY_TOKEN, {"jwt": {"claims": CLAIMS}}, None, 401, "a JWT where the token is asked for"),
        (BY_TOKEN, {"iam": {"userArn": "arn:aws:iam::1:user/a"}}, None, 401, "a signature where the token is"),
        (BY_TOKEN, None, TOKEN, 200, "the token"),
        (OPEN, None, None, 200, "everybody"),
    ],
)
def test_callers(config: ForwarderConfig, authorizer: object, token: str | None, expected: int, reason: str) -> None:
    assert status(config, authorizer, token) == expected, reason


@given(patterns=st.dictionaries(st.text("ab", min_size=1), st.text("ab*?[]!-", min_size=1), min_size=1), data=st.data())
def test_only_claims_that_match_are_admitted(patterns: dict[str, str], data: st.DataObject) -> None:
    claims = data.draw(st.dictionaries(st.sampled_from([*patterns]), st.text("ab[]!-", max_size=4), min_size=1))
    admitted = status(by_jwt(**patterns), {"jwt": {"claims": claims}}) == HTTPStatus.OK
    assert admitted == all(name in claims and _matches(claims[name], pattern) for name, pattern in patterns.items())


def _matches(text: str, pattern: str) -> bool:
    """The naive way."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(_matches(text[start:], pattern[1:]) for start in range(len(text) + 1))
    return bool(text) and pattern[0] in {"?", text[0]} and _matches(text[1:], pattern[1:])


@pytest.mark.parametrize(
    ("type_", "claims"),
    [("JWT", ()), ("IAM", (("a", "b"),)), ("None", ()), ("", ())],
)
def test_what_would_admit_everybody_is_no_configuration(type_: str, claims: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(ValueError, match="gateway_auth"):
        GatewayAuth(type_, claims)


def test_without_a_token_there_is_no_configuration_either() -> None:
    with pytest.raises(ValueError, match="token_sha256"):
        replace(BY_IAM, token_sha256=None)


@pytest.mark.parametrize(
    ("config", "scheme"),
    [
        (BY_TOKEN, {"type": "http", "scheme": "bearer"}),
        (by_jwt(), {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}),
        (BY_IAM, {"type": "apiKey", "in": "header", "name": "authorization"}),
    ],
)
def test_the_description_says_how_callers_authenticate(config: ForwarderConfig, scheme: dict[str, str]) -> None:
    document = openapi(config, "pr")
    [(name, described)] = document["components"]["securitySchemes"].items()
    assert document["security"] == [{name: []}]
    assert described | scheme == described
    assert "403" in document["paths"]["/invocations"]["post"]["responses"]
    assert openapi(config, "operator")["security"] == [{"token": []}], "the gateway authenticates nobody there"
