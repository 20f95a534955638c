from typing import Any

import pytest

from eep_platform.emulation.errors import ServiceError
from eep_platform.sagemaker.pipelines.parameters import parameters_of, values_for

DECLARED = parameters_of(
    [
        {"Name": "Image", "Type": "String"},
        {"Name": "Count", "Type": "Integer", "DefaultValue": 1},
        {"Name": "Least", "Type": "Float", "DefaultValue": 0.8},
        {"Name": "Fast", "Type": "Boolean", "DefaultValue": False},
        {"Name": "Mode", "Type": "String", "DefaultValue": "a", "EnumValues": ["a", "b"]},
    ]
)
DEFAULTS = {"Image": "i", "Count": 1, "Least": 0.8, "Fast": False, "Mode": "a"}


def given(**values: str) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in values.items()]


@pytest.mark.parametrize(
    ("texts", "changed"),
    [
        pytest.param({}, {}, id="defaults"),
        pytest.param({"Count": "-2"}, {"Count": -2}, id="an integer"),
        pytest.param({"Least": "1"}, {"Least": 1.0}, id="a number without a fraction"),
        pytest.param({"Least": "1e-3"}, {"Least": 0.001}, id="a small number"),
        pytest.param({"Fast": "True"}, {"Fast": True}, id="a boolean in Python's words"),
        pytest.param({"Mode": "b"}, {"Mode": "b"}, id="one of those allowed"),
    ],
)
def test_values_are_of_the_type_of_their_parameter(texts: dict[str, str], changed: dict[str, Any]) -> None:
    assert values_for(DECLARED, given(Image="i", **texts)) == DEFAULTS | changed


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        pytest.param(given(), r"\[Image\] have no value", id="missing"),
        pytest.param(given(Image="i", Other="x"), r"\[Other\] are not defined", id="unknown"),
        pytest.param(given(Image="i") * 2, "more than once", id="twice"),
        pytest.param(given(Image=""), "is too short", id="empty"),
        pytest.param(given(Image="i", Count="1.5"), "'1.5' of parameter Count is no Integer", id="no integer"),
        pytest.param(given(Image="i", Least="NaN"), "'NaN' of parameter Least is no Float", id="no number"),
        pytest.param(given(Image="i", Fast="yes"), "is no Boolean", id="no boolean"),
        pytest.param(given(Image="i", Mode="c"), "not one of its EnumValues", id="not allowed"),
    ],
)
def test_values_that_cannot_be(parameters: list[dict[str, str]], message: str) -> None:
    with pytest.raises(ServiceError, match=message):
        values_for(DECLARED, parameters)
