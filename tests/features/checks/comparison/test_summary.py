import json

import pytest

from ephemeral_endpoints.features.checks.comparison.differences import Content, Rules, differences
from ephemeral_endpoints.features.checks.comparison.pointers import Pattern
from ephemeral_endpoints.features.checks.comparison.summary import MOST_SHOWN, Pair, Reply, mean_seconds, pair, summary

HIDING = Rules(redacted=(Pattern.of("/secret"),))


def of(
    request: str, base: object, head: object, seconds: tuple[float, float] = (1.0, 1.0), rules: Rules = HIDING
) -> Pair:
    one, other = (Content(json.dumps(each).encode(), "application/json") for each in (base, head))
    return pair(request, Reply(200, seconds[0]), Reply(200, seconds[1]), differences(one, other, rules))


def test_figures_are_those_of_the_answers() -> None:
    found = summary(
        [
            of("a", {"label": "cat", "score": 0.5}, {"label": "dog", "score": 0.9}),
            of("b", {"label": "cat", "score": 0.5}, {"label": "dog", "score": 0.6}),
            of("c", {"label": "cat", "score": 0.5}, {"label": "cow", "score": 0.5}),
            of("d", {"label": "cat"}, {"label": "cat"}),
        ]
    )
    assert (found.requests, found.changed, found.flipped, found.failed) == (4, 3, 3, 0)
    assert [(each.base, each.head, each.count) for each in found.flips] == [("cat", "dog", 2), ("cat", "cow", 1)]
    [numbers] = found.numbers
    assert (numbers.pointer, numbers.count, numbers.median, numbers.max) == ("/score", 2, 0.25, 0.4)


def test_of_what_is_redacted_neither_values_nor_distances_are_kept() -> None:
    found = summary([of("a", {"secret": 5}, {"secret": 7})])
    assert (found.changed, found.numbers) == (1, ())
    assert [(each.base, each.head) for each in found.worst] == [("***", "***")]


def test_the_worst_are_failures_then_labels_then_the_largest_differences() -> None:
    failing = pair("failing", Reply(200, 1), Reply(None, 35, "no answer within 35 s"), ())
    both = pair("both", Reply(500, 1), Reply(500, 1), ())
    found = summary(
        [
            of("near", {"x": 100}, {"x": 101}),
            of("far", {"x": 100}, {"x": 1}),
            of("same", 1, 1),
            of("flipped", {"label": "cat"}, {"label": "dog"}),
            of("gone", {"x": 1, "y": 2}, {"x": 1}),
            both,
            failing,
        ]
    )
    assert [(each.request, each.pointer, each.base, each.head) for each in found.worst] == [
        ("failing", "", "status 200", "no answer within 35 s"),
        ("flipped", "/label", '"cat"', '"dog"'),
        ("gone", "/y", "2", "(absent)"),
        ("far", "/x", "100", "1"),
        ("near", "/x", "100", "101"),
    ]
    assert (found.failed, found.errors, found.base_errors) == (2, 2, 1)


def test_latencies_are_those_of_pairs_that_were_answered() -> None:
    slow = pair("slow", Reply(None, 35, "no answer"), Reply(200, 1), ())
    found = summary([of("a", 1, 1, (0.1, 0.2)), of("b", 1, 1, (0.1, 0.2)), of("c", 1, 1, (9.0, 0.2)), slow])
    assert found.latency_ratio == 2.0
    assert summary([slow]).latency_ratio is None
    assert summary([of("a", 1, 1, (0.0, 0.2))]).latency_ratio is None


def test_the_mean_time_counts_answers_only() -> None:
    assert mean_seconds([Reply(200, 1), Reply(200, 3), Reply(500, 99)]) == 2.0
    assert mean_seconds([Reply(500, 99)]) is None


@pytest.mark.parametrize("value", ["\x1b[31mred", "a\u202eb", "line\nline", "\ud800", "x" * 100_000])
def test_hostile_answers_are_shown_on_a_short_printable_line(value: str) -> None:
    found = summary([of("a", {"label": value, value[:50]: 1}, {"label": "dog"}, rules=Rules())])
    texts = [text for each in found.worst for text in (each.pointer, each.base, each.head)]
    texts += [text for each in found.flips for text in (each.base, each.head)]
    assert all(text.isprintable() and len(text) <= 160 for text in texts)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"out": f"key AKIA{'A' * 16} leaked"}, "what looks like a credential"),
        ({"password": "hunter2 is long"}, "a member with the name of a secret"),
        ({"out": {"api_key": "abcdefgh12345678"}}, "within an object"),
    ],
)
def test_credentials_in_answers_are_masked(answer: dict[str, object], reason: str) -> None:
    [worst] = summary([of("a", answer, {}, rules=Rules())]).worst
    assert "***" in worst.base, reason
    assert not any(each in worst.base for each in ("AKIA", "hunter2", "abcdefgh")), reason


def test_of_many_differences_only_the_gravest_are_kept_and_all_are_counted() -> None:
    found = of("a", {"x": [*range(500)]}, {"x": [each * 2 + 1 for each in range(500)]})
    assert (found.count, len(found.shown), len(found.distances["/x/-"])) == (500, MOST_SHOWN, 500)
