"""The reasons of the conditions of objects and classes about captured requests."""

from typing import Final

from ephemeral_endpoints.engine.reasons import ReasonGroup

CAPTURED: Final = "Captured"
"""The condition of an object that says whether its requests are captured."""

CAPTURE_DELIVERED: Final = "CaptureDelivered"
"""The condition of a class that says whether the records of captured requests arrive."""

REASONS: Final = ReasonGroup(CAPTURED)

CAPTURING: Final = REASONS.normal(
    "Capturing", meaning="Records of requests and answers are sent to where the class says."
)

NO_DESTINATION: Final = REASONS.for_platform(
    "NoCaptureDestination",
    meaning="The object asks for capture, and its class does not say where to. The endpoint serves without.",
    remedy="set `spec.capture` of the class, or remove `spec.capture` of the object",
)

STREAM_CHANGING: Final = REASONS.transient(
    "StreamChanging",
    CAPTURED,
    CAPTURE_DELIVERED,
    meaning="Firehose creates or changes the delivery stream of the class, which takes about a minute. What is "
    "captured meanwhile is lost, and counted.",
)

STREAM_FAILED: Final = REASONS.for_platform(
    "StreamFailed",
    CAPTURED,
    CAPTURE_DELIVERED,
    meaning="The delivery stream of the class does not work. Captured requests are lost, and counted; endpoints serve "
    "without.",
    remedy="correct what the message names: often the delivery role, or the operator's policy `operator-capture`",
)

DELIVERY_FAILING: Final = REASONS.for_platform(
    "DeliveryFailing",
    CAPTURE_DELIVERED,
    meaning="The bucket has not taken records for 15 minutes. Firehose tries for a day, then drops them.",
    remedy="see whether the bucket exists, and whether its policy, its key and the delivery role let Firehose write",
)

RECORDS_LOST: Final = REASONS.for_platform(
    "RecordsLost",
    CAPTURE_DELIVERED,
    meaning="Forwarders could not put records into the stream in time. Callers got their answers.",
    remedy="look for `captureCause` in the log lines of the forwarders: AccessDeniedException asks for the policy "
    "`forwarder-capture`, ServiceUnavailableException for a higher quota of Firehose",
)

DELIVERED: Final = REASONS.normal("RecordsDelivered", CAPTURE_DELIVERED, meaning="No record is known to be lost.")

NOTHING_CAPTURED: Final = REASONS.normal(
    "NothingCaptured",
    CAPTURE_DELIVERED,
    meaning="No object of the class captures requests. The first one that does has the stream made.",
)
