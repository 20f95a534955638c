"""What came of authorisation: the record that tells which permissions were used, and what was denied."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """An action that a statement allowed on a resource."""

    action: str
    resource: str
    sid: str
    needed: bool = True
    """Whether no other statement would have allowed it."""


@dataclass(frozen=True, slots=True, order=True)
class Denial:
    """An action that was not allowed on a resource; ``operation`` is the call that asked for it."""

    operation: str
    action: str
    resource: str


@dataclass(frozen=True, slots=True)
class Permissions:
    """What was made of the policies of one key or role. Denials are in the order of their time."""

    used: set[Use] = field(default_factory=set)
    denied: list[Denial] = field(default_factory=list)
