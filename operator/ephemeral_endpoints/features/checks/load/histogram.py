"""Latencies as an HDR histogram in base64: some 650 bytes, exact to 1 %, and read by other tools. Pure.

https://github.com/HdrHistogram/HdrHistogram
"""

import base64
import binascii
import zlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from hdrh.codec import HdrCookieException, HdrLengthException, PayloadHeader, payload_header_size
from hdrh.histogram import HdrHistogram

UNITS_PER_SECOND: Final = 10_000
MOST_CHARACTERS: Final = 2000
"""What does not fit is left out: the Job's message is limited to 4096 bytes."""

_UNREADABLE: Final = (IndexError, OverflowError, TypeError, zlib.error, binascii.Error)
_DIGITS: Final = 2
_MOST_SECONDS: Final = 200
_HEADER_BYTES: Final = 8
_MOST_BYTES: Final = 32 * 1024
"""Of counters when unpacked: at most nine for each of them."""


def encoded(latencies: Iterable[float]) -> str | None:
    """The histogram of latencies in seconds; None if it takes more than ``MOST_CHARACTERS``."""
    histogram = _empty()
    for each in latencies:
        histogram.record_value(min(max(1, round(each * UNITS_PER_SECOND)), _MOST_SECONDS * UNITS_PER_SECOND))
    text: str = histogram.encode().decode()
    return text if len(text) <= MOST_CHARACTERS else None


def decoded(text: str) -> HdrHistogram:
    """Read a histogram that ``encoded`` wrote. Raises ValueError for anything else, also where it was made to harm."""
    try:
        _check(text)
        return HdrHistogram.decode(text)
    except (HdrCookieException, HdrLengthException, *_UNREADABLE) as error:
        raise ValueError("not a histogram of latencies") from error


def _empty() -> HdrHistogram:
    return HdrHistogram(1, _MOST_SECONDS * UNITS_PER_SECOND, _DIGITS)


def _check(text: str) -> None:
    """The library allocates what the header asks for, and unpacks whatever it is given."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError("the histogram is too long")
    unpacking = zlib.decompressobj()
    unpacked = unpacking.decompress(base64.b64decode(text, validate=True)[_HEADER_BYTES:], _MOST_BYTES)
    if len(unpacked) < payload_header_size or not unpacking.eof:
        raise ValueError("the histogram is too large, or not complete")
    header, ours = PayloadHeader.from_buffer_copy(unpacked), _empty()
    bounds = (header.lowest_trackable_value, header.highest_trackable_value, header.significant_figures)
    if bounds != (ours.lowest_trackable_value, ours.highest_trackable_value, ours.significant_figures):
        raise ValueError("the histogram has other bounds")
    if header.payload_len != len(unpacked) - payload_header_size:
        raise ValueError("the histogram is not complete")


def merged(texts: Iterable[str]) -> HdrHistogram:
    """The histogram of all latencies of several ones. Raises ValueError as ``decoded`` does."""
    sum_ = _empty()
    for each in texts:
        sum_.add(decoded(each))
    return sum_


class Bar(NamedTuple):
    """How many requests have latencies above ``low_ms``, in the first bar also of that, and of at most ``high_ms``."""

    low_ms: float
    high_ms: float
    requests: int


def bars(text: str, most: int) -> list[Bar]:
    """The distribution of the latencies, in at most so many parts that grow by the same factor.

    Raises ValueError as ``decoded`` does.
    """
    histogram = decoded(text)
    counts = [(each.value_iterated_to, each.count_at_value_iterated_to) for each in histogram.get_recorded_iterator()]
    if not counts:
        return []
    low, high = counts[0][0], counts[-1][0]
    factor = (high / low) ** (1 / most)
    ends = [low * factor**step for step in range(1, most)] + [high]
    found = Counter(bisect_left(ends, value) for value, count in counts for _ in range(count))
    starts = [low, *ends[:-1]]
    parts = [
        Bar(_ms(start), _ms(end), found[index]) for index, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]
    return parts if high > low else [Bar(_ms(low), _ms(high), histogram.get_total_count())]


def _ms(units: float) -> float:
    return units * 1000 / UNITS_PER_SECOND
