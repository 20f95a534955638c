from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import cycle
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from tests.engine.objects import make_class
from tests.features.reviews.publications import (
    CHECK_RUN,
    COMPARISON,
    CREATED,
    FAILURES,
    NOW,
    OTHER,
    READY,
    REVIEWS,
    REVISION,
    SERVING,
    URL,
    condition,
    not_ready,
    published,
    subject,
)
from tests.features.reviews.texts import hostile

from ephemeral_endpoints.api import ABANDON_ANNOTATION, PULL_REQUEST_CLOSED_ANNOTATION, PULL_REQUEST_MERGED_ANNOTATION
from ephemeral_endpoints.features.checks.reasons import CHECKS_PASSED
from ephemeral_endpoints.features.reviews.publishing.assessment import assess
from ephemeral_endpoints.features.reviews.publishing.comment import ended, live, lost
from ephemeral_endpoints.features.reviews.publishing.markdown import MOST_CHARACTERS
from ephemeral_endpoints.features.subject import Subject

PARSER = MarkdownIt("commonmark", {"html": True, "breaks": True}).enable(["table", "strikethrough"])
CHECKS_FAILED = condition(CHECKS_PASSED, "False", "ChecksFailed", "1 of 3 checks failed")


def written(one: Subject, *commands: str) -> str:
    assessment = assess(one.endpoint, FAILURES, NOW)
    assert assessment is not None
    return live(one, assessment, commands)


def structure(tokens: list[Token]) -> Iterator[tuple[str, str]]:
    """What a page consists of, with all its text but that in code."""
    for each in tokens:
        if each.children:
            yield from structure(each.children)
        elif each.type not in {"code_inline", "inline"}:
            yield each.type, each.content


def everything(texts: list[str]) -> dict[str, Any]:
    """A status that has these texts wherever others can put some."""
    text = cycle(texts)
    results = [
        {**each, "name": next(text), **({"message": next(text)} if "message" in each else {})}
        for each in CHECK_RUN["results"]
    ]
    load = results[-1]["load"]
    variants = [{**each, "name": next(text)} for each in load["variants"]]
    base = {**load["base"], "endpoint": next(text), "revision": next(text)}
    results[-1]["load"] = {**load, "variants": variants, "base": base}
    comparison = {
        **COMPARISON,
        "base": next(text),
        "baseRevision": next(text),
        "flips": [{"base": next(text), "head": next(text), "count": 1}],
        "worst": [{name: next(text) for name in ("request", "pointer", "base", "head")}],
        "numbers": [{**COMPARISON["numbers"][0], "pointer": next(text)}],
        "reportUri": next(text),
    }
    return {
        "checks": {**CHECK_RUN, "results": results},
        "comparison": comparison,
        "review": {"state": "Open", "head": next(text)},
    }


@pytest.mark.parametrize("is_ready", [True, False])
@given(texts=st.lists(hostile().map("x{}".format), min_size=1, max_size=16))
@settings(max_examples=60)
def test_no_text_of_others_becomes_anything_but_text(*, is_ready: bool, texts: list[str]) -> None:
    def page(words: list[str]) -> list[tuple[str, str]]:
        conditions = [READY, CHECKS_FAILED] if is_ready else [condition("Ready", "False", "BuildFailed", words[0])]
        one = subject({**SERVING, **everything(words), "conditions": conditions})
        return list(structure(PARSER.parse(written(one))))

    assert page(texts) == page(["harmless"])


@given(st.lists(hostile().map("x{}".format), min_size=1, max_size=16))
@settings(max_examples=40)
def test_neither_does_it_in_the_last_edit(texts: list[str]) -> None:
    def page(words: list[str]) -> list[tuple[str, str]]:
        one = subject({**SERVING, **everything(words)})
        return list(structure(PARSER.parse(ended(one, NOW))))

    assert page(texts) == page(["harmless"])


def test_the_longest_comment_fits() -> None:
    long = "`|<@acme> " * 400
    results = [{"name": long, "outcome": "Failed", "message": long}] * 200
    worst = [{"request": long, "pointer": long, "base": long, "head": long}] * 50
    numbers = [{"pointer": long, "count": 10**9, "median": 1e-300, "max": 1e300}] * 100
    flips = [{"base": long, "head": long, "count": 10**9}] * 100
    status = {
        **SERVING,
        "checks": {**CHECK_RUN, "results": results},
        "comparison": {
            **COMPARISON,
            "base": long,
            "flips": flips,
            "worst": worst,
            "numbers": numbers,
            "reportUri": long,
        },
        "conditions": [READY, CHECKS_FAILED],
    }
    for text in (written(subject(status)), ended(subject(status), NOW)):
        assert len(text) < MOST_CHARACTERS
        assert "The rest is too long" not in text


@pytest.mark.parametrize(
    ("status", "heading"),
    [
        (SERVING, "### ✅ `nlp/pr-42` serves `1f0c2a9`"),
        (
            {**SERVING, "conditions": [READY, condition(CHECKS_PASSED, "False", "ChecksRunning")]},
            "### ⏳ `nlp/pr-42` serves `1f0c2a9`; its checks are running",
        ),
        ({**SERVING, "conditions": [READY, CHECKS_FAILED]}, "### ❌ `nlp/pr-42` serves `1f0c2a9`, but checks failed"),
        (
            {**SERVING, "conditions": [READY, condition(CHECKS_PASSED, "Unknown", "ChecksInconclusive")]},
            "### ❔ `nlp/pr-42` serves `1f0c2a9`, but checks could not be carried out",
        ),
        (not_ready("Creating"), "### 🚧 `nlp/pr-42`: `1f0c2a9` is on its way"),
        (not_ready("BuildFailed"), "### ❌ `nlp/pr-42` does not serve `1f0c2a9`"),
        (not_ready("ApprovalRequired"), "### ✋ `nlp/pr-42`: `1f0c2a9` waits for an approval"),
    ],
)
def test_the_heading_says_how_it_stands(status: Mapping[str, Any], heading: str) -> None:
    assert written(subject(status)).splitlines()[0] == heading


def test_a_suspended_object_is_not_said_to_be_on_its_way() -> None:
    text = written(subject(not_ready("Creating"), spec={"suspend": True}))
    assert text.startswith("### ⏸️ `nlp/pr-42` is suspended: `1f0c2a9` is not rolled out while its `spec.suspend` is")


def test_the_comparison_comes_first_then_how_to_call_it_then_the_checks() -> None:
    text = written(subject({**SERVING, "comparison": COMPARISON, "checks": CHECK_RUN}))
    parts = [
        (
            "**Compared with `sentiment-main` at `9ab3c1d`:** 3 of 40 answers differ, **1 label flipped**, "
            "2 requests not answered by both\n"
        ),
        "Median latency 1.08x the base's\n",
        (
            "| Label of the base | Of this pull request | Answers |\n| --- | --- | --- |\n"
            "| `negative` | `positive` | 1 |\n"
        ),
        (
            "| Request | Base | This pull request |\n| --- | --- | --- |\n"
            '| `positive` `/label` | `"negative"` | `"positive"` |\n'
        ),
        "All differences: `s3://acme-previews/nlp/pr-42.json`",
        f"**Call it:** <{URL}>",
        "**Checks:** 2 of 3 passed\n\n- ❌ `score` 14 ms: `/score: expected at most 0.5, found 0.7`\n",
        (
            "| `steady` | 600 requests | 12 ms | 30 ms | 45 ms | 1.4 s | 0 |\n"
            "| variant `a` | 300 answers | 12 ms | 30 ms | 45 ms | 1.4 s | 0 |\n"
            "| variant `b` | 300 answers | 13 ms | 30 ms | 45 ms | 50 ms | 0 |\n"
            "| `sentiment-main` at `9ab3c1d` |  | 11 ms | 25 ms | 41 ms | 900 ms |  |\n"
        ),
        "<details><summary>2 checks passed</summary>\n\n- ✅ `positive` 12 ms\n",
        "$0.115 an hour · lives until 4 November 2026, 12:00 UTC",
    ]
    positions = [text.find(each) for each in parts]
    assert -1 not in positions
    assert positions == sorted(positions)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"changed": 0, "flipped": 0, "failed": 0}, "all 40 answers are the same\n"),
        ({"requests": 0, "changed": 0, "flipped": 0}, "no request was answered by both\n"),
        ({"requests": 1, "changed": 1, "flipped": 0, "failed": 1}, "1 of 1 answer differs, 1 request not answered"),
        ({"hourly_usd": "0.23", "base_hourly_usd": "0.115"}, "$0.23 an hour instead of $0.115"),
        ({"hourly_usd": "0.115", "base_hourly_usd": "0.115"}, "$0.115 an hour, as the base"),
        ({"per_thousand_usd": "0.02", "base_per_thousand_usd": "0.01"}, "$0.02 per thousand requests instead of $0.01"),
        ({"hourly_usd": "NaN", "base_hourly_usd": "rm -rf"}, "Median latency 1.08x the base's\n"),
        ({"revision": OTHER}, "**Compared with `sentiment-main` at `9ab3c1d` (results of `9ab3c1d`):**"),
    ],
)
def test_a_comparison_is_summed_up_in_words(change: Mapping[str, Any], said: str) -> None:
    assert said in written(subject({**SERVING, "comparison": {**COMPARISON, **change}}))


def test_the_token_is_named_by_its_secret() -> None:
    text = written(subject(SERVING))
    assert "kubectl get secret pr-42-endpoint-token --namespace nlp" in text
    assert '-H "Authorization: Bearer $token"' in text


def test_without_authentication_no_token_is_named() -> None:
    text = written(subject(SERVING, spec={"api": {"auth": {"type": "None"}}}))
    assert f"curl -H 'Content-Type: application/json' -d @request.json {URL}" in text
    assert "token" not in text


def test_a_url_that_is_none_of_the_operators_is_no_command() -> None:
    text = written(subject({**SERVING, "url": "https://evil.example/$(id)"}))
    assert "**Call it:** `https://evil.example/$(id)`" in text
    assert "curl" not in text


@pytest.mark.parametrize(
    ("fork", "said"),
    [
        ("mallory/sentiment", "The commit comes from the fork `mallory/sentiment`. **Nothing of it is built or run"),
        (None, "The commit is of a class that wants every commit approved. **Nothing of it is built or run"),
    ],
)
def test_a_commit_that_waits_for_an_approval_says_how_it_is_given(fork: str | None, said: str) -> None:
    spec = {"source": {"headRepository": fork}} if fork else {}
    text = written(subject(not_ready("ApprovalRequired"), spec=spec))
    assert said in text
    assert "eep approve pr-42 --namespace nlp" in text


def test_a_failure_has_its_reason_its_message_and_what_to_do() -> None:
    status = not_ready("BuildFailed", "the build failed: pip: no such package @acme; token=hunter22")
    text = written(subject(status))
    assert "**`BuildFailed`:** `the build failed: pip: no such package @acme; token=***`" in text
    assert "eep retry pr-42 --namespace nlp" in text


def test_a_newer_commit_of_the_pull_request_is_shown_while_it_is_open() -> None:
    def text(state: str, head: str) -> str:
        return written(subject({**SERVING, "review": {"state": state, "head": head}}))

    assert "has a newer commit, `9ab3c1d`. This endpoint is about `1f0c2a9`" in text("Open", OTHER)
    assert "newer commit" not in text("Open", REVISION)
    following = subject({**SERVING, "review": {"state": "Open", "head": OTHER}}, spec={"source": {"follow": True}})
    assert "until the operator rolls it out." in written(following)
    assert "newer commit" not in text("Closed", OTHER)


def test_while_a_commit_is_on_its_way_it_is_said_what_the_url_serves() -> None:
    status = not_ready("Building", url=URL, revision=OTHER, checks={**CHECK_RUN, "revision": OTHER})
    text = written(subject(status))
    assert "Until then the URL serves `9ab3c1d`." in text
    assert "**Checks (results of `9ab3c1d`):** 2 of 3 passed" in text


@pytest.mark.parametrize(
    ("commands", "said"),
    [
        ((), "Raise `spec.lifecycle.ttl` of the object to keep it longer; delete the object to end it."),
        (("extend",), "Comment `/preview extend 24h` to keep it longer."),
        (
            ("extend", "rebuild", "delete"),
            (
                "Comment `/preview extend 24h` to keep it longer, or `/preview rebuild` to build it again, or "
                "`/preview delete` to end it."
            ),
        ),
    ],
)
def test_it_is_said_how_to_keep_it_longer(commands: tuple[str, ...], said: str) -> None:
    assert said in written(subject(SERVING), *commands)


def test_what_is_charged_by_use_costs_nothing_an_hour() -> None:
    assert "costs by use only · lives until" in written(subject({**SERVING, "cost": {"hourlyUSD": "0.00"}}))
    assert "---\nlives until" in written(subject({**SERVING, "cost": {}}))


def cost(accrued: str = "0.00", hourly: str | None = "0.115", *, incomplete: bool = False) -> dict[str, Any]:
    wire = {"accruedUSD": accrued, "since": f"{CREATED:%Y-%m-%dT%H:%M:%SZ}", "incomplete": incomplete}
    return {**wire, "hourlyUSD": hourly} if hourly else wire


INSTANCES = {"serving": {"instances": {"type": "ml.m5.large"}}}


def test_it_is_said_what_it_will_have_cost_at_its_end() -> None:
    said = "$0.115 an hour · about $9.28 in all by its end · lives until"
    assert said in written(subject({**SERVING, "cost": cost("1.00")}))
    partly = written(subject({**SERVING, "cost": cost("1.00", incomplete=True)}))
    assert "at least $9.28 in all by its end" in partly
    assert "in all" not in written(subject({**SERVING, "cost": cost(hourly="0.00")}))


NOTHING_KNOWN: Final[Mapping[str, Any]] = {}


def gone(known: Mapping[str, Any] = {}, *, life: timedelta = timedelta(hours=72), **more: Any) -> str:  # noqa: ANN401
    return ended(subject({**SERVING, "cost": known}, **more), CREATED + life)


def test_what_is_asleep_says_so_and_what_wakes_it() -> None:
    spec = {"serving": {"instances": {"type": "ml.m5.large"}}}
    asleep = {"conditions": [READY, condition("Active", "False", "Asleep")], "cost": {"hourlyUSD": "0.00"}}
    text = written(subject({**SERVING, **asleep}, spec=spec), "wake")
    assert "### 💤 `nlp/pr-42` is asleep with `1f0c2a9`" in text
    assert "until it wakes, by `eep wake pr-42` or a new commit" in text
    assert "costs nothing while it is asleep · lives until" in text
    assert "Comment `/preview wake` to get that back." in text
    assert "/preview wake" not in written(subject(SERVING), "wake"), "without instances nothing sleeps"


def test_what_answers_asleep_says_that_it_does() -> None:
    spec = {"serving": {"serverless": {"provisionedConcurrency": 1}}}
    asleep = {"conditions": [READY, condition("Active", "False", "Asleep")], "cost": {"hourlyUSD": "0.00"}}
    text = written(subject({**SERVING, **asleep}, spec=spec), "wake")
    assert "Its provisioned concurrency is given up until it wakes, by `eep wake pr-42` or a new commit. It" in text
    assert "costs by use only · lives until" in text


DELETED = {"deletionTimestamp": "2026-11-01T13:00:00Z"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            gone(cost(), metadata=DELETED),
            "### 🗑️ `nlp/pr-42` is gone since 4 November 2026, 12:00 UTC\n\nIt lived 3 days, and cost about $8.28.",
            id="since when, and the price times its life",
        ),
        pytest.param(
            gone(cost("1.23", "0.00"), metadata=DELETED, spec=INSTANCES),
            "It lived 3 days, and cost about $1.23.",
            id="its endpoint went first",
        ),
        pytest.param(
            gone(cost("0.00", "0.00"), metadata=DELETED, spec=INSTANCES),
            "It lived 3 days, and cost about $0.00.",
            id="it never ran",
        ),
        pytest.param(
            gone(cost(hourly="0.00"), metadata=DELETED), "It lived 3 days, and cost by use only.", id="serverless"
        ),
        pytest.param(
            gone(cost("1.23", None), metadata=DELETED),
            "It lived 3 days, and cost at least $1.23: not all prices are known.",
            id="partly unknown",
        ),
        pytest.param(
            gone(cost(hourly=None), metadata=DELETED), "It lived 3 days. What it cost is not known.", id="unknown"
        ),
        pytest.param(
            gone(cost("NaN"), life=timedelta(), metadata=DELETED),
            "It lived less than a minute. What it cost is not known.",
            id="nonsense",
        ),
        pytest.param(
            gone(cost(), life=timedelta(hours=1, minutes=5), metadata=DELETED),
            "It lived 1 hour 5 minutes, and cost about $0.12.\n\nTo get it back, apply the object",
            id="somebody deleted it",
        ),
        pytest.param(
            gone(
                metadata={
                    **DELETED,
                    "annotations": {ABANDON_ANNOTATION: "true", PULL_REQUEST_MERGED_ANNOTATION: "2026-11-01T13:00:00Z"},
                }
            ),
            "AWS resources of it may be left, and keep costing until the operator's sweep has deleted them.** To get",
            id="abandoned",
        ),
        pytest.param(gone(metadata=DELETED), "Its time to live is over. To get it back", id="it expired"),
        pytest.param(gone(), "The object stays, because a tool would create it again", id="it stays as a tombstone"),
        pytest.param(
            gone(metadata={"annotations": {PULL_REQUEST_MERGED_ANNOTATION: "2026-11-01T13:00:00Z"}}),
            "The pull request is merged. Nothing of the endpoint is left in AWS.",
            id="merged",
        ),
        pytest.param(
            gone(metadata={"annotations": {PULL_REQUEST_CLOSED_ANNOTATION: "2026-11-01T13:00:00Z"}}),
            "The pull request is closed. Reopen it",
            id="closed",
        ),
    ],
)
def test_the_last_edit_says_since_when_it_is_gone_what_it_cost_and_how_to_get_it_back(text: str, said: str) -> None:
    assert said in text


def test_resources_that_stay_are_said_to_cost_on() -> None:
    one = subject(SERVING, spec={"lifecycle": {"deletionPolicy": "Retain"}}, metadata=DELETED)
    assert "keep costing" not in ended(one, NOW)
    allowed = one.endpoint_class.model_copy(
        update={
            "spec": one.endpoint_class.spec.model_copy(
                update={"lifecycle": one.endpoint_class.spec.lifecycle.model_copy(update={"allow_retain": True})}
            )
        }
    )
    text = ended(Subject(one.cluster_id, one.endpoint, allowed), NOW)
    assert "keep costing.** Nobody deletes them but you" in text
    assert "`ephemeral-endpoints.io/retain=true`" in text


def test_the_last_results_are_kept_folded() -> None:
    text = ended(subject({**SERVING, "comparison": COMPARISON, "checks": CHECK_RUN}), NOW)
    assert "<details><summary>Its last results</summary>\n\n**Compared with" in text
    assert text.count("<details>") == text.count("</details>") == 1


def test_an_end_that_the_operator_did_not_see_says_when_it_was_noticed() -> None:
    text = lost("nlp/pr-42", CREATED)
    assert text.startswith("### 🗑️ `nlp/pr-42` is gone\n\nThe operator noticed that on 1 November 2026, 12:00 UTC.")


EXPIRING = {**SERVING, "conditions": [READY, condition("Expiring", "True", "ExpiresSoon")]}


@pytest.mark.parametrize(
    ("status", "commands", "longest", "said"),
    [
        pytest.param(SERVING, ("extend",), "336h", None, id="not soon"),
        pytest.param(
            EXPIRING,
            ("extend",),
            "336h",
            "comment `/preview extend 24h`, or use `eep extend pr-42 24h --namespace nlp`.",
            id="by a comment",
        ),
        pytest.param(EXPIRING, (), "336h", "use `eep extend pr-42 24h --namespace nlp`.", id="by a command only"),
        pytest.param(
            EXPIRING, ("extend",), "72h", "Its class lets no endpoint live longer.", id="it cannot be extended"
        ),
    ],
)
def test_the_comment_warns_of_the_end_and_says_how_to_extend_it(
    status: Mapping[str, Any], commands: tuple[str, ...], longest: str, said: str | None
) -> None:
    lasting = {"reviews": REVIEWS, "lifecycle": {"maxTtl": longest}}
    one = replace(subject(status), endpoint_class=make_class({"spec": lasting}))
    warned = [line for line in written(one, *commands).splitlines() if "⏰" in line]
    if said is None:
        assert warned == []
    else:
        [line] = warned
        assert line.startswith("> ⏰ **It ends soon, at 4 November 2026, 12:00 UTC.**")
        assert said in line


def test_time_alone_edits_no_comment_that_warns() -> None:
    one = subject(EXPIRING)
    assert published(one, now=NOW) == published(one, now=NOW + timedelta(minutes=30))
