import json

import pytest

from ephemeral_endpoints.local.aws.httpapi import emulator_target, rewriter


@pytest.mark.parametrize(
    ("path", "query", "target", "reason"),
    [
        ("/pr-1", "", "/_aws/execute-api/a1/$default/pr-1", "the plain case"),
        ("", "", "/_aws/execute-api/a1/$default/", "the root without a slash"),
        ("/pr-1/", "", "/_aws/execute-api/a1/$default/pr-1/", "a trailing slash is part of the path"),
        ("/a%2Fb%20c", "x=%26&x", "/_aws/execute-api/a1/$default/a%2Fb%20c?x=%26&x", "encoding is kept"),
    ],
)
def test_requests_reach_the_default_stage(path: str, query: str, target: str, reason: str) -> None:
    assert emulator_target("a1", path, query) == target, reason


@pytest.mark.parametrize(
    "answer", [{"apiId": "a1", "apiEndpoint": "x"}, {"items": [{"apiId": "a1", "apiEndpoint": "x"}]}]
)
def test_endpoints_in_answers_become_reachable(answer: dict[str, object]) -> None:
    rewrite = rewriter("apigatewayv2", "GetApis", "http://127.0.0.1:1")
    assert rewrite is not None
    corrected = json.loads(rewrite(json.dumps(answer).encode()))
    assert corrected.get("items", [corrected])[0] == {"apiId": "a1", "apiEndpoint": "http://127.0.0.1:1/_api/a1"}


@pytest.mark.parametrize(("service", "operation"), [("apigatewayv2", "GetRoutes"), ("lambda", "GetApis"), (None, None)])
def test_other_answers_are_not_touched(service: str | None, operation: str | None) -> None:
    assert rewriter(service, operation, "http://127.0.0.1:1") is None
