"""Comparisons of objects on a real API server, and of two URLs on loopback."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from tests.fixtures.command import eep
from tests.fixtures.kubernetes import Cluster
from tests.fixtures.model_server import Answer, ModelServer, Request
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack

Run = Callable[..., Result]

RESULT = {
    "id": "a-b",
    "revision": "1f0c2a9",
    "base": "main",
    "baseRevision": "2" * 40,
    "finishedAt": "2026-11-30T12:00:00Z",
    "requests": 40,
    "changed": 3,
    "flipped": 1,
    "flips": [{"base": "cat", "head": "dog\u202e", "count": 1}],
    "numbers": [{"pointer": "/score", "count": 3, "median": 0.1, "max": 0.25}],
    "worst": [{"request": "praise", "pointer": "/label", "base": '"cat"', "head": '"dog"'}],
    "latencyRatio": 1.2,
    "hourlyUSD": "0.23",
    "baseHourlyUSD": "0.115",
}
REQUESTS = """
requests:
  - {name: one, request: '{"x": 1}'}
  - {name: two, request: '{"x": 2}'}
ignore: [/path]
"""


def answer(request: Request) -> Answer:
    """Below ``/double`` the number of the request is doubled, below ``/fail`` none is answered."""
    number = json.loads(request.body)["x"]
    found = {"y": number * 2 if request.path == "/double" and number > 1 else number, "path": request.path}
    status = 500 if request.path == "/fail" else 200
    return Answer(status, json.dumps(found).encode(), {"Content-Type": "application/json"})


@pytest.fixture
def models(model: ModelServer) -> ModelServer:
    model.answer = answer
    return model


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "requests.yaml"
    path.write_text(REQUESTS)
    return path


def test_the_last_comparison_of_an_object_is_shown(run: Run, cluster: Cluster) -> None:
    cluster.create()
    cluster.patch_status({"observedGeneration": 1, "comparison": RESULT})
    result = run("compare", "eep/pr-42")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0].startswith("pr-42 (1f0c2a9) compared with main (2222222), ")
    assert "3 of 40 answers changed, 1 with another label; 0 failed here, 0 at the base; 0 skipped" in lines
    assert "latency: 1.2 x that of the base" in lines
    assert "cost of an hour: $0.23, of the base: $0.115" in lines
    assert ["cat", "dog", "1"] in [line.split() for line in lines]
    assert ["/score", "3", "0.1", "0.25"] in [line.split() for line in lines]
    assert ["praise", "/label", '"cat"', '"dog"'] in [line.split() for line in lines]
    in_json = run("compare", "pr-42", "-o", "json")
    assert (in_json.exit_code, json.loads(in_json.stdout)["result"]) == (1, {**RESULT, "skipped": 0} | DEFAULTS)


DEFAULTS = {"failed": 0, "errors": 0, "baseErrors": 0}


@pytest.mark.parametrize(
    ("figures", "status"),
    [({"changed": 0}, 0), ({"changed": 0, "failed": 1}, 1), ({"requests": 0, "changed": 0}, 2)],
)
def test_the_exit_status_is_that_of_diff(run: Run, cluster: Cluster, figures: dict[str, int], status: int) -> None:
    cluster.create()
    cluster.patch_status({"observedGeneration": 1, "comparison": {**RESULT, **figures}})
    assert run("compare", "pr-42").exit_code == status


def test_an_object_that_was_not_compared_says_why(run: Run, cluster: Cluster) -> None:
    cluster.create()
    result = run("compare", "pr-42")
    assert (result.exit_code, result.stderr) == (2, "Error: pr-42 has not been compared: it has no spec.compare\n")
    condition = {"type": "Compared", "status": "Unknown", "reason": "Comparing", "message": "comparing with main"}
    cluster.patch_status({"conditions": [{**condition, "lastTransitionTime": "2026-11-30T12:00:00Z"}]})
    assert "pr-42 has not been compared: comparing with main" in run("compare", "pr-42").stderr
    assert run("compare", "nobody").exit_code == 2


def test_all_differences_are_in_the_report(run: Run, cluster: Cluster, aws: Aws) -> None:
    bucket, keys = "reports-of-eep-compare", {**ministack.credentials(), "AWS_ENDPOINT_URL": aws.endpoint}
    shell = {**keys, "AWS_DEFAULT_REGION": ministack.REGION}
    cluster.create()
    cluster.patch_status({"observedGeneration": 1, "comparison": RESULT})
    assert "the class has no comparisons.reportsS3Uri" in run("compare", "pr-42", "--all").stderr
    cluster.patch_status({"comparison": {"reportUri": f"s3://{bucket}/nlp/pr-42/1.json"}})
    missing = run("compare", "pr-42", "--all", **shell)
    assert (missing.exit_code, "cannot be read" in missing.stderr) == (2, True)
    differences = [{"pointer": "/a\x1b", "kind": "number", "base": "1", "head": "2"}]
    row: dict[str, Any] = {"request": "praise", "base": {"status": 200}, "head": {"status": 200}}
    failed = {"request": "blame", "base": {"status": 200}, "head": {"status": None, "error": "no answer within 35 s"}}
    rows = [{**row, "differences": differences}, {**failed, "differences": []}]
    aws.client("s3").create_bucket(Bucket=bucket)
    content = json.dumps({"version": 1, "requests": rows, "cut": ["1 of the answers"]}).encode()
    aws.client("s3").put_object(Bucket=bucket, Key="nlp/pr-42/1.json", Body=content)
    result = run("compare", "pr-42", "--all", **shell)
    assert result.exit_code == 1, result.stderr
    assert ["praise", "/a", "1", "2"] in [line.split() for line in result.stdout.splitlines()]
    assert "no answer within 35 s" in result.stdout
    whole = json.loads(run("compare", "pr-42", "--all", "-o", "json", **shell).stdout)
    assert (whole["requests"], whole["cut"]) == (rows, ["1 of the answers"])


def test_two_urls_are_compared_with_their_own_tokens(models: ModelServer, file: Path) -> None:
    options = ("--url", models.url("/double"), "--with-url", models.url("/main"))
    result = eep("compare", *options, str(file), EEP_TOKEN="mine", EEP_WITH_TOKEN="theirs")  # noqa: S106 - open nothing
    assert result.exit_code == 1, result.stderr
    assert "1 of 2 answers changed, 0 with another label" in result.stdout
    assert ["two", "/y", "2", "4"] in [line.split() for line in result.stdout.splitlines()]
    sent = {(each.path, each.headers["Authorization"]) for each in models.requests}
    assert sent == {("/double", "Bearer mine"), ("/main", "Bearer theirs")}
    whole = json.loads(eep("compare", *options, "--all", "-o", "json", str(file)).stdout)
    assert [each["count"] for each in whole["requests"]] == [0, 1]


@pytest.mark.parametrize(("path", "status"), [("/other", 0), ("/fail", 2)])
def test_urls_that_answer_alike_or_not_at_all(models: ModelServer, file: Path, path: str, status: int) -> None:
    options = ("--url", models.url(path), "--with-url", models.url("/main"))
    assert eep("compare", *options, str(file)).exit_code == status


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("requests: []", "requests: Tuple should have at least 1 item"),
        ("requests: [{name: a, request: 1}]", "requests.0.request: Input should be a valid string"),
        ("a: [", "is no YAML"),
        ("1", "Input should be"),
    ],
)
def test_a_file_that_is_not_understood_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "requests.yaml"
    if content is not None:
        file.write_text(content)
    result = eep("compare", "--url", "http://127.0.0.1:9/a", "--with-url", "http://127.0.0.1:9/b", str(file))
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--url", "http://127.0.0.1/a"), "belong together"),
        (("--url", "http://127.0.0.1/a", "--with-url", "http://127.0.0.1/a/"), "are the same"),
        (("--url", "http://127.0.0.1/a", "--with-url", "model.yaml"), "is not an http or https URL"),
    ],
)
def test_urls_that_cannot_be_compared_are_refused(file: Path, options: tuple[str, ...], message: str) -> None:
    result = eep("compare", *options, str(file), EEP_TOKEN="t")  # noqa: S106 - opens nothing
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_token_that_cannot_be_sent_is_refused_and_not_shown(file: Path) -> None:
    urls = ("--url", "http://127.0.0.1:9/a", "--with-url", "http://127.0.0.1:9/b")
    result = eep("compare", *urls, str(file), EEP_WITH_TOKEN="two\nlines")  # noqa: S106 - opens nothing
    assert (result.exit_code, "two" in result.output) == (2, False)
    assert "the token has characters that no token has" in result.stderr
