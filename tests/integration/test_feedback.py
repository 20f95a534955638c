"""Votes as callers give them: through the public URL, into a table that goes with the object."""

import json
from functools import partial

import pytest
import requests
from tests.fixtures.operator import Bench
from tests.fixtures.waiting import eventually
from tests.integration.test_serving import ask
from tests.integration.test_sweep import SWEEPING, wait_contents

from eep_platform.workbench import Object


def vote(bench: Bench, obj: Object, ballot: dict[str, str]) -> requests.Response:
    url, token = f"{obj['status']['url']}/feedback", bench.token(obj["metadata"]["name"])
    return bench.call(url, json.dumps(ballot).encode(), token=token)


def listed(obj: Object, token: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{obj['status']['url']}/feedback", headers=headers, timeout=60)


def has_table(bench: Bench, obj: Object) -> bool:
    return listed(obj, bench.token(obj["metadata"]["name"])).ok


def test_votes_on_what_the_model_answered_are_counted_and_listed_and_go_with_the_object(bench: Bench) -> None:
    bench.apply("voted", bench.spec(feedback={}))
    bench.apply("other", bench.spec(feedback={}))
    voted, other = bench.wait_ready("voted"), bench.wait_ready("other")
    answer = ask(bench, voted)
    id_ = answer.headers["eep-feedback-id"]
    # No object waits for its table to be ready.
    for obj in (voted, other):
        eventually(partial(has_table, bench, obj), "the table")
    assert vote(bench, voted, {"id": id_, "vote": "up"}).json() == {"counts": {"main": {"up": 1, "down": 0}}}
    assert vote(bench, voted, {"id": id_, "vote": "down", "reason": "wrong"}).json()["counts"]["main"]["down"] == 1
    strange = vote(bench, other, {"id": id_, "vote": "up"})
    assert (strange.status_code, strange.json()["type"].rpartition(":")[2]) == (404, "unknown-answer")
    url = f"{voted['status']['url']}/feedback"
    assert requests.get(url, timeout=60).status_code == 401
    [ballot] = listed(voted, bench.token("voted")).json()["votes"]
    assert (ballot["vote"], ballot["reason"], ballot["variant"]) == ("down", "wrong", "main")
    assert ballot["id"] == answer.headers["eep-request-id"]
    for name in ("voted", "other"):
        bench.delete(name)
        bench.wait_gone(name)
    assert "FeedbackTable" not in bench.contents()


@pytest.mark.settings(SWEEPING)
def test_a_table_that_is_to_stay_outlives_its_object_alone_and_is_the_next_ones(bench: Bench) -> None:
    bench.make_class("keeping", lifecycle={"allowRetainFeedback": True})
    spec = bench.spec(className="keeping", feedback={"deletionPolicy": "Retain"})
    bench.apply("voted", spec)
    ballot = {"id": ask(bench, bench.wait_ready("voted")).headers["eep-feedback-id"], "vote": "up"}
    voted = bench.wait_ready("voted")
    eventually(lambda: vote(bench, voted, ballot).status_code == 200, "a vote")
    tables = {"FeedbackTable": bench.contents()["FeedbackTable"]}
    bench.control.reset_meter()  # before the object is gone: the next sweep may look at once, and looks once
    bench.delete("voted")
    bench.wait_gone("voted")
    wait_contents(bench, tables)
    # The sweep has looked whose it is, and passes over it from then on.
    eventually(lambda: bench.control.calls().get("dynamodb", {}).get("ListTagsOfResource") == 1, "a sweep")
    wait_contents(bench, tables)

    bench.apply("voted", spec)
    again = bench.wait_ready("voted")
    assert again["metadata"]["uid"] != voted["metadata"]["uid"]
    votes = listed(again, bench.token("voted")).json()["votes"]
    assert [each["vote"] for each in votes] == ["up"]
    assert {"CreateTable", "DeleteTable", "TagResource"}.isdisjoint(bench.control.calls().get("dynamodb", {}))
    bench.delete("voted")
    bench.wait_gone("voted")
    wait_contents(bench, tables)
    bench.aws("dynamodb").delete_table(TableName=tables["FeedbackTable"][0])
    bench.delete_class("keeping")
    bench.wait_class_gone("keeping")


def test_an_object_that_takes_no_votes_has_no_path_for_them(bench: Bench) -> None:
    bench.apply("unvoted", bench.spec())
    obj = bench.wait_ready("unvoted")
    assert "eep-feedback-id" not in ask(bench, obj).headers
    assert vote(bench, obj, {"id": "x", "vote": "up"}).status_code == 404
