import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
import requests
from tests.fixtures.github import REPOSITORY

from eep_platform.github.client import GitHubClient, Installed, sha_of

HEAD = sha_of("first")
Json = Any


@dataclass(frozen=True)
class Caller:
    """A client of the REST and GraphQL APIs with one credential, as any library for GitHub would be."""

    github: GitHubClient
    session: requests.Session

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> requests.Response:
        """Send a request; ``path`` is below the repository unless it begins with a slash, or is a whole URL."""
        url = path if path.startswith("http") else f"{self.github.api_url}{path}"
        if not path.startswith(("/", "http")):
            url = f"{self.github.api_url}/repos/{REPOSITORY}{path and '/'}{path}"
        shown = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.session.request(method, url, json=body, headers=shown, allow_redirects=False, timeout=60)

    def get(self, path: str, **headers: str) -> Json:
        """The body of a successful answer."""
        return self._body(self("GET", path, **headers))

    def post(self, path: str, **body: Json) -> Json:
        """The body of a successful answer."""
        return self._body(self("POST", path, body))

    def graphql(self, query: str, **variables: Json) -> Json:
        """The answer to a query."""
        body = {"query": query, "variables": variables}
        return self._body(self.session.post(self.github.graphql_url, json=body, timeout=60))

    @staticmethod
    def _body(answer: requests.Response) -> Json:
        assert answer.ok, answer.text
        return answer.json()


def caller(github: GitHubClient, token: str | None) -> Caller:
    session = requests.Session()
    if token is not None:
        session.headers["Authorization"] = f"Bearer {token}"
    return Caller(github, session)


def signed(app: Installed, **claims: Json) -> str:
    """A JSON web token of an App, with other claims or instead of these."""
    now = int(time.time())
    wanted = {"iat": now - 60, "exp": now + 300, "iss": str(app.id), **claims}
    return jwt.encode(wanted, app.private_key, algorithm="RS256")


@pytest.fixture
def as_(github: GitHubClient) -> Callable[[str | None], Caller]:
    """Callers by their token; None: without one."""
    return lambda token: caller(github, token)


@pytest.fixture
def ada(github: GitHubClient) -> Caller:
    """A person who may write, with a classic token."""
    return caller(github, github.add_token("ada"))


@pytest.fixture
def pull(github: GitHubClient) -> Json:
    """An open pull request, number 42, with one commit, HEAD."""
    return github.open(REPOSITORY, HEAD, number=42, branch="less", title="Regularize less")


@pytest.fixture
def app(github: GitHubClient) -> Installed:
    """An App that is installed where the pull request is."""
    return github.add_app("previews", [REPOSITORY])


@pytest.fixture
def installation(github: GitHubClient, app: Installed) -> Caller:
    """The App's installation, with all that it was granted."""
    signing = caller(github, signed(app))
    return caller(github, signing.post(f"/app/installations/{app.installation_id}/access_tokens")["token"])
