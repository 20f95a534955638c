"""A client of the control API: what people do at the embedded GitHub, and what is to be seen there."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import requests

from eep_platform.errors import PlatformError

_TIMEOUT_SECONDS: Final = 60
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Installed:
    """An App that is installed. ``private_key`` is in PEM."""

    id: int
    slug: str
    client_id: str
    installation_id: int
    private_key: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A pull request and what is on it, as GitHub's API shows them, the oldest first.

    Each deployment has its ``statuses``, each comment ``all_reactions`` as pairs of login and content, and each commit
    status its ``sha``.
    """

    pull: Json
    comments: Sequence[Json]
    deployments: Sequence[Json]
    statuses: Sequence[Json]


def sha_of(text: str) -> str:
    """The SHA of a commit that is known by a text only. Pure."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class GitHubClient:
    """Controls the embedded GitHub at ``url``. All methods block, and raise PlatformError if the request fails.

    A repository is named ``OWNER/NAME`` and belongs to an organization; a user exists once named.
    """

    url: str

    @property
    def api_url(self) -> str:
        """The URL of the REST API, as clients of GitHub Enterprise Server have it."""
        return f"{self.url}/api/v3"

    @property
    def graphql_url(self) -> str:
        """The URL of the GraphQL API."""
        return f"{self.url}/api/graphql"

    # What exists.

    def add_repository(self, name: str, *, private: bool = True) -> Json:
        """Have a repository with one commit on its branch main."""
        return self._json("POST", "/repos", {"name": name, "private": private})

    def rename(self, repository: str, name: str) -> None:
        """Rename a repository, or move it to another account: requests for the former name are redirected."""
        self._call("POST", f"/repos/{repository}/name", {"name": name})

    def delete_repository(self, repository: str) -> None:
        """Delete a repository: everything in it answers 404."""
        self._call("DELETE", f"/repos/{repository}")

    def add_collaborator(self, repository: str, login: str, role: str) -> None:
        """Give a user a role: none, read, triage, write, maintain or admin."""
        self._call("PUT", f"/repos/{repository}/collaborators/{login}", {"role": role})

    def add_token(
        self,
        login: str,
        *,
        scopes: Iterable[str] | None = None,
        permissions: Mapping[str, str] | None = None,
        repositories: Iterable[str] | None = None,
        value: str | None = None,
    ) -> str:
        """Make a token of a user: a classic one with scopes (default: repo), or a fine-grained one with permissions."""
        order = {
            "login": login,
            "scopes": None if scopes is None else [*scopes],
            "permissions": None if permissions is None else {**permissions},
            "repositories": None if repositories is None else [*repositories],
            "value": value,
        }
        return str(self._json("POST", "/tokens", order)["token"])

    def revoke(self, token: str) -> None:
        """Revoke a token, or that of an installation: it answers 401."""
        self._call("DELETE", f"/tokens/{quote(token, safe='')}")

    def add_app(
        self,
        slug: str,
        repositories: Sequence[str],
        *,
        permissions: Mapping[str, str] | None = None,
        all_repositories: bool = False,
    ) -> Installed:
        """Make an App, and install it in repositories of one account; by default with all that reviews need."""
        order: Json = {"slug": slug, "repositories": [*repositories], "all_repositories": all_repositories}
        if permissions is not None:
            order["permissions"] = {**permissions}
        return Installed(**self._json("POST", "/apps", order))

    def uninstall(self, app: Installed) -> None:
        """Uninstall an App: its tokens answer 401, and it has no installation any more."""
        self._call("DELETE", f"/installations/{app.installation_id}")

    # What people do.

    def open(self, repository: str, sha: str, **more: Any) -> Json:  # noqa: ANN401 - members of an opening
        """Open a pull request with a commit, and return it.

        Keywords: ``number`` (default: the next), ``branch``, ``title``, ``body``, ``author`` (default: ada), and
        ``fork``, the name of the repository that it comes from.
        """
        return self._json("POST", f"/repos/{repository}/pulls", {"sha": sha, **more})

    def open_many(self, repository: str, numbers: Iterable[int]) -> list[Json]:
        """Open pull requests with these numbers, each with the commit ``sha_of(NUMBER)``."""
        openings = [{"sha": sha_of(str(number)), "number": number} for number in numbers]
        opened: list[Json] = self._call("POST", f"/repos/{repository}/pulls", openings).json()
        return opened

    def push(self, repository: str, number: int, sha: str, message: str = "Another commit") -> Json:
        """Add a commit to a pull request."""
        return self._json("POST", f"/repos/{repository}/pulls/{number}/commits", {"sha": sha, "message": message})

    def close(self, repository: str, number: int, login: str = "ada") -> Json:
        """Close a pull request without merging it."""
        return self._json("POST", f"/repos/{repository}/pulls/{number}/close", {"login": login})

    def merge(self, repository: str, number: int, login: str = "ada") -> Json:
        """Merge a pull request."""
        return self._json("POST", f"/repos/{repository}/pulls/{number}/merge", {"login": login})

    def reopen(self, repository: str, number: int, login: str = "ada") -> Json:
        """Reopen a closed pull request."""
        return self._json("POST", f"/repos/{repository}/pulls/{number}/reopen", {"login": login})

    def lock(self, repository: str, number: int, login: str = "ada") -> Json:
        """Lock the conversation on a pull request: Apps, and users without write access, cannot comment any more."""
        return self._json("POST", f"/repos/{repository}/pulls/{number}/lock", {"login": login})

    def unlock(self, repository: str, number: int, login: str = "ada") -> Json:
        """Unlock it again."""
        return self._json("POST", f"/repos/{repository}/pulls/{number}/unlock", {"login": login})

    def comment(self, repository: str, number: int, login: str, body: str) -> Json:
        """Comment as a user, whether they may or not."""
        return self._json("POST", f"/repos/{repository}/pulls/{number}/comments", {"login": login, "body": body})

    def edit_comment(self, repository: str, comment_id: int, login: str, body: str) -> Json:
        """Edit a comment as a user."""
        return self._json("PATCH", f"/repos/{repository}/comments/{comment_id}", {"login": login, "body": body})

    def delete_comment(self, repository: str, comment_id: int) -> None:
        """Delete a comment."""
        self._call("DELETE", f"/repos/{repository}/comments/{comment_id}")

    # What happened.

    def seen(self, repository: str, number: int) -> Seen:
        """A pull request with everything that is on it; counts for no limit and not as a request."""
        return Seen(**self._json("GET", f"/repos/{repository}/pulls/{number}"))

    def calls(self) -> dict[str, int]:
        """Requests to the APIs since the start or ``forget_calls``, by operation (``graphql`` for GraphQL)."""
        counts: dict[str, int] = self._json("GET", "/calls")["counts"]
        return counts

    def log(self) -> list[Json]:
        """The latest requests in order: time, operation, method, path, repository, login and status."""
        log: list[Json] = self._json("GET", "/calls")["log"]
        return log

    def writes(self) -> list[str]:
        """The operations of the latest requests that were not reads, in order; GraphQL reads."""
        return [each["operation"] for each in self.log() if each["method"] != "GET" and each["operation"] != "graphql"]

    def forget_calls(self) -> None:
        """Count requests anew."""
        self._call("DELETE", "/calls")

    def deliveries(self) -> list[Json]:
        """The events that were delivered, in order; waits for those under way.

        Each has guid, event, action, time, and ``statuses``: of the answers by attempt, None where none came.
        """
        deliveries: list[Json] = self._call("GET", "/deliveries").json()
        return deliveries

    def redeliver(self, guid: str) -> None:
        """Deliver an event again, with the same id."""
        self._call("POST", f"/deliveries/{guid}/attempts")

    # How it behaves.

    def settings(self, **patch: Any) -> Json:  # noqa: ANN401 - a merge patch of the settings
        """Change the settings by a JSON merge patch (RFC 7396), and return all of them; see ``github.settings``."""
        return self._json("PATCH", "/settings", patch)

    def trouble(self, *troubles: Mapping[str, Any]) -> None:
        """Put exactly these troubles in force; see ``github.settings.Trouble``. Without any, all is well."""
        self._call("PUT", "/troubles", [dict(each) for each in troubles])

    def send_events(self, url: str, secret: str) -> None:
        """Deliver events to a URL from now on, signed with a secret."""
        self.settings(webhook={"url": url, "secret": secret})

    def advance(self, seconds: float) -> None:
        """Put the service's clock forward: limits end, tokens expire."""
        ahead = float(self._json("GET", "/settings")["ahead_seconds"])
        self.settings(ahead_seconds=ahead + seconds)

    def reset(self) -> None:
        """Return to the state after the start."""
        self._call("POST", "/reset")

    def _json(self, method: str, path: str, body: object = None) -> Json:
        answer: Json = self._call(method, path, body).json()
        return answer

    def _call(self, method: str, path: str, body: object = None) -> requests.Response:
        try:
            answer = requests.request(method, f"{self.url}/_github{path}", json=body, timeout=_TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise PlatformError(f"the embedded GitHub at {self.url} does not answer: {error}") from error
        if not answer.ok:
            raise PlatformError(f"{method} {path} failed ({answer.status_code}): {answer.text}")
        return answer
