"""The conditions of Condition steps: their form, and whether they hold; pure.

Source: "Condition step" in the SageMaker developer guide, and the definitions that the SDK writes.
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from eep_platform.sagemaker.pipelines.errors import UnresolvableError, unparsable
from eep_platform.sagemaker.pipelines.expressions import Scalar, Values, is_expression, resolved

_EQUALS: Final = "Equals"
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys((_EQUALS, *_COMPARISONS), frozenset({"Type", "LeftValue", "RightValue"})),
    "In": frozenset({"Type", "QueryValue", "Values"}),
    "Not": frozenset({"Type", "Expression"}),
    "Or": frozenset({"Type", "Conditions"}),
}


def refuse_conditions(conditions: object) -> None:
    """Raise the service's error if these are not conditions."""
    if not isinstance(conditions, list):
        raise unparsable("Expecting start of Json Array.")
    if not conditions:
        raise unparsable("A Condition step needs at least one condition.")
    for condition in conditions:
        _refuse(condition)


def _refuse(condition: object) -> None:
    if not isinstance(condition, Mapping):
        raise unparsable("Expecting start of Json Object.")
    members = _MEMBERS.get(str(condition.get("Type")))
    if members is None:
        raise unparsable(f"Unknown condition type '{condition.get('Type')}'.")
    if set(condition) != members:
        raise unparsable(f"A condition of type {condition['Type']} has {', '.join(sorted(members))}.")
    if condition["Type"] == "Not":
        _refuse(condition["Expression"])
    elif condition["Type"] == "Or":
        refuse_conditions(condition["Conditions"])
    elif condition["Type"] == "In" and not isinstance(condition["Values"], list):
        raise unparsable("Expecting start of Json Array.")
    else:
        for value in _operands(condition):
            if not is_expression(value) and not isinstance(value, Scalar):
                raise unparsable("The values of a condition must be expressions, strings, numbers or booleans.")


def _operands(condition: Mapping[str, Any]) -> list[Any]:
    if condition["Type"] == "In":
        return [condition["QueryValue"], *condition["Values"]]
    return [condition["LeftValue"], condition["RightValue"]]


def hold(conditions: Sequence[Mapping[str, Any]], values: Values) -> bool:
    """Whether all conditions hold; raises `UnresolvableError` for values that cannot be compared."""
    return all(_holds(condition, values) for condition in conditions)


def _holds(condition: Mapping[str, Any], values: Values) -> bool:
    kind = condition["Type"]
    if kind == "Not":
        return not _holds(condition["Expression"], values)
    if kind == "Or":
        return any(_holds(each, values) for each in condition["Conditions"])
    left, *right = (_comparable(resolved(value, values)) for value in _operands(condition))
    if kind == "In":
        return any(_equal(left, each) for each in right)
    if kind == _EQUALS:
        return _equal(left, right[0])
    if _is_number(left) is not _is_number(right[0]) or isinstance(left, bool) or isinstance(right[0], bool):
        raise UnresolvableError(f"{kind} cannot compare {left!r} and {right[0]!r}.")
    return _COMPARISONS[kind](left, right[0])


def _comparable(value: Scalar) -> Scalar:
    if isinstance(value, float) and not math.isfinite(value):
        raise UnresolvableError(f"{value} is not a number that can be compared.")
    return value


def _equal(left: Scalar, right: Scalar) -> bool:
    return _is_number(left) is _is_number(right) and left == right


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
