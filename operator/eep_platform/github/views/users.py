"""Users, Apps and installations, and what all representations share."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from eep_platform.github.records import App, Installation, Reaction, User

Json = dict[str, Any]

_REACTIONS: Final = ("+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes")
_USER_URLS: Final = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}


def instant(value: datetime | None) -> str | None:
    """A time in GitHub's form: UTC, without parts of a second."""
    return None if value is None else value.strftime("%Y-%m-%dT%H:%M:%SZ")


def rollup(url: str, reactions: Sequence[Reaction]) -> Json:
    """The counts of reactions to what has this URL. Pure."""
    counts = Counter(reaction.content for reaction in reactions)
    shown = {content: counts[content] for content in _REACTIONS}
    return {"url": f"{url}/reactions", "total_count": len(reactions), **shown}


@dataclass(frozen=True, slots=True)
class UserViews:
    """The representations at a service whose pages are below ``url`` and whose API is below ``url``/api/v3."""

    url: str

    @property
    def api(self) -> str:
        """The URL of the REST API."""
        return f"{self.url}/api/v3"

    def user(self, user: User) -> Json:
        """SimpleUser."""
        api = f"{self.api}/users/{user.login}"
        return {
            "login": user.login,
            "id": user.id,
            "node_id": f"U_{user.id}",
            "avatar_url": f"{self.url}/avatars/{user.id}",
            "gravatar_id": "",
            "url": api,
            "html_url": f"{self.url}/{user.login}",
            **{name: f"{api}{path}" for name, path in _USER_URLS.items()},
            "type": user.type,
            "site_admin": False,
        }

    def own_user(self, user: User) -> Json:
        """PublicUser, as the user of the token."""
        unknown = ("name", "company", "blog", "location", "email", "hireable", "bio", "twitter_username")
        none = ("public_repos", "public_gists", "followers", "following")
        times = dict.fromkeys(("created_at", "updated_at"), instant(user.created))
        return {**self.user(user), **dict.fromkeys(unknown), **dict.fromkeys(none, 0), **times}

    def app(self, app: App) -> Json:
        """Integration."""
        return {
            "id": app.id,
            "slug": app.slug,
            "node_id": f"A_{app.id}",
            "client_id": app.client_id,
            "owner": self.user(app.owner),
            "name": app.slug,
            "description": None,
            "external_url": self.url,
            "html_url": f"{self.url}/apps/{app.slug}",
            "created_at": instant(app.created),
            "updated_at": instant(app.created),
            "permissions": dict(app.permissions),
            "events": [],
        }

    def installation(self, installation: Installation) -> Json:
        """Installation."""
        url = f"{self.api}/app/installations/{installation.id}"
        return {
            "id": installation.id,
            "account": self.user(installation.account),
            "repository_selection": "all" if installation.repositories is None else "selected",
            "access_tokens_url": f"{url}/access_tokens",
            "repositories_url": f"{self.api}/installation/repositories",
            "html_url": f"{self.url}/settings/installations/{installation.id}",
            "app_id": installation.app.id,
            "client_id": installation.app.client_id,
            "app_slug": installation.app.slug,
            "target_id": installation.account.id,
            "target_type": installation.account.type,
            "permissions": dict(installation.permissions),
            "events": [],
            "created_at": instant(installation.created),
            "updated_at": instant(installation.created),
            "single_file_name": None,
            "suspended_by": None,
            "suspended_at": None,
        }
