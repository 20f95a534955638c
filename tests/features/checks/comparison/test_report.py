import json
from datetime import UTC, datetime

import pytest

from ephemeral_endpoints.api.v1alpha1.comparison import ComparisonResult
from ephemeral_endpoints.features.checks.comparison import report
from ephemeral_endpoints.features.checks.comparison.differences import Content, Rules, differences
from ephemeral_endpoints.features.checks.comparison.pointers import Pattern
from ephemeral_endpoints.features.checks.comparison.report import KeptAnswer
from ephemeral_endpoints.features.checks.comparison.summary import Pair, Reply, pair
from ephemeral_endpoints.features.checks.requests import ModelAnswer, ModelRequest

RESULT = ComparisonResult(
    id="a-b", revision="1f0c2a9", base="main", finished_at=datetime(2026, 11, 30, tzinfo=UTC), hourly_usd="0.115"
)
JSON = "application/json"


def many(count: int) -> Pair:
    one, other = (Content(json.dumps([each] * count).encode(), JSON) for each in (0, 1))
    return pair("a", Reply(200, 0.1), Reply(200, 0.2), differences(one, other, Rules()))


def test_a_report_is_read_as_it_was_written() -> None:
    kept = {"d": KeptAnswer(200, 0.5, "text/csv", b"\xff1,2")}
    content = report.document("nlp", "pr", RESULT, [many(2)], kept)
    found = report.read(content)
    assert found is not None
    assert (found.answers, found.hourly_usd, found.per_thousand_usd) == (kept, "0.115", None)
    [row] = report.differences_of(content)
    assert (row["request"], row["count"], row["base"]["status"]) == ("a", 2, 200)
    assert row["differences"][0] == {"pointer": "/0", "kind": "number", "base": "0", "head": "1"}
    assert json.loads(content)["cut"] == []


def test_a_report_says_what_is_left_out() -> None:
    kept = {str(number): KeptAnswer(200, 0.5, JSON, b"x" * report.MOST_KEPT_BYTES) for number in range(40)}
    content = report.document("nlp", "pr", RESULT, [many(1000)] * 200, kept)
    assert len(content) <= report.MOST_BYTES
    differences_cut, answers_cut = json.loads(content)["cut"]
    assert differences_cut.startswith("198000 of the differences")
    assert answers_cut.startswith("24 of the answers")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "nothing"),
        (b"{}", "another file"),
        (b'{"version":2,"answers":{},"result":{}}', "a later version"),
        (b'{"version":1,"answers":{"d":{"body":"*"}},"result":{}}', "no base64"),
        (b'{"version":1,"answers":[],"result":{}}', "another form"),
        (b"[" * 100_000, "nested beyond all measure"),
    ],
)
def test_what_is_no_report_of_ours_keeps_nothing(content: bytes, reason: str) -> None:
    assert report.read(content) is None, reason


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"requests":[1]}'])
def test_what_is_no_report_has_no_differences(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of json too
        report.differences_of(content)


@pytest.mark.parametrize(
    ("answer", "redacted", "body", "reason"),
    [
        (ModelAnswer(200, 1, b'{"a": 1}', JSON), (), b'{"a": 1}', "as it is"),
        (
            ModelAnswer(200, 1, b'{"a":{"b":1,"c":[2,3]}}', JSON),
            ("/a/c/-",),
            b'{"a": {"b": 1, "c": ["***", "***"]}}',
            "masked",
        ),
        (ModelAnswer(200, 1, b"1,2", "text/csv"), ("/a",), None, "what is to be masked cannot be found"),
        (ModelAnswer(500, 1, b"{}", JSON), (), None, "no answer"),
        (ModelAnswer(200, 1, b"{}", JSON, is_truncated=True), (), None, "a beginning"),
        (ModelAnswer(200, 1, b"x" * (report.MOST_KEPT_BYTES + 1)), (), None, "too large"),
    ],
)
def test_an_answer_is_kept_without_what_is_redacted(
    answer: ModelAnswer, redacted: tuple[str, ...], body: bytes | None, reason: str
) -> None:
    kept = report.keep(answer, Rules(redacted=tuple(map(Pattern.of, redacted))))
    assert (kept.body if kept else None) == body, reason


def test_a_request_is_recognized_by_its_content() -> None:
    one, same, other = ModelRequest(b"1"), ModelRequest(b"1"), ModelRequest(b"1", "text/csv")
    assert report.digest(one) == report.digest(same) != report.digest(other)


def test_reports_of_an_object_are_in_its_own_folder() -> None:
    assert report.uri("s3://b/reports/", "nlp", "pr", "1f0c2a9") == "s3://b/reports/nlp/pr/1f0c2a9.json"
