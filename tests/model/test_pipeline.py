"""The pipeline as the SDK renders it is the one that an object has by itself."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

import pytest
from tests.fixtures.sdk import Sdk

from ephemeral_endpoints.features.training.definition import Shape, rendered

pytestmark = pytest.mark.sdk

METRIC: Final = "multiclass_classification_metrics.accuracy.value"
SHAPES: Final[Mapping[str, tuple[list[str], Shape]]] = {
    "the least": ([], Shape(METRIC)),
    "everything": (
        ["--metric", "a.b", "--hyperparameters", "seed", "max_iterations", "--max-wait", "7200", "--pull-request"],
        Shape("a.b", frozenset({"seed", "max_iterations"}), timedelta(hours=2), has_pull_request=True),
    ),
}
NOISE: Final = frozenset(
    {
        "$.MlflowConfig",  # null
        "$.PipelineExperimentConfig",  # likewise
        "ProcessingInputs.S3Input.S3CompressionType",  # "None", which is the default
        "ModelMetrics.Bias",  # without anything in it
        "ModelMetrics.Explainability",  # likewise
        "Containers.Environment",  # variables of AWS's own containers
        "Arguments.SkipModelValidation",  # "None", which is the default
    }
)
"""What the SDK adds by itself."""


@pytest.fixture(scope="module")
def definitions(sdk: Sdk) -> dict[str, str]:
    """What `python -m model.pipeline` prints, by shape."""
    calls = [arguments for arguments, _ in SHAPES.values()]
    program = f"from model.pipeline import main\nfor arguments in {calls!r}: main(arguments)"
    return dict(zip(SHAPES, sdk.run(["-c", program]), strict=True))


@pytest.mark.parametrize("name", SHAPES)
def test_both_renderers_agree(name: str, definitions: dict[str, str]) -> None:
    theirs, ours = json.loads(definitions[name]), json.loads(rendered(SHAPES[name][1]).text)
    assert without_noise(theirs) == ours


@pytest.mark.parametrize("name", SHAPES)
def test_it_is_printed_as_canonical_json(name: str, definitions: dict[str, str]) -> None:
    document = json.loads(definitions[name])
    assert json.dumps(document, sort_keys=True, separators=(",", ":")) == definitions[name]


def test_the_sdk_adds_no_less_than_is_taken_off(definitions: dict[str, str]) -> None:
    added = {name for definition in definitions.values() for name in paths(json.loads(definition))}
    assert {noise for noise in NOISE if any(f"{path}.".endswith(f"{noise}.") for path in added)} == NOISE


def without_noise(value: Any, path: str = "$") -> Any:  # noqa: ANN401 - as typed as JSON
    if isinstance(value, list):
        return [without_noise(each, path) for each in value]
    if not isinstance(value, dict):
        return value
    below = {name: f"{path}.{name}" for name in value}
    return {
        name: without_noise(value[name], below[name])
        for name in value
        if not any(below[name].endswith(noise) for noise in NOISE)
    }


def paths(value: Any, path: str = "$") -> Iterator[str]:  # noqa: ANN401 - likewise
    yield path
    if isinstance(value, list):
        for each in value:
            yield from paths(each, path)
    if isinstance(value, dict):
        for name, each in value.items():
            yield from paths(each, f"{path}.{name}")
