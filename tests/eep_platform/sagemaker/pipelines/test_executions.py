"""Executions whose steps are jobs in real containers."""

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from tests.eep_platform.sagemaker.conftest import ROLE, eventually
from tests.eep_platform.sagemaker.pipelines import definitions
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
)

if TYPE_CHECKING:
    from tests.fixtures.sagemaker_jobs import Jobs

ENDED = {"Succeeded", "Failed", "Stopped"}
METRIC = "multiclass_classification_metrics.accuracy.value"
CACHED = {"CacheConfig": {"Enabled": True, "ExpireAfter": "P30D"}}


def of_worker(jobs: "Jobs", text: str) -> str:
    """The definition with the worker's image, which has no server."""
    return text.replace(definitions.IMAGE, jobs.image).replace("s3://bucket/", "s3://jobs/")


def api(jobs: "Jobs") -> Any:  # noqa: ANN401 - the client makes the tokens that its type asks for
    return jobs.sagemaker


def joined(*values: object) -> dict[str, Any]:
    return {"Std:Join": {"On": "/", "Values": list(values)}}


def source(name: str, uri: object) -> dict[str, Any]:
    where = {"S3Uri": uri, "LocalPath": f"/opt/ml/processing/{name}", "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return {"InputName": name, "S3Input": where}


def output_of(step: str, name: str) -> dict[str, str]:
    return get(f"Steps.{step}.ProcessingOutputConfig.Outputs['{name}'].S3Output.S3Uri")


def processing(name: str, *arguments: str, inputs: Any = (), outputs: Any = (), **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any form
    return definitions.processing(
        name,
        arguments={
            "AppSpecification": {"ImageUri": definitions.IMAGE, "ContainerArguments": list(arguments)},
            "ProcessingInputs": list(inputs),
            "ProcessingOutputConfig": {"Outputs": list(outputs)},
        },
        **more,
    )


def written(name: str, content: str, place: str) -> dict[str, Any]:
    """A step that writes its evaluation."""
    step = processing(
        name,
        outputs=[output("evaluation", place)],
        PropertyFiles=[{"PropertyFileName": "Evaluation", "OutputName": "evaluation", "FilePath": "evaluation.json"}],
    )
    script = f"printf '%s' '{content}' > /opt/ml/processing/evaluation/evaluation.json"
    step["Arguments"]["AppSpecification"] = {
        "ImageUri": definitions.IMAGE,
        "ContainerEntrypoint": ["sh", "-c", script if content else "true"],
    }
    return step


def from_data_to_model() -> str:
    """Preprocess, train, evaluate, register what is good enough."""
    place = joined(get("Parameters.Place"), "parts", get("Execution.PipelineExecutionId"))
    model = get("Steps.Train.ModelArtifacts.S3ModelArtifacts")
    register = {
        "Name": "Register",
        "Type": "RegisterModel",
        "Arguments": {
            "ModelPackageGroupName": get("Parameters.Group"),
            "ModelApprovalStatus": "Approved",
            "CustomerMetadataProperties": {"revision": get("Parameters.Revision")},
            "InferenceSpecification": {"Containers": [{"Image": definitions.IMAGE, "ModelDataUrl": model}]},
        },
    }
    create = {
        "Name": "Create",
        "Type": "Model",
        "Arguments": {
            "ExecutionRoleArn": ROLE,
            "PrimaryContainer": {"ModelPackageName": get("Steps.Register.ModelPackageArn")},
        },
    }
    refuse = fail("Refuse", {"Std:Join": {"On": " ", "Values": ["only", json_get(METRIC)]}})
    return definition(
        processing(
            "Preprocess",
            "preprocess",
            inputs=[source("input", joined(get("Parameters.Place"), "raw/"))],
            outputs=[output(part, joined(place, part)) for part in ("train", "test")],
            **CACHED,
        ),
        definitions.training(
            "Train", arguments={"InputDataConfig": [channel("train", output_of("Preprocess", "train"))]}, **CACHED
        ),
        processing(
            "Evaluate",
            "evaluate",
            inputs=[source("model", model), source("test", output_of("Preprocess", "train"))],
            outputs=[output("evaluation", joined(place, "evaluation"))],
            PropertyFiles=[
                {"PropertyFileName": "Evaluation", "OutputName": "evaluation", "FilePath": "evaluation.json"}
            ],
            **CACHED,
        ),
        condition("Gate", at_least(json_get(METRIC), get("Parameters.Least")), yes=[register, create], no=[refuse]),
        parameters=[
            *(parameter(name) for name in ("Place", "Group", "Revision")),
            parameter("Least", "Float", DefaultValue=0.8),
        ],
    )


def create(jobs: "Jobs", text: str, role: str = ROLE) -> str:
    name = jobs.name()
    api(jobs).create_pipeline(PipelineName=name, PipelineDefinition=of_worker(jobs, text), RoleArn=role)
    return name


def start(jobs: "Jobs", pipeline: str, **parameters: str) -> str:
    given: Any = [{"Name": name, "Value": value} for name, value in parameters.items()]
    answer = api(jobs).start_pipeline_execution(PipelineName=pipeline, PipelineParameters=given)
    return str(answer["PipelineExecutionArn"])


def ended(jobs: "Jobs", arn: str) -> Any:  # noqa: ANN401 - as typed as JSON is
    def found() -> Any:  # noqa: ANN401 - as typed as JSON is
        execution = api(jobs).describe_pipeline_execution(PipelineExecutionArn=arn)
        return execution if execution["PipelineExecutionStatus"] in ENDED else None

    return eventually(found, "the end of the execution")


def steps(jobs: "Jobs", arn: str) -> dict[str, Any]:
    found = api(jobs).list_pipeline_execution_steps(PipelineExecutionArn=arn, SortOrder="Ascending")
    return {step["StepName"]: step for step in found["PipelineExecutionSteps"]}


def test_data_becomes_a_model_once_and_only_a_good_one(jobs: "Jobs") -> None:
    place, group = jobs.put({"raw/rows.csv": "1\n2\n3\n4"}).rstrip("/"), jobs.name()
    api(jobs).create_model_package_group(ModelPackageGroupName=group)
    pipeline = create(jobs, from_data_to_model())
    given = {"Place": place, "Group": group, "Revision": "abc"}

    first = start(jobs, pipeline, **given)
    assert ended(jobs, first)["PipelineExecutionStatus"] == "Succeeded", steps(jobs, first)
    found = steps(jobs, first)
    assert [*found] == ["Preprocess", "Train", "Evaluate", "Gate", "Register", "Create"]
    assert {step["StepStatus"] for step in found.values()} == {"Succeeded"}
    arn = found["Train"]["Metadata"]["TrainingJob"]["Arn"]
    assert arn.rpartition("/")[2].startswith(f"pipelines-{first.rpartition('/')[2]}-train-")
    package = api(jobs).describe_model_package(ModelPackageName=found["Register"]["Metadata"]["RegisterModel"]["Arn"])
    assert package["MetadataProperties"] == {"GeneratedBy": first}
    assert package["CustomerMetadataProperties"] == {"revision": "abc"}
    artifact = package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    assert json.loads(jobs.packed(artifact)["model.json"]) == ["1", "3"]
    model = api(jobs).describe_model(ModelName=found["Create"]["Metadata"]["Model"]["Arn"].rpartition("/")[2])
    assert model["PrimaryContainer"]["ModelDataUrl"] == artifact

    second = start(jobs, pipeline, **given | {"Revision": "def"})
    assert ended(jobs, second)["PipelineExecutionStatus"] == "Succeeded"
    cached = {name: step.get("CacheHitResult") for name, step in steps(jobs, second).items()}
    hit = {"SourcePipelineExecutionArn": first}
    nothing = dict.fromkeys(("Gate", "Register", "Create"))
    assert cached == {"Preprocess": hit, "Train": hit, "Evaluate": hit, **nothing}
    listed = api(jobs).list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
    assert [each["ModelPackageVersion"] for each in listed] == [1, 2]

    third = start(jobs, pipeline, **given, Least="1.5")
    assert ended(jobs, third)["PipelineExecutionStatus"] == "Failed"
    assert steps(jobs, third)["Refuse"]["FailureReason"] == "only 1.0"
    assert len(api(jobs).list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]) == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param('{"accuracy": NaN}', "NaN is not a JSON value", id="no number"),
        pytest.param('{"precision": 1}', "There is no 'accuracy' in the property file", id="no such field"),
        pytest.param('{"accuracy": "0.9"}', "GreaterThanOrEqualTo cannot compare '0.9' and 0.8", id="text"),
        pytest.param("", "Property file Evaluation could not be read from s3://jobs/", id="no file"),
    ],
)
def test_a_gate_without_a_number_fails(jobs: "Jobs", content: str, reason: str) -> None:
    gate = condition("Gate", at_least(json_get("accuracy"), 0.8), yes=[fail("Yes")], no=[fail("No")])
    execution = start(jobs, create(jobs, definition(written("Evaluate", content, jobs.put({})), gate)))
    assert ended(jobs, execution)["PipelineExecutionStatus"] == "Failed"
    found = steps(jobs, execution)
    assert [*found] == ["Evaluate", "Gate"], "neither branch runs"
    assert found["Gate"]["StepStatus"] == "Failed"
    assert reason in found["Gate"]["FailureReason"]


def test_a_failed_execution_goes_on_where_it_failed(jobs: "Jobs") -> None:
    place = jobs.put({})
    parts = [output(part, f"{place}{part}") for part in ("train", "test")]
    pipeline = create(
        jobs,
        definition(
            written("First", "{}", f"{place}first"),
            processing(
                "Second", "preprocess", inputs=[source("input", f"{place}raw/")], outputs=parts, DependsOn=["First"]
            ),
            fail("Never", DependsOn=["Second"]),
        ),
    )
    execution = start(jobs, pipeline)
    assert ended(jobs, execution)["PipelineExecutionStatus"] == "Failed"
    before = steps(jobs, execution)
    assert [*before] == ["First", "Second"]
    assert before["Second"]["FailureReason"].startswith("ClientError: ClientError: Data download failed")
    jobs.s3.put_object(Bucket="jobs", Key=f"{place.removeprefix('s3://jobs/')}raw/rows.csv", Body=b"1\n2")
    api(jobs).retry_pipeline_execution(PipelineExecutionArn=execution)
    assert ended(jobs, execution)["PipelineExecutionStatus"] == "Failed"
    after = steps(jobs, execution)
    assert after["First"] == before["First"]
    assert after["Second"]["StepStatus"] == "Succeeded"
    assert after["Never"]["StepStatus"] == "Failed"


def test_a_step_that_hangs_can_be_stopped(jobs: "Jobs") -> None:
    jobs.settings(held_jobs=["pipelines-*-Hangs-*"], quotas={"pipeline_executions": 1})
    pipeline = create(jobs, definition(written("Hangs", "{}", jobs.put({})), fail("Never", DependsOn=["Hangs"])))
    execution = start(jobs, pipeline)
    eventually(lambda: steps(jobs, execution).get("Hangs", {}).get("StepStatus") == "Executing", "the job runs")
    with pytest.raises(ClientError, match=r"ResourceLimitExceeded.*concurrent pipeline executions"):
        start(jobs, pipeline)
    with pytest.raises(ClientError, match=r"ConflictException.*is running"):
        api(jobs).delete_pipeline(PipelineName=pipeline)
    api(jobs).stop_pipeline_execution(PipelineExecutionArn=execution)
    assert ended(jobs, execution)["PipelineExecutionStatus"] == "Stopped"
    found = steps(jobs, execution)
    assert {name: step["StepStatus"] for name, step in found.items()} == {"Hangs": "Stopped"}
    arn = found["Hangs"]["Metadata"]["ProcessingJob"]["Arn"]
    [listed] = api(jobs).list_processing_jobs(NameContains=arn.rpartition("/")[2])["ProcessingJobSummaries"]
    assert jobs.processed(listed["ProcessingJobName"])["ProcessingJobStatus"] == "Stopped"
    api(jobs).delete_pipeline(PipelineName=pipeline)


def test_a_step_is_tried_again_as_its_policy_says(jobs: "Jobs") -> None:
    jobs.settings(
        quotas={"job_instances": {"ml.m5.large for processing job usage": 0}}, pipeline_seconds_per_second=1e6
    )
    step = written("Evaluate", "{}", jobs.put({}))
    policy = {"ExceptionType": ["SageMaker.RESOURCE_LIMIT"], "IntervalSeconds": 30, "MaxAttempts": 2}
    execution = start(jobs, create(jobs, definition(step | {"RetryPolicies": [policy]})))
    assert ended(jobs, execution)["PipelineExecutionStatus"] == "Failed"
    found = steps(jobs, execution)["Evaluate"]
    assert found["AttemptCount"] == 3
    assert found["FailureReason"].startswith(
        "ClientError: Failed to invoke sagemaker:CreateProcessingJob. Error Details: The account-level service limit"
    )


@pytest.mark.parametrize(
    ("actions", "denied"),
    [
        pytest.param(
            ["sagemaker:DescribeProcessingJob", "iam:PassRole", "s3:GetObject"], "CreateProcessingJob", id="job"
        ),
        pytest.param(["sagemaker:*ProcessingJob", "s3:GetObject"], "iam:PassRole", id="role of the job"),
        pytest.param(["sagemaker:CreateProcessingJob", "iam:PassRole"], "DescribeProcessingJob", id="its end"),
        pytest.param(["sagemaker:*ProcessingJob", "iam:PassRole"], "s3:GetObject", id="property file"),
    ],
)
def test_a_step_may_do_what_the_role_of_its_pipeline_may_do(jobs: "Jobs", actions: list[str], denied: str) -> None:
    iam, role = jobs.aws("iam"), jobs.name()
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}))
    allowed = [{"Effect": "Allow", "Action": actions, "Resource": "*"}]
    iam.put_role_policy(
        RoleName=role, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": allowed})
    )
    gate = condition("Gate", at_least(json_get("accuracy"), 0.8))
    text = definition(written("Evaluate", '{"accuracy": 1}', jobs.put({})), gate)
    execution = start(jobs, create(jobs, text, role=f"arn:aws:iam::000000000000:role/{role}"))
    assert ended(jobs, execution)["PipelineExecutionStatus"] == "Failed"
    *_, last = steps(jobs, execution).values()
    assert (
        f"is not authorized to perform: {denied if ':' in denied else 'sagemaker:' + denied}" in last["FailureReason"]
    )
