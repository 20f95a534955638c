"""Operations of Apps and users on themselves. Source: https://docs.github.com/rest/apps."""

from collections.abc import Mapping

from eep_platform.github.credentials import installation_token
from eep_platform.github.errors import GitHubError, bad_credentials, not_accessible, not_found, requires_authentication
from eep_platform.github.limits import Limiter
from eep_platform.github.records import App, Installation, Permissions, Repository
from eep_platform.github.rest.operations import Answer, Call, Json, operation
from eep_platform.github.store import Store, covers
from eep_platform.github.views.users import instant
from eep_platform.github.views.views import Views


class AppOperations:
    """What credentials can ask about themselves, and tokens of installations."""

    def __init__(self, store: Store, views: Views, limiter: Limiter) -> None:
        self._store = store
        self._views = views
        self._limiter = limiter

    @operation("users/get-authenticated", "GET /user", {200: "PublicUser"})
    def user(self, call: Call) -> Answer:
        """The user of the token; an installation has none."""
        if call.caller.token is None:
            raise requires_authentication()
        if call.caller.via:
            raise not_accessible("integration")
        return Answer(self._views.own_user(call.user))

    @operation("apps/get-authenticated", "GET /app", {200: "Integration"}, as_app=True)
    def app(self, call: Call) -> Answer:
        """The App that signs the request."""
        return Answer(self._views.app(_app(call)))

    @operation(
        "apps/get-repo-installation",
        "GET /repos/{owner}/{repo}/installation",
        {200: "Installation"},
        as_app=True,
    )
    def installation(self, call: Call) -> Answer:
        """The App's installation in a repository."""
        found = self._store.installation_of(_app(call), call.repository)
        if found is None:
            raise not_found()
        return Answer(self._views.installation(found))

    @operation("apps/get-installation", "GET /app/installations/{installation_id}", {200: "Installation"}, as_app=True)
    def installation_by_id(self, call: Call) -> Answer:
        """One of the App's installations."""
        return Answer(self._views.installation(self._own_installation(call)))

    @operation("apps/get-user-installation", "GET /users/{username}/installation", {200: "Installation"}, as_app=True)
    def installation_of_user(self, call: Call) -> Answer:
        """The App's installation in an account, of a user or of an organization."""
        return Answer(self._views.installation(self._installation_in(call, call.path["username"])))

    @operation("apps/get-org-installation", "GET /orgs/{org}/installation", {200: "Installation"}, as_app=True)
    def installation_of_organization(self, call: Call) -> Answer:
        """The App's installation in an organization."""
        return Answer(self._views.installation(self._installation_in(call, call.path["org"])))

    @operation(
        "apps/create-installation-access-token",
        "POST /app/installations/{installation_id}/access_tokens",
        {201: "InstallationToken"},
        body="AppInstallationsInstallationIdAccessTokensPostBody",
        as_app=True,
    )
    def token(self, call: Call) -> Answer:
        """Make a token, narrowed to repositories and permissions where the request names any."""
        installation = self._own_installation(call)
        repositories = self._narrowed(installation, call.body)
        permissions = _permitted(installation, call.body.get("permissions"))
        ids = installation.repositories if repositories is None else frozenset(each.id for each in repositories)
        made = installation_token(self._store, installation, permissions, ids)
        body: dict[str, Json] = {
            "token": made.value,
            "expires_at": instant(made.expires),
            "permissions": dict(permissions),
            "repository_selection": "all" if ids is None else "selected",
        }
        if repositories is not None:
            body["repositories"] = self._views.repositories(repositories)
        return Answer(body, status=201)

    @operation("rate-limit/get", "GET /rate_limit", {200: "RateLimitOverview"}, is_free=True)
    def rate_limit(self, call: Call) -> Answer:
        """What is left of the hour; asking costs nothing."""
        shown = {}
        for resource in ("core", "graphql", "search"):
            quota = self._limiter.quota(call.caller, resource)
            numbers = {"limit": quota.limit, "used": quota.used, "remaining": quota.remaining}
            shown[resource] = {**numbers, "reset": int(quota.reset.timestamp())}
        return Answer({"resources": shown, "rate": shown["core"]})

    def _own_installation(self, call: Call) -> Installation:
        found = self._store.installations.get(call.number("installation_id"))
        if found is None or found.app is not _app(call):
            raise not_found()
        return found

    def _installation_in(self, call: Call, login: str) -> Installation:
        account = self._store.user(login)
        own = (each for each in self._store.installations.values() if each.app is _app(call))
        found = next((each for each in own if each.account is account), None)
        if found is None:
            raise not_found()
        return found

    def _narrowed(self, installation: Installation, body: Mapping[str, Json]) -> list[Repository] | None:
        names, ids = body.get("repositories"), body.get("repository_ids")
        if names is None and ids is None:
            return None
        account = installation.account.login
        found = [self._store.names.get(f"{account}/{name}".lower()) for name in names or ()]
        chosen = [self._store.repositories.get(id_ or 0) for id_ in (*found, *(ids or ()))]
        reachable = [each for each in chosen if each is not None and covers(installation, each)]
        if not reachable or len(reachable) < len(chosen):
            raise GitHubError(
                422,
                "There is at least one repository that does not exist or is not accessible to the parent installation.",
            )
        return reachable


def _app(call: Call) -> App:
    if call.caller.app is None:
        raise bad_credentials("A JSON web token could not be decoded")
    return call.caller.app


def _permitted(installation: Installation, wanted: Permissions | None) -> Permissions:
    granted = installation.permissions
    if wanted is None:
        return granted
    order = ("", "read", "write", "admin")
    if any(order.index(level) > order.index(granted.get(name, "")) for name, level in wanted.items()):
        raise GitHubError(422, "The permissions requested are not granted to this installation.")
    return {"metadata": "read", **wanted}
