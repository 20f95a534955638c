from datetime import UTC, datetime

import pytest

from eep_platform.github.access import METADATA, Caller, Need, check
from eep_platform.github.errors import GitHubError
from eep_platform.github.records import Permissions, Repository, Role, Token, User

NOW = datetime(2026, 11, 30, tzinfo=UTC)
ACME, EVE = User(1, "acme", NOW, "Organization"), User(2, "eve", NOW)
STATUS = Need("statuses", "write")
COMMENT = Need("pull_requests", "write")
READ = Need("pull_requests", "read")
ID = 7


def outcome(
    need: Need,
    *,
    role: Role = Role.WRITE,
    is_private: bool = True,
    scopes: frozenset[str] | None = None,
    permissions: Permissions | None = None,
    repositories: frozenset[int] | None = None,
) -> int:
    """The status that a token of eve gets."""
    repository = Repository(ID, ACME, "wine", is_private, NOW, roles={"eve": role})
    token = Token("t", EVE, scopes=scopes, permissions=permissions, repositories=repositories)
    try:
        check(Caller(token), repository, need)
    except GitHubError as error:
        return error.status
    return 200


@pytest.mark.parametrize(
    ("scopes", "need", "is_private", "status", "reason"),
    [
        ({"repo"}, STATUS, True, 200, "all of repositories"),
        ({"repo:status"}, STATUS, True, 200, "exactly this"),
        ({"repo:status"}, COMMENT, True, 404, "scopes that are missing are not named"),
        ({"repo:status"}, METADATA, True, 200, "the repository is seen"),
        ({"repo_deployment"}, Need("deployments", "write"), True, 200, "exactly this"),
        ({"public_repo"}, METADATA, True, 404, "not for private ones"),
        ({"public_repo"}, COMMENT, False, 200, "for public ones"),
        (set(), READ, False, 200, "everybody may read"),
        (set(), COMMENT, False, 404, "nothing may be written"),
        ({"gist"}, METADATA, True, 404, "of something else"),
    ],
)
def test_scopes_of_classic_tokens(scopes: set[str], need: Need, status: int, reason: str, *, is_private: bool) -> None:
    assert outcome(need, scopes=frozenset(scopes), is_private=is_private) == status, reason


@pytest.mark.parametrize(
    ("permissions", "need", "status", "reason"),
    [
        ({}, METADATA, 200, "comes by itself"),
        ({}, READ, 403, "none"),
        ({"pull_requests": "read"}, READ, 200, "exactly this"),
        ({"pull_requests": "read"}, COMMENT, 403, "not enough"),
        ({"pull_requests": "write"}, READ, 200, "more than this"),
        ({"issues": "write"}, COMMENT, 403, "of issues, not of pull requests"),
    ],
)
def test_permissions_of_fine_grained_tokens(permissions: Permissions, need: Need, status: int, reason: str) -> None:
    assert outcome(need, permissions=permissions) == status, reason
    elsewhere = outcome(need, permissions=permissions, repositories=frozenset({ID + 1}))
    assert elsewhere == 404, "a token for another repository does not see this one"


@pytest.mark.parametrize(
    ("role", "need", "status", "reason"),
    [
        (Role.NONE, METADATA, 404, "a private repository is not seen"),
        (Role.READ, READ, 200, "a reader reads"),
        (Role.READ, COMMENT, 200, "a reader comments"),
        (Role.READ, STATUS, 403, "a reader does not push"),
        (Role.TRIAGE, STATUS, 403, "nor does who triages"),
        (Role.WRITE, STATUS, 200, "a writer does"),
    ],
)
def test_a_token_has_no_more_rights_than_its_user(role: Role, need: Need, status: int, reason: str) -> None:
    assert outcome(need, role=role, scopes=frozenset({"repo"})) == status, reason
    assert outcome(need, role=role, permissions={need.permission: "write"}) == status, reason
