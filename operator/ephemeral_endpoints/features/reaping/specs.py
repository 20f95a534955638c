"""The specs of rules of EventBridge."""

from dataclasses import dataclass, field
from typing import Final

from ephemeral_endpoints.engine.resources import ResourceKind, Spec
from ephemeral_endpoints.engine.tags import Tags

EVENT_RULE: Final = ResourceKind("EventRule", None)


@dataclass(frozen=True, slots=True)
class EventRuleSpec(Spec):
    """A rule that runs a function on a ``schedule``; an observed one that is disabled has none.

    ``function`` is the name of what it runs, and nothing else; ``is_permitted`` whether the function lets it.
    """

    schedule: str
    function: str
    is_permitted: bool = True
    tags: Tags = field(compare=False, default=())
