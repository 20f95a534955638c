"""From a request to an answer of the REST API: credentials, limits, permissions, bodies and headers."""

import json
import logging
from typing import Any, Final

from aiohttp import web

from eep_platform.github import responses
from eep_platform.github.access import METADATA, Caller, check
from eep_platform.github.errors import GitHubError, bad_credentials, not_found
from eep_platform.github.limits import Cost, Quota
from eep_platform.github.records import Repository
from eep_platform.github.rest import schemas
from eep_platform.github.rest.operations import Answer, Call, Handler, Operation
from eep_platform.github.rest.paging import links
from eep_platform.github.services import Services

PREFIX: Final = "/api/v3"

_REPOSITORY: Final = "/repos/{owner}/{repo}"
_POINTS_OF_WRITE: Final = 5
_NOT_MODIFIED: Final = 304
_SERVER_ERROR: Final = 500
_log = logging.getLogger(__name__)


class MovedError(Exception):
    """The repository has another name now."""

    def __init__(self, repository: Repository) -> None:
        super().__init__(repository.full_name)
        self.repository = repository


class Rest:
    """The REST API of these operations."""

    def __init__(self, services: Services, handlers: list[tuple[Operation, Handler]]) -> None:
        self._services = services
        self._handlers = handlers

    def routes(self) -> list[web.RouteDef]:
        """The routes to serve. A repository can also be named by its id, which is where renamed ones redirect to."""
        found = []
        for operation, handler in self._handlers:
            endpoint = _Endpoint(self._services, operation, handler).handle
            paths = [operation.path]
            if operation.path.startswith(_REPOSITORY):
                paths.append("/repositories/{repository_id}" + operation.path.removeprefix(_REPOSITORY))
            found += [web.route(operation.method, PREFIX + path, endpoint) for path in paths]
        return [*found, web.route("*", PREFIX + "/{tail:.*}", self._unknown)]

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        def respond(_caller: Caller, _body: bytes) -> web.Response:
            raise not_found()

        return await self._services.exchange(request, "unknown", "", respond)


class _Endpoint:
    """One operation."""

    def __init__(self, services: Services, operation: Operation, handler: Handler) -> None:
        self._services = services
        self._operation = operation
        self._handler = handler

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""

        def respond(caller: Caller, body: bytes) -> web.Response:
            return self._respond(request, caller, body)

        return await self._services.exchange(request, self._operation.id, self._named(request), respond)

    def _respond(self, request: web.Request, caller: Caller, body: bytes) -> web.Response:
        quota = self._services.quota(caller, "core")
        try:
            response = self._admitted(request, caller, body, quota)
        except MovedError as moved:
            response = responses.moved_response(request, PREFIX, moved.repository)
        except GitHubError as error:
            response = responses.error_response(error)
        response.headers.update(quota.headers("core"))
        if caller.token and caller.token.scopes is not None:
            response.headers["X-OAuth-Scopes"] = ", ".join(sorted(caller.token.scopes))
        return response

    def _admitted(self, request: web.Request, caller: Caller, body: bytes, quota: Quota) -> web.Response:
        operation = self._operation
        if operation.is_free:
            return self._answered(request, self._call(request, caller, body))
        points = 1 if operation.method == "GET" else _POINTS_OF_WRITE
        creates_token = operation.as_app and operation.method == "POST"
        cost = Cost("core", points, creates_content=operation.creates_content, creates_token=creates_token)
        self._services.limiter.admit(caller, quota, cost)
        quota.used += 1
        response = self._answered(request, self._call(request, caller, body))
        if response.status == _NOT_MODIFIED and (caller.token or caller.app):
            quota.used -= 1
        return response

    def _call(self, request: web.Request, caller: Caller, body: bytes) -> Call:
        operation = self._operation
        if operation.as_app and caller.app is None:
            raise bad_credentials("A JSON web token could not be decoded")
        if caller.app is not None and not operation.as_app and not operation.is_free:
            raise bad_credentials("This endpoint does not accept a JSON web token")
        repository = self._repository(request, caller)
        if operation.need and repository:
            check(caller, repository, operation.need)
        return Call(caller, request.match_info, request.query, _parsed(operation, body), repository)

    def _answered(self, request: web.Request, call: Call) -> web.Response:
        answer = self._handler(call)
        response = self._judged(answer)
        response.headers.update(links(request.url, answer))
        return responses.cached(request, response) if request.method == "GET" else response

    def _judged(self, answer: Answer) -> web.Response:
        """The answer, if it is as GitHub's schema says."""
        model = self._operation.answers[answer.status]
        if not model:
            return web.Response(status=answer.status)
        body = json.dumps(answer.body).encode()
        if problem := schemas.response_problem(model, body):
            _log.error("the answer to %s is no %s: %s", self._operation.id, model, problem)
            if self._services.settings.now.strict:
                raise GitHubError(_SERVER_ERROR, f"the embedded GitHub's answer is no {model}: {problem}")
        return responses.json_response(answer.status, body)

    def _repository(self, request: web.Request, caller: Caller) -> Repository | None:
        """The repository of the path. Who may not see it does not learn either that it was renamed."""
        name = self._named(request)
        if not name:
            if "repository_id" in request.match_info:
                raise not_found()
            return None
        repository = self._services.store.repository(name)
        if not self._operation.as_app:
            check(caller, repository, METADATA)
        if repository.full_name.lower() != name.lower():
            raise MovedError(repository)
        return repository

    def _named(self, request: web.Request) -> str:
        """The full name of the repository of the path; empty if there is none."""
        path = request.match_info
        if "owner" in path:
            return f"{path['owner']}/{path['repo']}"
        id_ = path.get("repository_id", "")
        found = self._services.store.repositories.get(int(id_)) if id_.isdecimal() else None
        return found.full_name if found else ""


def _parsed(operation: Operation, body: bytes) -> dict[str, Any]:
    """The body of a request. Raises GitHub's error if it is not what the operation takes."""
    if operation.body is None:
        return {}
    try:
        parsed = json.loads(body or b"{}")
    except ValueError as error:
        raise GitHubError(400, "Problems parsing JSON") from error
    if not isinstance(parsed, dict):
        raise GitHubError(400, "Body should be a JSON object")
    schemas.check_request(operation.body, body or b"{}")
    return parsed
