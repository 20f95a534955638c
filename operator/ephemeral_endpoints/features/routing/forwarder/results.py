"""The source of results: publishes what the model answers to those who subscribe to it."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, ClassVar

from ephemeral_endpoints.features.routing.forwarder import messages
from ephemeral_endpoints.features.routing.forwarder.outlet import Outlet, Terms
from ephemeral_endpoints.features.routing.forwarder.parameters import INFERENCE_ID
from ephemeral_endpoints.features.routing.forwarder.records import MOST_RECORD_BYTES, Content
from ephemeral_endpoints.features.routing.forwarder.sink import FIREHOSE, KINESIS, SNS, Message, Sink, data_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    import botocore.session

    from ephemeral_endpoints.features.routing.forwarder.config import About, ForwarderConfig, ResultsConfig
    from ephemeral_endpoints.features.routing.forwarder.exchange import Exchange
    from ephemeral_endpoints.features.routing.forwarder.invocation import Request
    from ephemeral_endpoints.features.routing.forwarder.messages import Answer
    from ephemeral_endpoints.features.routing.forwarder.variants import Target

MOST_MESSAGE_BYTES = 262_144
"""The largest message of SNS with its attributes (https://docs.aws.amazon.com/sns/latest/api/API_Publish.html)."""

LOST = "ResultsLost"
DIMENSION = "ResultsTarget"
"""The metric of results that were lost, with its dimension."""

OMITTED = "TooLarge"
"""Says of a body that the sink would not have taken it."""

_OPERATIONS = {each.service: each for each in (FIREHOSE, KINESIS, SNS)}


class Publisher:
    """Makes the messages of what one forwarder answers."""

    terms: ClassVar[Terms] = Terms("results", "Published", LOST, DIMENSION)

    def __init__(self, config: ResultsConfig, about: About) -> None:
        self._config = config
        self._about = about

    def selects(self, exchange: Exchange) -> bool:  # noqa: ARG002 - of the protocol
        """Every request is of interest."""
        return True

    def selects_answer(self, answer: Answer) -> bool:  # noqa: ARG002 - of the protocol
        """So are refusals of the model: subscriptions filter by the status."""
        return True

    def message(self, exchange: Exchange, target: Target, request: Request, answer: Answer) -> Message:
        """The message, with its attributes if a topic gets it; Kinesis chooses the shard by the id of the request."""
        event_id, sent = messages.request_id(exchange.event), request.parameters
        about, variant = self._about, answer.variant or target.variant or ""
        facts = {
            "object": {"namespace": about.namespace, "name": about.name},
            "revision": about.revision,
            "variant": variant,
            "requestId": event_id,
            "inferenceId": str(sent[INFERENCE_ID]),
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "status": answer.status,
        }
        contents = {"answer": Content(answer.content_type, answer.body)}
        if self._config.include_request:
            contents["request"] = Content(str(sent.get("ContentType", "")), request.body)
        if self._config.service != SNS.service:
            return Message(document(facts, contents, MOST_RECORD_BYTES - 1) + b"\n", event_id)
        named = {"namespace": about.namespace, "name": about.name, "variant": variant}
        attributes: dict[str, str | int] = {name: value for name, value in named.items() if value}
        attributes["status"] = int(answer.status)
        most = MOST_MESSAGE_BYTES - sum(len(f"{name}{data_type(value)}{value}") for name, value in attributes.items())
        return Message(document(facts, contents, most), event_id, attributes)


def document(facts: Mapping[str, object], contents: Mapping[str, Content], most: int) -> bytes:
    """The facts and the contents as JSON, in ASCII: some characters of Unicode are refused by subscribers.

    If it is larger than ``most`` bytes, it is made without the last body, then without the one before, and says so.
    """
    names = list(contents)
    parts = {name: _whole(each) for name, each in contents.items()}
    made = _json({**facts, **parts})
    while len(made) > most and names:
        name = names.pop()
        parts[name] = {**_described(contents[name]), "omitted": OMITTED}
        made = _json({**facts, **parts})
    return made


def outlet(config: ForwarderConfig, session: botocore.session.Session) -> Outlet | None:
    """The way of the results of a forwarder; None for one that publishes none."""
    asked = config.results
    if asked is None:
        return None
    sink = Sink(session, config.region, _OPERATIONS[asked.service], asked.target)
    return Outlet(Publisher(asked, config.about), sink)


def _whole(content: Content) -> dict[str, object]:
    try:
        encoding, data = "UTF-8", content.body.decode()
    except UnicodeDecodeError:
        encoding, data = "BASE64", base64.b64encode(content.body).decode()
    return {**_described(content), "encoding": encoding, "data": data}


def _described(content: Content) -> dict[str, object]:
    return {"contentType": content.content_type, "bytes": len(content.body)}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
