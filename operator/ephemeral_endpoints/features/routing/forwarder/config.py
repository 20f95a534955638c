"""The configuration of one forwarder, which is ``config.json`` in its bundle."""

import json
import re
from dataclasses import asdict, dataclass
from typing import Self

MAX_BODY_BYTES = 6_291_456
"""The largest possible request to a model: the payload limits of SageMaker Runtime and Lambda are equal."""

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
    """The request that every model has to answer for the route to be ready.

    Attributes:
        name: its name in the object, for messages.
        request: its body.
        content_type: the media type of the body.
    """

    name: str
    request: str
    content_type: str


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
        asynchronous: the folders of an endpoint for asynchronous inference, which has one variant; None for a
            synchronous endpoint.
        sample: the request that makes the route ready; None proves the way without a request to a model.

    Raises:
        ValueError: a value violates the above; the message names the field, never the token's hash.
    """

    variants: tuple[Variant, ...]
    token_sha256: str | None
    max_body_bytes: int
    region: str
    asynchronous: AsyncConfig | None = None
    sample: Sample | None = None

    def __post_init__(self) -> None:
        self._check_variants()
        if self.token_sha256 is not None and not _SHA256_HEX.fullmatch(self.token_sha256):
            raise ValueError("token_sha256 must be 64 lower-case hexadecimal digits, or None for no authentication")
        if not 1 <= self.max_body_bytes <= MAX_BODY_BYTES:
            raise ValueError(f"max_body_bytes {self.max_body_bytes} is not within 1..{MAX_BODY_BYTES}")
        if not _REGION.fullmatch(self.region):
            raise ValueError(f"region {self.region!r} is not an AWS region")
        if self.asynchronous and len(self.variants) > 1:
            # InvokeEndpointAsync has no TargetVariant, and its response does not name the variant.
            raise ValueError("asynchronous allows one of variants only")

    def _check_variants(self) -> None:
        if len({variant.name for variant in self.variants}) < len(self.variants):
            raise ValueError("variants have a name twice")
        if not any(variant.weight for variant in self.variants):
            raise ValueError("variants must have one at least whose weight is above 0")
        if len({variant.endpoint_name for variant in self.variants}) not in {1, len(self.variants)}:
            raise ValueError("variants must share one endpoint, or have an endpoint each")

    @property
    def shares_endpoint(self) -> bool:
        """Whether one endpoint has several variants, so that SageMaker splits the requests."""
        return len(self.variants) > 1 and self.variants[0].endpoint_name == self.variants[1].endpoint_name

    def to_json(self) -> bytes:
        """The content of ``config.json``; equal configurations yield equal bytes."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """The inverse of ``to_json``; raises KeyError, TypeError or ValueError for other input."""
        document = json.loads(content)
        asynchronous, sample = document["asynchronous"], document["sample"]
        return cls(
            variants=tuple(Variant(**variant) for variant in document["variants"]),
            token_sha256=document["token_sha256"],
            max_body_bytes=document["max_body_bytes"],
            region=document["region"],
            asynchronous=AsyncConfig(**asynchronous) if asynchronous else None,
            sample=Sample(**sample) if sample else None,
        )


def is_variant_name(name: str) -> bool:
    """Whether SageMaker accepts ``name`` for a production variant (``VariantName`` of CreateEndpointConfig)."""
    return bool(_NAME.fullmatch(name))
