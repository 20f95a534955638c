"""The URLs of HTTP APIs: real ones need DNS, here they are paths of the front."""

import json
from collections.abc import Callable
from typing import Any

PREFIX = "/_api"
_OPERATIONS = frozenset({"CreateApi", "GetApi", "GetApis", "ImportApi", "ReimportApi", "UpdateApi"})


def emulator_target(api_id: str, raw_path: str, raw_query: str) -> str:
    """The emulator's path for a request to an HTTP API's `$default` stage; path and query are percent-encoded."""
    target = f"/_aws/execute-api/{api_id}/$default{raw_path or '/'}"
    return f"{target}?{raw_query}" if raw_query else target


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
