"""Whether a role's trust policy admits an AWS service at all."""

from collections.abc import Iterable, Mapping
from typing import Any

_ASSUME = frozenset({"*", "sts:*", "sts:assumerole"})


def trusts(policy: Mapping[str, Any], service: str) -> bool:
    """Whether a statement of a trust policy allows ``service``, such as lambda.amazonaws.com, to assume the role.

    Conditions and denials are not evaluated: False is certain, True is not.
    """
    return any(_admits(each, service) for each in _listed(policy.get("Statement", ())))


def _admits(statement: Mapping[str, Any], service: str) -> bool:
    if statement.get("Effect") != "Allow":
        return False
    if "NotPrincipal" in statement or "NotAction" in statement:
        return True
    actions = {str(each).lower() for each in _listed(statement.get("Action", ()))}
    principal = statement.get("Principal", {})
    services = ["*"] if principal == "*" else _listed(principal.get("Service", ()))
    return bool(actions & _ASSUME) and any(each in {"*", service} for each in services)


def _listed(value: Any) -> Iterable[Any]:  # noqa: ANN401 - JSON, where one element needs no list
    return [value] if isinstance(value, str | Mapping) else value
