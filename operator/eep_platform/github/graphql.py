"""The GraphQL API, on the part of GitHub's schema in ``schema.graphql``; other fields are errors, as unknown ones are.

Errors have status 200, as at GitHub: https://docs.github.com/graphql/guides/using-graphql-clients.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from aiohttp import web
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    build_schema,
    execute_sync,
    parse,
    validate,
)

from eep_platform.github import responses
from eep_platform.github.access import METADATA, Caller, check
from eep_platform.github.errors import GitHubError, PrimaryLimitError, bad_credentials, requires_authentication
from eep_platform.github.limits import Cost, Quota
from eep_platform.github.records import PullRequest, Repository, User
from eep_platform.github.rest.repositories import READ_PULLS
from eep_platform.github.services import Services
from eep_platform.github.views.users import instant
from eep_platform.github.views.views import Views

PATH: Final = "/api/graphql"
OPERATION: Final = "graphql"

_FORBIDDEN: Final = 403
_KINDS: Final = "type"
Json = dict[str, Any]


@cache
def schema() -> GraphQLSchema:
    """The schema that is served."""
    return build_schema(resources.files(__package__).joinpath("schema.graphql").read_text())


@dataclass(frozen=True, slots=True)
class _Asked:
    """The context of a query."""

    caller: Caller
    quota: Quota


class Graphql:
    """The GraphQL API."""

    def __init__(self, services: Services, views: Views) -> None:
        self._services = services
        self._views = views

    def routes(self) -> list[web.RouteDef]:
        """The routes to serve."""
        return [web.post(PATH, self.handle)]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one query."""
        return await self._services.exchange(request, OPERATION, "", self._respond)

    def _respond(self, caller: Caller, body: bytes) -> web.Response:
        if caller.user is None:
            raise bad_credentials() if caller.app else requires_authentication()
        quota = self._services.quota(caller, "graphql")
        try:
            self._services.limiter.admit(caller, quota, Cost("graphql", 1))
            quota.used += 1
            answer = self._answer(_Asked(caller, quota), body)
            response = responses.json_response(200, json.dumps(answer).encode())
        except PrimaryLimitError as error:
            response = responses.used_up_response(error, "graphql")
        except GitHubError as error:
            response = responses.error_response(error)
        response.headers.update(quota.headers("graphql"))
        return response

    def _answer(self, asked: _Asked, body: bytes) -> Json:
        query, variables = _parsed(body)
        try:
            document: DocumentNode = parse(query)
        except GraphQLError as error:
            return {"errors": [_shown(error)]}
        if invalid := validate(schema(), document):
            return {"errors": [_shown(error) for error in invalid]}
        root = {"repository": self._repository, "rateLimit": self._rate_limit}
        done = execute_sync(schema(), document, root_value=root, context_value=asked, variable_values=variables)
        errors = {"errors": [_shown(error) for error in done.errors]} if done.errors else {}
        return {"data": done.data, **errors}

    def _repository(self, info: GraphQLResolveInfo, owner: str, name: str, followRenames: bool = True) -> Json:  # noqa: FBT001, FBT002, N803 - GitHub's names
        full_name = f"{owner}/{name}"
        missing = GraphQLError(
            f"Could not resolve to a Repository with the name '{full_name}'.", extensions={_KINDS: "NOT_FOUND"}
        )
        try:
            repository = self._services.store.repository(full_name)
            check(info.context.caller, repository, METADATA)
        except GitHubError as error:
            raise missing from error
        if not followRenames and repository.full_name.lower() != full_name.lower():
            raise missing
        return self._shown_repository(repository)

    def _shown_repository(self, repository: Repository) -> Json:
        shown = self._views.repository(repository)

        def pull_request(info: GraphQLResolveInfo, number: int) -> Json:
            return self._pull(info.context.caller, repository, number)

        return {
            "databaseId": repository.id,
            "id": shown["node_id"],
            "isFork": shown["fork"],
            "isPrivate": repository.is_private,
            "name": repository.name,
            "nameWithOwner": repository.full_name,
            "owner": self._user(repository.owner),
            "url": shown["html_url"],
            "pullRequest": pull_request,
        }

    def _pull(self, caller: Caller, repository: Repository, number: int) -> Json:
        try:
            check(caller, repository, READ_PULLS)
        except GitHubError as error:
            kind = "FORBIDDEN" if error.status == _FORBIDDEN else "NOT_FOUND"
            raise GraphQLError(error.message, extensions={_KINDS: kind}) from error
        pull = repository.pulls.get(number)
        if pull is None:
            message = f"Could not resolve to a PullRequest with the number of {number}."
            raise GraphQLError(message, extensions={_KINDS: "NOT_FOUND"})
        return self._shown_pull(repository, pull)

    def _shown_pull(self, repository: Repository, pull: PullRequest) -> Json:
        return {
            "author": self._user(pull.author),
            "baseRefName": pull.base_branch,
            "baseRefOid": pull.base_sha,
            "closed": not pull.is_open,
            "closedAt": instant(pull.closed),
            "createdAt": instant(pull.created),
            "headRefName": pull.head_branch,
            "headRefOid": pull.head,
            "headRepository": self._later(pull.fork or repository),
            "id": f"PR_{pull.id}",
            "isCrossRepository": pull.fork is not None,
            "isDraft": False,
            "locked": pull.is_locked,
            "merged": pull.merged is not None,
            "mergedAt": instant(pull.merged),
            "mergedBy": self._user(pull.merged_by) if pull.merged_by else None,
            "number": pull.number,
            "repository": self._later(repository),
            "state": "MERGED" if pull.merged else "OPEN" if pull.is_open else "CLOSED",
            "title": pull.title,
            "updatedAt": instant(pull.updated),
            "url": self._views.page_of(repository, pull.number),
        }

    def _later(self, repository: Repository) -> Callable[[GraphQLResolveInfo], Json]:
        """A repository within something of its own, shown only if the query asks for it."""
        return lambda _: self._shown_repository(repository)

    def _user(self, user: User) -> Json:
        shown = self._views.user(user)
        return {"__typename": user.type, "id": shown["node_id"], "login": user.login, "url": shown["html_url"]}

    def _rate_limit(self, info: GraphQLResolveInfo, dryRun: bool = False) -> Json:  # noqa: ARG002, FBT001, FBT002, N803 - GitHub's names
        quota: Quota = info.context.quota
        numbers = {"limit": quota.limit, "remaining": quota.remaining, "used": quota.used}
        return {"cost": 1, "nodeCount": 0, "resetAt": instant(quota.reset), **numbers}


def _parsed(body: bytes) -> tuple[str, Json]:
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise GitHubError(400, "Problems parsing JSON") from error
    query = parsed.get("query") if isinstance(parsed, dict) else None
    if not isinstance(query, str) or not query:
        raise GitHubError(400, "A query attribute must be specified and must be a string.")
    return query, parsed.get("variables") or {}


def _shown(error: GraphQLError) -> Json:
    """An error in GitHub's form, which has its type beside the message."""
    kind = (error.extensions or {}).get(_KINDS)
    formatted = error.formatted
    locations = {"locations": formatted["locations"]} if "locations" in formatted else {}
    path = {"path": formatted["path"]} if "path" in formatted else {}
    return {**({_KINDS: kind} if kind else {}), **path, **locations, "message": error.message}
