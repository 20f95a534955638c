"""The source of records: captures each request that is sampled, with its answer."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar

from ephemeral_endpoints.features.routing.forwarder import messages
from ephemeral_endpoints.features.routing.forwarder.outlet import Outlet, Terms
from ephemeral_endpoints.features.routing.forwarder.parameters import INFERENCE_ID
from ephemeral_endpoints.features.routing.forwarder.records import Bounds, Content, is_sampled, record
from ephemeral_endpoints.features.routing.forwarder.sink import FIREHOSE, KINESIS, Message, Sink

if TYPE_CHECKING:
    from collections.abc import Mapping

    import botocore.session

    from ephemeral_endpoints.features.routing.forwarder.config import CaptureConfig, ForwarderConfig
    from ephemeral_endpoints.features.routing.forwarder.exchange import Exchange
    from ephemeral_endpoints.features.routing.forwarder.invocation import Request
    from ephemeral_endpoints.features.routing.forwarder.messages import Answer
    from ephemeral_endpoints.features.routing.forwarder.variants import Target

ID_HEADER = "eep-inference-id"
"""Names the inference in the captured records."""

LOST = "CaptureLost"
STREAM = "Stream"
"""The metric of records that were lost, with its dimension."""


class Recorder:
    """Makes the records of what one forwarder answers."""

    terms: ClassVar[Terms] = Terms("capture", "Captured", LOST, STREAM)

    def __init__(self, config: CaptureConfig, owner: Mapping[str, object]) -> None:
        self._config = config
        self._owner = owner

    def selects(self, exchange: Exchange) -> bool:
        """Whether the request is sampled."""
        return is_sampled(messages.request_id(exchange.event), self._config.sampling_percent)

    def selects_answer(self, answer: Answer) -> bool:
        """Whether the model has done what it was asked."""
        return answer.status == HTTPStatus.OK

    def message(self, exchange: Exchange, target: Target, request: Request, answer: Answer) -> Message:
        """The record; Kinesis chooses the shard by the id of the request."""
        event_id, sent = messages.request_id(exchange.event), request.parameters
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = record(
            Content(str(sent.get("ContentType", "")), request.body),
            Content(answer.content_type, answer.body),
            Bounds(self._config.max_bytes, self._config.redact),
            {"eventId": event_id, "inferenceId": str(sent[INFERENCE_ID]), "inferenceTime": at},
            {**self._owner, "variant": answer.variant or "", "endpointName": target.endpoint_name},
        )
        return Message(line, event_id)


def outlet(config: ForwarderConfig, session: botocore.session.Session) -> Outlet | None:
    """The way of the records of a forwarder; None for one that captures nothing."""
    asked, about = config.capture, config.about
    if asked is None:
        return None
    owner = {"namespace": about.namespace, "name": about.name, "uid": asked.uid}
    owner |= {"repository": about.repository, "revision": about.revision}
    service = KINESIS if asked.is_kinesis else FIREHOSE
    return Outlet(Recorder(asked, owner), Sink(session, config.region, service, asked.stream))
