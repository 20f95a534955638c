"""The spec of a table of votes."""

from dataclasses import dataclass, field
from typing import Final

from ephemeral_endpoints.engine.resources import ResourceKind, Spec
from ephemeral_endpoints.engine.tags import Tags

FEEDBACK_TABLE: Final = ResourceKind("FeedbackTable", None, changes_by_itself=True)


@dataclass(frozen=True, slots=True)
class FeedbackTableSpec(Spec):
    """A table of votes. All have the same keys and are paid by request."""

    tags: Tags = field(compare=False, default=())
