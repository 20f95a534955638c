"""What one forwarder is told: the values that travel as ``config.json`` inside its bundle."""

import json
import re
from dataclasses import dataclass
from typing import Self

SERVERLESS_PAYLOAD_BYTES = 4_194_304
"""The largest request that a serverless endpoint accepts (SageMaker AI quotas, serverless inference)."""

_ENDPOINT_NAME = re.compile(r"(?=.{1,63}\Z)[a-zA-Z0-9](-*[a-zA-Z0-9])*")
_SHA256_HEX = re.compile(r"[0-9a-f]{64}")
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d{1,2}")


@dataclass(frozen=True, slots=True)
class ForwarderConfig:
    """Configuration of one forwarder; hashable, so that equal configurations share one bundle.

    Attributes:
        endpoint_name: SageMaker endpoint that is invoked (CreateEndpoint's ``EndpointName``).
        token_sha256: lower-case hex SHA-256 of the API token; None lets every caller in. The token itself never
            gets into the bundle, which everybody with ``lambda:GetFunction`` can read.
        max_body_bytes: largest request body after base64 decoding, 1..4194304 bytes.
        region: AWS region of the endpoint.

    Raises:
        ValueError: a value is outside of what is said above; the message names the field, never the token's hash.
    """

    endpoint_name: str
    token_sha256: str | None
    max_body_bytes: int
    region: str

    def __post_init__(self) -> None:
        if not _ENDPOINT_NAME.fullmatch(self.endpoint_name):
            raise ValueError(f"endpoint_name {self.endpoint_name!r} is not a SageMaker endpoint name")
        if self.token_sha256 is not None and not _SHA256_HEX.fullmatch(self.token_sha256):
            raise ValueError("token_sha256 must be 64 lower-case hexadecimal digits, or None for no authentication")
        if not 1 <= self.max_body_bytes <= SERVERLESS_PAYLOAD_BYTES:
            raise ValueError(f"max_body_bytes {self.max_body_bytes} is not within 1..{SERVERLESS_PAYLOAD_BYTES}")
        if not _REGION.fullmatch(self.region):
            raise ValueError(f"region {self.region!r} is not an AWS region")

    def to_json(self) -> bytes:
        """The content of ``config.json``: equal configurations give equal bytes."""
        document = {
            "endpointName": self.endpoint_name,
            "tokenSha256": self.token_sha256,
            "maxBodyBytes": self.max_body_bytes,
            "region": self.region,
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """The inverse of ``to_json``; raises KeyError or ValueError for what ``to_json`` would not have written."""
        document = json.loads(content)
        return cls(
            endpoint_name=document["endpointName"],
            token_sha256=document["tokenSha256"],
            max_body_bytes=document["maxBodyBytes"],
            region=document["region"],
        )
