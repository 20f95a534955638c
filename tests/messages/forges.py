"""What classes, and objects, say of their forge."""

import asyncio
import json
from collections.abc import Coroutine, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.features.reviews.classes import class_with

from ephemeral_endpoints.engine.conditions import ConditionUpdate
from ephemeral_endpoints.features.reviews.access import Access
from ephemeral_endpoints.features.reviews.errors import ForgeError, ForgeInvalid, ForgeNotFound
from ephemeral_endpoints.features.reviews.github.answers import Answer, Response, answer_of, graphql_of, limited, member
from ephemeral_endpoints.features.reviews.github.app import AppAuthority
from ephemeral_endpoints.features.reviews.github.clock import ForgeClock
from ephemeral_endpoints.features.reviews.github.credentials import App, credentials_of
from ephemeral_endpoints.features.reviews.github.grants import Grant
from ephemeral_endpoints.features.reviews.github.signing import UnreadableKeyError
from ephemeral_endpoints.features.reviews.policy import not_granted
from ephemeral_endpoints.features.reviews.secret import ClassSecret
from ephemeral_endpoints.features.reviews.stage import forge_condition
from ephemeral_endpoints.kube.errors import Denied, Unavailable
from ephemeral_endpoints.kube.secrets import OwnSecrets

_WHERE = "the Secret ephemeral-endpoints/forge-github"
_URL = "https://github.com"
_APP = App("123456", "PEM", None, _WHERE)
_NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
_INSTALLATION: Mapping[str, Any] = {"id": 7, "permissions": {}}
_TOKEN: Mapping[str, Any] = {"token": "ghs_", "expires_at": "2026-11-30T13:00:00Z"}
_SECRETS: tuple[Mapping[str, bytes], ...] = (
    {},
    {"token": b"t", "appId": b"123456"},
    {"token": b"\xff"},
    {"token": b"a b"},
    {"appId": b"123456", "privateKey": b"PEM", "installationId": b"none"},
)
_FOUND = (
    Access("previews[bot]"),
    Access("previews[bot]", missing=("Deployments: write (of the App)",)),
    Access("ada", hidden=("acme/sentiment",)),
)
_ANSWERS: tuple[tuple[int, str, str], ...] = (
    (401, "Bad credentials", ""),
    (403, "Resource not accessible by integration", "deployments=write"),
    (403, "Must have push access to repository", ""),
    (403, "Unable to create comment because issue is locked.", "issues=write; pull_requests=write"),
    (404, "Not Found", ""),
    (422, "Validation Failed", ""),
    (502, "Server Error", ""),
)


def told() -> Iterator[tuple[str, str]]:
    """The conditions of classes and objects, and the errors that become theirs."""
    cause = not_granted(class_with(("acme/*", ["nlp"])), "vision", "acme/sentiment")
    assert cause
    yield f"Published=False {cause.reason}", cause.message
    yield from (_row(forge_condition(found, _URL)) for found in _FOUND)
    yield from ((f"{type(error).__name__} {error.reason}", error.described) for error in _errors())


def _row(update: ConditionUpdate) -> tuple[str, str]:
    return f"{update.type}={update.status} {update.reason}", update.message


def _errors() -> Iterator[ForgeError]:
    for data in _SECRETS:
        with pytest.raises(ForgeError) as caught:
            credentials_of(data, _WHERE)
        yield caught.value
    for found in (None, Denied("secrets is forbidden"), Unavailable("the API server did not answer")):
        yield _of(_Held(found).data())
    for status, message, needed in _ANSWERS:
        headers = {"content-type": "application/json", **({"x-accepted-github-permissions": needed} if needed else {})}
        answered = Response(status, headers, json.dumps({"message": message}).encode())
        with pytest.raises(ForgeError) as caught:
            answer_of(answered, "POST /repos/acme/sentiment/deployments")
        yield caught.value
    with pytest.raises(ForgeError) as caught:
        answer_of(Response(200, {"content-type": "text/html"}, b"<html>"), "GET /user")
    yield caught.value
    with pytest.raises(ForgeError) as caught:
        graphql_of({"errors": [{"message": "Something went wrong while executing your query"}]})
    yield caught.value
    with pytest.raises(ForgeError) as caught:
        member(Answer({}, {}), "id", int)
    yield caught.value
    yield limited("POST /repos/acme/sentiment/deployments", 60.0)
    yield from _of_apps()


def _of_apps() -> Iterator[ForgeError]:
    for authority in (
        _authority(ForgeNotFound("none")),
        _authority({**_INSTALLATION, "suspended_at": "2026-11-30T12:00:00Z"}),
        _authority(UnreadableKeyError()),
        _authority(OSError()),
    ):
        yield _of(authority.installation("acme"))
    yield _of(_authority(_INSTALLATION, _TOKEN, {"id": 1}, ForgeInvalid("not accessible")).writing("acme/sentiment"))


def _authority(*answers: Mapping[str, Any] | Exception) -> AppAuthority:
    """An App to which GitHub answers so, in this order; signing fails with an error that is none of a forge."""
    left = list(answers)

    async def send(method: str, path: str, grant: Grant, body: Mapping[str, Any] | None) -> Answer:  # noqa: ARG001
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer, {})

    async def sign(*_: str | int) -> str:
        if isinstance(left[0], Exception) and not isinstance(left[0], ForgeError):
            raise left[0]
        return "jwt"

    return AppAuthority(_APP, send, ForgeClock(lambda: _NOON), monotonic=lambda: 0.0, sign=sign)


class _Held(ClassSecret):
    """A Secret that is not there, or cannot be read."""

    def __init__(self, found: Exception | None) -> None:
        super().__init__(_Secrets(found), "forge-github")


class _Secrets(OwnSecrets):
    def __init__(self, found: Exception | None) -> None:
        self._found = found

    @property
    def namespace(self) -> str:
        return "ephemeral-endpoints"

    async def data(self, name: str) -> None:  # noqa: ARG002 - as its base
        if self._found:
            raise self._found


def _of(work: Coroutine[Any, Any, object]) -> ForgeError:
    with pytest.raises(ForgeError) as caught:
        asyncio.run(work)
    return caught.value
