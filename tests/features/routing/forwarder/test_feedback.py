"""Votes on answers, in a table of the embedded DynamoDB."""

import json
import threading
from typing import Any

import pytest
from botocore.stub import Stubber

from ephemeral_endpoints.features.routing.forwarder import feedback
from ephemeral_endpoints.features.routing.forwarder.config import FeedbackConfig
from ephemeral_endpoints.features.routing.forwarder.feedback import (
    COUNTS,
    MAX_REASON,
    PARTITION_KEY,
    SORT_KEY,
    Feedback,
)
from ephemeral_endpoints.features.routing.forwarder.messages import Answer, Problem

REVISION = "0123456789ab"
REQUEST = "JKJaXmPLvHcESHA="
KEY = "k" * 64


@pytest.fixture
def votes(table: str, dynamodb: Any) -> Feedback:  # noqa: ANN401 - boto3's clients are made at run time
    return Feedback(FeedbackConfig(table, KEY, reasons=True), lambda: dynamodb)


def ballot(votes: Feedback, vote: str, request: str = REQUEST, variant: str = "main", **more: object) -> bytes:
    return json.dumps({"id": votes.id_of(request, variant, REVISION), "vote": vote, **more}).encode()


def document(answer: Answer) -> Any:  # noqa: ANN401 - JSON
    return json.loads(answer.body)


def counts(answer: Answer) -> Any:  # noqa: ANN401 - JSON
    return document(answer)["counts"]


def test_votes_are_counted_by_variant(votes: Feedback) -> None:
    votes.vote(ballot(votes, "up"))
    votes.vote(ballot(votes, "down", request="another"))
    last = votes.vote(ballot(votes, "up", request="a-third", variant="b"))
    assert counts(last) == {"main": {"up": 1, "down": 1}, "b": {"up": 1, "down": 0}}


def test_a_vote_that_is_sent_again_counts_once(votes: Feedback) -> None:
    votes.vote(ballot(votes, "up", reason="right"))
    assert counts(votes.vote(ballot(votes, "up", reason="right"))) == {"main": {"up": 1, "down": 0}}


def test_a_further_vote_replaces_the_one_before(votes: Feedback) -> None:
    votes.vote(ballot(votes, "up", reason="right"))
    assert counts(votes.vote(ballot(votes, "down"))) == {"main": {"up": 0, "down": 1}}
    [vote] = document(votes.votes(None))["votes"]
    assert (vote["vote"], vote.get("reason")) == ("down", None)


def test_a_reason_can_be_given_later(votes: Feedback) -> None:
    votes.vote(ballot(votes, "up"))
    assert counts(votes.vote(ballot(votes, "up", reason="kind"))) == {"main": {"up": 1, "down": 0}}
    [vote] = document(votes.votes(None))["votes"]
    assert vote["reason"] == "kind"


def test_a_list_tells_what_was_voted_on_and_nothing_of_the_voter(votes: Feedback) -> None:
    votes.vote(ballot(votes, "down", reason="wrong label"))
    [vote] = document(votes.votes(None))["votes"]
    assert vote.pop("at").endswith("+00:00")
    assert vote == {
        "id": REQUEST,
        "vote": "down",
        "variant": "main",
        "revision": REVISION,
        "reason": "wrong label",
    }


def test_a_list_goes_on_where_the_one_before_ended(votes: Feedback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback, "PAGE", 2)
    for number in range(3):
        votes.vote(ballot(votes, "up", request=f"r{number}"))
    first = document(votes.votes(None))
    second = document(votes.votes(first["next"]))
    assert [each["id"] for each in first["votes"] + second["votes"]] == ["r0", "r1", "r2"]
    assert second["next"] is None


def test_reasons_are_dropped_where_the_object_asks_for_that(votes: Feedback) -> None:
    without = Feedback(FeedbackConfig(votes.config.table, KEY, reasons=False), votes.client)
    without.vote(ballot(without, "up", reason="private"))
    [vote] = document(without.votes(None))["votes"]
    assert "reason" not in vote


def test_two_votes_at_once_on_one_answer_count_as_one(votes: Feedback) -> None:
    threads = [threading.Thread(target=votes.vote, args=(ballot(votes, vote),)) for vote in ("up", "down") * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [vote] = document(votes.votes(None))["votes"]
    assert counts(votes.votes(None))["main"] == {"up": 0, "down": 0} | {vote["vote"]: 1}


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        pytest.param(b"", 400, "malformed-request", id="no body"),
        pytest.param(b"[]", 400, "malformed-request", id="no object"),
        pytest.param(b"[" * 100_000, 400, "malformed-request", id="nested too deeply"),
        pytest.param(b'{"vote": "maybe"}', 400, "malformed-request", id="no such vote"),
        pytest.param(b'{"vote": ["up"]}', 400, "malformed-request", id="a vote that is no text"),
        pytest.param(b'{"vote": "up"}', 404, "unknown-answer", id="no id"),
        pytest.param(
            json.dumps({"vote": "up", "id": f"{REQUEST}.main.{REVISION}.{'0' * 16}"}).encode(),
            404,
            "unknown-answer",
            id="an answer that was never given",
        ),
        pytest.param(
            json.dumps({"vote": "up", "reason": "x" * (MAX_REASON + 1)}).encode(),
            400,
            "malformed-request",
            id="a reason that is too long",
        ),
        pytest.param(b'{"vote": "up", "reason": "\\ud800"}', 400, "malformed-request", id="half a character"),
    ],
)
def test_other_bodies_are_refused(votes: Feedback, body: bytes, status: int, kind: str) -> None:
    with pytest.raises(Problem) as refused:
        votes.vote(body)
    assert (refused.value.status, refused.value.kind) == (status, kind)
    assert document(votes.votes(None)) == {"counts": {}, "votes": [], "next": None}


def test_a_vote_cannot_be_moved_to_another_variant(votes: Feedback) -> None:
    id_ = votes.id_of(REQUEST, "main", REVISION).replace(".main.", ".other.")
    with pytest.raises(Problem, match="unknown-answer"):
        votes.vote(json.dumps({"id": id_, "vote": "up"}).encode())


@pytest.mark.parametrize("code", ["ThrottlingException", "ResourceNotFoundException", "AccessDeniedException"])
def test_a_table_that_does_not_answer_is_told_as_passing(votes: Feedback, code: str) -> None:
    with Stubber(votes.client()) as stub:
        stub.add_client_error("get_item", code)
        with pytest.raises(Problem) as refused:
            votes.vote(ballot(votes, "up"))
    assert (refused.value.status, refused.value.headers) == (503, {"retry-after": "5"})


def test_the_operator_reads_the_counts_that_the_forwarder_writes(votes: Feedback) -> None:
    votes.vote(ballot(votes, "up"))
    key = {PARTITION_KEY: {"S": COUNTS}, SORT_KEY: {"S": f"{REVISION}.main"}}
    item = votes.client().get_item(TableName=votes.config.table, Key=key)["Item"]
    assert item["up"] == {"N": "1"}
