"""The answers that the description of an endpoint has as examples, in a table of the embedded DynamoDB."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from ephemeral_endpoints.features.routing.forwarder.config import Sample
from ephemeral_endpoints.features.routing.forwarder.examples import KEPT_SECONDS, MAX_BYTES, Example, Examples
from ephemeral_endpoints.features.routing.forwarder.messages import Answer

PRAISE = Sample("praise", '{"text": "good"}', "application/json", "A sentence of praise")
ROW = Sample("row", "1,2", "text/csv")
REVISION = "0123456789ab"
GOOD = Answer(200, "application/json", b'{"label": "positive"}', "main")
JSON = "application/json"


@dataclass
class Bench:
    """Forwarders of one object, with a clock of their own, and the calls that they make."""

    dynamodb: Any
    table: str
    now: float = 0.0
    calls: list[float] = field(default_factory=list)

    def forwarder(self, revision: str = REVISION, samples: tuple[Sample, ...] = (PRAISE, ROW)) -> Examples:
        return Examples(samples, revision, self.table, self.client, lambda: self.now)

    def client(self) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
        self.calls.append(self.now)
        return self.dynamodb


@pytest.fixture
def bench(table: str, dynamodb: Any) -> Bench:  # noqa: ANN401 - likewise
    return Bench(dynamodb, table)


def test_an_answer_to_a_sample_is_an_example_for_all_forwarders_of_the_object(bench: Bench) -> None:
    bench.forwarder().keep(PRAISE.request.encode(), "Application/JSON; charset=utf-8", GOOD)
    assert bench.forwarder().answered() == (Example("praise", "main", JSON, '{"label": "positive"}'),)


def test_an_answer_is_kept_and_later_ones_cost_no_call(bench: Bench) -> None:
    forwarder = bench.forwarder()
    forwarder.keep(PRAISE.request.encode(), JSON, GOOD)
    bench.calls.clear()
    forwarder.keep(PRAISE.request.encode(), JSON, GOOD._replace(body=b'{"label": "negative"}'))
    assert bench.calls == []
    assert [each.body for each in forwarder.answered()] == ['{"label": "positive"}']


def test_examples_stand_in_the_order_of_the_samples(bench: Bench) -> None:
    forwarder = bench.forwarder()
    forwarder.keep(b"1,2", "text/csv", Answer(200, "text/csv", b"positive"))
    forwarder.keep(PRAISE.request.encode(), JSON, GOOD)
    assert [(each.sample, each.variant) for each in forwarder.answered()] == [("praise", "main"), ("row", "")]


@pytest.mark.parametrize(
    ("request_", "content_type", "answer", "why"),
    [
        (b'{"text": "bad"}', JSON, GOOD, "what callers send is not kept, but samples only"),
        (b'{"text": "good"}', "text/plain", GOOD, "the model may read it otherwise"),
        (b'{"text": "good"}', JSON, GOOD._replace(status=422), "a refusal"),
        (b'{"text": "good"}', JSON, GOOD._replace(body=b"x" * (MAX_BYTES + 1)), "too large"),
        (b'{"text": "good"}', JSON, GOOD._replace(body=b""), "nothing"),
        (b'{"text": "good"}', JSON, GOOD._replace(body=b"\xff\xfe"), "no text"),
    ],
)
def test_anything_else_is_not_kept(bench: Bench, request_: bytes, content_type: str, answer: Answer, why: str) -> None:
    bench.forwarder().keep(request_, content_type, answer)
    assert bench.calls == [], why


def test_another_revision_and_another_sample_of_the_same_name_have_examples_of_their_own(bench: Bench) -> None:
    bench.forwarder().keep(PRAISE.request.encode(), JSON, GOOD)
    assert bench.forwarder(revision="ba5eba5eba5e").answered() == ()
    assert bench.forwarder(samples=(Sample("praise", "{}", JSON),)).answered() == ()


def test_without_a_table_the_function_remembers_what_it_saw_and_makes_no_call(bench: Bench) -> None:
    forwarder = Examples((PRAISE, ROW), REVISION, None, bench.client, lambda: bench.now)
    forwarder.keep(PRAISE.request.encode(), JSON, GOOD)
    forwarder.keep(PRAISE.request.encode(), JSON, GOOD._replace(body=b"{}"))
    forwarder.keep(b"1,2", "text/csv", GOOD._replace(body=b"x" * (MAX_BYTES + 1)))
    assert forwarder.answered() == (Example("praise", "main", JSON, '{"label": "positive"}'),)
    assert bench.calls == []


def test_the_table_is_read_once_a_minute(bench: Bench) -> None:
    forwarder = bench.forwarder()
    assert forwarder.answered() == forwarder.answered() == ()
    bench.forwarder().keep(PRAISE.request.encode(), JSON, GOOD)
    bench.calls.clear()
    assert forwarder.answered() == ()
    bench.now = KEPT_SECONDS
    assert len(forwarder.answered()) == 1
    assert bench.calls == [KEPT_SECONDS]


def test_without_its_table_nothing_is_kept_and_nothing_fails(bench: Bench) -> None:
    table, bench.table = bench.table, "gone"
    forwarder = bench.forwarder()
    forwarder.keep(PRAISE.request.encode(), JSON, GOOD)
    forwarder.keep(b"1,2", "text/csv", GOOD)
    assert bench.calls == [0.0], "once a minute, so that callers do not wait each time"
    assert forwarder.answered() == ()
    forwarder.table, bench.now = table, KEPT_SECONDS
    forwarder.keep(PRAISE.request.encode(), JSON, GOOD)
    assert len(forwarder.answered()) == 1
