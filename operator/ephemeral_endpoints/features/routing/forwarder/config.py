"""The configuration of one forwarder, which is ``config.json`` in its bundle."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

MAX_BODY_BYTES = 6_291_456
"""The largest possible request to a model: the payload limits of SageMaker Runtime and Lambda are equal."""

REVISION_DIGITS = 12
"""The digits of a revision that callers see."""

MAX_TIMEOUT_SECONDS = 27
"""With connecting and the forwarder's own work, this stays below the 30 s after which API Gateway answers by itself."""

_NAME = re.compile(r"(?=.{1,63}\Z)[a-zA-Z0-9](-*[a-zA-Z0-9])*")
_SHA256_HEX = re.compile(r"[0-9a-f]{64}")
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d{1,2}")
_FOLDER = re.compile(r"s3://[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]/([A-Za-z0-9!_.*'()=+,:@-]+/)*")


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the models behind the route.

    Attributes:
        name: the name for callers; if variants share an endpoint, also its ``VariantName`` there.
        endpoint_name: the SageMaker endpoint that serves it (CreateEndpoint's ``EndpointName``).
        weight: its share of the requests relative to the other weights, 0 or more; with 0 only requests that name
            the variant reach it.

    Raises:
        ValueError: a value violates the above; the message names the field.
    """

    name: str
    endpoint_name: str
    weight: int

    def __post_init__(self) -> None:
        if not is_variant_name(self.name):
            raise ValueError(f"name {self.name!r} is not the name of a production variant")
        if not _NAME.fullmatch(self.endpoint_name):
            raise ValueError(f"endpoint_name {self.endpoint_name!r} is not a SageMaker endpoint name")
        if self.weight < 0:
            raise ValueError(f"weight {self.weight} of {self.name} is below 0")


@dataclass(frozen=True, slots=True)
class AsyncConfig:
    """The folders of queued requests and results; each is an S3 URL ``s3://bucket/folder/``.

    Attributes:
        input_s3_uri: the folder of requests.
        output_s3_uri: the ``S3OutputPath`` of the endpoint's configuration, with a slash at its end.
        failure_s3_uri: likewise the ``S3FailurePath``; None if it equals ``output_s3_uri``.

    Raises:
        ValueError: a value is not such a URL; the message names the field.
    """

    input_s3_uri: str
    output_s3_uri: str
    failure_s3_uri: str | None = None

    def __post_init__(self) -> None:
        for name, uri in asdict(self).items():
            if uri is not None and not _FOLDER.fullmatch(uri):
                raise ValueError(f"{name} {uri!r} is not an S3 URL of the form s3://bucket/folder/")

    @property
    def failures(self) -> str:
        """The folder of failures."""
        return self.failure_s3_uri or self.output_s3_uri


@dataclass(frozen=True, slots=True)
class Sample:
    """A request that the model answers.

    Attributes:
        name: its name in the object, for messages.
        request: its body.
        content_type: the media type of the body.
        description: what it shows, in one line.
    """

    name: str
    request: str
    content_type: str
    description: str | None = None


@dataclass(frozen=True, slots=True)
class About:
    """What those who may call the model are told of the object."""

    namespace: str
    name: str
    revision: str
    repository: str
    pull_request: int | None = None
    pull_request_url: str | None = None


@dataclass(frozen=True, slots=True)
class Base:
    """Another object, whose models answer the same requests for comparison.

    Attributes:
        name: the object's name.
        function: the name of its forwarder, which says what commit it serves: a push to the base changes nothing here.
        variants: its models, as of ``ForwarderConfig``.

    Raises:
        ValueError: ``variants`` violates what holds for those of ``ForwarderConfig``.
    """

    name: str
    function: str
    variants: tuple[Variant, ...]

    def __post_init__(self) -> None:
        _check_variants(self.variants)

    @property
    def seed(self) -> str:
        """See ``variants.Split``."""
        return self.function


@dataclass(frozen=True, slots=True)
class Postprocess:
    """A second model, which gets the answers.

    Attributes:
        name: the name of its object, or of its SageMaker endpoint.
        variants: the models of the object, as of ``ForwarderConfig``; none for a SageMaker endpoint.
        function: the name of the object's forwarder, as of ``Base``; None for a SageMaker endpoint.
        refusal: why it is not invoked, for callers; None if it is.
        input: where an answer has what it gets, as JSON pointer; None for the answer itself.
        member: the member of its request that holds the input; None if the input alone is the request.
        timeout_seconds: how long it may take.

    Raises:
        ValueError: ``variants`` violates what holds for those of ``ForwarderConfig``.
    """

    name: str
    variants: tuple[Variant, ...] = ()
    function: str | None = None
    refusal: str | None = None
    input: str | None = None
    member: str | None = None
    timeout_seconds: int = 8

    def __post_init__(self) -> None:
        if self.variants:
            _check_variants(self.variants)

    @property
    def seed(self) -> str:
        """See ``variants.Split``; its requests have no header that decides on the variant."""
        return self.name


@dataclass(frozen=True, slots=True)
class Cors:
    """Which pages of other origins may call, see ``cors``; credentials of browsers are never allowed.

    Attributes:
        allow_origins: origins such as ``https://example.com``; ``*`` is any.
        allow_headers: request headers beside those that the forwarder reads, in lower case.
        max_age: seconds for which browsers may remember it.
    """

    allow_origins: tuple[str, ...]
    allow_headers: tuple[str, ...] = ()
    max_age: int = 600


@dataclass(frozen=True, slots=True)
class Former:
    """The token before the last rotation.

    Attributes:
        sha256: lower-case hex SHA-256 of the token.
        until: seconds since the epoch until which it is accepted.

    Raises:
        ValueError: ``sha256`` is no such digest.
    """

    sha256: str
    until: int

    def __post_init__(self) -> None:
        if not _SHA256_HEX.fullmatch(self.sha256):
            raise ValueError("the hash of the former token must be 64 lower-case hexadecimal digits")


@dataclass(frozen=True, slots=True)
class GatewayAuth:
    """What API Gateway verifies of callers, see ``callers``.

    Attributes:
        type: ``JWT`` or ``IAM``.
        claims: what a JWT must claim, as names with patterns in which ``*`` is any characters and ``?`` one; all must
            match, and for ``JWT`` there is at least one.

    Raises:
        ValueError: a value violates the above.
    """

    type: str
    claims: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if (self.type, bool(self.claims)) not in {("JWT", True), ("IAM", False)}:
            raise ValueError("gateway_auth must be JWT with claims, or IAM without")


@dataclass(frozen=True, slots=True)
class FeedbackConfig:
    """Where votes on answers are stored.

    Attributes:
        table: the DynamoDB table.
        key: what the ids of answers are signed with.
        reasons: whether the reasons of votes are stored.
    """

    table: str
    key: str
    reasons: bool


@dataclass(frozen=True, slots=True)
class CaptureConfig:
    """How requests and answers are captured.

    Attributes:
        stream: the stream that takes the records.
        is_kinesis: whether it is one of Kinesis Data Streams, and not a delivery stream of Firehose.
        sampling_percent: the share of the requests.
        max_bytes: how much of a request, and of an answer, is recorded.
        redact: JSON pointers to what is not recorded.
        uid: the object's UID.
    """

    stream: str
    is_kinesis: bool
    sampling_percent: int
    max_bytes: int
    redact: tuple[str, ...]
    uid: str


@dataclass(frozen=True, slots=True)
class ResultsConfig:
    """How what the model answers is published.

    Attributes:
        service: sns, firehose or kinesis.
        target: the topic's ARN, or the stream's name.
        include_request: whether messages have the request too.
    """

    service: str
    target: str
    include_request: bool


@dataclass(frozen=True, slots=True)
class NoticesConfig:
    """How the operator is told of what only the forwarder sees, see ``notices``.

    Attributes:
        account: the AWS account of the queue, in the forwarder's region.
        queue: the name of the SQS queue.
        uid: the object's UID.
    """

    account: str
    queue: str
    uid: str


@dataclass(frozen=True, slots=True)
class AnswerPointers:
    """Where an answer has what people look at: JSON pointers (RFC 6901), None for what it has not.

    Attributes:
        text: a text to read.
        label: the label that was chosen.
        score: its score, or the scores of all labels.
        image: an image as base64 or a data URL.
    """

    text: str | None = None
    label: str | None = None
    score: str | None = None
    image: str | None = None


@dataclass(frozen=True, slots=True)
class Playground:
    """The page for people at the endpoint's URL.

    Attributes:
        title: its title; None for the object's name.
        answer: how it shows answers.
    """

    title: str | None = None
    answer: AnswerPointers = AnswerPointers()


@dataclass(frozen=True, slots=True)
class ForwarderConfig:
    """Configuration of one forwarder; hashable, so that equal configurations share one bundle.

    Attributes:
        variants: the models behind the route, with distinct names and at least one weight above 0. On instances they
            are variants of one endpoint, which splits the requests; on serverless each has an endpoint of its own and
            the forwarder splits.
        token_sha256: lower-case hex SHA-256 of the API token; None admits every caller. The token itself is never
            part of the bundle, which everybody with ``lambda:GetFunction`` can read.
        max_body_bytes: largest request body after base64 decoding, 1..6291456 bytes.
        region: AWS region of the endpoints and of the buckets.
        about: what callers are told of the object.
        path: the path of the object's URL, as in its route keys.
        asynchronous: the folders of an endpoint for asynchronous inference, which has one variant; None for a
            synchronous endpoint.
        samples: requests that the model answers.
        readiness: the name of the sample that makes the route ready; None proves the way without a request to a model.
        timeout_seconds: how long the forwarder may take to have a request answered, 1..27 s.
        content_types: the media types that requests may have, in lower case; empty for any.
        sticky_header: the header, in lower case, whose value decides on the variant; None draws one each time.
        cors: which pages of other origins may call; None for none.
        streams: whether the endpoint streams answers on a path of SageMaker's own.
        request_schema: the JSON Schema of requests, as text; None for none.
        response_schema: likewise of answers.
        playground: the page for people; None without one.
        feedback: where votes on answers are stored; None if none are taken.
        former_token: the token before the last rotation, which is accepted for a time; None without one.
        base: the object that this one is compared with; None without one.
        postprocess: the second model, which gets the answers; None without one.
        capture: how requests and answers are captured; None if they are not.
        results: how what the model answers is published; None if it is not.
        gateway_auth: what API Gateway verifies of callers, who need no token then; None if it verifies nothing.
        domain: the custom domain with the path of it that leads to the route; None without such a path.
        sleeps: whether the endpoint may be asleep, and not exist.
        wakes: whether a request wakes it then.

    Raises:
        ValueError: a value violates the above; the message names the field, never the token's hash.
    """

    variants: tuple[Variant, ...]
    token_sha256: str | None
    max_body_bytes: int
    region: str
    about: About
    path: str
    asynchronous: AsyncConfig | None = None
    samples: tuple[Sample, ...] = ()
    readiness: str | None = None
    timeout_seconds: int = 25
    content_types: tuple[str, ...] = ()
    sticky_header: str | None = None
    cors: Cors | None = None
    streams: bool = False
    request_schema: str | None = None
    response_schema: str | None = None
    playground: Playground | None = None
    feedback: FeedbackConfig | None = None
    former_token: Former | None = None
    base: Base | None = None
    postprocess: Postprocess | None = None
    capture: CaptureConfig | None = None
    results: ResultsConfig | None = None
    gateway_auth: GatewayAuth | None = None
    domain: str | None = None
    notices: NoticesConfig | None = None
    sleeps: bool = False
    wakes: bool = False

    def __post_init__(self) -> None:
        _check_variants(self.variants)
        if self.token_sha256 is not None and not _SHA256_HEX.fullmatch(self.token_sha256):
            raise ValueError("token_sha256 must be 64 lower-case hexadecimal digits, or None for no authentication")
        if self.gateway_auth and self.token_sha256 is None:
            raise ValueError("token_sha256 must be set with gateway_auth, for those whom API Gateway does not know")
        if not 1 <= self.max_body_bytes <= MAX_BODY_BYTES:
            raise ValueError(f"max_body_bytes {self.max_body_bytes} is not within 1..{MAX_BODY_BYTES}")
        if not _REGION.fullmatch(self.region):
            raise ValueError(f"region {self.region!r} is not an AWS region")
        if not 1 <= self.timeout_seconds <= MAX_TIMEOUT_SECONDS:
            raise ValueError(f"timeout_seconds {self.timeout_seconds} is not within 1..{MAX_TIMEOUT_SECONDS}")
        if self.readiness is not None and self.sample is None:
            raise ValueError(f"readiness {self.readiness!r} is not the name of one of samples")
        if self.asynchronous and len(self.variants) > 1:
            # InvokeEndpointAsync has no TargetVariant, and its response does not name the variant.
            raise ValueError("asynchronous allows one of variants only")

    @property
    def sample(self) -> Sample | None:
        """The sample that makes the route ready."""
        return next((each for each in self.samples if each.name == self.readiness), None)

    @property
    def seed(self) -> str:
        """See ``variants.Split``."""
        return self.about.revision

    def accepted_tokens(self, now: float) -> tuple[str, ...]:
        """The hashes of the tokens that are accepted at ``now``, in seconds since the epoch; none admits everybody."""
        if self.token_sha256 is None:
            return ()
        former = self.former_token
        return (self.token_sha256, former.sha256) if former and now < former.until else (self.token_sha256,)

    def to_json(self) -> bytes:
        """The content of ``config.json``; equal configurations yield equal bytes."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """The inverse of ``to_json``; raises KeyError, TypeError or ValueError for other input."""
        document = json.loads(content)
        parts = {name: read(document[name]) if document[name] else None for name, read in _PARTS.items()}
        members = {
            **document,
            **parts,
            "variants": _variants(document),
            "about": About(**document["about"]),
            "samples": tuple(Sample(**each) for each in document["samples"]),
            "content_types": tuple(document["content_types"]),
        }
        return cls(**members)


_PARTS: Final[Mapping[str, Callable[[Mapping[str, Any]], object]]] = {
    "asynchronous": lambda members: AsyncConfig(**members),
    "base": lambda members: Base(**{**members, "variants": _variants(members)}),
    "capture": lambda members: CaptureConfig(**{**members, "redact": tuple(members["redact"])}),
    "cors": lambda members: Cors(tuple(members["allow_origins"]), tuple(members["allow_headers"]), members["max_age"]),
    "feedback": lambda members: FeedbackConfig(**members),
    "former_token": lambda members: Former(**members),
    "gateway_auth": lambda members: GatewayAuth(
        members["type"], tuple((name, pattern) for name, pattern in members["claims"])
    ),
    "notices": lambda members: NoticesConfig(**members),
    "playground": lambda members: Playground(members["title"], AnswerPointers(**members["answer"])),
    "postprocess": lambda members: Postprocess(**{**members, "variants": _variants(members)}),
    "results": lambda members: ResultsConfig(**members),
}
"""Makes the members that may be absent, from what ``dataclasses.asdict`` made of them."""


def _variants(document: Mapping[str, Any]) -> tuple[Variant, ...]:
    return tuple(Variant(**each) for each in document["variants"])


def _check_variants(variants: tuple[Variant, ...]) -> None:
    if len({variant.name for variant in variants}) < len(variants):
        raise ValueError("variants have a name twice")
    if not any(variant.weight for variant in variants):
        raise ValueError("variants must have one at least whose weight is above 0")
    if len({variant.endpoint_name for variant in variants}) not in {1, len(variants)}:
        raise ValueError("variants must share one endpoint, or have an endpoint each")


def is_variant_name(name: str) -> bool:
    """Whether SageMaker accepts ``name`` for a production variant (``VariantName`` of CreateEndpointConfig)."""
    return bool(_NAME.fullmatch(name))
