"""Votes on answers, in the DynamoDB table of the object.

The table has an item for each answer that was voted on, and one for each variant and revision with its counts; one
transaction changes both. Only what this forwarder answered can be voted on: the id of an answer is signed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from ephemeral_endpoints.features.routing.forwarder.messages import Answer, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ephemeral_endpoints.features.routing.forwarder.config import FeedbackConfig

ID_HEADER = "eep-feedback-id"
"""Names the answer that a vote is about."""

MAX_REASON = 2000
"""Characters of a reason."""

MAX_VOTE_BYTES = 16384
"""The largest body of a vote."""

DIRECTIONS = ("up", "down")
"""What a vote can be."""

PAGE = 1000
"""Most votes that one answer lists."""

PARTITION_KEY = "kind"
SORT_KEY = "id"

COUNTS = "counts"
"""The kind of the items with the counts of votes, one for each revision and variant: its id is their ``count_id``."""

CURSOR = re.compile(r"[A-Za-z0-9=_-]{1,64}")
"""What a list of votes may begin after."""

_VOTES = "votes"

_SIGNATURE = 16
# API Gateway's request id, the variant, and the revision's first digits.
_ID = re.compile(r"([A-Za-z0-9=_-]{1,64})\.([a-zA-Z0-9-]{0,63})\.([0-9a-f]{7,12})\.([0-9a-f]{16})")
_SEVERAL_TRIES = 10


class _Ballot(NamedTuple):
    request_id: str
    variant: str
    revision: str
    vote: str
    reason: str


def count_id(revision: str, variant: str) -> str:
    """The id of the item with the votes on a variant of a revision, of which the first 12 digits are given."""
    return f"{revision}.{variant}"


@dataclass(frozen=True, slots=True)
class Feedback:
    """The votes of one forwarder; ``client`` returns one of DynamoDB. Methods but ``id_of`` may raise Problem 503."""

    config: FeedbackConfig
    client: Callable[[], Any]

    def id_of(self, request_id: str, variant: str | None, revision: str) -> str:
        """The id of an answer, for the header ``eep-feedback-id``."""
        name = f"{request_id}.{variant or ''}.{revision}"
        return f"{name}.{self._signature(name)}"

    def vote(self, body: bytes) -> Answer:
        """Count the vote in a body ``{"id": …, "vote": "up" | "down", "reason": …}`` and answer the counts.

        A further vote on the same answer replaces the one before, so that a request may be repeated. Raises Problem
        400 for another body, and 404 for an id of no answer of this forwarder.
        """
        ballot = self._read(body)
        try:
            self._store(ballot)
            return _json({"counts": self._counts()})
        except (BotoCoreError, ClientError) as error:
            raise _unavailable() from error

    def votes(self, after: str | None) -> Answer:
        """The counts, and up to 1000 votes; ``next`` is the ``after`` of the following ones."""
        if after is not None and not CURSOR.fullmatch(after):
            raise Problem(HTTPStatus.BAD_REQUEST, "malformed-request", "The parameter after must be a previous next.")
        asked: dict[str, Any] = {"ExclusiveStartKey": _key(_VOTES, after)} if after else {}
        try:
            found = self.client().query(**self._query(_VOTES), Limit=PAGE, **asked)
            last = found.get("LastEvaluatedKey")
            votes = [_plain(item) for item in found["Items"]]
            return _json({"counts": self._counts(), "votes": votes, "next": last[SORT_KEY]["S"] if last else None})
        except (BotoCoreError, ClientError) as error:
            raise _unavailable() from error

    def _read(self, body: bytes) -> _Ballot:
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise _malformed("The body must be a JSON object.")
        vote, reason = document.get("vote"), document.get("reason", "")
        if vote not in DIRECTIONS:
            raise _malformed('vote must be "up" or "down".')
        if not isinstance(reason, str) or len(reason) > MAX_REASON or _is_torn(reason):
            raise _malformed(f"reason must be a text of at most {MAX_REASON} characters.")
        match = _ID.fullmatch(str(document.get("id", "")))
        if not match or not hmac.compare_digest(match[4], self._signature(f"{match[1]}.{match[2]}.{match[3]}")):
            detail = f"id must be the {ID_HEADER} header of an answer of this endpoint."
            raise Problem(HTTPStatus.NOT_FOUND, "unknown-answer", detail)
        return _Ballot(match[1], match[2], match[3], vote, reason if self.config.reasons else "")

    def _store(self, ballot: _Ballot) -> None:
        # Whoever votes at the same time may be first; then there is an earlier vote to replace.
        for attempt in range(_SEVERAL_TRIES):
            before = self._item(ballot)
            if before == (ballot.vote, ballot.reason):
                return
            try:
                self.client().transact_write_items(TransactItems=self._changes(ballot, before[0] if before else None))
            except ClientError as error:
                if not _was_outrun(error) or attempt == _SEVERAL_TRIES - 1:
                    raise
            else:
                return

    def _item(self, ballot: _Ballot) -> tuple[str, str] | None:
        """The earlier vote on the answer, and its reason."""
        key = _key(_VOTES, ballot.request_id)
        item = self.client().get_item(TableName=self.config.table, Key=key, ConsistentRead=True).get("Item")
        return (item["vote"]["S"], item.get("reason", {"S": ""})["S"]) if item else None

    def _changes(self, ballot: _Ballot, before: str | None) -> list[dict[str, Any]]:
        table = self.config.table
        item = {
            **_key(_VOTES, ballot.request_id),
            "vote": {"S": ballot.vote},
            "variant": {"S": ballot.variant},
            "revision": {"S": ballot.revision},
            "at": {"S": datetime.now(UTC).isoformat(timespec="seconds")},
            **({"reason": {"S": ballot.reason}} if ballot.reason else {}),
        }
        expected: dict[str, Any] = {"ConditionExpression": f"attribute_not_exists({SORT_KEY})"}
        if before:
            expected = {
                "ConditionExpression": "vote = :before",
                "ExpressionAttributeValues": {":before": {"S": before}},
            }
        changes = [{"Put": {"TableName": table, "Item": item, **expected}}]
        if before != ballot.vote:
            steps = {ballot.vote: 1, **({before: -1} if before else {})}
            count = {
                "TableName": table,
                "Key": _key(COUNTS, count_id(ballot.revision, ballot.variant)),
                "UpdateExpression": "ADD " + ", ".join(f"#{name} :{name}" for name in steps),
                "ExpressionAttributeNames": {f"#{name}": name for name in steps},
                "ExpressionAttributeValues": {f":{name}": {"N": str(step)} for name, step in steps.items()},
            }
            changes.append({"Update": count})
        return changes

    def _counts(self) -> dict[str, dict[str, int]]:
        """The votes on each variant, of all revisions."""
        counts: dict[str, dict[str, int]] = {}
        for item in self.client().query(**self._query(COUNTS), ConsistentRead=True)["Items"]:
            variant = counts.setdefault(item[SORT_KEY]["S"].partition(".")[2], dict.fromkeys(DIRECTIONS, 0))
            for direction in DIRECTIONS:
                variant[direction] += int(item.get(direction, {"N": "0"})["N"])
        return counts

    def _query(self, kind: str) -> dict[str, Any]:
        return {
            "TableName": self.config.table,
            "KeyConditionExpression": f"{PARTITION_KEY} = :kind",
            "ExpressionAttributeValues": {":kind": {"S": kind}},
        }

    def _signature(self, name: str) -> str:
        return hmac.new(self.config.key.encode(), name.encode(), hashlib.sha256).hexdigest()[:_SIGNATURE]


def _key(kind: str, id_: str) -> dict[str, Any]:
    return {PARTITION_KEY: {"S": kind}, SORT_KEY: {"S": id_}}


def _plain(item: Mapping[str, Any]) -> dict[str, str]:
    return {name: value["S"] for name, value in item.items() if name != PARTITION_KEY}


def _was_outrun(error: ClientError) -> bool:
    """Whether another request changed the same items meanwhile."""
    response: Mapping[str, Any] = error.response
    reasons = {each.get("Code") for each in response.get("CancellationReasons", ())}
    return bool(reasons & {"ConditionalCheckFailed", "TransactionConflict"})


def _is_torn(text: str) -> bool:
    """Whether half of a surrogate pair is in it, which DynamoDB cannot store."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def _json(document: object) -> Answer:
    return Answer(HTTPStatus.OK, "application/json", json.dumps(document).encode())


def _malformed(detail: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "malformed-request", detail)


def _unavailable() -> Problem:
    detail = "The vote cannot be stored now; answers of the model are not affected. Try again."
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "feedback-unavailable", detail, {"retry-after": "5"})
