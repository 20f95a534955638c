from typing import Any

import pytest
from tests.eep_platform.github.conftest import HEAD, Caller

from eep_platform.github.client import sha_of
from eep_platform.github.rest import statuses

pytestmark = pytest.mark.usefixtures("pull")


@pytest.mark.parametrize(
    ("states", "combined"),
    [
        pytest.param({}, "pending", id="none"),
        pytest.param({"a": "success"}, "success", id="one"),
        pytest.param({"a": "success", "b": "pending"}, "pending", id="one is not done"),
        pytest.param({"a": "pending", "b": "failure"}, "failure", id="one failed"),
        pytest.param({"a": "success", "b": "error"}, "failure", id="one broke"),
    ],
)
def test_the_newest_of_each_context_make_one_state(ada: Caller, states: dict[str, str], combined: str) -> None:
    for context, state in states.items():
        ada.post(f"statuses/{HEAD}", state="error", context=context)
        ada.post(f"statuses/{HEAD}", state=state, context=context)
    answer = ada.get(f"commits/{HEAD}/status")
    assert answer["state"] == combined
    assert {each["context"]: each["state"] for each in answer["statuses"]} == states
    assert len(ada.get("commits/less/statuses?per_page=100")) == 2 * len(states)


@pytest.mark.parametrize(
    ("sha", "body", "status", "reason"),
    [
        (HEAD, {"state": "success", "description": "x" * 140, "context": "c" * 255}, 201, "as long as may be"),
        (HEAD, {"state": "success", "description": "x" * 141}, 422, "one too many"),
        (HEAD, {"state": "success", "context": "c" * 256}, 422, "one too many"),
        (HEAD, {"state": "in_progress"}, 422, "a state of deployments"),
        (HEAD, {"state": "success", "target_url": "ftp://x"}, 422, "not of the web"),
        (HEAD, {"description": "x"}, 422, "no state"),
        (HEAD[:10], {"state": "success"}, 422, "part of a SHA"),
        ("less", {"state": "success"}, 422, "a branch"),
        (sha_of("unknown"), {"state": "success"}, 422, "no commit of this repository"),
    ],
)
def test_statuses_are_judged(ada: Caller, sha: str, body: dict[str, Any], status: int, reason: str) -> None:
    assert ada("POST", f"statuses/{sha}", body).status_code == status, reason


def test_a_commit_takes_only_so_many_of_a_context(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    assert statuses.MOST_OF_CONTEXT == 1000
    monkeypatch.setattr(statuses, "MOST_OF_CONTEXT", 2)
    for state in ("pending", "success"):
        ada.post(f"statuses/{HEAD}", state=state, context="eep")
    answer = ada("POST", f"statuses/{HEAD}", {"state": "success", "context": "eep"})
    assert answer.status_code == 422
    assert "maximum number of statuses" in answer.json()["errors"][0]["message"]
    assert ada("POST", f"statuses/{HEAD}", {"state": "success", "context": "other"}).status_code == 201
