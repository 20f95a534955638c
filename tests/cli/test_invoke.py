import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import Result
from tests.cli.test_objects import TOKEN, secret
from tests.engine.objects import endpoint
from tests.fixtures.kubernetes import Cluster

from ephemeral_endpoints.cli.invoke import is_private
from ephemeral_endpoints.cli.open import console_url, public_url

Run = Callable[..., Result]


class Model(HTTPServer):
    """Answers each request with its own body, and records it; ``/busy`` refuses, ``/moved`` leads to another server."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[Mapping[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Model

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((dict(self.headers), body))
        self.send_response({"/busy": 429, "/moved": 302}.get(self.path, 200))
        if self.path == "/moved":
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def model() -> Iterator[Model]:
    with Model() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def served(cluster: Cluster, model: Model) -> Callable[[str], None]:
    def at(path: str) -> None:
        secret(cluster, cluster.create()["metadata"]["uid"])
        cluster.patch_status({"observedGeneration": 1, "url": model.url + path})

    return at


def test_a_request_has_the_token_and_its_answer_is_printed(
    run: Run, model: Model, served: Callable[[str], None], tmp_path: Path
) -> None:
    served("/nlp/pr-42")
    result = run("invoke", "pr-42", "--data", '{"text": "ü"}')
    assert (result.exit_code, result.stdout) == (0, '{"text": "ü"}')
    assert result.stderr.startswith("200 OK in ")
    file = tmp_path / "flowers.csv"
    file.write_bytes(b"1,2\xff\n")
    binary = run("invoke", "pr-42", "-d", f"@{file}", "--content-type", "text/csv", "--accept", "text/csv")
    assert binary.stdout_bytes == b"1,2\xff\n"
    [(first, _), (second, body)] = model.requests
    assert (first["Authorization"], first["Content-Type"]) == (f"Bearer {TOKEN}", "application/json")
    assert (second["Content-Type"], second["Accept"], body) == ("text/csv", "text/csv", b"1,2\xff\n")


@pytest.mark.parametrize(("path", "status"), [("/busy", "429 "), ("/moved", "302 ")])
def test_an_answer_is_sent_nowhere_else_and_a_refusal_is_a_failure(
    path: str, status: str, run: Run, model: Model, served: Callable[[str], None]
) -> None:
    served(path)
    result = run("invoke", "pr-42", "--data", "{}")
    assert (result.exit_code, result.stdout) == (int(path == "/busy"), "{}")
    assert result.stderr.startswith(status)
    assert len(model.requests) == 1


def test_an_endpoint_that_cannot_be_reached_is_said_in_one_line(run: Run, cluster: Cluster) -> None:
    secret(cluster, cluster.create()["metadata"]["uid"])
    no_url = run("invoke", "pr-42", "--data", "{}")
    assert (no_url.exit_code, no_url.stderr) == (
        1,
        "Error: pr-42 has no URL yet: `eep status pr-42` shows how far it is\n",
    )
    cluster.patch_status({"observedGeneration": 1, "url": "http://127.0.0.1:1/"})
    refused = run("invoke", "pr-42", "--data", "{}")
    assert refused.exit_code == 1
    assert "http://127.0.0.1:1/ does not answer" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_file_that_does_not_exist_is_named(run: Run) -> None:
    result = run("invoke", "pr-42", "--data", "@/nowhere.json")
    assert result.exit_code == 2
    assert "/nowhere.json cannot be read: No such file or directory" in result.stderr


def test_without_a_browser_the_url_is_printed(run: Run, cluster: Cluster) -> None:
    cluster.create()
    cluster.patch_status({"observedGeneration": 1, "url": "https://x.example/nlp/pr-42"})
    assert run("open", "pr-42").stdout == "https://x.example/nlp/pr-42\n"
    assert "pr-42 has no endpoint in SageMaker yet" in run("open", "pr-42", "--console").stderr


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("https://x.example/a", True),
        ("http://127.0.0.1:4566/a", True),
        ("http://a1b2.execute-api.localhost:4566/a", True),
        ("http://[::1]/a", True),
        ("http://x.example/a", False),
        ("http://localhost.example/a", False),
        ("http://10.0.0.1/a", False),
    ],
)
def test_the_token_leaves_the_machine_only_encrypted(url: str, private: bool) -> None:  # noqa: FBT001 - a table
    assert is_private(url) is private


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "https://a b/", "--version"])
def test_no_other_program_is_opened(url: str) -> None:
    assert public_url(endpoint({"status": {"url": url}})) is None


@pytest.mark.parametrize(
    ("partition", "region", "url"),
    [
        (
            "aws",
            "eu-west-1",
            "https://eu-west-1.console.aws.amazon.com/sagemaker/home?region=eu-west-1#/endpoints/eep-c1",
        ),
        (
            "aws-cn",
            "cn-north-1",
            "https://cn-north-1.console.amazonaws.cn/sagemaker/home?region=cn-north-1#/endpoints/eep-c1",
        ),
        ("aws-iso", "us-iso-east-1", None),
    ],
)
def test_the_console_is_that_of_the_endpoints_region(partition: str, region: str, url: str | None) -> None:
    arn = f"arn:{partition}:sagemaker:{region}:123456789012:endpoint/eep-c1"
    made = endpoint({"status": {"resources": [{"kind": "Endpoint", "name": "eep-c1", "arn": arn}]}})
    assert console_url(made) == url
