"""Errors of an emulated service as HTTP answers."""

import json
import logging
from collections.abc import Awaitable, Callable
from uuid import uuid4

from aiohttp import web

from eep_platform.emulation.errors import ServiceError, internal_failure, unknown_operation

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_NO_ROUTE = frozenset({404, 405})
_log = logging.getLogger(__name__)


@web.middleware
async def errors_answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer `ServiceError` as the service does, and any other exception as its InternalFailure."""
    try:
        response = await handler(request)
    except ServiceError as error:
        response = _answer(error)
    except web.HTTPException as error:
        response = _answer(unknown_operation()) if error.status in _NO_ROUTE else error
    except Exception:  # noqa: BLE001 - the service answers InternalFailure whatever goes wrong
        _log.exception("%s %s", request.method, request.path)
        response = _answer(internal_failure())
    response.headers["x-amzn-RequestId"] = str(uuid4())
    return response


def _answer(error: ServiceError) -> web.Response:
    body = {"__type": error.code, "message": error.message, "Message": error.message, **error.members}
    return web.Response(
        status=error.status,
        headers={"x-amzn-ErrorType": error.code},
        body=json.dumps(body),
        content_type="application/x-amz-json-1.1",
    )
