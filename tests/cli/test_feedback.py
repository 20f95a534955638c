import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import Result
from tests.cli.test_objects import TOKEN, secret
from tests.fixtures.kubernetes import Cluster
from tests.fixtures.model_server import Answer, ModelServer, Request

Run = Callable[..., Result]

VOTE = {"at": "2026-11-30T12:00:00+00:00", "vote": "up", "variant": "main", "revision": "0123456789ab"}


def answered(document: Mapping[str, Any], status: int = 200) -> Answer:
    return Answer(status, json.dumps(document).encode(), {"Content-Type": "application/json"})


@pytest.fixture
def served(cluster: Cluster, model: ModelServer) -> None:
    secret(cluster, cluster.create(spec={"feedback": {}})["metadata"]["uid"])
    cluster.patch_status({"observedGeneration": 1, "url": model.url("/nlp/pr-42")})


@pytest.mark.usefixtures("served")
def test_all_pages_are_read_with_the_token(run: Run, model: ModelServer) -> None:
    def pages(request: Request) -> Answer:
        after = parse_qs(urlsplit(request.path).query).get("after", [""])[0]
        votes = [{"id": f"{after}r", **VOTE}]
        return answered({"counts": {"main": {"up": 2, "down": 0}}, "votes": votes, "next": None if after else "a="})

    model.answer = pages
    result = run("feedback", "pr-42", "-o", "jsonl")
    assert result.exit_code == 0
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == ["r", "a=r"]
    assert [each.path for each in model.requests] == ["/nlp/pr-42/feedback", "/nlp/pr-42/feedback?after=a%3D"]
    assert {each.headers["Authorization"] for each in model.requests} == {f"Bearer {TOKEN}"}


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(answered({"detail": "Try again."}, 503), "503 Try again.", id="a problem"),
        pytest.param(Answer(302, b"{}", {"Location": "/elsewhere"}), "302 Found", id="a redirect"),
        pytest.param(Answer(200, b"<html>"), "does not tell its votes", id="no JSON"),
        pytest.param(answered({}), "does not tell its votes", id="something else"),
    ],
)
def test_what_is_no_list_of_votes_is_said(run: Run, model: ModelServer, answer: Answer, said: str) -> None:
    model.answer = lambda _: answer
    result = run("feedback", "pr-42")
    assert result.exit_code == 1
    assert said in result.stderr
    assert len(model.requests) == 1


def test_an_endpoint_without_votes_says_how_to_have_them(run: Run, cluster: Cluster) -> None:
    cluster.create()
    result = run("feedback", "pr-42")
    assert (result.exit_code, result.stderr) == (1, "Error: pr-42 takes no votes: set its spec.feedback\n")
