from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from tests.eep_platform.github.conftest import HEAD, Caller, Json, caller, signed
from tests.fixtures.github import REPOSITORY

from eep_platform.github.client import GitHubClient, Installed

As = Callable[[str | None], Caller]


@pytest.fixture
def signing(github: GitHubClient, app: Installed) -> Caller:
    """The App with its own signature."""
    return caller(github, signed(app))


def path(app: Installed) -> str:
    return f"/app/installations/{app.installation_id}/access_tokens"


def test_an_app_finds_itself_and_its_installation(signing: Caller, app: Installed) -> None:
    assert signing.get("/app")["slug"] == "previews"
    places = ("installation", "/users/acme/installation", "/orgs/acme/installation")
    for place in (*places, f"/app/installations/{app.installation_id}"):
        found = signing.get(place)
        assert (found["id"], found["permissions"]["deployments"]) == (app.installation_id, "write"), place


def test_where_it_is_not_installed_there_is_no_installation(
    github: GitHubClient, signing: Caller, app: Installed
) -> None:
    github.add_repository("acme/other")
    github.add_repository("elsewhere/wine")
    another = github.add_app("another", ["elsewhere/wine"])
    for place in ("/repos/acme/other", "/repos/elsewhere/wine", "/users/elsewhere"):
        assert signing("GET", f"{place}/installation").status_code == 404, place
    assert signing("POST", path(another), {}).status_code == 404, "of another App"
    github.uninstall(app)
    assert signing("GET", "installation").status_code == 404
    assert signing("POST", path(app), {}).status_code == 404
    assert signing.get("/app")["id"] == app.id, "the App still exists"


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        pytest.param({"iat": 10**10}, "'Issued at' claim", id="issued in the future"),
        pytest.param({"iat": "now"}, "'Issued at' claim", id="issued at no number"),
        pytest.param({"exp": 10}, "'Expiration time' claim", id="expired"),
        pytest.param({"exp": 10**10}, "too far in the future", id="lives too long"),
        pytest.param({"iss": "7"}, "Integration not found", id="of no App"),
    ],
)
def test_a_signature_that_is_not_of_now_is_refused(
    as_: As, app: Installed, claims: dict[str, Json], message: str
) -> None:
    answer = as_(signed(app, **claims))("GET", "/app")
    assert answer.status_code == 401
    assert message in answer.json()["message"]


def test_a_signature_of_another_key_is_refused(github: GitHubClient, as_: As, app: Installed) -> None:
    another = github.add_app("another", [REPOSITORY])
    forged = signed(another, iss=str(app.id))
    answer = as_(forged)("GET", "/app")
    assert (answer.status_code, answer.json()["message"]) == (401, "A JSON web token could not be decoded")
    assert as_(signed(app, iss=app.client_id)).get("/app")["id"] == app.id, "the client id is an issuer too"


def test_a_signature_is_for_the_app_only_and_a_token_is_not(as_: As, signing: Caller, ada: Caller) -> None:
    assert signing("GET", "").status_code == 401
    assert signing("GET", "/user").status_code == 401
    assert ada("GET", "/app").status_code == 401
    assert as_(None)("GET", "/app").status_code == 401
    assert as_(None)("GET", "/user").status_code == 401


def test_a_token_has_the_new_form_and_ends_after_an_hour(
    github: GitHubClient, signing: Caller, app: Installed, as_: As
) -> None:
    made = signing.post(path(app))
    assert made["token"].startswith(f"ghs_{app.id}_")
    assert len(made["token"]) > 40
    born = datetime.fromisoformat(signing.get("/app")["created_at"])
    assert datetime.fromisoformat(made["expires_at"]) == born + timedelta(hours=1)
    with_it = as_(made["token"])
    assert with_it.get("")["full_name"] == REPOSITORY
    github.advance(3599)
    assert with_it("GET", "").status_code == 200
    github.advance(1)
    answer = with_it("GET", "")
    assert (answer.status_code, answer.json()["message"]) == (401, "Bad credentials")


def test_a_token_can_be_narrowed(github: GitHubClient, as_: As) -> None:
    github.add_repository("acme/other")
    app = github.add_app("wide", [REPOSITORY], all_repositories=True)
    signing = as_(signed(app))
    wide = signing.post(path(app))
    assert wide["repository_selection"] == "all"
    assert as_(wide["token"]).get("/repos/acme/other")
    id_ = as_(wide["token"]).get("")["id"]
    for narrowing in ({"repositories": ["wine"]}, {"repository_ids": [id_]}):
        narrow = signing.post(path(app), **narrowing, permissions={"pull_requests": "read"})
        assert [each["full_name"] for each in narrow["repositories"]] == [REPOSITORY]
        assert narrow["permissions"] == {"metadata": "read", "pull_requests": "read"}
        client = as_(narrow["token"])
        assert client("GET", "/repos/acme/other").status_code == 404
        assert client.get("pulls") == []
        assert client("GET", "deployments").status_code == 403


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"repositories": ["other"]}, "not in the installation"),
        ({"repositories": ["wine", "missing"]}, "one that does not exist"),
        ({"repository_ids": [1]}, "no repository"),
        ({"permissions": {"contents": "write"}}, "a permission that was not granted"),
        ({"permissions": {"pull_requests": "admin"}}, "no level of this permission"),
        ({"repositories": "wine"}, "no list"),
    ],
)
def test_a_token_cannot_be_widened(
    github: GitHubClient, signing: Caller, app: Installed, body: dict[str, Json], reason: str
) -> None:
    github.add_repository("acme/other")
    assert signing("POST", path(app), body).status_code == 422, reason


def test_the_tokens_of_an_installation_end_with_it(
    github: GitHubClient, installation: Caller, app: Installed, as_: As
) -> None:
    github.uninstall(app)
    assert installation("GET", "").status_code == 401
    token = github.add_token("ada")
    github.revoke(token)
    assert as_(token)("GET", "").status_code == 401


def test_an_installation_has_no_user(installation: Caller, ada: Caller) -> None:
    assert installation("GET", "/user").status_code == 403
    assert ada.get("/user")["login"] == "ada"


@pytest.mark.usefixtures("pull")
@pytest.mark.parametrize(
    ("method", "place", "body", "accepted"),
    [
        ("GET", "pulls/42", None, "pull_requests=read"),
        ("POST", "issues/42/comments", {"body": "x"}, "issues=write; pull_requests=write"),
        ("POST", "deployments", {"ref": HEAD}, "deployments=write"),
        ("GET", "deployments", None, "deployments=read"),
        ("POST", f"statuses/{HEAD}", {"state": "success"}, "statuses=write"),
    ],
)
@pytest.mark.parametrize("kind", ["App", "fine-grained token"])
def test_a_lacking_permission_is_named(  # noqa: PLR0917 - parameters
    github: GitHubClient, as_: As, method: str, place: str, body: Json, accepted: str, kind: str
) -> None:
    if kind == "App":
        app = github.add_app("poor", [REPOSITORY], permissions={"issues": "write"})
        token = as_(signed(app)).post(path(app))["token"]
    else:
        token = github.add_token("ada", permissions={"metadata": "read"})
    answer = as_(token)(method, place, body)
    assert (answer.status_code, answer.headers["X-Accepted-GitHub-Permissions"]) == (403, accepted)
    assert answer.json()["message"].startswith("Resource not accessible by")
    assert as_(token).get("")["full_name"] == REPOSITORY, "metadata come with every token"
