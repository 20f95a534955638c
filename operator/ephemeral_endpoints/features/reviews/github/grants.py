"""What a request is authorized with, and the request that asks for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ephemeral_endpoints.features.reviews.github.answers import Answer, Json


@dataclass(frozen=True, slots=True)
class Grant:
    """The authorization of a request. ``account`` is whom GitHub counts it for: the owner of an installation."""

    authorization: str = field(repr=False)
    account: str


class Send(Protocol):
    """Sends a request, and raises a ForgeError where it does not succeed."""

    async def __call__(self, method: str, path: str, grant: Grant, body: Mapping[str, Json] | None) -> Answer:
        """Wait for the answer."""
        ...
