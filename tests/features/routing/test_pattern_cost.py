"""The judgement of regular expressions, and that those which it refuses do take long."""

import re
import time

import pytest

from ephemeral_endpoints.features.routing.forwarder.patterns import translate
from ephemeral_endpoints.features.routing.pattern_cost import TooCostlyError, degree

OCTET = r"(25[0-5]|2[0-4]\d|1?\d?\d)"
VERSION = r"(0|[1-9]\d*)"


@pytest.mark.parametrize(
    "pattern",
    [
        "^[a-z]+(-[a-z]+)*$",
        "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
        r"^\w+@\w+\.\w+$",
        r"^\d{4}-\d\d-\d\d$",
        "^#[0-9a-fA-F]{6}$",
        rf"^({OCTET}\.){{3}}{OCTET}$",
        rf"^{VERSION}\.{VERSION}\.{VERSION}(-[0-9a-z-]+(\.[0-9a-z-]+)*)?$",
        r"^(?!.*--)[a-z-]+$",
        "^(/[^/]+)*$",
        "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==)?$",
        r"^\p{L}+$",
        "^(positive|negative|neutral)$",
        "label",
        "^$",
    ],
)
def test_ordinary_patterns_are_linear(pattern: str) -> None:
    assert degree(translate(pattern)) == 1


@pytest.mark.parametrize(
    ("pattern", "power"),
    [
        (r"\s+$", 2),
        ("[0-9]+", 2),
        ("^a*a*$", 2),
        (r"^[^@\s]+@[^@\s]+\.[^@\s]+$", 2),
        ("^.*foo.*$", 2),
        ("^.*foo.*bar.*$", 3),
        ("^(x(?=a*a*b))*$", 3),
    ],
)
def test_repeats_in_a_row_that_match_the_same_make_a_power_each(pattern: str, power: int) -> None:
    assert degree(translate(pattern)) == power


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("^(a+)+$", "exponentially"),
        ("^(a|a)*$", "exponentially"),
        ("^(a|ab|b)*$", "exponentially"),
        ("^(.*)*$", "exponentially"),
        (r"^(\w+\s?)*$", "exponentially"),
        ("^(a*b?a*)*$", "exponentially"),
        ("^s3://.+/(.+/)*$", "exponentially"),
        ("^(?:a?){30}$", "can be empty"),
        ("^((a?){10}){10}$", "too many parts"),
        ("^" + "a?" * 30 + "a" * 30 + "$", "too many parts"),
        (r"^(a)\1$", "refers back"),
        (r"^(?<x>a)\k<x>$", "refers back"),
        ("^" + "ab" * 200, "too long to be judged"),
        ("(?=(a+)+b)", "exponentially"),
    ],
)
def test_patterns_that_can_take_for_ever_are_refused(pattern: str, words: str) -> None:
    with pytest.raises(TooCostlyError, match=words):
        degree(translate(pattern))


def test_what_is_refused_takes_long_indeed_and_what_is_linear_does_not() -> None:
    """In the time of the processor, whatever else it does."""
    refused, linear = (re.compile(translate(each), re.ASCII) for each in ("^(a+)+$", "^[a-z]+(-[a-z]+)*$"))
    text = "a" * 20 + "!"

    def taken(pattern: re.Pattern[str]) -> float:
        began = time.thread_time()
        assert not pattern.search(text)
        return time.thread_time() - began

    assert taken(linear) * 100 < taken(refused)
