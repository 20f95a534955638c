import json
import os
import subprocess
import sys
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import joblib
import pytest
import requests
from model.datasets import load
from model.predictor import Predictor
from model.serve import Settings, application
from model.train import main as train
from starlette.applications import Starlette

from eep_platform import processes
from eep_platform.paths import log_file
from model import paths

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "model" / "samples" / "valid" / "named.json"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server(state: Path) -> Iterator[str]:
    train(["--dataset", "wine", "--model-dir", str(state / "model")])
    port = processes.free_port()
    environment = {
        **os.environ,
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "SM_MODEL_DIR": str(state / "model"),
        "MODEL_REVISION": "abc123",
        "MAX_BODY_BYTES": "10000",
    }
    process = processes.spawn("model", [sys.executable, "-m", "model", "serve"], state=state, env=environment, cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    try:
        processes.wait_until(lambda: _answers(url), seconds=120, what="the server", process=process)
        yield url
    finally:
        processes.stop(process)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/ping", timeout=60).ok
    except requests.ConnectionError:
        return False


def test_predictions_are_those_of_the_artefact(server: str, state: Path) -> None:
    answer = requests.post(f"{server}/invocations", data=SAMPLE.read_bytes(), headers=JSON, timeout=60).json()
    wine = list(json.loads(SAMPLE.read_text())["instances"][0].values())
    [probabilities] = joblib.load(state / "model" / paths.ARTEFACT).predict_proba([wine])
    assert answer["revision"] == "abc123"
    assert list(answer["predictions"][0]["probabilities"].values()) == probabilities.tolist()
    assert answer["predictions"][0]["label"] == "class_0"


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        pytest.param(b"{}", {}, 415, id="no content type"),
        pytest.param(b"{}", {"Content-Type": "text/html"}, 415, id="a content type that the model does not speak"),
        pytest.param(b"{}", JSON, 400, id="JSON of another shape"),
        pytest.param(b"{", JSON, 400, id="no JSON"),
        pytest.param(b"", JSON, 400, id="no body"),
        pytest.param(b" " * 10_001, JSON, 413, id="one byte too long"),
        pytest.param(b"{}", {**JSON, "Accept": "image/png"}, 406, id="an answer that the model does not speak"),
    ],
)
def test_bad_requests_are_refused_with_what_is_wrong(
    server: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = requests.post(f"{server}/invocations", data=body, headers=headers, timeout=60)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_the_log_has_every_request_and_no_payload(server: str, state: Path) -> None:
    payload = "7.7777"
    body = SAMPLE.read_bytes().replace(b"14.23", payload.encode())
    assert requests.post(f"{server}/invocations", data=body, headers=JSON, timeout=60).ok
    log = log_file(state, "model").read_text()
    assert payload not in log
    events = [json.loads(line) for line in log.splitlines()]
    assert {"event": "invocation", "status": 200, "rows": 1}.items() <= events[-1].items()


def test_sigterm_ends_the_server_in_order(tmp_path: Path) -> None:
    train(["--dataset", "wine", "--model-dir", str(tmp_path)])
    port = processes.free_port()
    environment = {**os.environ, "SAGEMAKER_BIND_TO_PORT": str(port), "SM_MODEL_DIR": str(tmp_path)}
    environment |= {"BIND_HOST": "127.0.0.1"}
    argv = [sys.executable, "-m", "model", "serve"]
    with subprocess.Popen(argv, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 (ourselves)
        processes.wait_until(lambda: _answers(f"http://127.0.0.1:{port}"), seconds=120, what="the server")
        process.terminate()
        output, _ = process.communicate(timeout=60)
    assert "Application shutdown complete." in output


def test_without_a_model_the_container_ends_and_the_log_says_why(tmp_path: Path) -> None:
    environment = {**os.environ, "SM_MODEL_DIR": str(tmp_path)}
    argv = [sys.executable, "-m", "model", "serve"]
    done = subprocess.run(argv, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 (ourselves)
    assert done.returncode == 1
    event = json.loads(done.stdout.splitlines()[-1])
    assert event["level"] == "CRITICAL"
    assert paths.ARTEFACT in event["reason"]


async def test_what_was_trained_with_other_columns_is_served_by_them(tmp_path: Path) -> None:
    train(["--dataset", "breast_cancer", "--model-dir", str(tmp_path)])
    served = application(Predictor.load(tmp_path, "abc123"), max_body_bytes=10_000)
    row = dict(zip(load("breast_cancer").columns, load("breast_cancer").features[0].tolist(), strict=True))
    status, answer = await _invoke(served, json.dumps({"instances": [row]}).encode())
    assert (status, answer["predictions"][0]["label"]) == (200, "malignant")
    status, answer = await _invoke(served, SAMPLE.read_bytes())
    assert (status, "mean_radius" in answer["error"]) == (400, True)


async def _invoke(served: Starlette, body: bytes) -> tuple[int, Any]:
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    await served({"type": "http", "method": "POST", "path": "/invocations", "headers": headers}, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_a_model_whose_columns_are_others_is_not_served(tmp_path: Path) -> None:
    train(["--dataset", "wine", "--model-dir", str(tmp_path)])
    (tmp_path / paths.COLUMNS).write_text('["alcohol"]')
    with pytest.raises(ValueError, match="no classifier of 1 measurements"):
        Predictor.load(tmp_path, "abc123")


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "8_0", "²"])
def test_an_unfit_port_is_refused(port: str) -> None:
    with pytest.raises(ValueError, match="SAGEMAKER_BIND_TO_PORT"):
        Settings.read({"SAGEMAKER_BIND_TO_PORT": port})


def test_mounted_model_data_has_precedence_over_the_built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted, built_in = tmp_path / "mounted", tmp_path / "built-in"
    mounted.mkdir()
    monkeypatch.setenv("SM_MODEL_DIR", str(mounted))
    monkeypatch.setenv("BUILT_IN_MODEL_DIR", str(built_in))
    assert paths.artefact_dir() == built_in
    (mounted / paths.ARTEFACT).touch()
    assert paths.artefact_dir() == mounted
