import json

import pytest

from eep_platform.aws.httpapi import emulator_target, rewriter


@pytest.mark.parametrize(
    ("path", "query", "target"),
    [
        pytest.param("/pr-1", "", "/_aws/execute-api/a1/$default/pr-1", id="the plain case"),
        pytest.param("", "", "/_aws/execute-api/a1/$default/", id="the root without a slash"),
        pytest.param("/pr-1/", "", "/_aws/execute-api/a1/$default/pr-1/", id="a trailing slash is part of the path"),
        pytest.param("/a%2Fb%20c", "x=%26&x", "/_aws/execute-api/a1/$default/a%2Fb%20c?x=%26&x", id="encoding is kept"),
    ],
)
def test_requests_reach_the_default_stage(path: str, query: str, target: str) -> None:
    assert emulator_target("a1", path, query) == target


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
