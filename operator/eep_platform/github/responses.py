"""HTTP answers: bodies with their ETags, links to other pages, redirects and errors."""

import hashlib
import json
from typing import Final
from uuid import uuid4

from aiohttp import web

from eep_platform.github.errors import GitHubError, PrimaryLimitError, forbidden
from eep_platform.github.records import Repository

_NOT_MODIFIED: Final = 304
_VERSIONS: Final = frozenset({"2022-11-28", "2026-03-10"})
_CACHING: Final = {
    "Cache-Control": "private, max-age=60, s-maxage=60",
    "Vary": "Accept, Authorization, Cookie, X-GitHub-OTP",
}


def check_headers(request: web.Request) -> None:
    """Raise GitHub's errors for requests without a User-Agent, or of a version of the API that it does not know."""
    if not request.headers.get("User-Agent"):
        raise forbidden(
            "Request forbidden by administrative rules. Please make sure your request has a User-Agent header."
        )
    version = request.headers.get("X-GitHub-Api-Version")
    if version is not None and version not in _VERSIONS:
        raise GitHubError(400, f'"{version}" is not a supported version. Supported versions: {sorted(_VERSIONS)}')


def json_response(status: int, body: bytes) -> web.Response:
    """An answer with a body in JSON."""
    headers = {"X-GitHub-Request-Id": uuid4().hex.upper()}
    return web.Response(status=status, body=body, content_type="application/json", charset="utf-8", headers=headers)


def error_response(error: GitHubError) -> web.Response:
    """The answer that is an error."""
    response = json_response(error.status, json.dumps(error.body).encode())
    response.headers.update(error.headers)
    return response


def used_up_response(error: PrimaryLimitError, resource: str) -> web.Response:
    """The refusal by the primary limit; GraphQL tells it with status 200."""
    if resource != "graphql":
        return error_response(error)
    return json_response(200, json.dumps({"errors": [{"type": "RATE_LIMITED", "message": error.message}]}).encode())


def moved_response(request: web.Request, prefix: str, repository: Repository) -> web.Response:
    """Where a renamed repository is now, by its id. A redirected write stays one, so its status is 307."""
    path = request.rel_url.raw_path.removeprefix(prefix)
    rest = "/".join(path.split("/")[4:])
    target = f"{request.url.origin()}{prefix}/repositories/{repository.id}{'/' if rest else ''}{rest}"
    if request.rel_url.raw_query_string:
        target += f"?{request.rel_url.raw_query_string}"
    status, message = (301, "Moved Permanently") if request.method == "GET" else (307, "Temporary Redirect")
    error = GitHubError(status, message, members={"url": target}, headers={"Location": target})
    return error_response(error)


def cached(request: web.Request, response: web.Response) -> web.Response:
    """The answer with its ETag; without a body, and 304, if the request has it already."""
    body = response.body
    tag = f'"{hashlib.sha256(body if isinstance(body, bytes) else b"").hexdigest()}"'
    response.headers.update({**_CACHING, "ETag": f"W/{tag}"})
    if request.headers.get("If-None-Match", "").removeprefix("W/") != tag:
        return response
    return web.Response(status=_NOT_MODIFIED, headers={**_CACHING, "ETag": f"W/{tag}"})
