"""What the model really answered to the samples, for the description of the endpoint.

An answer of a revision to each sample is kept, whoever sent the sample: the proof of readiness, a check, or a person.
It is in the table of the object's votes, or, without one, in the memory of this instance of the function, which costs
no call and ends with it. Who may read it may as well send the sample. Nothing depends on it: what cannot be stored or
read now is left out.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from ephemeral_endpoints.features.routing.forwarder.feedback import PARTITION_KEY, SORT_KEY
from ephemeral_endpoints.features.routing.forwarder.negotiation import media_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ephemeral_endpoints.features.routing.forwarder.config import Sample
    from ephemeral_endpoints.features.routing.forwarder.messages import Answer

MAX_BYTES = 8192
"""The largest answer that is kept."""

KEPT_SECONDS = 60
"""How long what was read counts, and how long after a failure the table is left alone."""

CALL_SECONDS = 1
"""How long the table may take: once a minute, an answer may wait for it."""

_KIND = "examples"
_DIGITS = 16


class Example(NamedTuple):
    """An answer to a sample."""

    sample: str
    variant: str
    content_type: str
    body: str


@dataclass(slots=True)
class Examples:
    """The answers to ``samples`` at a revision, in a table if there is one.

    ``client`` returns one of DynamoDB, ``clock`` seconds.
    """

    samples: tuple[Sample, ...]
    revision: str
    table: str | None
    client: Callable[[], Any]
    clock: Callable[[], float] = time.monotonic
    _remembered: dict[str, Mapping[str, str]] = field(default_factory=dict, init=False)
    _stored: set[str] = field(default_factory=set, init=False)
    _rested_until: float = field(default=float("-inf"), init=False)
    _known: tuple[Example, ...] = field(default=(), init=False)
    _known_until: float = field(default=float("-inf"), init=False)

    def keep(self, request: bytes, content_type: str, answer: Answer) -> None:
        """Keep the first answer to a request that is a sample. May block for a call then; raises nothing."""
        if len(self._stored) == len(self.samples) or self.clock() < self._rested_until:
            return
        id_ = self._id(request, content_type)
        body = _text(answer)
        if body is None or id_ in self._stored or id_ not in map(self._of, self.samples):
            return
        item = {"type": answer.content_type, "body": body}
        item |= {"variant": answer.variant} if answer.variant else {}
        try:
            self._store(id_, item)
        except (BotoCoreError, ClientError):
            self._rested_until = self.clock() + KEPT_SECONDS
        else:
            self._stored.add(id_)

    def answered(self) -> tuple[Example, ...]:
        """The answers, in the order of the samples, in the table as of the last minute.

        May block for a call; raises nothing.
        """
        if self.table is None:
            return self._examples(self._remembered)
        if self.clock() >= self._known_until:
            self._known_until = self.clock() + KEPT_SECONDS
            try:
                self._known = self._read()
            except (BotoCoreError, ClientError):
                self._known = ()
        return self._known

    def _store(self, id_: str, item: Mapping[str, str]) -> None:
        if self.table is None:
            self._remembered[id_] = item
            return
        whole = {PARTITION_KEY: _KIND, SORT_KEY: id_, **item}
        self.client().put_item(TableName=self.table, Item={name: {"S": text} for name, text in whole.items()})

    def _read(self) -> tuple[Example, ...]:
        found = self.client().query(
            TableName=self.table,
            KeyConditionExpression=f"{PARTITION_KEY} = :kind AND begins_with({SORT_KEY}, :revision)",
            ExpressionAttributeValues={":kind": {"S": _KIND}, ":revision": {"S": f"{self.revision}."}},
        )
        return self._examples(
            {item[SORT_KEY]["S"]: {name: value["S"] for name, value in item.items()} for item in found["Items"]}
        )

    def _examples(self, items: Mapping[str, Mapping[str, str]]) -> tuple[Example, ...]:
        known = [(sample.name, items[self._of(sample)]) for sample in self.samples if self._of(sample) in items]
        return tuple(Example(name, item.get("variant", ""), item["type"], item["body"]) for name, item in known)

    def _of(self, sample: Sample) -> str:
        return self._id(sample.request.encode(), sample.content_type)

    def _id(self, request: bytes, content_type: str) -> str:
        """The same for all requests that the model could not tell apart."""
        digest = hashlib.sha256(f"{media_type(content_type)}\n".encode() + request).hexdigest()
        return f"{self.revision}.{digest[:_DIGITS]}"


def _text(answer: Answer) -> str | None:
    """The answer as text; None if it is a refusal, too large, or no text."""
    if answer.status != HTTPStatus.OK or not 0 < len(answer.body) <= MAX_BYTES:
        return None
    try:
        return answer.body.decode()
    except UnicodeDecodeError:
        return None
