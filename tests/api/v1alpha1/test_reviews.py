"""Where pull requests are: each rule with an input that both sides refuse, and the message that a person reads."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.reviews import ReviewPolicy

Body = dict[str, Any]

GRANT: Body = {"repository": "acme/*", "namespaces": ["nlp"]}
BAD_URL = "must be https:// and the name of the forge's host"
BAD_CONTEXT = "must be the name of a commit status"


def reviews(**members: object) -> Body:
    return {"secretName": "forge-github", "repositories": [GRANT], **members}


REFUSED: list[tuple[Body, str, str]] = [
    (reviews(url="github.com"), "no scheme", BAD_URL),
    (reviews(url="http://git.acme.org"), "credentials for everybody on the way", BAD_URL),
    (reviews(url="http://localhost.evil.example"), "only seemingly this machine", BAD_URL),
    (reviews(url="https://github.com/"), "a path", BAD_URL),
    (reviews(url="https://git.acme.org/api/v3"), "the API", BAD_URL),
    (reviews(url="https://user:pass@git.acme.org"), "credentials", BAD_URL),
    (reviews(url="https://GitHub.com"), "upper case", BAD_URL),
    (reviews(url="https://api.github.com"), "the API", "not of its API"),
    (reviews(url="https://api.acme.ghe.com"), "the API", "not of its API"),
    (reviews(secretName="forge/github"), "another namespace", "must be the name of a Kubernetes object"),
    (reviews(repositories=[]), "nobody may speak", "at least 1"),
    (reviews(repositories=[{"repository": "acme", "namespaces": ["nlp"]}]), "no repository", "path of a repository"),
    (
        reviews(repositories=[{"repository": "https://github.com/acme/wine", "namespaces": ["nlp"]}]),
        "a URL",
        "path of a repository",
    ),
    (reviews(repositories=[{"repository": "acme/[ab]*", "namespaces": ["nlp"]}]), "a class", "path of a repository"),
    (reviews(repositories=[{"repository": "acme/*", "namespaces": []}]), "nobody may speak", "at least 1"),
    (reviews(repositories=[{"repository": "acme/*", "namespaces": ["NLP"]}]), "no namespace", "name of a namespace"),
    (reviews(environment="preview/"), "it becomes part of a URL", "must be the name of an environment"),
    (reviews(environment="pr-{number}"), "one for all pull requests", "must be the name of an environment"),
    (reviews(context=" "), "nothing", BAD_CONTEXT),
    (reviews(context="preview\n"), "two lines", BAD_CONTEXT),
    (reviews(closeGrace="0s"), "no time to reopen", "must be a duration longer than 0s"),
    (reviews(closeGrace="8d"), "nobody reopens so late", "must be at most 7d"),
]

ACCEPTED: list[tuple[Body, str]] = [
    (reviews(), "the least"),
    (reviews(url="https://acme.ghe.com"), "GHE.com"),
    (reviews(url="https://git.acme.org:8443"), "GitHub Enterprise Server"),
    (reviews(url="http://127.0.0.1:3000"), "the embedded GitHub"),
    (reviews(comment="OnFailure", environment="ML previews", context="acme/preview", closeGrace="1h"), "all of it"),
    (reviews(repositories=[{"repository": "acme/nlp/*-model?", "namespaces": ["*"]}]), "patterns"),
]


def changed(body: Body, policy: Body) -> Body:
    return {**body, "spec": {**body["spec"], "reviews": policy}}


@pytest.mark.parametrize(("policy", "reason", "message"), REFUSED)
def test_both_refuse_a_class_that_publishes(
    policy: Body, reason: str, message: str, endpoint_class: Body, create: Callable[..., Body]
) -> None:
    assert reason
    body = changed(endpoint_class, policy)
    with pytest.raises(ValueError, match="reviews"):
        EphemeralEndpointClass.model_validate(body)
    with pytest.raises(ValueError, match=re.escape(message)):
        create(body)


@pytest.mark.parametrize(("policy", "reason"), ACCEPTED)
def test_both_accept_a_class_that_publishes(
    policy: Body, reason: str, endpoint_class: Body, create: Callable[..., Body]
) -> None:
    assert reason
    body = changed(endpoint_class, policy)
    EphemeralEndpointClass.model_validate(body)
    EphemeralEndpointClass.model_validate(create(body))


def test_the_defaults_are_those_that_are_documented() -> None:
    policy = ReviewPolicy.model_validate(reviews())
    assert (policy.url, policy.comment, policy.environment, policy.context) == (
        "https://github.com",
        "Always",
        "preview",
        "ephemeral-endpoints",
    )
    assert policy.close_grace.total_seconds() == 600
