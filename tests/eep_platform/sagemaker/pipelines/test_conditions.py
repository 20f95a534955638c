from typing import Any

import pytest

from eep_platform.emulation.errors import ServiceError
from eep_platform.sagemaker.pipelines.conditions import hold, refuse_conditions
from eep_platform.sagemaker.pipelines.errors import UnresolvableError
from eep_platform.sagemaker.pipelines.expressions import Values

VALUES = Values(parameters={"Accuracy": 0.8, "Name": "wine", "Fast": True, "Infinite": float("inf")})
ACCURACY, NAME = {"Get": "Parameters.Accuracy"}, {"Get": "Parameters.Name"}


def compare(kind: str, left: object, right: object) -> dict[str, Any]:
    return {"Type": kind, "LeftValue": left, "RightValue": right}


def among(value: object, *values: object) -> dict[str, Any]:
    return {"Type": "In", "QueryValue": value, "Values": list(values)}


YES, NO = compare("Equals", 1, 1), compare("Equals", 1, 2)


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        pytest.param([compare("GreaterThanOrEqualTo", ACCURACY, 0.8)], True, id="as much"),
        pytest.param([compare("GreaterThan", ACCURACY, 0.8)], False, id="not more"),
        pytest.param([compare("LessThan", ACCURACY, 1)], True, id="an integer and a fraction"),
        pytest.param([compare("LessThanOrEqualTo", ACCURACY, 0.7)], False, id="more"),
        pytest.param([compare("LessThan", "a", "b")], True, id="texts"),
        pytest.param([compare("Equals", NAME, "wine")], True, id="equal texts"),
        pytest.param([compare("Equals", 1, 1.0)], True, id="equal numbers"),
        pytest.param([compare("Equals", 1, {"Get": "Parameters.Fast"})], False, id="a number is no boolean"),
        pytest.param([compare("Equals", "1", 1)], False, id="a text is no number"),
        pytest.param([among(NAME, "beer", "wine")], True, id="one of them"),
        pytest.param([among(NAME, "beer")], False, id="none of them"),
        pytest.param([{"Type": "Not", "Expression": NO}], True, id="not"),
        pytest.param([{"Type": "Or", "Conditions": [NO, YES]}], True, id="one is enough"),
        pytest.param([{"Type": "Or", "Conditions": [NO, NO]}], False, id="none"),
        pytest.param([YES, NO], False, id="all of several"),
    ],
)
def test_whether_conditions_hold(conditions: list[dict[str, Any]], *, holds: bool) -> None:
    refuse_conditions(conditions)
    assert hold(conditions, VALUES) is holds


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        pytest.param(compare("GreaterThan", "0.9", 0.8), "cannot compare '0.9' and 0.8", id="a text is no number"),
        pytest.param(
            compare("LessThan", 1, {"Get": "Parameters.Fast"}), "cannot compare 1 and True", id="a boolean has no order"
        ),
        pytest.param(compare("LessThan", {"Get": "Parameters.Infinite"}, 1), "not a number that can", id="no number"),
    ],
)
def test_what_cannot_be_compared(condition: dict[str, Any], message: str) -> None:
    with pytest.raises(UnresolvableError, match=message):
        hold([condition], VALUES)


@pytest.mark.parametrize(
    "condition",
    [
        pytest.param("yes", id="no object"),
        pytest.param({"Type": "Not", "Expression": []}, id="not of nothing"),
        pytest.param({"Type": "Or", "Conditions": []}, id="or of nothing"),
        pytest.param({"Type": "In", "QueryValue": 1, "Values": 1}, id="in a number"),
        pytest.param(compare("Equals", [], 1), id="a list"),
        pytest.param({**YES, "Extra": 1}, id="an unknown member"),
    ],
)
def test_what_is_no_condition(condition: object) -> None:
    with pytest.raises(ServiceError, match="Unable to parse pipeline definition"):
        refuse_conditions([condition])
