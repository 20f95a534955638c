import json
from datetime import timedelta
from typing import Any

import pytest
from tests.eep_platform.sagemaker.pipelines.definitions import (
    at_least,
    channel,
    condition,
    definition,
    fail,
    get,
    json_get,
    output,
    parameter,
    processing,
    training,
)

from eep_platform.emulation.errors import ServiceError
from eep_platform.sagemaker.pipelines.definition import Branch, files_needed, parse
from eep_platform.sagemaker.pipelines.expressions import PropertyFile

OUTPUTS = {"ProcessingOutputConfig": {"Outputs": [output("train", "s3://b/train/")]}}
TRAIN = get("Steps.Prepare.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri")
FILES = [{"PropertyFileName": "Evaluation", "OutputName": "train", "FilePath": "evaluation.json"}]
ANYTHING = at_least(1, 1)


def with_training(**arguments: Any) -> str:  # noqa: ANN401 - any member
    return definition(processing("Prepare", arguments=OUTPUTS), training("Train", arguments=arguments))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("{", "It is not JSON", id="not JSON"),
        pytest.param("[" * 100_000, "nested too deeply", id="too deep for JSON"),
        pytest.param("[]", "Expecting start of Json Object", id="not an object"),
        pytest.param(definition(fail("F"), Version="2021-01-01"), "Version must be", id="another version"),
        pytest.param(definition(fail("F"), Extra=1), "Unknown member 'Extra'", id="an unknown member"),
        pytest.param(definition(), "at least one step", id="no steps"),
        pytest.param(definition(fail("F"), PipelineExperimentConfig=[]), "start of Json Object", id="no experiment"),
        pytest.param(
            definition(fail("F"), PipelineExperimentConfig={"ExperimentName": 1}), "must be strings", id="nor this"
        ),
        pytest.param(definition(fail("a b")), "Step name 'a b' must match", id="a name with a blank"),
        pytest.param(definition(fail("F", Extra=1)), "Unknown Step member 'Extra'", id="an unknown member of a step"),
        pytest.param(definition(fail("F"), fail("F")), "Step names must be unique", id="a name twice"),
        pytest.param(
            definition(condition("C", ANYTHING, yes=[fail("F")], no=[fail("F")])),
            "Step names must be unique",
            id="a step in both branches",
        ),
        pytest.param(
            definition({"Name": "L", "Type": "Lambda", "Arguments": {}}),
            "embedded platform runs no steps of type Lambda",
            id="what only AWS runs",
        ),
        pytest.param(
            definition(condition("C", ANYTHING, yes=[condition("D", ANYTHING)])), "cannot be in a branch", id="nested"
        ),
        pytest.param(definition(fail("F", DependsOn=["G"])), "step G, which does not exist", id="an unknown step"),
        pytest.param(definition(fail("F", DependsOn=["F"])), "F can not depends on itself", id="itself"),
        pytest.param(definition(fail("F"), fail("G", DependsOn=["F"])), "G can not depends on F", id="after the end"),
        pytest.param(
            definition(processing("A", DependsOn=["B"]), processing("B", DependsOn=["A"])),
            "cycle in the dependencies of steps A, B",
            id="a cycle",
        ),
        pytest.param(
            definition(
                condition("C", at_least(get("Steps.P.ProcessingJobStatus"), "x"), yes=[processing("P")]),
            ),
            "cycle in the dependencies of steps C, P",
            id="a condition on its own branch",
        ),
        pytest.param(definition(fail("F", get("Parameters.X"))), "Parameter X is not defined", id="no such parameter"),
        pytest.param(definition(fail("F", get("Execution.X"))), "Invalid property reference", id="no such variable"),
        pytest.param(definition(fail("F", get("Nothing.X"))), "Invalid property reference", id="no such root"),
        pytest.param(
            definition(processing("P"), fail("F", get("Steps.P.Nothing"))), "Invalid property", id="no such property"
        ),
        pytest.param(definition(fail("F", {"Std:Join": {"On": "", "Values": 1}})), "Std:Join needs", id="a bad join"),
        pytest.param(
            definition(processing("Evaluate"), fail("F", json_get("a"))),
            "no property file Evaluation",
            id="no such file",
        ),
        pytest.param(
            definition(processing("Evaluate", arguments=OUTPUTS, PropertyFiles=FILES), fail("F", json_get("a..b"))),
            "Invalid path 'a..b'",
            id="a path that is none",
        ),
        pytest.param(
            definition(processing("P", PropertyFiles=FILES)), "output that the step does not have", id="no output"
        ),
        pytest.param(
            definition(training("T", PropertyFiles=FILES)), "Training has no PropertyFiles", id="not of training"
        ),
        pytest.param(
            with_training(TrainingJobName="t"), "Unknown Argument member 'TrainingJobName'", id="the name is AWS's"
        ),
        pytest.param(with_training(Nonsense="t"), "Unknown Argument member 'Nonsense'", id="an unknown argument"),
        pytest.param(
            with_training(RoleArn=None), "Missing required Argument member 'RoleArn'", id="an argument missing"
        ),
        pytest.param(with_training(InputDataConfig={}), "Expecting start of Json Array", id="an object for a list"),
        pytest.param(
            with_training(InputDataConfig=get("Execution.PipelineName")),
            r"Cannot assign property reference \[Execution.PipelineName\] to argument of type \[List\]",
            id="a string for a list",
        ),
        pytest.param(
            with_training(StoppingCondition={"MaxRuntimeInSeconds": TRAIN}),
            r"to argument of type \[Integer\]",
            id="a string for a number",
        ),
        pytest.param(
            with_training(StoppingCondition={"MaxRuntimeInSeconds": "60"}), "is not of type integer", id="text"
        ),
        pytest.param(
            with_training(StoppingCondition={"MaxRuntimeInSeconds": 0}), "Model Validation failed", id="bounds"
        ),
        pytest.param(with_training(HyperParameters={"seed": 7}), "Value 7 .* is not of type string", id="strings only"),
        pytest.param(
            definition(
                training("T", arguments={"HyperParameters": {"seed": get("Parameters.Seed")}}),
                parameters=[parameter("Seed", "Integer")],
            ),
            r"Cannot assign property reference \[Parameters.Seed\] to argument of type \[String\]",
            id="a number for a string",
        ),
        pytest.param(definition(condition("C")), "at least one condition", id="no condition"),
        pytest.param(
            definition(condition("C", {"Type": "Near"})), "Unknown condition type 'Near'", id="no such condition"
        ),
        pytest.param(
            definition(condition("C", {"Type": "Equals"})), "has LeftValue, RightValue, Type", id="half of one"
        ),
        pytest.param(
            definition(fail("F", CacheConfig={"Enabled": True})), "Fail cannot be cached", id="cache of a Fail"
        ),
        pytest.param(
            definition(processing("P", CacheConfig={"Enabled": True, "ExpireAfter": "soon"})),
            "is not a duration in ISO 8601",
            id="a vague expiry",
        ),
        pytest.param(definition(fail("F", RetryPolicies=[])), "Fail has no RetryPolicies", id="retry of a Fail"),
        pytest.param(definition(fail("F", [])), "must be a string or an expression", id="a message that is none"),
        pytest.param(definition(fail("F"), parameters=[parameter("a b")]), "must match", id="a parameter's name"),
        pytest.param(definition(fail("F"), parameters=[parameter("a"), parameter("a")]), "must be unique", id="twice"),
        pytest.param(definition(fail("F"), parameters=[parameter("a", "List")]), "must be one of String", id="a type"),
        pytest.param(
            definition(fail("F"), parameters=[parameter("a", "Integer", DefaultValue="1")]),
            "is not of type Integer",
            id="a default of another type",
        ),
    ],
)
def test_what_is_no_definition(text: str, message: str) -> None:
    with pytest.raises(ServiceError, match=message) as raised:
        parse(text)
    assert raised.value.message.startswith("Unable to parse pipeline definition. ")


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_numbers_that_json_does_not_have_are_refused(number: str) -> None:
    with pytest.raises(ServiceError, match=f"{number} is not a JSON value"):
        parse(definition(condition("C", at_least("NUMBER", 1))).replace('"NUMBER"', number))


def test_a_pipeline_of_all_that_is_served() -> None:
    evaluate = processing(
        "Evaluate",
        arguments=OUTPUTS,
        PropertyFiles=FILES,
        DependsOn=["Train"],
        RetryPolicies=[{"ExceptionType": ["SageMaker.CAPACITY_ERROR"], "MaxAttempts": 3}],
    )
    register = {
        "Name": "Register",
        "Type": "RegisterModel",
        "Arguments": {
            "ModelPackageGroupName": get("Parameters.Group"),
            "InferenceSpecification": {
                "Containers": [{"Image": "i", "ModelDataUrl": get("Steps.Train.ModelArtifacts.S3ModelArtifacts")}]
            },
        },
    }
    model = {"Name": "Model", "Type": "Model", "Arguments": {"ExecutionRoleArn": get("Parameters.Role")}}
    gate = condition("Gate", at_least(json_get("accuracy.value"), 0.8), yes=[register, model], no=[fail("Refuse")])
    train = training(
        "Train",
        arguments={"InputDataConfig": [channel("train", TRAIN)], "HyperParameters": {"seed": "7"}},
        CacheConfig={"Enabled": True, "ExpireAfter": "P30D"},
    )
    prepare = processing("Prepare", arguments=OUTPUTS)
    given = parse(definition(prepare, train, evaluate, gate, parameters=[parameter("Group"), parameter("Role")]))
    assert {name: (sorted(step.needs), step.branch) for name, step in given.steps.items()} == {
        "Prepare": ([], None),
        "Train": (["Prepare"], None),
        "Evaluate": (["Train"], None),
        "Gate": (["Evaluate"], None),
        "Register": (["Gate", "Train"], Branch("Gate", outcome=True)),
        "Model": (["Gate"], Branch("Gate", outcome=True)),
        "Refuse": (["Gate"], Branch("Gate", outcome=False)),
    }
    assert given.steps["Train"].cached_for == timedelta(days=30)
    assert given.steps["Evaluate"].cached_for is None
    assert given.steps["Evaluate"].retries[0].most_attempts == 3
    assert files_needed(given.steps["Gate"]) == {PropertyFile("Evaluate", "Evaluation")}
    assert files_needed(given.steps["Train"]) == frozenset()


def test_what_the_sdk_writes_beside_the_steps_is_accepted() -> None:
    experiment = {"ExperimentName": get("Execution.PipelineName"), "TrialName": get("Execution.PipelineExecutionId")}
    body = json.loads(definition(fail("F"), Metadata={}, PipelineExperimentConfig=experiment, MlflowConfig=None))
    assert parse(json.dumps(body)).experiment == experiment
