"""The guard's control API below `/_meter/`; see ``aws.control``."""

from dataclasses import asdict
from typing import Any

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from eep_platform.aws.guard.guard import Guard

_POLICIES = TypeAdapter(dict[str, list[dict[str, Any]]])


def routes(guard: Guard, prefix: str) -> list[web.RouteDef]:
    """The routes of the API; they answer 400 with the reason for an invalid request."""
    handlers = _Handlers(guard)
    return [
        web.put(f"{prefix}/policies", handlers.hold),
        web.delete(f"{prefix}/policies", handlers.release),
        web.get(f"{prefix}/permissions", handlers.permissions),
        web.delete(f"{prefix}/permissions", handlers.forget),
    ]


class _Handlers:
    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def hold(self, request: web.Request) -> web.Response:
        """Restrict the keys and roles in the body, `{name: [policy document, …]}`, in addition to the present ones."""
        try:
            for name, documents in _POLICIES.validate_json(await request.read()).items():
                self._guard.hold(name, documents)
        except (ValidationError, ValueError) as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        return web.json_response({})

    async def release(self, request: web.Request) -> web.Response:
        """Lift the restriction of `?name=`, or all."""
        self._guard.release(request.query.get("name"))
        return web.json_response({})

    async def permissions(self, request: web.Request) -> web.Response:
        """Answer the permissions that `?name=` used and was denied."""
        kept = self._guard.permissions(request.query.get("name", ""))
        used = [asdict(each) for each in sorted(kept.used)]
        return web.json_response({"used": used, "denied": [asdict(each) for each in kept.denied]})

    async def forget(self, _: web.Request) -> web.Response:
        self._guard.forget()
        return web.json_response({})
