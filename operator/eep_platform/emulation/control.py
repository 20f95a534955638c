"""The control API of an emulated service, as far as all services have it: settings, and a reset."""

from collections.abc import Awaitable, Callable
from typing import Generic

from aiohttp import web
from pydantic import ValidationError

from eep_platform.emulation.settings import LiveSettings, Model


class Control(Generic[Model]):
    """The control API below `prefix`. `end_all` ends everything that the service runs and forgets its resources."""

    def __init__(self, prefix: str, settings: LiveSettings[Model], end_all: Callable[[], Awaitable[None]]) -> None:
        self._prefix = prefix
        self._settings = settings
        self._end_all = end_all

    def routes(self) -> list[web.RouteDef]:
        """The routes to serve."""
        return [
            web.get(f"{self._prefix}/settings", self.settings),
            web.patch(f"{self._prefix}/settings", self.patch_settings),
            web.post(f"{self._prefix}/reset", self.reset),
        ]

    async def settings(self, _: web.Request) -> web.Response:
        """Answer the settings in force."""
        return _json(self._settings.now)

    async def patch_settings(self, request: web.Request) -> web.Response:
        """Apply a merge patch to the settings; answers 400 with the reasons if the result would be invalid."""
        try:
            return _json(self._settings.patch(await request.json()))
        except ValidationError as error:
            return web.Response(status=400, text=error.json(include_url=False), content_type="application/json")

    async def reset(self, _: web.Request) -> web.Response:
        """Return to the state of a service that has just started."""
        await self._end_all()
        self._settings.reset()
        return web.Response(status=204)


def _json(settings: Model) -> web.Response:
    return web.Response(text=settings.model_dump_json(), content_type="application/json")
