"""How the operator's requests reach the API server: over few connections, and each only if it may still be made."""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.aio.client import Configuration

CONNECTIONS: Final = 8
"""At once: each has 128 KB of buffers for TLS, and more of them make nothing faster."""


def configuration(
    check: Callable[[], None],
    *,
    note_date: Callable[[str | None], None] = lambda _: None,
    connections: int = CONNECTIONS,
) -> Configuration:
    """The client's default configuration, with ``check`` called right before every request.

    ``note_date`` is called with the Date of every answer.

    A proxy that the environment names is looked up once: for every request aiohttp would read it again, with
    ``~/.netrc``, which takes as long as the request itself.
    """

    async def before(*_: object) -> None:
        check()

    async def after(_: object, __: object, answered: aiohttp.TraceRequestEndParams) -> None:
        note_date(answered.response.headers.get("Date"))

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(before)
    trace.on_request_end.append(after)
    made = Configuration.get_default_copy()
    made.trace_configs = [trace]
    made.connection_pool_maxsize = connections
    made.client_session_kwargs = {"trust_env": False}
    made.proxy = made.proxy or proxy_for(made.host)
    return made


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for a URL (``HTTPS_PROXY``, ``NO_PROXY``); None if there is none."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)
