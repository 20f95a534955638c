"""What a comment has to say to be a command, and what its author is told where it nearly does."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.api.v1alpha1.review_commands import ReviewCommand
from ephemeral_endpoints.features.reviews.commands.parser import USAGE, WORD, Command, Misspelt, parse

DAY = timedelta(days=1)
EXTEND = Command(ReviewCommand.EXTEND, DAY)
REBUILD, DELETE = Command(ReviewCommand.REBUILD), Command(ReviewCommand.DELETE)


@pytest.mark.parametrize(
    ("body", "command"),
    [
        pytest.param("/preview extend 24h", EXTEND, id="as documented"),
        pytest.param("/preview extend 1d", EXTEND, id="in days"),
        pytest.param("/preview rebuild", REBUILD, id="rebuild"),
        pytest.param("/preview sleep", Command(ReviewCommand.SLEEP), id="sleep"),
        pytest.param("/preview wake", Command(ReviewCommand.WAKE), id="wake"),
        pytest.param("/preview delete", DELETE, id="delete"),
        pytest.param("/Preview DELETE", DELETE, id="as phones write it"),
        pytest.param("/preview extend 24H", EXTEND, id="units too"),
        pytest.param("/preview   extend\t24h  ", EXTEND, id="any blanks between the words, and behind them"),
        pytest.param("   /preview delete", DELETE, id="three spaces are no code"),
        pytest.param("/preview delete\r\nthanks, all!", DELETE, id="only the first line counts, as browsers end it"),
        pytest.param("/preview delete\rthanks", DELETE, id="as old programs end it"),
        pytest.param("/preview delete\n/preview rebuild", DELETE, id="one command a comment"),
    ],
)
def test_a_command_is_understood(body: str, command: Command) -> None:
    assert parse(body) == command


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("", id="nothing"),
        pytest.param("please /preview delete", id="amid a sentence"),
        pytest.param("\n/preview delete", id="in the second line"),
        pytest.param("> /preview delete", id="what somebody else said"),
        pytest.param("    /preview delete", id="code by indentation"),
        pytest.param("`/preview delete`", id="code"),
        pytest.param("```\n/preview delete\n```", id="a block of code"),
        pytest.param("<!-- x --> /preview delete", id="behind what nobody sees"),
        pytest.param("/previews delete", id="another word"),
        pytest.param("/preview-env delete", id="the command of another tool"),
        pytest.param("/preview/delete", id="a path"),
        pytest.param("/prev\u0456ew delete", id="a Cyrillic i"),
        pytest.param("\uff0fpreview delete", id="a wide slash"),
        pytest.param("\u200b/preview delete", id="behind an invisible character"),
        pytest.param("/\u200bpreview delete", id="with one in it"),
        pytest.param("\N{LATIN SMALL LETTER LONG S}/preview delete", id="a letter that is s in other cases"),
    ],
)
def test_what_is_not_meant_as_a_command_gets_no_answer(body: str) -> None:
    assert parse(body) is None


@pytest.mark.parametrize(
    ("body", "why"),
    [
        pytest.param("/preview", "there is no such command", id="no command"),
        pytest.param("/preview snooze", "there is no such command", id="one that does not exist"),
        pytest.param("/preview extends 24h", "there is no such command", id="nearly one"),
        pytest.param("/preview: delete", "there is no such command", id="punctuation"),
        pytest.param("/preview delete now", "nothing may follow `/preview delete`", id="more than one thing to delete"),
        pytest.param("/preview rebuild --no-cache", "nothing may follow `/preview rebuild`", id="an option"),
        pytest.param("/preview extend", "say for how long, in one word", id="no duration"),
        pytest.param("/preview extend 24 h", "say for how long, in one word", id="two words"),
        pytest.param("/preview extend 24", "the time must be in weeks, days,", id="no unit"),
        pytest.param("/preview extend -24h", "the time must be in weeks, days,", id="backwards"),
        pytest.param("/preview extend 1.5h", "the time must be in weeks, days,", id="a fraction"),
        pytest.param("/preview extend tomorrow", "the time must be in weeks, days,", id="in words"),
        pytest.param("/preview extend 0s", "longer than 0s and at most 365d", id="no time"),
        pytest.param("/preview extend 366d", "longer than 0s and at most 365d", id="for ever"),
        pytest.param("/preview extend 999999w", "longer than 0s and at most 365d", id="for ages"),
        pytest.param("/preview\u00a0delete", "U+00A0 is no plain character", id="a space of another kind"),
        pytest.param("/preview de\u200blete", "U+200B is no plain character", id="an invisible character"),
        pytest.param("/preview d\u0435lete", "U+0435 is no plain character", id="a Cyrillic e"),
        pytest.param("/preview extend \uff12\uff14h", "U+FF12 is no plain character", id="wide digits"),
        pytest.param("/preview extend 24\N{KELVIN SIGN}", "U+212A is no plain character", id="k in lower case"),
        pytest.param("/preview delete\u2028/preview x", "U+2028 is no plain character", id="no line end of Markdown"),
    ],
)
def test_what_is_nearly_a_command_is_answered_with_what_to_write(body: str, why: str) -> None:
    found = parse(body)
    assert isinstance(found, Misspelt)
    assert why in found.why
    assert WORD in found.why


@given(st.text() | st.text().map(f"{WORD} ".__add__) | st.text().map(f"{WORD} extend ".__add__))
def test_an_answer_repeats_nothing_of_a_comment(text: str) -> None:
    found = parse(text)
    assert not isinstance(found, Misspelt) or found.why in WORDS or found.why.startswith("U+")


def all_answers() -> set[str]:
    bodies = ("", " delete x", " rebuild x", " extend", " extend x", " extend 0s")
    found = (parse(f"{WORD}{body}") for body in bodies)
    return {each.why for each in found if isinstance(each, Misspelt)}


WORDS = all_answers()


@given(st.sampled_from(sorted(USAGE.values())))
def test_what_an_answer_says_to_write_is_a_command(usage: str) -> None:
    assert isinstance(parse(usage.strip("`")), Command)
