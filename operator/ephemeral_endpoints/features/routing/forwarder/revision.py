"""The commit that another object serves, by its own forwarder: a push to it changes no function but that one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from ephemeral_endpoints.features.routing.forwarder.kept import Kept

_REVISION = re.compile(r"[0-9A-Za-z]{1,64}")

# As API Gateway asks for ``healthz``, which is answered without a token and without the model.
_EVENT = {
    "version": "2.0",
    "routeKey": "ANY /{proxy+}",
    "rawPath": "/healthz",
    "rawQueryString": "",
    "headers": {},
    "pathParameters": {"proxy": "healthz"},
    "requestContext": {"http": {"method": "GET", "path": "/healthz"}, "requestId": "revision"},
    "isBase64Encoded": False,
}


@dataclass(slots=True)
class Revision(Kept):
    """Asks the forwarder with that name."""

    def read(self, function: str) -> str | None:
        """See ``Kept``."""
        response = self.client().invoke(FunctionName=function, Payload=json.dumps(_EVENT))
        found = _header(json.loads(response["Payload"].read()))
        return found if isinstance(found, str) and _REVISION.fullmatch(found) else None


def _header(answer: Any) -> object:
    """The revision that an answer of a forwarder names; a function that failed answers something else."""
    headers = answer.get("headers") if isinstance(answer, dict) else None
    return headers.get("eep-revision") if isinstance(headers, dict) else None
