"""The service as an aiohttp application: APIs, pages, and the control API on one port."""

from collections.abc import AsyncIterator
from typing import Any, Final

from aiohttp import web

from eep_platform.emulation.clock import Clock, utc_now
from eep_platform.github.control import GitHubControl, control_errors
from eep_platform.github.graphql import Graphql
from eep_platform.github.ledger import Ledger
from eep_platform.github.limits import Limiter
from eep_platform.github.pages.pages import Pages
from eep_platform.github.people import People
from eep_platform.github.records import Repository
from eep_platform.github.rest.api import Rest
from eep_platform.github.rest.apps import AppOperations
from eep_platform.github.rest.comments import CommentOperations
from eep_platform.github.rest.deployments import DeploymentOperations
from eep_platform.github.rest.operations import handlers_of
from eep_platform.github.rest.repositories import RepositoryOperations
from eep_platform.github.rest.statuses import StatusOperations
from eep_platform.github.services import Services
from eep_platform.github.settings import GitHubSettings
from eep_platform.github.store import Store, covers
from eep_platform.github.troubles import Troubles
from eep_platform.github.views.views import Views
from eep_platform.github.webhooks import Deliveries

_MOST_BODY_BYTES: Final = 25 * 1024 * 1024


def application(url: str, *, clock: Clock = utc_now) -> web.Application:
    """The service as an aiohttp application, for the URL at which clients reach it."""
    settings = GitHubSettings(clock)
    store, views, limiter = Store(settings.clock), Views(url), Limiter(settings)
    services = Services(store, settings, limiter, Ledger(), Troubles(settings))
    deliveries = Deliveries(settings)

    def emit(event: str, payload: dict[str, Any], repository: Repository) -> None:
        found = next((each for each in store.installations.values() if covers(each, repository)), None)
        more = {"installation": {"id": found.id, "node_id": f"I_{found.id}"}} if found else {}
        deliveries.emit(event, {**payload, **more})

    people = People(store, views, emit)
    rest = handlers_of(
        RepositoryOperations(store, views),
        DeploymentOperations(store, views, people),
        StatusOperations(store, views),
        CommentOperations(store, views, people),
        AppOperations(store, views, limiter),
    )

    async def end_all() -> None:
        await deliveries.close()
        for each in (store, limiter, services.ledger):
            each.clear()
        services.troubles.forget()

    async def running(_: web.Application) -> AsyncIterator[None]:
        yield
        await deliveries.close()

    app = web.Application(middlewares=[control_errors], client_max_size=_MOST_BODY_BYTES)
    app.cleanup_ctx.append(running)
    app.add_routes(Graphql(services, views).routes())
    app.add_routes(Rest(services, rest).routes())
    app.add_routes(GitHubControl(services, views, people, deliveries, end_all).routes())
    app.add_routes(Pages(store).routes())
    return app
