"""Cross-origin requests of browsers, answered for each object: an API's own setting would count for all. Pure.

The Fetch standard, "HTTP CORS protocol" (https://fetch.spec.whatwg.org/#http-cors-protocol).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ephemeral_endpoints.features.routing.forwarder.config import Cors

ALWAYS_ALLOWED = (
    *("accept", "authorization", "content-type", "eep-target", "eep-variant", "if-none-match", "prefer"),
    "x-api-key",
)
EXPOSED = (
    *("allow", "eep-attempts", "eep-feedback-id", "eep-inference-id", "eep-request-id", "eep-revision"),
    *("eep-postprocess", "eep-postprocess-revision", "eep-postprocess-variant"),
    *("eep-target", "eep-variant", "etag", "location", "preference-applied", "retry-after", "server-timing"),
)


def headers(cors: Cors | None, sent: Mapping[str, str]) -> dict[str, str]:
    """The headers that let a page of the request's origin read the answer; none without an origin that is allowed."""
    if cors is None:
        return {}
    if "*" in cors.allow_origins:
        return {"access-control-allow-origin": "*", "access-control-expose-headers": ", ".join(EXPOSED)}
    origin = sent.get("origin", "")
    if origin not in cors.allow_origins:
        return {"vary": "origin"}
    return {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": ", ".join(EXPOSED),
        "vary": "origin",
    }


def preflight(cors: Cors | None, sent: Mapping[str, str], methods: str) -> dict[str, str]:
    """Further headers of the answer to OPTIONS; none without an origin that is allowed."""
    if cors is None or "access-control-allow-origin" not in headers(cors, sent):
        return {}
    return {
        "access-control-allow-headers": ", ".join(dict.fromkeys((*ALWAYS_ALLOWED, *cors.allow_headers))),
        "access-control-allow-methods": methods,
        "access-control-max-age": str(cors.max_age),
    }
