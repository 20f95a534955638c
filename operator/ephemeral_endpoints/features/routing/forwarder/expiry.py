"""When the object ends, by a tag of the function: an extension of its life changes the tag, and not the function."""

from __future__ import annotations

from dataclasses import dataclass

from ephemeral_endpoints.features.routing.forwarder.kept import Kept

TAG = "ephemeral-endpoints.io/expires-at"
"""A time as in RFC 3339, in UTC."""


@dataclass(slots=True)
class Expiry(Kept):
    """Reads the tag of the function with that ARN."""

    def read(self, function: str) -> str | None:
        """See ``Kept``."""
        found: str | None = self.client().list_tags(Resource=function)["Tags"].get(TAG)
        return found
