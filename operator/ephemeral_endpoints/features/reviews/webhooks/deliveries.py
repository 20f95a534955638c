"""What is believed of a webhook's delivery: its signature, what it tells of, and that it is told once. Pure."""

import hashlib
import hmac
import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

MAX_BODY_BYTES: Final = 1024 * 1024
"""A pull request and a comment may have 65,536 characters each, and few deliveries exceed 100 kB."""

REMEMBERED: Final = 4096
"""Deliveries; GitHub repeats one only if somebody asks it to."""

SIGNATURE: Final = "X-Hub-Signature-256"
EVENT: Final = "X-GitHub-Event"
DELIVERY: Final = "X-GitHub-Delivery"

_SIGNATURE: Final = re.compile("sha256=[0-9a-f]{64}")
_DELIVERY: Final = re.compile("[0-9A-Za-z-]{8,64}")
_REPOSITORY: Final = re.compile("[A-Za-z0-9_-]{1,100}/[A-Za-z0-9._-]{1,100}")
_LARGEST_NUMBER: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Envelope:
    """The headers of a delivery, before anything of it is believed."""

    signature: str
    event: str
    id: str

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "Envelope | None":
        """The headers if they have the form of GitHub's; None costs nothing more. Names must be in any case."""
        signature, event, id_ = (headers.get(name, "") for name in (SIGNATURE, EVENT, DELIVERY))
        if not _SIGNATURE.fullmatch(signature) or not _DELIVERY.fullmatch(id_) or not event:
            return None
        return cls(signature, event, id_)

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, as they are sent on."""
        return {SIGNATURE: self.signature, EVENT: self.event, DELIVERY: self.id}

    def is_signed(self, body: bytes, secret: bytes) -> bool:
        """Whether whoever sent the body, exactly as it came, knows the secret; takes the same time in any case.

        https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
        """
        expected = f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"
        return bool(secret) and hmac.compare_digest(expected, self.signature)


@dataclass(frozen=True, slots=True)
class News:
    """A pull request of which there is something new, and whether it is a comment."""

    repository: str
    number: int
    is_comment: bool = False


def news(event: str, body: bytes) -> News | None:
    """What a signed delivery tells of; None if nothing of it matters. Raises ValueError for a body that is no JSON."""
    if event not in {"pull_request", "issue_comment"}:
        return None
    try:
        payload = json.loads(body)
    except RecursionError as error:
        raise ValueError("the body is nested too deeply") from error
    found = _pull_request(payload) if event == "pull_request" else _comment(payload)
    repository, number = _member(_member(payload, "repository"), "full_name"), found
    if not isinstance(repository, str) or not _REPOSITORY.fullmatch(repository) or number is None:
        return None
    return News(repository, number, is_comment=event == "issue_comment")


class Seen:
    """The last deliveries that were taken. A body that comes again under another id is known by its signature."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, None] = OrderedDict()

    def is_new(self, envelope: Envelope) -> bool:
        """Whether the delivery was not seen before; it has been from now on."""
        marks = (envelope.id, envelope.signature)
        is_new = self._known.keys().isdisjoint(marks)
        self._known.update(dict.fromkeys(marks))
        while len(self._known) > 2 * REMEMBERED:
            self._known.popitem(last=False)
        return is_new


def _pull_request(payload: object) -> int | None:
    return _number(_member(payload, "number"))


def _comment(payload: object) -> int | None:
    """The number of the pull request that was commented on; edits and deletions are no commands."""
    issue = _member(payload, "issue")
    if _member(payload, "action") != "created" or _member(issue, "pull_request") is None:
        return None
    return _number(_member(issue, "number"))


def _member(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _number(value: object) -> int | None:
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LARGEST_NUMBER
    return value if is_number and isinstance(value, int) else None
