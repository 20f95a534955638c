"""Records of authorization: the used and the denied permissions."""

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
    """An action that was not allowed on a resource; ``operation`` is the call that required it."""

    operation: str
    action: str
    resource: str


@dataclass(frozen=True, slots=True)
class Permissions:
    """The permissions of one key or role. Denials are in order of time."""

    used: set[Use] = field(default_factory=set)
    denied: list[Denial] = field(default_factory=list)
