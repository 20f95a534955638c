from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eep_platform.emulation.errors import ServiceError
from eep_platform.sagemaker.pipelines.errors import UnresolvableError
from eep_platform.sagemaker.pipelines.expressions import PropertyFile, Values, parts_of, references, resolved

OUTPUTS = {"Outputs": [{"OutputName": "train", "S3Output": {"S3Uri": "s3://b/train"}}]}
EVALUATION = PropertyFile("Evaluate", "Report")
VALUES = Values(
    parameters={"Seed": 7, "Rate": 0.5, "Fast": True, "Name": "wine"},
    execution={"PipelineExecutionId": "abc"},
    results={"Prepare": {"ProcessingOutputConfig": OUTPUTS, "List": ["a", "b"]}, "Gate": {"Outcome": False}},
    files={EVALUATION: {"a b": [{"value": 0.98}], "none": None, "part": {}}},
)


def json_get(path: str) -> dict[str, Any]:
    return {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Report"}, "Path": path}}


def join(*values: object, on: str = "-") -> dict[str, Any]:
    return {"Std:Join": {"On": on, "Values": list(values)}}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        pytest.param({"Get": "Parameters.Seed"}, 7, id="a parameter keeps its type"),
        pytest.param({"Get": "Execution.PipelineExecutionId"}, "abc", id="of the execution"),
        pytest.param(
            {"Get": "Steps.Prepare.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri"},
            "s3://b/train",
            id="a list is a map by its names",
        ),
        pytest.param({"Get": "Steps.Prepare.List[1]"}, "b", id="or has indexes"),
        pytest.param(
            join("s3:/", {"Get": "Parameters.Name"}, {"Get": "Parameters.Seed"}, on="/"), "s3://wine/7", id="a join"
        ),
        pytest.param(
            join({"Get": "Steps.Gate.Outcome"}, {"Get": "Parameters.Fast"}, 0.5), "false-true-0.5", id="text as in JSON"
        ),
        pytest.param(join(join("a", "b"), "c"), "a-b-c", id="a join in a join"),
        pytest.param(json_get("['a b'][0].value"), 0.98, id="a value of a file"),
        pytest.param({"a": [{"Get": "Parameters.Name"}, 1]}, {"a": ["wine", 1]}, id="within data"),
        pytest.param({"Get": "x", "Other": 1}, {"Get": "x", "Other": 1}, id="data that looks alike"),
    ],
)
def test_what_expressions_are(expression: object, value: object) -> None:
    assert resolved(expression, VALUES) == value


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        pytest.param({"Get": "Steps.Other.X"}, "Step Other has no result", id="not run"),
        pytest.param({"Get": "Steps.Prepare.X.Y"}, "no 'X.Y' in the result of step Prepare", id="no such member"),
        pytest.param(
            {"Get": "Steps.Prepare.ProcessingOutputConfig.Outputs['test'].S3Output.S3Uri"},
            "There is no",
            id="no such name",
        ),
        pytest.param({"Get": "Steps.Prepare.ProcessingOutputConfig"}, "is not a string", id="a structure"),
        pytest.param(json_get("accuracy.value"), "no 'accuracy.value' in the property file", id="no such metric"),
        pytest.param(json_get("part"), "'part' is not a string", id="an object"),
        pytest.param(json_get("none"), "'none' is not a string", id="null"),
    ],
)
def test_what_has_no_value(expression: object, message: str) -> None:
    with pytest.raises(UnresolvableError, match=message):
        resolved(expression, VALUES)


def test_every_reference_is_found_however_deep() -> None:
    value = {"a": [join({"Get": "Parameters.Seed"}, json_get("x"))], "b": {"Get": "Steps.S.X"}}
    assert [(each.root, each.name, each.path) for each in references(value)] == [
        ("Parameters", "Seed", ""),
        ("Steps", "Evaluate", "PropertyFiles.Report"),
        ("Steps", "S", "X"),
    ]


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", "a['b", "a[b]", "a]b", "[-1]", "a['b']c"])
def test_paths_that_are_none(path: str) -> None:
    with pytest.raises(ServiceError, match="path"):
        parts_of(path)


@given(st.lists(st.text("abc -_1", min_size=1, max_size=4), min_size=1, max_size=5))
def test_names_and_keys_are_read_as_they_are_written(names: list[str]) -> None:
    assert parts_of(".".join(names)) == tuple(names)
    assert parts_of("".join(f"['{name}']" for name in names)) == tuple(names)
