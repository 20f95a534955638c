"""The generator of reviews and their classifier: what they learn, answer and refuse, and the images of both."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fastjsonschema
import pytest
import requests
from model.reviews import tasks
from model.reviews.__main__ import main
from model.reviews.corpus import LABELS, reviews
from model.reviews.generator import END, Generator
from model.reviews.train import train

from eep_platform import processes
from eep_platform.containers import engineless
from eep_platform.paths import cache_dir

ROOT = Path(__file__).parents[2]
REVIEWS = ROOT / "model" / "reviews"


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reviews")
    train(folder, seed=7)
    return folder


def test_training_gives_the_same_bytes_each_time_and_others_for_another_seed(artefact: Path, tmp_path: Path) -> None:
    def content(folder: Path) -> list[bytes]:
        return [(folder / f"{name}.json").read_bytes() for name in ("generator", "classifier", "metrics")]

    train(tmp_path / "again", seed=7)
    train(tmp_path / "other", seed=8)
    assert content(tmp_path / "again") == content(artefact)
    assert not {*content(tmp_path / "other")} & {*content(artefact)}
    assert json.loads((artefact / "metrics.json").read_text())["accuracy"] >= 0.95
    assert json.loads((artefact / "metrics.json").read_text())["heldOut"] >= 100


def test_the_corpus_is_balanced_and_its_seed_decides() -> None:
    made = reviews(100, seed=1)
    assert {label: sum(each.label == label for each in made) for label in LABELS} == {"negative": 50, "positive": 50}
    assert made == reviews(100, seed=1) != reviews(100, seed=2)
    assert not any("{" in each.text for each in made)


def test_a_text_goes_on_as_the_corpus_does_and_ends_where_it_ends() -> None:
    chain = Generator.learn(["a b c.", "a b c."])
    assert chain.write("a", 10, seed=1) == "a b c."
    assert chain.write("a", 1, seed=1) == "a b"
    assert chain.followers["a b c"] == {".": 2}
    assert chain.followers["b c ."] == {END: 2}
    assert chain.write("zzz b", 10, seed=1) == "zzz b c.", "what is unknown is passed over"


def test_equal_seeds_give_equal_texts_and_variants_differ(artefact: Path) -> None:
    fluent = tasks.generator(artefact, {})
    wandering = tasks.generator(artefact, {"ORDER": "1", "TEMPERATURE": "1.5"})
    asked = {"prompt": "This Riesling", "seed": 7}
    assert fluent(asked) == fluent(asked)
    assert str(fluent(asked)["text"]).startswith("This Riesling ")
    assert fluent(asked)["text"] != wandering(asked)["text"]
    assert (wandering(asked)["order"], wandering(asked)["temperature"]) == (1, 1.5)
    assert len({fluent({"seed": seed})["text"] for seed in range(20)}) > 10


@pytest.mark.parametrize("environment", [{"ORDER": "4"}, {"ORDER": "x"}, {"TEMPERATURE": "0"}, {"TEMPERATURE": "nan"}])
def test_unfit_settings_are_refused(artefact: Path, environment: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"ORDER|TEMPERATURE|invalid literal"):
        tasks.generator(artefact, environment)


def test_the_classifier_finds_how_generated_reviews_feel(artefact: Path) -> None:
    write, classify = tasks.generator(artefact, {}), tasks.classifier(artefact)
    texts = [str(write({"seed": seed})["text"]) for seed in range(40)]
    assert {classify({"text": each})["label"] for each in texts} == {*LABELS}
    assert classify({"text": "It is fresh. I would buy it again."})["label"] == "positive"
    assert classify({"text": "It is harsh. I would not buy it again."})["label"] == "negative"
    unknown = classify({"text": "</script> 漢字 \x00"})
    assert unknown["scores"] == {"negative": 0.5, "positive": 0.5}, "what was never seen says nothing"


@pytest.mark.parametrize("name", tasks.TASKS)
def test_answers_are_as_the_schemas_say(artefact: Path, name: str) -> None:
    sample = json.loads((REVIEWS / f"samples/{name}.json").read_text())
    answer = {**tasks.TASKS[name](artefact)(sample), "revision": "abc"}
    for kind, document in (("request", sample), ("response", answer)):
        schema = json.loads((REVIEWS / f"schemas/{name}.{kind}.schema.json").read_text())
        fastjsonschema.compile({**schema, "$schema": "http://json-schema.org/draft-07/schema#"})(document)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("generator", {"words": 0}),
        ("generator", {"words": True}),
        ("generator", {"words": 201}),
        ("generator", {"seed": -1}),
        ("generator", {"prompt": 1}),
        ("generator", {"prompt": "a" * 10_001}),
        ("classifier", {}),
        ("classifier", {"text": ["a"]}),
    ],
)
def test_what_the_schemas_refuse_the_models_refuse_too(artefact: Path, name: str, asked: dict[str, object]) -> None:
    with pytest.raises(tasks.InvalidRequest):
        tasks.TASKS[name](artefact)(asked)


@pytest.fixture(scope="module")
def server(artefact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = processes.free_port()
    environment = {
        **os.environ,
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MODEL": "classifier",
        "MODEL_DIR": str(artefact),
        "MODEL_REVISION": "abc123",
    }
    argv, state = [sys.executable, "-m", "model.reviews", "serve"], tmp_path_factory.mktemp("server")
    process = processes.spawn("reviews", argv, state=state, env=environment, cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    try:
        processes.wait_until(lambda: _answers(url), seconds=60, what="the server", process=process)
        yield url
    finally:
        processes.stop(process)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/ping", timeout=60).ok
    except requests.ConnectionError:
        return False


def test_the_server_answers_as_sagemaker_asks(server: str) -> None:
    answer = requests.post(f"{server}/invocations", data=(REVIEWS / "samples/classifier.json").read_bytes(), timeout=60)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert (answer.json()["label"], answer.json()["revision"]) == ("positive", "abc123")
    assert requests.get(f"{server}/other", timeout=60).status_code == 404
    assert requests.post(f"{server}/other", data=b"{}", timeout=60).status_code == 404


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"text": 1}', b"[" * 100_000, b"\xff"])
def test_the_server_refuses_what_is_no_request(server: str, body: bytes) -> None:
    answer = requests.post(f"{server}/invocations", data=body, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_body_that_is_too_large_is_refused(server: str) -> None:
    answer = requests.post(f"{server}/invocations", data=b"a" * (1024 * 1024 + 1), timeout=60)
    assert answer.status_code == 413


@pytest.mark.parametrize("environment", [{"MODEL": "other"}, {"MODEL": "generator", "MODEL_DIR": "/nowhere"}])
def test_a_server_that_cannot_serve_says_why(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "model.reviews", "serve"]
    done = subprocess.run(  # noqa: S603 - the program is this one
        command, env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["message"]


def test_another_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "serve, train" in capsys.readouterr().err


def test_both_images_are_built_from_one_folder_and_share_their_layers() -> None:
    def build(target: str, revision: str) -> tuple[str, list[str]]:
        made = engineless.prepare(
            REVIEWS,
            arguments={"MODEL_REVISION": revision},
            cache=cache_dir() / "images",
            report=lambda _: None,
            target=target,
        ).image()
        return made.digest, [layer.digest for layer in made.manifest.layers]

    generator, classifier = build("generator", "a"), build("classifier", "a")
    assert generator[1] == classifier[1], "all but their settings"
    assert len({generator[0], classifier[0], build("generator", "b")[0]}) == 3
    assert build("generator", "b")[1] == generator[1]
