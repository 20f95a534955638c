import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from tests.features.reviews.texts import hostile

from ephemeral_endpoints.engine.redaction import MASK
from ephemeral_endpoints.features.reviews.publishing.markdown import (
    cell,
    code,
    commit,
    is_plain_url,
    joined,
    link,
    plain,
    table,
)

PARSER = MarkdownIt("commonmark", {"html": True, "breaks": True}).enable(["table", "strikethrough"])


def inline(text: str) -> list[Token]:
    """What a line of Markdown consists of."""
    (paragraph,) = [each for each in PARSER.parse(text) if each.type == "inline"]
    return paragraph.children or []


@given(hostile())
def test_whatever_the_text_it_is_one_code_span_and_nothing_else(text: str) -> None:
    (span,) = [each for each in inline(f"before {code(text)} after") if each.type != "text"]
    assert span.type == "code_inline"
    assert span.content == (plain(text, 200) or "—")


@given(st.lists(hostile(), min_size=2, max_size=4))
def test_code_spans_do_not_run_into_one_another(texts: list[str]) -> None:
    spans = [each for each in inline(" and ".join(map(code, texts))) if each.type == "code_inline"]
    assert [each.content for each in spans] == [plain(each, 200) or "—" for each in texts]


@given(st.lists(hostile(), min_size=3, max_size=3))
def test_whatever_the_texts_a_table_has_the_cells_that_it_should(texts: list[str]) -> None:
    tokens = PARSER.parse(table(("a", "b", "c"), [[cell(each) for each in texts]]))
    assert [each.type for each in tokens].count("td_open") == 3
    spans = [child for each in tokens for child in each.children or [] if child.type == "code_inline"]
    assert [each.content for each in spans] == [plain(each.replace("|", "¦"), 200) or "—" for each in texts]


@given(hostile(), st.integers(2, 100))
def test_a_text_is_one_visible_line_of_the_length_that_there_is_room_for(text: str, most: int) -> None:
    found = plain(text, most)
    assert len(found) <= most
    assert found.isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("token=hunter22", f"token={MASK}", id="a named secret"),
        pytest.param("ghp_abcdefghijklmnopqrstuvwxyz0123", MASK, id="a token of GitHub"),
        pytest.param("ghp_abcdefghij\u200bklmnopqrstuvwxyz0123", MASK, id="one parted by a space of no width"),
        pytest.param("arn:aws:iam::123456789012:role/model x", f"{MASK} x", id="an ARN"),
        pytest.param("arn:aws-cn:s3:::bucket/key", MASK, id="an ARN of another partition"),
        pytest.param(
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a:1",
            f"{MASK}.dkr.ecr.eu-west-1.amazonaws.com/a:1",
            id="of an image",
        ),
        pytest.param("found 0.123456789012", "found 0.123456789012", id="a number is no account"),
        pytest.param("at 1761998400000", "at 1761998400000", id="neither is a time in milliseconds"),
        pytest.param("a\nb\tc\u2028d", "a b c d", id="lines"),
        pytest.param("a\u202eb\u0007", "ab", id="what turns the text around, or rings"),
    ],
)
def test_a_text_shows_no_credentials_accounts_or_tricks(text: str, shown: str) -> None:
    assert plain(text, 200) == shown


@given(st.integers(0, 10**12 - 1), hostile(), hostile())
def test_an_account_id_is_never_shown(number: int, before: str, after: str) -> None:
    account = f"{number:012d}"
    found = plain(f"{before} {account} {after}", 4000)
    assert not re.search(rf"(?<![0-9.]){account}(?![0-9])", found)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "https://a.execute-api.us-east-1.amazonaws.com/nlp/pr-42",
            "<https://a.execute-api.us-east-1.amazonaws.com/nlp/pr-42>",
        ),
        ("javascript:alert(1)", "`javascript:alert(1)`"),
        ("https://a/b?c=$(id)", "`https://a/b?c=$(id)`"),
        ("https://user:secret@a/", "`https://***@a/`"),
        ("https://a/>\n# b", "`https://a/> # b`"),
    ],
)
def test_only_a_plain_url_becomes_a_link(url: str, shown: str) -> None:
    assert link(url) == shown
    assert is_plain_url(url) is shown.startswith("<")


@pytest.mark.parametrize(("revision", "shown"), [("1f0c2a9", "`1f0c2a9`"), ("1f0c2a9d4b6e", "`1f0c2a9`")])
def test_a_commit_is_named_by_seven_digits(revision: str, shown: str) -> None:
    assert commit(revision) == shown


def test_what_has_no_room_is_left_out_whole_and_that_is_said() -> None:
    text = joined(("a" * 30, "", "b" * 200, "c"), 150)
    assert text == "a" * 30 + "\n\nc\n\n*The rest is too long for a comment: see the status of the object.*"
    assert joined(("a", "", "b"), 150) == "a\n\nb"


@given(st.lists(st.text(max_size=80)), st.integers(70, 300))
def test_a_comment_is_never_longer_than_there_is_room_for(sections: list[str], most: int) -> None:
    assert len(joined(sections, most)) <= most
