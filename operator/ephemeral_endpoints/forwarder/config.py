"""What one forwarder is told: the values that travel as ``config.json`` inside its bundle."""

import json
import re
from dataclasses import asdict, dataclass
from typing import Self

MAX_BODY_BYTES = 6_291_456
"""The largest request that can reach a model: SageMaker Runtime's and Lambda's limits of a payload are the same."""

_NAME = re.compile(r"(?=.{1,63}\Z)[a-zA-Z0-9](-*[a-zA-Z0-9])*")
_SHA256_HEX = re.compile(r"[0-9a-f]{64}")
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d{1,2}")
_FOLDER = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/([A-Za-z0-9!_.*'()-]+/)*")


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the models behind the route.

    Attributes:
        name: what callers call it; where variants share an endpoint, also its ``VariantName`` there.
        endpoint_name: SageMaker endpoint that serves it (CreateEndpoint's ``EndpointName``).
        weight: its share of the requests in relation to the others' weights, 0 or more; with 0 only those callers who
            ask for it by name reach it.

    Raises:
        ValueError: a value is outside of what is said above; the message names the field.
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
    """Where the bodies and the results of queued requests are; each an S3 URL ``s3://bucket/folder/``.

    Attributes:
        input_s3_uri: requests are written below it.
        output_s3_uri: the ``S3OutputPath`` of the endpoint's configuration, with a slash at its end.
        failure_s3_uri: likewise the ``S3FailurePath``; None if it is the same as ``output_s3_uri``.

    Raises:
        ValueError: a value is no such URL; the message names the field.
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
        """Where failures are written."""
        return self.failure_s3_uri or self.output_s3_uri


@dataclass(frozen=True, slots=True)
class ForwarderConfig:
    """Configuration of one forwarder; hashable, so that equal configurations share one bundle.

    Attributes:
        variants: the models behind the route, their names all different, one weight at least above 0. On instances
            they are variants of one endpoint, which splits the requests; on serverless each has an endpoint of its own
            and the forwarder splits.
        token_sha256: lower-case hex SHA-256 of the API token; None lets every caller in. The token itself never
            gets into the bundle, which everybody with ``lambda:GetFunction`` can read.
        max_body_bytes: largest request body after base64 decoding, 1..6291456 bytes.
        region: AWS region of the endpoints and of the buckets.
        asynchronous: the folders of an endpoint for asynchronous inference, which has one variant; None if the
            endpoint answers at once.

    Raises:
        ValueError: a value is outside of what is said above; the message names the field, never the token's hash.
    """

    variants: tuple[Variant, ...]
    token_sha256: str | None
    max_body_bytes: int
    region: str
    asynchronous: AsyncConfig | None = None

    def __post_init__(self) -> None:
        self._check_variants()
        if self.token_sha256 is not None and not _SHA256_HEX.fullmatch(self.token_sha256):
            raise ValueError("token_sha256 must be 64 lower-case hexadecimal digits, or None for no authentication")
        if not 1 <= self.max_body_bytes <= MAX_BODY_BYTES:
            raise ValueError(f"max_body_bytes {self.max_body_bytes} is not within 1..{MAX_BODY_BYTES}")
        if not _REGION.fullmatch(self.region):
            raise ValueError(f"region {self.region!r} is not an AWS region")
        if self.asynchronous and len(self.variants) > 1:
            # InvokeEndpointAsync has no TargetVariant, nor does its answer tell the variant.
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
        """Whether several variants are behind one endpoint, so that SageMaker splits the requests."""
        return len(self.variants) > 1 and self.variants[0].endpoint_name == self.variants[1].endpoint_name

    def to_json(self) -> bytes:
        """The content of ``config.json``: equal configurations give equal bytes."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """The inverse of ``to_json``; raises KeyError, TypeError or ValueError for what that would not have written."""
        document = json.loads(content)
        asynchronous = document["asynchronous"]
        return cls(
            variants=tuple(Variant(**variant) for variant in document["variants"]),
            token_sha256=document["token_sha256"],
            max_body_bytes=document["max_body_bytes"],
            region=document["region"],
            asynchronous=AsyncConfig(**asynchronous) if asynchronous else None,
        )


def is_variant_name(name: str) -> bool:
    """Whether SageMaker takes ``name`` for a production variant (``VariantName`` of CreateEndpointConfig)."""
    return bool(_NAME.fullmatch(name))
