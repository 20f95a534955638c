"""What is known of a group of model packages besides its name and tags."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class ModelPackageGroup:
    """A group. `latest` is the number of its newest version ever, for numbers are not given again after a deletion."""

    description: str | None = None
    policy: str | None = None
    latest: int = 0
    last_deletion: datetime | None = None
    """When a version of it was deleted last."""
    registered: dict[str, str] = field(default_factory=dict)
    """The ARNs of versions by the client tokens that registered them."""
