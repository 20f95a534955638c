from collections.abc import Mapping

import pytest

from ephemeral_endpoints.features.reviews.github.permissions import WRITING, granted, missing, missing_scopes


@pytest.mark.parametrize(
    ("has", "names", "asked"),
    [
        (WRITING, (), WRITING),
        ({**WRITING, "administration": "write", "contents": "read"}, (), WRITING),
        ({**WRITING, "deployments": "admin"}, (), WRITING),
        (
            {"metadata": "read", "pull_requests": "read", "statuses": "write"},
            ("Pull requests: write", "Deployments: write"),
            {"metadata": "read", "pull_requests": "read", "statuses": "write"},
        ),
        ({}, ("Metadata: read", "Pull requests: write", "Deployments: write", "Commit statuses: write"), {}),
        ({**WRITING, "statuses": "unheard-of"}, ("Commit statuses: write",), None),
    ],
)
def test_what_is_missing_is_named_and_the_rest_is_used(
    has: Mapping[str, str], names: tuple[str, ...], asked: Mapping[str, str] | None
) -> None:
    assert missing(has) == names
    if asked is not None:
        assert granted(WRITING, has) == asked, "never more than is needed, and never what is not granted"


@pytest.mark.parametrize(
    ("scopes", "lacking"),
    [
        ({"repo"}, ()),
        ({"repo", "workflow"}, ()),
        ({"public_repo", "repo:status", "repo_deployment"}, ()),
        ({"public_repo"}, ("repo:status", "repo_deployment")),
        ({"read:org"}, ("public_repo", "repo:status", "repo_deployment")),
        ({""}, ("public_repo", "repo:status", "repo_deployment")),
    ],
)
def test_scopes_of_classic_tokens_that_are_missing_are_named(scopes: set[str], lacking: tuple[str, ...]) -> None:
    assert missing_scopes(scopes) == lacking
