"""One statement of a policy: actions, resources, conditions and the purpose."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

VERSION: Final = "2012-10-17"
_PLACEHOLDER: Final = re.compile(r"\$\{(\w+)\}")

Conditions = Mapping[str, Mapping[str, str | tuple[str, ...]]]
"""Values by operator and condition key."""


class Effect(StrEnum):
    """The effect of a statement."""

    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True, slots=True)
class Statement:
    """Actions on resources under conditions; ``${Name}`` is a parameter.

    ``why`` explains the purpose to a reviewer, and why the statement cannot be restricted further.
    """

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    why: str
    conditions: Conditions = field(default_factory=dict)
    effect: Effect = Effect.ALLOW

    def rendered(self, values: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The statement as JSON with values for placeholders; None keeps them. Raises KeyError."""
        found: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": str(self.effect),
            "Action": _short(sorted(self.actions)),
            "Resource": _short(self.resources),
        }
        if self.conditions:
            found["Condition"] = {
                operator: {key: value if isinstance(value, str) else list(value) for key, value in keys.items()}
                for operator, keys in self.conditions.items()
            }
        return found if values is None else filled(found, values)


def actions(service: str, *operations: str) -> frozenset[str]:
    """Actions of a service."""
    return frozenset(f"{service}:{each}" for each in operations)


def granted(statements: Iterable[Statement]) -> frozenset[str]:
    """All actions that statements name."""
    return frozenset(action for each in statements for action in each.actions)


def document(statements: Iterable[Statement], values: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A policy document, see ``Statement.rendered``."""
    return {"Version": VERSION, "Statement": [each.rendered(values) for each in statements]}


def filled(value: Any, values: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
    """JSON with every ``${Name}`` replaced, in keys too. Raises KeyError for a name without a value."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda match: values[match[1]], value)
    if isinstance(value, dict):
        return {filled(key, values): filled(each, values) for key, each in value.items()}
    return [filled(each, values) for each in value] if isinstance(value, list) else value


def placeholders(value: Any) -> frozenset[str]:  # noqa: ANN401 - JSON
    """The names of all ``${Name}`` in JSON."""
    if isinstance(value, str):
        return frozenset(_PLACEHOLDER.findall(value))
    each = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return frozenset().union(*map(placeholders, each))


def _short(values: Iterable[str]) -> str | list[str]:
    listed = list(values)
    return listed[0] if len(listed) == 1 else listed
