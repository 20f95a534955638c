"""The script of `docs/ci.md` that waits with kubectl alone."""

import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.examples.health import ROOT
from tests.examples.previews import Previews

NAME = "sentiment-pr-42"
REVISION = "1f0c2a9d5e7b48f6a3c1d2e4f5061728394a5b6c"
SERVING = ("Ready", "True", "Serving", "the URL serves it")
FAILED = (("Ready", "False", "BuildFailed", "no such package"), ("Stalled", "True", "BuildFailed", "no such package"))
EXPIRED = (("Ready", "False", "Expired", "the time to live is over"), ("Stalled", "False", "NotStalled", "none"))
MERGED = (("Ready", "False", "PullRequestMerged", "the pull request was merged"),)
BUILDING = (("Ready", "False", "Building", "RUN pip"), ("Reconciling", "True", "Building", "RUN pip"))


@pytest.fixture
def wait(previews: Previews, programs: Callable[..., Mapping[str, str]]) -> Callable[[], tuple[int, str]]:
    """Return a function that runs the script, which gives up at once, and returns its exit code and its message."""
    page = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
    [script] = re.findall(r"<!-- recipe -->\n```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    impatient = script.replace("attempts=180", "attempts=1").replace("sleep 5", "sleep 0")
    environment = programs()
    kubeconfig = previews.kubeconfig(Path(environment["KUBECONFIG"]))
    previews.apply(NAME, REVISION)

    def run() -> tuple[int, str]:
        done = subprocess.run(  # noqa: S603 - the page's own script
            ["/bin/sh", "-c", impatient, "wait.sh", NAME],
            env={**environment, "KUBECONFIG": str(kubeconfig)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stderr.strip()

    return run


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        pytest.param((SERVING,), (0, ""), id="ready"),
        pytest.param(FAILED, (1, "no such package"), id="stalled"),
        pytest.param(EXPIRED, (1, "the time to live is over"), id="expired"),
        pytest.param(MERGED, (1, "the pull request was merged"), id="merged"),
        pytest.param(BUILDING, (2, ""), id="not ready in time"),
    ],
)
def test_the_script_ends_with_the_object(
    wait: Callable[[], tuple[int, str]],
    previews: Previews,
    conditions: tuple[tuple[str, str, str, str], ...],
    expected: tuple[int, str],
) -> None:
    previews.report(NAME, *conditions)
    assert wait() == expected


def test_the_script_does_not_report_the_previous_commit(
    wait: Callable[[], tuple[int, str]], previews: Previews
) -> None:
    previews.report(NAME, SERVING)
    previews.change(NAME, {"spec": {"source": {"revision": "0" * 40}}})
    assert wait() == (2, "")


def test_the_script_fails_at_once_where_there_is_no_object(
    wait: Callable[[], tuple[int, str]], previews: Previews
) -> None:
    previews.clear()
    code, message = wait()
    assert code == 1
    assert "not found" in message
