"""The control API under /_github/: settings, what people do at GitHub, and what is there to see."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from eep_platform.emulation.control import Control
from eep_platform.github import orders
from eep_platform.github.administration import Administration
from eep_platform.github.errors import GitHubError
from eep_platform.github.people import Opening, People
from eep_platform.github.records import PullRequest, Repository, Role
from eep_platform.github.services import Services
from eep_platform.github.settings import Settings
from eep_platform.github.views.views import Views
from eep_platform.github.webhooks import Deliveries

PREFIX: Final = "/_github"

_REPOSITORY: Final = f"{PREFIX}/repos/{{owner}}/{{repo}}"
_PULL: Final = f"{_REPOSITORY}/pulls/{{number:[0-9]+}}"
Model = TypeVar("Model", bound=BaseModel)


class GitHubControl(Control[Settings]):
    """The control API. Its errors are 400 with the reasons, and otherwise those of GitHub."""

    def __init__(
        self,
        services: Services,
        views: Views,
        people: People,
        deliveries: Deliveries,
        end_all: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(PREFIX, services.settings, end_all)
        self._services = services
        self._store = services.store
        self._administration = Administration(services.store)
        self._views = views
        self._people = people
        self._deliveries = deliveries

    def routes(self) -> list[web.RouteDef]:
        """The routes to serve."""
        return [
            *super().routes(),
            web.put(f"{PREFIX}/troubles", self.set_troubles),
            web.get(f"{PREFIX}/calls", self.calls),
            web.delete(f"{PREFIX}/calls", self.forget_calls),
            web.get(f"{PREFIX}/deliveries", self.deliveries),
            web.post(f"{PREFIX}/deliveries/{{guid}}/attempts", self.redeliver),
            web.post(f"{PREFIX}/tokens", self.add_token),
            web.delete(f"{PREFIX}/tokens/{{value}}", self.revoke),
            web.post(f"{PREFIX}/apps", self.add_app),
            web.delete(f"{PREFIX}/installations/{{id:[0-9]+}}", self.uninstall),
            web.post(f"{PREFIX}/repos", self.add_repository),
            web.delete(_REPOSITORY, self.delete_repository),
            web.post(f"{_REPOSITORY}/name", self.rename),
            web.put(f"{_REPOSITORY}/collaborators/{{login}}", self.grant),
            web.post(f"{_REPOSITORY}/pulls", self.open),
            web.get(_PULL, self.show),
            web.post(f"{_PULL}/commits", self.push),
            web.post(f"{_PULL}/{{action:close|merge|reopen|lock|unlock}}", self.act),
            web.post(f"{_PULL}/comments", self.comment),
            web.patch(f"{_REPOSITORY}/comments/{{id:[0-9]+}}", self.edit_comment),
            web.delete(f"{_REPOSITORY}/comments/{{id:[0-9]+}}", self.delete_comment),
        ]

    async def set_troubles(self, request: web.Request) -> web.Response:
        """Put exactly these troubles in force; those counted so far count anew."""
        self._services.troubles.forget()
        self._services.settings.patch({"troubles": await request.json()})
        return web.Response(status=204)

    async def calls(self, _: web.Request) -> web.Response:
        """Answer the counts of requests by operation, and the latest requests in order."""
        ledger = self._services.ledger
        log = [entry.as_json() for entry in ledger.entries]
        return web.json_response({"counts": dict(ledger.counts), "log": log})

    async def forget_calls(self, _: web.Request) -> web.Response:
        """Count anew."""
        self._services.ledger.clear()
        return web.Response(status=204)

    async def deliveries(self, _: web.Request) -> web.Response:
        """Answer the deliveries of events once none is under way."""
        await self._deliveries.settle()
        return web.json_response([each.as_json() for each in self._deliveries.sent()])

    async def redeliver(self, request: web.Request) -> web.Response:
        """Send an event again."""
        self._deliveries.redeliver(request.match_info["guid"])
        return web.Response(status=204)

    async def add_token(self, request: web.Request) -> web.Response:
        """Make a token."""
        return web.json_response({"token": self._administration.add_token(await _read(request, orders.NewToken)).value})

    async def revoke(self, request: web.Request) -> web.Response:
        """Revoke a token."""
        self._administration.revoke(request.match_info["value"])
        return web.Response(status=204)

    async def add_app(self, request: web.Request) -> web.Response:
        """Make an App and install it."""
        made = self._administration.add_app(await _read(request, orders.NewApp))
        return web.json_response(made)

    async def uninstall(self, request: web.Request) -> web.Response:
        """Uninstall an App: its tokens end with the installation."""
        self._administration.uninstall(int(request.match_info["id"]))
        return web.Response(status=204)

    async def add_repository(self, request: web.Request) -> web.Response:
        """Make a repository, unless there is one of the name."""
        order = await _read(request, orders.NewRepository)
        found = self._store.named(order.name) or self._store.add_repository(order.name, is_private=order.private)
        return web.json_response(self._views.full_repository(found))

    async def delete_repository(self, request: web.Request) -> web.Response:
        """Delete a repository."""
        self._store.delete_repository(self._repository(request))
        return web.Response(status=204)

    async def rename(self, request: web.Request) -> web.Response:
        """Rename a repository."""
        self._store.rename(self._repository(request), (await _read(request, orders.Rename)).name)
        return web.Response(status=204)

    async def grant(self, request: web.Request) -> web.Response:
        """Give a user a role in a repository."""
        role = Role[(await _read(request, orders.Grant)).role.upper()]
        self._store.grant(self._repository(request), request.match_info["login"], role)
        return web.Response(status=204)

    async def open(self, request: web.Request) -> web.Response:
        """Open pull requests: one, or as many as the body lists."""
        repository, body = self._repository(request), await request.json()
        wanted = [orders.NewPull.model_validate(each) for each in (body if isinstance(body, list) else [body])]
        opened = [self._people.open(repository, _opening(each)) for each in wanted]
        shown = [self._views.full_pull(repository, each) for each in opened]
        return web.json_response(shown if isinstance(body, list) else shown[0])

    async def push(self, request: web.Request) -> web.Response:
        """Add a commit to a pull request."""
        repository, pull = self._pull(request)
        order = await _read(request, orders.Push)
        self._people.push(repository, pull, order.sha, order.message)
        return web.json_response(self._views.full_pull(repository, pull))

    async def act(self, request: web.Request) -> web.Response:
        """Close, merge, reopen, lock or unlock a pull request."""
        repository, pull = self._pull(request)
        login = (await _read(request, orders.Act)).login
        getattr(self._people, request.match_info["action"])(repository, pull, login)
        return web.json_response(self._views.full_pull(repository, pull))

    async def comment(self, request: web.Request) -> web.Response:
        """Comment as a user."""
        repository, pull = self._pull(request)
        order = await _read(request, orders.NewComment)
        made = self._people.comment(repository, pull, self._store.ensure_user(order.login), order.body)
        return web.json_response(self._views.comment(repository, made))

    async def edit_comment(self, request: web.Request) -> web.Response:
        """Edit a comment as a user."""
        repository, order = self._repository(request), await _read(request, orders.NewComment)
        comment = self._store.comment(repository, int(request.match_info["id"]))
        self._people.edit(repository, comment, self._store.ensure_user(order.login), order.body)
        return web.json_response(self._views.comment(repository, comment))

    async def delete_comment(self, request: web.Request) -> web.Response:
        """Delete a comment as its author."""
        repository = self._repository(request)
        comment = self._store.comment(repository, int(request.match_info["id"]))
        self._people.delete(repository, comment, comment.author)
        return web.Response(status=204)

    async def show(self, request: web.Request) -> web.Response:
        """Answer a pull request, and everything that is on it, the oldest first."""
        return web.json_response(self._views.seen(*self._pull(request)))

    def _repository(self, request: web.Request) -> Repository:
        return self._store.repository(f"{request.match_info['owner']}/{request.match_info['repo']}")

    def _pull(self, request: web.Request) -> tuple[Repository, PullRequest]:
        repository = self._repository(request)
        return repository, self._store.pull(repository, int(request.match_info["number"]))


@web.middleware
async def control_errors(request: web.Request, handler: Any) -> web.StreamResponse:  # noqa: ANN401 - aiohttp's handler
    """Answer the errors of the control API."""
    try:
        response: web.StreamResponse = await handler(request)
    except ValidationError as error:
        return web.Response(status=400, text=error.json(include_url=False), content_type="application/json")
    except GitHubError as error:
        return web.json_response(error.body, status=error.status)
    return response


async def _read(request: web.Request, model: type[Model]) -> Model:
    return model.model_validate_json(await request.read() or b"{}")


def _opening(order: orders.NewPull) -> Opening:
    number = order.number
    branch = order.branch or (f"pr-{number}" if number else f"branch-{order.sha[:7]}")
    return Opening(
        sha=order.sha,
        author=order.author,
        branch=branch,
        title=order.title or f"Change {order.sha[:7]}",
        body=order.body,
        number=number,
        fork=order.fork,
    )
