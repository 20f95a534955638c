"""How the operator's requests reach the API server: over few connections, and each only if it may still be made."""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.aio.client import Configuration

CONNECTIONS: Final = 8
"""At once: each has 128 KB of buffers for TLS, and more of them make nothing faster."""


def configuration(check: Callable[[], None]) -> Configuration:
    """The client's default configuration, with ``check`` called right before every request.

    A proxy that the environment names is found here and now: for every request aiohttp would read it anew, with
    ``~/.netrc``, which takes as long as the request itself.
    """

    async def before(*_: object) -> None:
        check()

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(before)
    made = Configuration.get_default_copy()
    made.trace_configs = [trace]
    made.connection_pool_maxsize = CONNECTIONS
    made.client_session_kwargs = {"trust_env": False}
    made.proxy = made.proxy or _proxy_for(made.host)
    return made


def _proxy_for(url: str) -> str | None:
    parts = urlsplit(url)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)
