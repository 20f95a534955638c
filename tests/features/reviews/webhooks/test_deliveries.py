"""What is believed of a webhook: nothing before its signature, and then only that there is news."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from ephemeral_endpoints.features.reviews.webhooks.deliveries import (
    DELIVERY,
    EVENT,
    REMEMBERED,
    SIGNATURE,
    Envelope,
    News,
    Seen,
    news,
)

SECRET, BODY = b"It's a Secret to Everybody", b"Hello, World!"
DIGEST = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
"""The documented example: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries."""

ID = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
DOCUMENTED = Envelope(f"sha256={DIGEST}", "push", ID)
REPOSITORY = {"full_name": "acme/wine"}


@pytest.mark.parametrize(
    ("envelope", "body", "secret", "is_signed"),
    [
        pytest.param(DOCUMENTED, BODY, SECRET, True, id="the documented example"),
        pytest.param(DOCUMENTED, BODY + b" ", SECRET, False, id="another body"),
        pytest.param(DOCUMENTED, BODY, SECRET + b" ", False, id="another secret"),
        pytest.param(DOCUMENTED, b"", SECRET, False, id="no body"),
        pytest.param(Envelope(f"sha256={'0' * 64}", "push", ID), BODY, SECRET, False, id="another signature"),
        pytest.param(
            Envelope(f"sha256={hmac.new(b'', BODY, hashlib.sha256).hexdigest()}", "push", ID),
            BODY,
            b"",
            False,
            id="an empty secret is none, though anybody can sign with it",
        ),
    ],
)
def test_only_who_knows_the_secret_is_believed(
    envelope: Envelope,
    body: bytes,
    secret: bytes,
    is_signed: bool,  # noqa: FBT001 - a table's column
) -> None:
    assert envelope.is_signed(body, secret) is is_signed


@given(
    st.binary(max_size=200), st.binary(min_size=1, max_size=40), st.integers(0, 63), st.sampled_from("0123456789abcdef")
)
def test_a_signature_with_another_digit_is_none(body: bytes, secret: bytes, at: int, digit: str) -> None:
    digest = hmac.new(secret, body, hashlib.sha256).hexdigest()
    changed = f"{digest[:at]}{digit}{digest[at + 1 :]}"
    assert Envelope(f"sha256={changed}", "push", ID).is_signed(body, secret) is (changed == digest)


HEADERS = {SIGNATURE: f"sha256={DIGEST}", EVENT: "push", DELIVERY: ID}


@pytest.mark.parametrize("name", [SIGNATURE, EVENT, DELIVERY])
def test_a_delivery_that_lacks_a_header_is_none(name: str) -> None:
    assert Envelope.of(CIMultiDict({each: value for each, value in HEADERS.items() if each != name})) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (SIGNATURE, f"sha1={DIGEST[:40]}"),
        (SIGNATURE, f"sha256={DIGEST.upper()}"),
        (SIGNATURE, f"sha256={DIGEST}0"),
        (DELIVERY, "x" * 65),
        (DELIVERY, "an id with spaces"),
        (EVENT, ""),
    ],
)
def test_a_header_of_another_form_is_refused_before_the_body_is_read(name: str, value: str) -> None:
    assert Envelope.of(CIMultiDict({**HEADERS, name: value})) is None


def test_names_of_headers_may_be_in_any_case() -> None:
    assert Envelope.of(CIMultiDict({name.upper(): value for name, value in HEADERS.items()})) == DOCUMENTED


def comment(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - members of a payload
    return {"action": "created", "issue": {"number": 42, "pull_request": {}}, "repository": REPOSITORY, **changes}


@pytest.mark.parametrize(
    ("event", "payload", "told"),
    [
        pytest.param(
            "pull_request",
            {"action": "closed", "number": 42, "repository": REPOSITORY},
            News("acme/wine", 42),
            id="whatever happened to a pull request",
        ),
        pytest.param("issue_comment", comment(), News("acme/wine", 42, is_comment=True), id="a new comment"),
        pytest.param("issue_comment", comment(action="edited"), None, id="edits are no commands"),
        pytest.param("issue_comment", comment(action="deleted"), None, id="a deleted comment"),
        pytest.param("issue_comment", comment(issue={"number": 42}), None, id="a comment on an issue"),
        pytest.param("issue_comment", comment(issue=None), None, id="on nothing"),
        pytest.param(
            "ping", {"zen": "Keep it logically awesome.", "repository": REPOSITORY}, None, id="the first of all"
        ),
        pytest.param("push", {"repository": REPOSITORY}, None, id="another event"),
        pytest.param("pull_request", {"number": 42}, None, id="without a repository"),
        pytest.param("pull_request", {"number": 42, "repository": {"full_name": "../x"}}, None, id="a path"),
        pytest.param("pull_request", {"number": 42, "repository": {"full_name": "a/b\n"}}, None, id="a line end"),
        pytest.param("pull_request", {"number": "42", "repository": REPOSITORY}, None, id="a text for a number"),
        pytest.param("pull_request", {"number": True, "repository": REPOSITORY}, None, id="true is no number"),
        pytest.param("pull_request", {"number": -1, "repository": REPOSITORY}, None, id="below zero"),
        pytest.param("pull_request", {"number": 10**30, "repository": REPOSITORY}, None, id="a huge number"),
        pytest.param("pull_request", [], None, id="a list"),
        pytest.param("pull_request", None, None, id="null"),
    ],
)
def test_only_what_can_matter_is_news(event: str, payload: object, told: News | None) -> None:
    assert news(event, json.dumps(payload).encode()) == told


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"payload=%7B%7D", id="a form"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"[" * 100_000, id="nested without end"),
        pytest.param(b"1" * 5000, id="a number of thousands of digits"),
    ],
)
def test_a_body_that_is_no_json_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of json, or our own
        news("pull_request", body)


@given(
    st.sampled_from(["pull_request", "issue_comment"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["number", "issue", "pull_request", "repository", "full_name", "action"]), inner
            )
        ),
    ),
)
def test_no_payload_is_a_fault(event: str, payload: object) -> None:
    told = news(event, json.dumps(payload).encode())
    assert told is None or told.number > 0


def test_a_delivery_counts_once_by_its_id_and_by_its_signature() -> None:
    seen = Seen()
    assert seen.is_new(DOCUMENTED)
    assert not seen.is_new(DOCUMENTED), "delivered again"
    assert not seen.is_new(Envelope(DOCUMENTED.signature, "push", "another-id")), "the id is not signed"
    assert not seen.is_new(Envelope(f"sha256={'1' * 64}", "push", ID)), "nor may it come with another body"
    assert seen.is_new(Envelope(f"sha256={'2' * 64}", "push", "a-third-id"))


def test_what_is_remembered_is_bounded() -> None:
    seen = Seen()
    envelopes = [Envelope(f"sha256={number:064x}", "push", f"id-{number:08}") for number in range(REMEMBERED + 1)]
    assert all(map(seen.is_new, envelopes))
    assert not seen.is_new(envelopes[-1])
    assert not seen.is_new(envelopes[1])
    assert seen.is_new(envelopes[0]), "the oldest is forgotten"
