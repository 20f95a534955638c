import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from tests.cli.test_objects import TOKEN, secret
from tests.features.checks.load.figures import result
from tests.fixtures.command import eep
from tests.fixtures.kubernetes import Cluster
from tests.fixtures.model_server import Answer, ModelServer

Run = Callable[..., Result]

QUICK = ("--rate", "20", "--duration", "1s", "--warm-up", "2")
SAMPLES = {"api": {"samples": [{"name": "a", "request": "first"}, {"name": "b", "request": "second"}]}}


def token(value: str | None) -> dict[str, str | None]:
    """The environment that it comes from."""
    return {"EEP_TOKEN": value}


@pytest.fixture
def served(cluster: Cluster, model: ModelServer) -> None:
    secret(cluster, cluster.create(spec=SAMPLES)["metadata"]["uid"])
    cluster.patch_status({"observedGeneration": 1, "url": model.url("/nlp/pr-42")})


def sent_to(model: ModelServer) -> list[tuple[str, bytes]]:
    """The credentials and the body of each request."""
    return [(each.headers.get("Authorization", ""), each.body) for each in model.requests]


@pytest.mark.usefixtures("served")
def test_the_samples_of_an_object_are_its_load_and_figures_are_printed(run: Run, model: ModelServer) -> None:
    found = run("load", "pr-42", *QUICK, "--max", "60s")
    assert found.exit_code == 0
    assert found.stderr.splitlines() == ["20 requests per second for 1 s, after a warm-up of 2", "Passed"]
    lines = found.stdout.splitlines()
    assert lines[0].startswith("20 requests in ")
    assert lines[2].split() == ["LATENCY", "P50", "P90", "P99", "MAX"]
    assert lines[3].startswith("all ")
    assert sum(int(line.split(" ms ")[1].split()[0]) for line in lines[5:]) == 20, "all are in the histogram"
    assert len(model.requests) == 1 + 2 + 20
    assert set(sent_to(model)) == {(f"Bearer {TOKEN}", b"first")}
    run("load", "pr-42", *QUICK, "--sample", "b")
    assert sent_to(model)[-1] == (f"Bearer {TOKEN}", b"second")


@pytest.mark.parametrize(
    ("answers", "status", "said"),
    [
        ((5, 500), 1, "Failed: 18 of 20 requests failed (18 with 500), 90 %, expected at most 1 %"),
        ((0, 400), 1, "Failed: the load was not begun: none of 1 requests of the warm-up was answered with 2xx"),
        ((0, 401), 2, "Inconclusive: the load was not begun: the URL refused the token of 1 requests"),
    ],
)
@pytest.mark.usefixtures("served")
def test_the_exit_status_says_how_it_ended(
    answers: tuple[int, int], status: int, said: str, run: Run, model: ModelServer
) -> None:
    answered, then = answers
    model.answer = lambda request: Answer(200 if model.number(request) <= answered else then)
    found = run("load", "pr-42", *QUICK)
    assert found.exit_code == status
    assert found.stderr.splitlines()[-1].startswith(said)


def test_a_url_alone_is_enough_and_its_token_comes_from_a_file_or_the_environment(
    model: ModelServer, tmp_path: Path
) -> None:
    found = eep("load", "--url", model.url(), "--data", "{}", *QUICK, **token("from-the-environment"))
    assert found.exit_code == 0
    file = tmp_path / "token"
    file.write_text("from-the-file\n")
    eep("load", "--url", model.url(), "--data", "{}", *QUICK, "--token-file", str(file), **token("other"))
    eep("load", "--url", model.url(), "--data", "{}", *QUICK, **token(None))
    assert {token for token, _ in sent_to(model)} == {"Bearer from-the-environment", "Bearer from-the-file", ""}
    assert len(model.requests) == 3 * 23


def test_an_output_is_what_a_later_one_is_compared_with(model: ModelServer, tmp_path: Path) -> None:
    aim = ("load", "--url", model.url(), "--data", "{}", *QUICK)
    first = eep(*aim, "--output", "json")
    told = json.loads(first.stdout)
    assert (told["outcome"], told["load"]["sent"]) == ("Passed", 20)
    told["load"] |= {"p50Ms": 10_000, "p90Ms": 20_000, "p99Ms": 30_000, "maxMs": 40_000}
    file = tmp_path / "main.json"
    file.write_text(json.dumps(told))
    second = eep(*aim, "--compare", str(file), "--p50-ratio", "1.2")
    assert second.exit_code == 0
    rows = {line.split()[0]: line.split()[1:] for line in second.stdout.splitlines() if line}
    assert rows["base"] == ["10000", "ms", "20000", "ms", "30000", "ms", "40000", "ms"]
    assert all(float(each) < 1 for each in rows["ratio"])
    compared = json.loads(eep(*aim, "--compare", str(file), "--output", "json").stdout)
    assert compared["load"]["base"]["p50Ms"] == 10_000


def test_a_base_of_another_rate_is_not_compared_with(model: ModelServer, tmp_path: Path) -> None:
    file = tmp_path / "main.json"
    file.write_text(json.dumps({"load": result(rate=5).to_wire()}))
    found = eep("load", "--url", model.url(), "--data", "{}", *QUICK, "--compare", str(file))
    assert found.exit_code == 2
    assert "the base was measured at 5 requests per second, this at 20" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name an object, or a URL with --url"),
        (("pr-42", "--url", "https://x.example"), "name an object, or a URL with --url"),
        (("--url", "https://x.example"), "--url needs --data: what is sent"),
        (("--url", "https://x.example", "--sample", "a", "-d", "{}"), "--sample names what is sent to an object"),
        (("pr-42", "--sample", "a", "-d", "{}"), "--sample names what is sent to an object"),
        (("pr-42", "--token-file", __file__), "--token-file is for --url"),
        (("pr-42", "--content-type", "text/csv"), "--content-type is that of --data"),
        (("--url", "file:///etc/passwd", "-d", "{}"), "file:///etc/passwd is not an http or https URL"),
        (("--url", "https:///a", "-d", "{}"), "https:///a is not an http or https URL"),
        (("pod/x",), "pod/x is no EphemeralEndpoint"),
        (("pr-42", "--rate", "51"), "--rate: Input should be less than or equal to 50"),
        (("pr-42", "--rate", "50", "--duration", "2m"), "rate times duration must be at most 3000 requests"),
        (("pr-42", "--duration", "3m"), "--duration: must be at most 2m"),
        (("pr-42", "--rate", "1", "--p99", "1s"), "p99Ms and p99RatioToBase need at least 100 requests"),
        (("pr-42", "--p99-ratio", "1.2"), "ratios to the base need base"),
        (("pr-42", "--p50", "fast"), "'fast' is not a time such as 300ms or 2s"),
        (("pr-42", "--errors", "101"), "--errors: Input should be less than or equal to 100"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(arguments: tuple[str, ...], said: str) -> None:
    found = eep("load", *arguments, KUBECONFIG="/nowhere")
    assert found.exit_code == 2
    assert said in " ".join(found.stderr.split())


def test_what_cannot_be_compared_with_is_named(tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    for content in ("", "[]", "{}", '{"load": 1}', '{"load": {"sent": 1}}'):
        file.write_text(content)
        found = eep("load", "--url", "https://x.example", "--data", "{}", "--compare", str(file))
        assert found.exit_code == 2
        assert "is not what `eep load --output json` prints" in " ".join(found.stderr.split())


def test_a_token_that_is_none_is_refused() -> None:
    found = eep("load", "--url", "https://x.example/", "--data", "{}", **token("two\nlines"))
    assert found.exit_code == 2
    assert "the token has characters that no token has" in found.stderr


def test_an_object_without_a_url_or_a_sample_says_so(run: Run, cluster: Cluster) -> None:
    secret(cluster, cluster.create()["metadata"]["uid"])
    assert "pr-42 has no URL yet" in run("load", "pr-42").stderr
    cluster.patch_status({"observedGeneration": 1, "url": "https://x.example/"})
    none = run("load", "pr-42")
    assert none.exit_code == 2
    assert "pr-42 has no sample in spec.api.samples: give a request with --data" in " ".join(none.stderr.split())
    assert "has no sample b in" in " ".join(run("load", "pr-42", "--sample", "b").stderr.split())
