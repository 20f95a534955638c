import base64
import zlib
from itertools import pairwise

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from ephemeral_endpoints.features.checks.load.histogram import (
    MOST_CHARACTERS,
    UNITS_PER_SECOND,
    bars,
    decoded,
    encoded,
    merged,
)
from ephemeral_endpoints.features.checks.load.report import percentile

LATENCIES = st.lists(st.floats(0.0001, 150), min_size=1, max_size=300)
PRECISION = 0.01


def text_of(latencies: list[float]) -> str:
    text = encoded(latencies)
    assert text is not None
    return text


@given(latencies=LATENCIES, share=st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_percentiles_survive_the_histogram_to_one_percent(latencies: list[float], share: float) -> None:
    exact = percentile(sorted(latencies), share)
    found = decoded(text_of(latencies)).get_value_at_percentile(100 * share) / UNITS_PER_SECOND
    # The library rounds the rank to the nearest one, so that it may be the next smaller value.
    ordered = sorted(latencies)
    below = max((each for each in ordered if each < exact), default=exact)
    assert below * (1 - PRECISION) - 0.0001 <= found <= exact * (1 + PRECISION) + 0.0001


@given(parts=st.lists(LATENCIES, min_size=1, max_size=4))
def test_merged_histograms_are_that_of_all_latencies(parts: list[list[float]]) -> None:
    everything = decoded(text_of([each for part in parts for each in part]))
    together = merged([text_of(part) for part in parts])
    assert together.get_total_count() == everything.get_total_count() == sum(map(len, parts))
    for share in (10, 50, 90, 99, 100):
        assert together.get_value_at_percentile(share) == everything.get_value_at_percentile(share)


def test_three_thousand_latencies_of_a_usual_kind_take_less_than_a_kilobyte() -> None:
    text = text_of([0.05 + 0.0001 * ((index * 7919) % 3000) for index in range(3000)])
    assert len(text) < 1000
    assert decoded(text).get_total_count() == 3000


@settings(max_examples=30)
@given(latencies=st.lists(st.floats(0.0001, 190), min_size=1, max_size=3000).map(lambda few: (few * 3000)[:3000]))
def test_a_histogram_never_exceeds_its_limit(latencies: list[float]) -> None:
    text = encoded(latencies)
    assert text is None or len(text) <= MOST_CHARACTERS


@settings(max_examples=50)
@given(latencies=LATENCIES, most=st.integers(1, 20))
def test_bars_count_every_latency_once_and_lie_beside_each_other(latencies: list[float], most: int) -> None:
    found = bars(text_of(latencies), most)
    assert 1 <= len(found) <= most
    assert sum(each.requests for each in found) == len(latencies)
    assert all(low.high_ms == high.low_ms for low, high in pairwise(found))
    assert found[-1].requests > 0


def packed(payload: bytes, cookie: int = 0x1C849314) -> str:
    compressed = zlib.compress(payload)
    return base64.b64encode(cookie.to_bytes(4, "big") + len(compressed).to_bytes(4, "big") + compressed).decode()


def unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text)[8:])


def other(lowest: int, highest: int, digits: int) -> str:
    histogram = HdrHistogram(lowest, highest, digits)
    histogram.record_value(lowest)
    return str(histogram.encode().decode())


GOOD = text_of([0.1, 0.2])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "nothing"),
        ("!!!!", "not base64"),
        ("ä", "not even ASCII"),
        (base64.b64encode(b"x" * 50).decode(), "not compressed"),
        (packed(b""), "no header"),
        (packed(unpacked(GOOD)[:-1]), "cut off"),
        (packed(unpacked(GOOD) + bytes(8)), "longer than it says"),
        (packed(unpacked(GOOD), cookie=1), "another format"),
        (packed(bytes(50_000_000))[:MOST_CHARACTERS], "a bomb, cut off"),
        (packed(unpacked(GOOD)[:40] + bytes(1_000_000)), "a bomb"),
        (packed(b"\xff" * len(unpacked(GOOD))), "a header of nonsense"),
        (other(1, 10**15, 5), "a histogram that takes hundreds of megabytes"),
        (other(1, 2_000_000, 3), "another precision"),
        (GOOD + "A" * MOST_CHARACTERS, "too long"),
        (packed(unpacked(GOOD)[:40] + b"\x80" * (len(unpacked(GOOD)) - 40)), "a number that never ends"),
    ],
)
def test_what_is_no_histogram_of_latencies_is_refused(text: str, reason: str) -> None:
    assert is_refused(text), reason


def is_refused(text: str) -> bool:
    try:
        decoded(text)
    except ValueError:
        return True
    return False


@settings(max_examples=60)
@given(counters=st.binary(max_size=400))
def test_any_counters_are_read_or_refused(counters: bytes) -> None:
    header = bytearray(unpacked(GOOD)[:40])
    header[4:8] = len(counters).to_bytes(4, "big")
    try:
        found = decoded(packed(bytes(header) + counters))
    except ValueError:
        return
    assert found.get_total_count() >= 0
