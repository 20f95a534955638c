"""The control API under /_codebuild/: settings, and the way back to the beginning."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from pydantic import ValidationError

from ephemeral_endpoints.local.codebuild.settings import Settings, SettingsHolder

_PREFIX = "/_codebuild"


class Control:
    """The handlers of the control API."""

    def __init__(self, settings: SettingsHolder, end_all: Callable[[], Awaitable[None]]) -> None:
        self._settings = settings
        self._end_all = end_all

    def routes(self) -> list[web.RouteDef]:
        """The routes to serve."""
        return [
            web.get(f"{_PREFIX}/settings", self.settings),
            web.patch(f"{_PREFIX}/settings", self.patch_settings),
            web.post(f"{_PREFIX}/reset", self.reset),
        ]

    async def settings(self, _: web.Request) -> web.Response:
        """The settings in force."""
        return web.Response(text=self._settings.now.model_dump_json(), content_type="application/json")

    async def patch_settings(self, request: web.Request) -> web.Response:
        """Apply a merge patch to the settings; 400 with the reasons if the result would not be valid."""
        try:
            settings = self._settings.patch(await request.json())
        except ValidationError as error:
            return web.Response(status=400, text=error.json(include_url=False), content_type="application/json")
        return web.Response(text=settings.model_dump_json(), content_type="application/json")

    async def reset(self, _: web.Request) -> web.Response:
        """End all builds and forget them, the projects and the settings: as just started."""
        await self._end_all()
        self._settings.replace(Settings())
        return web.Response(status=204)
