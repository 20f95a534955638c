"""By what it is seen that a publication has not changed. Pure."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Final, Self

from ephemeral_endpoints.features.reviews.forge import Publication, StagePublication

_PARTS: Final = 3
_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Digest:
    """Of the parts of a publication, so that a part is written only where it has changed; None where it is left."""

    deployment: str | None = None
    status: str | None = None
    comment: str | None = None

    @classmethod
    def of(cls, wanted: Publication) -> Self:
        """The digest of what is wanted."""
        about = (asdict(wanted.owner), asdict(wanted.pull_request), wanted.revision)
        parts = (
            wanted.deployment and (asdict(wanted.deployment), wanted.supersedes),
            wanted.status and asdict(wanted.status),
            wanted.comment and asdict(wanted.comment),
        )
        return cls(*(_sha256(about, part) if part else None for part in parts))

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """The digest as a status has it; empty where it has none that can be read."""
        parts = (text or "").split(".")
        return cls(*(part or None for part in parts)) if len(parts) == _PARTS else cls()

    def __str__(self) -> str:
        return ".".join(part or "" for part in (self.deployment, self.status, self.comment))


def of_stage(wanted: StagePublication) -> str:
    """The digest of a deployment of a stage."""
    return _sha256(asdict(wanted))


def _sha256(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:_DIGITS]
