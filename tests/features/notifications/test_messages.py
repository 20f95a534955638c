"""What people are told, in whatever words a pull request has."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.objects import endpoint

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.notifications import NotificationEvent
from ephemeral_endpoints.features.notifications.messages import (
    MOST_DETAIL,
    SUBJECT_LENGTH,
    dropped,
    notification,
    plain,
    slack,
    subject,
)

READY, FAILED, EXPIRING, GONE = (
    NotificationEvent.READY,
    NotificationEvent.FAILED,
    NotificationEvent.EXPIRING,
    NotificationEvent.GONE,
)
URL = "https://a1b2.execute-api.us-east-1.amazonaws.com/nlp/pr-42"
TOKEN = f"ghp_{'a' * 36}"


def an_endpoint(branch: str | None = "feature/x", url: str = URL) -> EphemeralEndpoint:
    source = {"branch": branch} if branch else {}
    return endpoint({"spec": {"source": source}, "status": {"url": url}})


@pytest.mark.parametrize(
    ("event", "detail", "text"),
    [
        (
            READY,
            "the endpoint is serving this revision",
            [
                "nlp/pr-42 is ready",
                "acme/sentiment#42, revision 1f0c2a9, branch feature/x",
                "the endpoint is serving this revision",
                URL,
                "Try it: `eep invoke pr-42 -n nlp`",
            ],
        ),
        (
            FAILED,
            "the role lacks a permission; a platform engineer must grant it",
            [
                "nlp/pr-42 has failed",
                "acme/sentiment#42, revision 1f0c2a9, branch feature/x",
                "the role lacks a permission; a platform engineer must grant it",
                "More: `eep status pr-42 -n nlp`",
            ],
        ),
        (
            NotificationEvent.CHECKS_FAILED,
            "greeting: expected 200, found 500",
            [
                "nlp/pr-42 does not pass its checks",
                "acme/sentiment#42, revision 1f0c2a9, branch feature/x",
                "greeting: expected 200, found 500",
                "More: `eep status pr-42 -n nlp`",
            ],
        ),
        (
            EXPIRING,
            "the endpoint ends at 2026-11-04 12:00 UTC",
            [
                "nlp/pr-42 ends soon",
                "acme/sentiment#42, revision 1f0c2a9, branch feature/x",
                "the endpoint ends at 2026-11-04 12:00 UTC",
                "To keep it longer: `eep extend pr-42 -n nlp 24h`",
            ],
        ),
        (
            GONE,
            "",
            [
                "nlp/pr-42 is gone",
                "acme/sentiment#42, revision 1f0c2a9, branch feature/x",
                "To get it back, create it again or push to the pull request.",
            ],
        ),
    ],
)
def test_a_notification_says_what_where_and_what_to_do(event: NotificationEvent, detail: str, text: list[str]) -> None:
    told = notification(event, an_endpoint(), detail)
    assert plain(told) == "\n".join(text)
    assert subject(told) == text[0]


def test_slack_gets_the_words_of_others_as_code_and_the_url_as_a_link() -> None:
    told = slack(notification(READY, an_endpoint(), "the endpoint is serving this revision"))
    assert told["text"] == (
        "*nlp/pr-42 is ready*\n"
        "acme/sentiment#42, revision 1f0c2a9, branch `feature/x`\n"
        "```the endpoint is serving this revision```\n"
        f"<{URL}>\n"
        "Try it: `eep invoke pr-42 -n nlp`"
    )


@pytest.mark.parametrize(
    ("branch", "shown"),
    [
        pytest.param("<!channel>", "branch `&lt;!channel&gt;`", id="a call to everybody"),
        pytest.param("<https://evil.example|log in>", "branch `&lt;https://evil.example|log in&gt;`", id="a link"),
        pytest.param("x` <@U1> `y", "branch `x' &lt;@U1&gt; 'y`", id="the end of code"),
        pytest.param("*x*_y_~z~", "branch `*x*_y_~z~`", id="formatting"),
        pytest.param("&lt;!here&gt;", "branch `&amp;lt;!here&amp;gt;`", id="what is escaped already"),
        pytest.param("x" * 200, f"branch `{'x' * 79}…`", id="long"),
        pytest.param(TOKEN, "branch `***`", id="a credential"),
    ],
)
def test_the_name_of_a_branch_is_shown_and_does_nothing(branch: str, shown: str) -> None:
    text = str(slack(notification(FAILED, an_endpoint(branch), ""))["text"])
    assert text.splitlines()[1].endswith(shown)


@pytest.mark.parametrize(
    ("detail", "hidden"),
    [
        (f"denied with token {TOKEN}", TOKEN),
        ("arn:aws:iam::123456789012:role/model lacks a permission", "123456789012"),
        ("image 123456789012.dkr.ecr.us-east-1.amazonaws.com/x:1 does not exist", "123456789012"),
    ],
)
def test_no_credential_and_no_account_is_shown(detail: str, hidden: str) -> None:
    told = notification(FAILED, an_endpoint(), detail)
    assert hidden not in plain(told) + json.dumps(slack(told))


@given(st.text(max_size=3000))
def test_whatever_the_words_a_message_is_bounded_and_has_the_form_that_is_ours(detail: str) -> None:
    text = str(slack(notification(FAILED, an_endpoint(), detail))["text"])
    first, about, *fenced, last = text.splitlines()
    assert (first, last) == ("*nlp/pr-42 has failed*", "More: `eep status pr-42 -n nlp`")
    assert about.startswith("acme/sentiment#42")
    assert len(fenced) <= 1
    for line in fenced:
        assert line.startswith("```")
        code = line.removeprefix("```").removesuffix("```")
        assert len(code) <= len("&amp;") * MOST_DETAIL
        assert re.fullmatch("(&amp;|&lt;|&gt;|[^&<>`])*", code)


def test_a_url_that_is_none_is_not_linked() -> None:
    assert "javascript" not in str(slack(notification(READY, an_endpoint(url="javascript:alert(1)"), "")))


def test_the_subject_is_no_longer_than_sns_takes() -> None:
    long = endpoint({"metadata": {"name": "x" * 253}})
    assert len(subject(notification(READY, long))) == SUBJECT_LENGTH


@pytest.mark.parametrize(
    ("counts", "title"),
    [
        ({READY: 1}, "1 more notification was not sent: 1 Ready"),
        ({READY: 2, FAILED: 40}, "42 more notifications were not sent: 40 Failed, 2 Ready"),
    ],
)
def test_what_was_too_much_is_summed_up(counts: dict[NotificationEvent, int], title: str) -> None:
    assert plain(dropped(counts)).splitlines()[0] == title
