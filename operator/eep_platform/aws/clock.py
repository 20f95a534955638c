"""The time that answers of the embedded AWS carry: it can be ahead of the machine's, as after a week without anybody.

The header ``Date`` moves, and with it ``time.time`` of functions (``emulator``). What resources say of their age, and
what signatures are made and checked by, is the machine's.
"""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

_SECONDS = TypeAdapter(float)


class Clock:
    """The time of a front."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    async def stamp(self, _: web.Request, answer: web.StreamResponse) -> None:
        """Date an answer that is about to be sent."""
        if self._ahead:
            answer.headers["Date"] = format_datetime(datetime.now(UTC) + self._ahead, usegmt=True)

    def routes(self, prefix: str) -> list[web.RouteDef]:
        """Control: by how many seconds the time is ahead; see ``aws.control``."""

        async def put(request: web.Request) -> web.Response:
            try:
                self._ahead = timedelta(seconds=_SECONDS.validate_json(await request.read()))
            except ValidationError as error:
                raise web.HTTPBadRequest(text=str(error)) from error
            return web.json_response({})

        return [web.put(f"{prefix}/clock", put)]
