"""The formats that are asserted: those of JSON Schema 2020-12 on which programs agree. Pure."""

from __future__ import annotations

import ipaddress
import re
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# RFC 3339, section 5.6, whose letters may be lower case.
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(
    r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60)(\.[0-9]+)?([zZ]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)
_TIME_OF_DAY = r"T([0-9]+H([0-9]+M([0-9]+S)?)?|[0-9]+M([0-9]+S)?|[0-9]+S)"
_DAYS = r"([0-9]+Y([0-9]+M([0-9]+D)?)?|[0-9]+M([0-9]+D)?|[0-9]+D)"
# RFC 3339, appendix A.
_DURATION = re.compile(rf"P([0-9]+W|{_TIME_OF_DAY}|{_DAYS}({_TIME_OF_DAY})?)")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
# RFC 5321, section 4.1.2, within its limits of length.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_QUOTED = r'"([ !#-\[\]-~]|\\[ -~])*"'
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"({_ATOM}(\.{_ATOM})*|{_QUOTED})@({_LABEL}(\.{_LABEL})*|\[(?P<address>[^\[\]]*)\])")
_EMAIL_LENGTH = 254
# RFC 3986, appendix A.
_PERCENT = r"%[0-9A-Fa-f]{2}"
_PLAIN = r"A-Za-z0-9._~!$&'()*+,;="
_PATH = rf"([{_PLAIN}:@/-]|{_PERCENT})*"
_QUERY = rf"([{_PLAIN}:@/?-]|{_PERCENT})*"
_URI = re.compile(
    rf"[A-Za-z][A-Za-z0-9+.-]*:"
    rf"(//(([{_PLAIN}:-]|{_PERCENT})*@)?(\[(?P<literal>[^\[\]]*)\]|([{_PLAIN}-]|{_PERCENT})*)(:[0-9]*)?(/{_PATH})?"
    rf"|(?!//){_PATH})(\?{_QUERY})?(#{_QUERY})?"
)
_FUTURE = re.compile(r"[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+")
_LEAP_SECOND = "60"
_DAY_MINUTES = 24 * 60
_LAST_MINUTE = _DAY_MINUTES - 1


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    # Python's calendar begins with the year 1; the year 0 of RFC 3339 is a leap year, as 2000.
    try:
        date.fromisoformat(text if text[:4] != "0000" else f"2000{text[4:]}")
    except ValueError:
        return False
    return True


def _is_time(text: str) -> bool:
    found = _TIME.fullmatch(text)
    if not found:
        return False
    hours, minutes, seconds, _, _, sign, offset_hours, offset_minutes = found.groups()
    if seconds != _LEAP_SECOND:
        return True
    # Leap seconds are inserted at the end of a day of UTC.
    offset = int(offset_hours or 0) * 60 + int(offset_minutes or 0)
    return (int(hours) * 60 + int(minutes) + (offset if sign == "-" else -offset)) % _DAY_MINUTES == _LAST_MINUTE


def _is_date_time(text: str) -> bool:
    return text[10:11] in {"T", "t"} and _is_date(text[:10]) and _is_time(text[11:])


def _is_duration(text: str) -> bool:
    return _DURATION.fullmatch(text) is not None


def _is_email(text: str) -> bool:
    found = _EMAIL.fullmatch(text) if len(text) <= _EMAIL_LENGTH else None
    if not found:
        return False
    address = found["address"]
    return address is None or _is_ipv4(address) or (address[:5] == "IPv6:" and _is_ipv6(address[5:]))


def _is_uri(text: str) -> bool:
    found = _URI.fullmatch(text)
    if not found:
        return False
    literal = found["literal"]
    return literal is None or _is_ipv6(literal) or _FUTURE.fullmatch(literal) is not None


def _is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.IPv6Address(text).scope_id is None
    except ValueError:
        return False


FORMATS: Mapping[str, Callable[[str], bool]] = {
    "date": _is_date,
    "time": _is_time,
    "date-time": _is_date_time,
    "duration": _is_duration,
    "email": _is_email,
    "uri": _is_uri,
    "uuid": _is_uuid,
    "ipv4": _is_ipv4,
    "ipv6": _is_ipv6,
}
"""Whether a text has a format, by the format's name."""
