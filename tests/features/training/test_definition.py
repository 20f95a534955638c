import json
from datetime import timedelta
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st
from tests.features.training.examples import METRIC, parts, trained

from ephemeral_endpoints.features.training.custom import parsed
from ephemeral_endpoints.features.training.definition import Shape, canonical, references, rendered

NAMES = st.frozensets(st.from_regex("[A-Za-z][A-Za-z0-9_-]{0,20}", fullmatch=True), max_size=5)
SHAPES = st.builds(
    Shape,
    metric=st.just(METRIC),
    hyperparameters=NAMES,
    max_wait=st.none() | st.just(timedelta(hours=2)),
    has_pull_request=st.booleans(),
)
REQUESTS = {"Processing": "CreateProcessingJob", "Training": "CreateTrainingJob", "RegisterModel": "CreateModelPackage"}


def document(shape: Shape) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(rendered(shape).text)
    return found


def steps(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    top = {each["Name"]: each for each in found["Steps"]}
    branches = top["Gate"]["Arguments"]
    return {**top, **{each["Name"]: each for each in (*branches["IfSteps"], *branches["ElseSteps"])}}


@given(SHAPES)
def test_a_definition_is_canonical_and_what_it_gets_is_declared(shape: Shape) -> None:
    found = rendered(shape)
    assert found.text == canonical(json.loads(found.text))
    declared = [each["Name"] for each in json.loads(found.text)["Parameters"]]
    assert set(declared) == found.parameters
    got = {each.split(".")[1] for each in references(json.loads(found.text)) if each.startswith("Parameters.")}
    assert got <= found.parameters


@given(SHAPES)
def test_its_own_definition_passes_what_is_demanded_of_others(shape: Shape) -> None:
    _, policy = parts(trained())
    assert parsed(rendered(shape).text, policy).digest == rendered(shape).digest


@given(SHAPES, SHAPES)
def test_different_shapes_have_different_definitions(one: Shape, other: Shape) -> None:
    assert (rendered(one).digest == rendered(other).digest) == (one == other)


def _filled(value: Any, *, number: bool = False) -> Any:  # noqa: ANN401 - JSON
    """A value with something of the right type in place of what is filled in at run time."""
    if isinstance(value, dict):
        if value.keys() & {"Get", "Std:Join", "Std:JsonGet"}:
            return 1 if number else "x" * 20
        numbers = {"InstanceCount", "VolumeSizeInGB", "MaxRuntimeInSeconds"}
        return {name: _filled(each, number=name in numbers) for name, each in value.items()}
    return [_filled(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("shape", [Shape(METRIC), Shape(METRIC, frozenset({"seed"}), timedelta(hours=2), True)])  # noqa: FBT003
def test_arguments_are_those_of_the_requests_that_steps_make(shape: Shape) -> None:
    service = botocore.session.get_session().get_service_model("sagemaker")
    names = {"CreateProcessingJob": "ProcessingJobName", "CreateTrainingJob": "TrainingJobName"}
    for step in steps(document(shape)).values():
        if operation := REQUESTS.get(step["Type"]):
            request = {**_filled(step["Arguments"]), **({names[operation]: "x"} if operation in names else {})}
            model: Any = service.operation_model(operation).input_shape
            assert not ParamValidator().validate(request, model).has_errors(), step["Name"]
            assert request.keys() <= model.members.keys()


def test_the_gate_registers_or_fails() -> None:
    found = steps(document(Shape(METRIC)))
    condition = found["Gate"]["Arguments"]["Conditions"][0]
    assert condition["Type"] == "GreaterThanOrEqualTo"
    assert condition["LeftValue"]["Std:JsonGet"]["Path"] == METRIC
    assert [each["Name"] for each in found["Gate"]["Arguments"]["IfSteps"]] == ["Register"]
    assert [each["Type"] for each in found["Gate"]["Arguments"]["ElseSteps"]] == ["Fail"]


def test_the_cache_knows_the_revision_of_the_data() -> None:
    found = steps(document(Shape(METRIC)))
    for name in ("Preprocess", "Train", "Evaluate"):
        assert found[name]["Arguments"]["Environment"] == {"DATA_REVISION": {"Get": "Parameters.DataRevision"}}
        assert found[name]["CacheConfig"]["Enabled"]


def test_only_a_pull_request_is_told_to_the_registry() -> None:
    alone, of_pull_request = (steps(document(Shape(METRIC, has_pull_request=each))) for each in (False, True))
    assert "pullRequest" not in alone["Register"]["Arguments"]["CustomerMetadataProperties"]
    assert "pullRequest" in of_pull_request["Register"]["Arguments"]["CustomerMetadataProperties"]


def test_spot_instances_keep_checkpoints_where_the_next_attempt_finds_them() -> None:
    train = steps(document(Shape(METRIC, max_wait=timedelta(hours=2))))["Train"]["Arguments"]
    assert train["EnableManagedSpotTraining"] is True
    assert train["StoppingCondition"]["MaxWaitTimeInSeconds"] == 7200
    assert "Execution.PipelineExecutionId" not in set(references(train["CheckpointConfig"]))
