"""The URLs of HTTP APIs: real ones need DNS, here they are paths of the front."""

import json
import re
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from multidict import CIMultiDict

PREFIX = "/_api"
STAGE: Final = "$default"
MOST_HEAD_BYTES: Final = 10_240
"""Of the request line and the headers' values (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html)."""

MOST_BODY_BYTES: Final = 10 * 1024 * 1024
_POLICY: Final = "content-security-policy"
_CALLS: Final = re.compile(r"connect-src [^';]+")
_OPERATIONS = frozenset({"CreateApi", "GetApi", "GetApis", "ImportApi", "ReimportApi", "UpdateApi"})


def emulator_target(api_id: str, raw_path: str, raw_query: str) -> str:
    """The emulator's path for a request to an HTTP API's `$default` stage; path and query are percent-encoded."""
    target = f"/_aws/execute-api/{api_id}/{STAGE}{raw_path or '/'}"
    return f"{target}?{raw_query}" if raw_query else target


async def refusal(request: web.Request, raw_path: str) -> web.Response | None:
    """API Gateway's answer to a request that is larger than it takes; None if it may pass."""
    line = len(request.method) + len(raw_path) + len(request.rel_url.raw_query_string)
    if line + sum(len(value) for value in request.headers.values()) > MOST_HEAD_BYTES:
        return web.json_response({"message": "Request Header Fields Too Large"}, status=431)
    length = request.content_length
    if length is None and request.can_read_body:
        length = len(await request.read())
    if (length or 0) > MOST_BODY_BYTES:
        return web.json_response({"message": "Request Entity Too Large"}, status=413)
    return None


def page_policy(url: str) -> Callable[[CIMultiDict[str]], None]:
    """A function that has the content security policy of a page let it call the URL that its reader sees.

    The function behind an API does not know of the path that stands for the API's host here.
    """

    def correct(headers: CIMultiDict[str]) -> None:
        if policy := headers.get(_POLICY):
            headers[_POLICY] = _CALLS.sub(f"connect-src {url}/", policy)

    return correct


def rewriter(service: str | None, operation: str | None, public_url: str) -> Callable[[bytes], bytes] | None:
    """A function that sets an answer's `apiEndpoint` to a URL below `public_url`; None for other operations."""
    if service != "apigatewayv2" or operation not in _OPERATIONS:
        return None

    def rewrite(body: bytes) -> bytes:
        answer = json.loads(body)
        for api in answer.get("items", [answer]):
            _correct(api, public_url)
        return json.dumps(answer).encode()

    return rewrite


def _correct(api: dict[str, Any], public_url: str) -> None:
    if "apiEndpoint" in api:
        api["apiEndpoint"] = f"{public_url}{PREFIX}/{api['apiId']}"
