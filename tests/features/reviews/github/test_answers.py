"""What an answer means, whoever sent it."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.features.reviews.errors import (
    ForgeDenied,
    ForgeError,
    ForgeInvalid,
    ForgeNotFound,
    ForgePermissionMissing,
    ForgeReadOnly,
    ForgeUnavailable,
)
from ephemeral_endpoints.features.reviews.github.answers import (
    Answer,
    Response,
    allowance,
    answer_of,
    graphql_of,
    is_graphql_limited,
    is_limited,
    member,
    wait_seconds,
)
from ephemeral_endpoints.features.reviews.github.limits import Allowance

JSON = {"content-type": "application/json; charset=utf-8"}
HTML = {"content-type": "text/html"}
TOKEN = "ghp_" + "a1" * 18
DATE = "Mon, 30 Nov 2026 01:00:00 GMT"
AT = 1_796_000_400


def response(status: int, body: object = None, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, {**JSON, **named}, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("given_", "expected", "words"),
    [
        (response(401, {"message": "Bad credentials"}), ForgeDenied, "must renew the Secret"),
        (response(403, {"message": "Resource not accessible"}), ForgeDenied, "must grant the access"),
        (
            response(403, {"message": "No"}, x_accepted_github_permissions="deployments=write"),
            ForgePermissionMissing,
            "needs deployments=write",
        ),
        (
            response(
                403,
                {"message": "Unable to create comment because issue is locked."},
                x_accepted_github_permissions="issues=write; pull_requests=write",
            ),
            ForgeReadOnly,
            "must unlock or unarchive it",
        ),
        (response(403, {"message": "Repository was archived so is read-only."}), ForgeReadOnly, "must unlock"),
        (response(404, {"message": "Not Found"}), ForgeNotFound, "may not see it"),
        (response(410, {"message": "Gone"}), ForgeNotFound, "does not exist"),
        (response(408, {"message": "Timeout"}), ForgeUnavailable, "tries again"),
        (response(409, {"message": "Conflict"}), ForgeInvalid, "Conflict"),
        (
            response(422, {"message": "Validation Failed", "errors": [{"field": "ref", "code": "missing"}]}),
            ForgeInvalid,
            "ref",
        ),
        (response(422, {"message": "Failed", "errors": ["state is no state"]}), ForgeInvalid, "state is no state"),
        (response(422, {"message": "Failed", "errors": [7]}), ForgeUnavailable, "not GitHub's"),
        (response(422, {}), ForgeUnavailable, "not GitHub's"),
        (response(500, {"message": "Server Error"}), ForgeUnavailable, "500"),
        (response(502, {}), ForgeUnavailable, "502"),
        (response(304), ForgeUnavailable, "not GitHub's"),
        (response(200, "a text"), ForgeUnavailable, "not GitHub's"),
        (response(200, 7), ForgeUnavailable, "not GitHub's"),
        (Response(200, JSON, b""), ForgeUnavailable, "not GitHub's"),
        (Response(200, JSON, b'{"id": 1'), ForgeUnavailable, "not GitHub's"),
        (Response(200, JSON, b"\xff"), ForgeUnavailable, "not GitHub's"),
        (Response(200, {"content-type": "application/json; charset=no-such"}, b"{}"), ForgeUnavailable, "not GitHub's"),
        (Response(200, {}, b"{}"), ForgeUnavailable, "but nothing with status 200"),
        (Response(200, HTML, b"<html>"), ForgeUnavailable, "text/html with status 200: a proxy"),
        (Response(403, HTML, b"<html>"), ForgeUnavailable, "text/html with status 403"),
        (Response(404, HTML, b"<html>"), ForgeUnavailable, "text/html with status 404"),
        (Response(503, HTML, b"<html>"), ForgeUnavailable, "text/html with status 503"),
    ],
)
def test_every_refusal_has_one_meaning(given_: Response, expected: type[ForgeError], words: str) -> None:
    with pytest.raises(ForgeError) as caught:
        answer_of(given_, "GET /repos/acme/wine")
    assert isinstance(caught.value, expected)
    assert type(caught.value) is expected or expected is ForgeDenied
    assert words in str(caught.value)


@given(
    st.integers(200, 599),
    st.dictionaries(st.sampled_from(["content-type", "link", "x-ratelimit-limit", "x-ratelimit-remaining"]), st.text()),
    st.one_of(
        st.binary(),
        st.recursive(
            st.none() | st.text() | st.integers(),
            lambda each: st.lists(each) | st.dictionaries(st.sampled_from(["message", "errors", "code"]), each),
        ).map(lambda body: json.dumps(body).encode()),
    ),
)
def test_whatever_is_answered_is_an_answer_or_an_error_that_says_what_to_do(
    status: int, headers: dict[str, str], body: bytes
) -> None:
    answered = Response(status, {**JSON, **headers}, body)
    is_limited(answered)
    wait_seconds(answered.headers)
    found: object
    try:
        found = answer_of(answered, "GET /user")
    except ForgeError as error:
        found = str(error)
    assert isinstance(found, Answer | str)
    assert found


def test_what_github_quotes_is_redacted_and_short() -> None:
    with pytest.raises(ForgeInvalid) as caught:
        answer_of(response(400, {"message": f"{TOKEN} is wrong " + "x" * 10_000}), "POST /repos/acme/wine/deployments")
    assert TOKEN not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("given_", "expected", "seconds", "reason"),
    [
        (response(429), True, None, "the status alone"),
        (response(429, None, retry_after="17"), True, 17.0, "with a time"),
        (response(403, None, retry_after="17"), True, 17.0, "a secondary limit"),
        (response(403, {"message": "You have exceeded a secondary rate limit"}), True, None, "told in words"),
        (response(403, {"message": "You have triggered an abuse detection mechanism"}), True, None, "in older words"),
        (
            response(403, x_ratelimit_limit="60", x_ratelimit_remaining="0", x_ratelimit_reset=str(AT + 90), date=DATE),
            True,
            90.0,
            "the primary limit: the reset is a time of GitHub's clock",
        ),
        (
            response(403, x_ratelimit_limit="60", x_ratelimit_remaining="1", x_ratelimit_reset=str(AT + 90), date=DATE),
            False,
            None,
            "a permission",
        ),
        (response(403, None, retry_after="soon"), True, None, "no number"),
        (response(401), False, None, "credentials"),
        (response(500, {"message": "rate limit"}), False, None, "a fault"),
    ],
)
def test_refusals_for_the_rate_are_told_from_others(
    given_: Response, expected: object, seconds: float | None, reason: str
) -> None:
    assert reason
    assert is_limited(given_) is expected
    assert wait_seconds(given_.headers) == seconds


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"x-ratelimit-limit": "many", "x-ratelimit-remaining": "1", "x-ratelimit-reset": "1"}, None),
        (
            {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "7", "x-ratelimit-reset": str(AT + 5), "date": DATE},
            Allowance("core", 5000, 7, 5.0),
        ),
        (
            {
                "x-ratelimit-limit": "5000",
                "x-ratelimit-remaining": "7",
                "x-ratelimit-reset": str(AT - 5),
                "x-ratelimit-resource": "graphql",
                "date": DATE,
            },
            Allowance("graphql", 5000, 7, 0.0),
        ),
    ],
)
def test_the_primary_limit_is_read_where_there_is_one(headers: Mapping[str, str], expected: Allowance | None) -> None:
    assert allowance(headers) == expected


def test_a_query_tells_what_is_unknown_by_its_place() -> None:
    answered = graphql_of(
        {
            "data": {"r0": {"p1": {"number": 1}, "p2": None}, "r1": None},
            "errors": [
                {"type": "NOT_FOUND", "path": ["r0", "p2"], "message": "Could not resolve to a PullRequest"},
                {"type": "NOT_FOUND", "path": ["r1"], "message": "Could not resolve to a Repository"},
            ],
        }
    )
    assert answered.data["r0"]["p1"] == {"number": 1}
    assert answered.unknown == {
        "r0.p2": "Could not resolve to a PullRequest",
        "r1": "Could not resolve to a Repository",
    }


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"errors": [{"message": "Something went wrong while executing your query"}]}, ForgeUnavailable),
        ({"data": None, "errors": [{"message": "timeout", "path": []}]}, ForgeUnavailable),
        ({"data": {"r0": {}}, "errors": [{"message": "partly"}]}, ForgeUnavailable),
        ({"data": None, "errors": [{"type": "FORBIDDEN", "message": "not accessible"}]}, ForgePermissionMissing),
        ({"data": None, "errors": [{"type": "INSUFFICIENT_SCOPES", "message": "scopes"}]}, ForgePermissionMissing),
        ({"errors": [{"message": "Field 'x' doesn't exist", "locations": [{"line": 1, "column": 2}]}]}, ForgeInvalid),
        ({"errors": ["no object"]}, ForgeUnavailable),
        ({"errors": 7}, ForgeUnavailable),
        ({"data": []}, ForgeUnavailable),
        ({}, ForgeUnavailable),
        ([], ForgeUnavailable),
    ],
)
def test_a_query_without_an_answer_is_an_error(data: Any, expected: type[ForgeError]) -> None:  # noqa: ANN401 - JSON
    with pytest.raises(ForgeError) as caught:
        graphql_of(data)
    assert type(caught.value) is expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]}, True),
        ({"errors": [{"message": "You have exceeded a secondary rate limit."}]}, True),
        ({"data": {}, "errors": [{"path": ["r0"], "message": "Could not resolve to 'acme/rate limit'"}]}, False),
        ({"data": {}}, False),
        ({"errors": [7]}, False),
        ([], False),
    ],
)
def test_a_limit_of_queries_is_told_with_status_200(data: Any, expected: object) -> None:  # noqa: ANN401 - JSON
    assert is_graphql_limited(data) is expected


@pytest.mark.parametrize("data", [{}, {"id": None}, {"id": "7"}, {"id": True}, [], None])
def test_what_github_always_sends_is_not_taken_from_others(data: Any) -> None:  # noqa: ANN401 - JSON
    with pytest.raises(ForgeUnavailable, match="without id"):
        member(Answer(data, {}), "id", int)
