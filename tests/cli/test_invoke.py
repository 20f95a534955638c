from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from tests.cli.test_objects import MAY_GET, TOKEN, secret
from tests.engine.objects import endpoint
from tests.fixtures.command import eep
from tests.fixtures.kubernetes import Cluster
from tests.fixtures.model_server import Answer, ModelServer

from ephemeral_endpoints.cli import open as opening
from ephemeral_endpoints.cli.open import console_url, public_url

Run = Callable[..., Result]


@pytest.fixture
def served(cluster: Cluster, model: ModelServer) -> None:
    secret(cluster, cluster.create()["metadata"]["uid"])
    cluster.patch_status({"observedGeneration": 1, "url": model.url("/nlp/pr-42")})


@pytest.mark.usefixtures("served")
def test_a_request_has_the_token_and_its_answer_is_printed(run: Run, model: ModelServer, tmp_path: Path) -> None:
    result = run("invoke", "pr-42", "--data", '{"text": "ü"}')
    assert (result.exit_code, result.stdout) == (0, '{"text": "ü"}')
    assert result.stderr.startswith("200 OK in ")
    file = tmp_path / "flowers.csv"
    file.write_bytes(b"1,2\xff\n")
    binary = run("invoke", "pr-42", "-d", f"@{file}", "--content-type", "text/csv", "--accept", "text/csv")
    assert binary.stdout_bytes == b"1,2\xff\n"
    [first, second] = model.requests
    assert (first.headers["Authorization"], first.headers["Content-Type"]) == (f"Bearer {TOKEN}", "application/json")
    assert (second.headers["Content-Type"], second.headers["Accept"]) == ("text/csv", "text/csv")
    assert second.body == b"1,2\xff\n"


@pytest.mark.parametrize(
    ("answer", "status"), [(Answer(429, b"{}"), 1), (Answer(302, b"{}", {"Location": "/elsewhere"}), 0)]
)
@pytest.mark.usefixtures("served")
def test_an_answer_is_sent_nowhere_else_and_a_refusal_is_a_failure(
    answer: Answer, status: int, run: Run, model: ModelServer
) -> None:
    model.answer = lambda _: answer
    result = run("invoke", "pr-42", "--data", "{}")
    assert (result.exit_code, result.stdout) == (status, "{}")
    assert result.stderr.startswith(f"{answer.status} ")
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


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a browser is asked to open, as its arguments have it, and the file behind it."""
    seen: list[str] = []

    def browse(url: str) -> bool:
        seen.append(url)
        if url.startswith("file:"):
            file = Path(url.removeprefix("file://"))
            assert file.parent.stat().st_mode & 0o077 == 0, "for this user only"
            seen.append(file.read_text())
        return True

    monkeypatch.setattr("webbrowser.open", browse)
    monkeypatch.setattr(opening, "FILE_SECONDS", 0)
    monkeypatch.setattr(opening, "is_terminal", lambda: True)
    return seen


def test_the_page_opens_with_the_token_where_no_other_user_sees_it(
    run: Run, cluster: Cluster, opened: list[str]
) -> None:
    secret(cluster, cluster.create()["metadata"]["uid"])
    cluster.patch_status({"observedGeneration": 1, "url": "https://x.example/nlp/pr-42"})
    result = run("open", "pr-42")
    assert (result.exit_code, result.stdout) == (0, "")
    address, page = opened
    assert TOKEN not in address
    assert not Path(address.removeprefix("file://")).exists(), "nothing is left"
    assert f"url=https://x.example/nlp/pr-42#t={TOKEN}" in page
    shown = run("open", "pr-42", "--show-token")
    assert shown.stdout == f"https://x.example/nlp/pr-42#t={TOKEN}\n"
    assert len(opened) == 2


def test_the_page_opens_without_a_token_that_cannot_be_read(run: Run, cluster: Cluster, opened: list[str]) -> None:
    cluster.create()
    cluster.patch_status({"observedGeneration": 1, "url": "https://x.example/nlp/pr-42"})
    result = run("open", "pr-42")
    assert opened == ["https://x.example/nlp/pr-42"]
    assert result.stderr.startswith("Without the token: the Secret")
    assert run("open", "pr-42", "--show-token").exit_code == 1


def test_a_token_is_not_sent_in_the_open(run: Run, cluster: Cluster, opened: list[str]) -> None:
    secret(cluster, cluster.create()["metadata"]["uid"])
    cluster.patch_status({"observedGeneration": 1, "url": "http://x.example/nlp/pr-42"})
    assert "is not encrypted" in run("open", "pr-42").stderr
    assert opened == []


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


def of_type(cluster: Cluster, model: ModelServer, type_: str) -> None:
    secret(cluster, cluster.create(spec={"api": {"auth": {"type": type_}}, "feedback": {}})["metadata"]["uid"])
    cluster.patch_status({"observedGeneration": 1, "url": model.url("/nlp/pr-42")})


def test_a_jwt_is_given_by_the_caller_and_the_objects_token_is_not_sent(
    run: Run, cluster: Cluster, model: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_type(cluster, model, "JWT")
    missing = run("invoke", "pr-42", "--data", "{}")
    assert missing.exit_code == 2
    assert "give one with --token-file or in the variable EEP_TOKEN" in missing.stderr
    file = tmp_path / "token"
    file.write_text("a.b.c\n")
    assert run("invoke", "pr-42", "--data", "{}", "--token-file", str(file)).exit_code == 0
    monkeypatch.setenv("EEP_TOKEN", "d.e.f")
    assert run("invoke", "pr-42", "--data", "{}").exit_code == 0
    assert [each.headers["Authorization"] for each in model.requests] == ["Bearer a.b.c", "Bearer d.e.f"]


def test_whoever_was_given_the_token_needs_no_right_to_the_secret(
    cluster: Cluster, model: ModelServer, kubeconfig_with: Callable[..., str], tmp_path: Path
) -> None:
    cluster.create()
    cluster.patch_status({"observedGeneration": 1, "url": model.url("/nlp/pr-42")})
    file = tmp_path / "token"
    file.write_text("eep_given\n")
    kubeconfig = kubeconfig_with(MAY_GET)
    result = eep("invoke", "pr-42", "--data", "{}", "--token-file", str(file), KUBECONFIG=kubeconfig)
    assert result.exit_code == 0, result.stderr
    assert [each.headers["Authorization"] for each in model.requests] == ["Bearer eep_given"]


def test_where_callers_sign_the_request_is_signed_with_their_own_credentials(
    run: Run, cluster: Cluster, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_type(cluster, model, "IAM")
    for name, value in {"ACCESS_KEY_ID": "AKIAEXAMPLE", "SECRET_ACCESS_KEY": "secret", "REGION": "eu-west-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    assert run("invoke", "pr-42", "--data", "{}").exit_code == 0
    [request] = model.requests
    signature = request.headers["Authorization"]
    assert signature.startswith("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/")
    assert "/eu-west-1/execute-api/aws4_request, SignedHeaders=" in signature
    assert TOKEN not in str(request.headers)


@pytest.mark.parametrize(
    ("type_", "reported"), [("JWT", "its callers send a JWT"), ("IAM", "its callers sign requests with AWS Signature")]
)
def test_the_token_says_where_it_is_taken(
    type_: str, reported: str, run: Run, cluster: Cluster, model: ModelServer
) -> None:
    of_type(cluster, model, type_)
    result = run("token", "pr-42")
    assert (result.exit_code, result.stdout) == (0, f"{TOKEN}\n")
    assert f"takes this token below its path /operator only; {reported}" in result.stderr


@pytest.mark.parametrize("type_", ["JWT", "IAM", "None"])
def test_where_the_class_refuses_the_type_the_url_takes_the_token(
    type_: str, run: Run, cluster: Cluster, model: ModelServer
) -> None:
    of_type(cluster, model, type_)
    cluster.patch_status({"route": {"path": "/nlp/pr-42", "auth": "Token"}})
    assert run("invoke", "pr-42", "--data", "{}").exit_code == 0
    run("feedback", "pr-42")
    run("load", "pr-42", "--data", "{}", "--rate", "1", "--duration", "1s", "--warm-up", "0")
    assert {each.path for each in model.requests} == {"/nlp/pr-42", "/nlp/pr-42/feedback"}
    assert {each.headers["Authorization"] for each in model.requests} == {f"Bearer {TOKEN}"}
    assert run("open", "pr-42", "--show-token").stdout.endswith(f"#t={TOKEN}\n")
    assert run("token", "pr-42").stderr == ""


def test_a_browser_is_not_opened_where_it_could_not_call(run: Run, cluster: Cluster, model: ModelServer) -> None:
    of_type(cluster, model, "IAM")
    result = run("open", "pr-42")
    assert result.exit_code == 1
    assert "a browser cannot sign requests, which pr-42 asks for" in result.stderr
