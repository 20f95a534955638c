"""Pipelines and executions without jobs, through a real client."""

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from tests.eep_platform.sagemaker.pipelines.definitions import (
    ROLE,
    at_least,
    condition,
    definition,
    fail,
    get,
    parameter,
)

if TYPE_CHECKING:
    from tests.eep_platform.sagemaker.conftest import Service

ARN = "arn:aws:sagemaker:us-east-1:000000000000:pipeline"
TOKEN = "t" * 32
GATE = definition(
    condition("Gate", at_least(get("Parameters.Value"), 1), no=[fail("Refuse", get("Parameters.Why"))]),
    parameters=[parameter("Value", "Integer"), parameter("Why", DefaultValue="too small")],
)


def refused(call: Any, code: str = "ValidationException", **request: Any) -> str:  # noqa: ANN401 - any operation
    with pytest.raises(ClientError) as raised:
        call(**request)
    assert raised.value.response["Error"]["Code"] == code
    return str(raised.value.response["Error"]["Message"])


def create(service: "Service", text: str = GATE, **more: Any) -> str:  # noqa: ANN401 - any member
    name = service.name()
    service.sagemaker.create_pipeline(PipelineName=name, PipelineDefinition=text, RoleArn=ROLE, **more)
    return name


def start(service: "Service", name: str, value: int, **more: Any) -> str:  # noqa: ANN401 - any member
    parameters: Any = [{"Name": "Value", "Value": str(value)}]
    return service.sagemaker.start_pipeline_execution(PipelineName=name, PipelineParameters=parameters, **more)[
        "PipelineExecutionArn"
    ]


def ended(service: "Service", arn: str) -> Any:  # noqa: ANN401 - as typed as JSON is
    def found() -> Any:  # noqa: ANN401 - as typed as JSON is
        execution = service.sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        return None if execution["PipelineExecutionStatus"] in {"Executing", "Stopping"} else execution

    return service.eventually(found, "the end of the execution")


def steps(service: "Service", arn: str) -> dict[str, Any]:
    found = service.sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
    return {step["StepName"]: step for step in found}


def test_an_execution_takes_the_branch_of_its_condition(service: "Service") -> None:
    name = create(service)
    good, bad = start(service, name, 1), start(service, name, 0)
    assert ended(service, good)["PipelineExecutionStatus"] == "Succeeded"
    assert steps(service, good)["Gate"]["Metadata"] == {"Condition": {"Outcome": "True"}}
    execution = ended(service, bad)
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert execution["FailureReason"] == "Step failure: One or multiple steps failed."
    found = steps(service, bad)
    assert [*found] == ["Refuse", "Gate"], "the latest first"
    assert found["Refuse"]["StepStatus"] == "Failed"
    assert found["Refuse"]["FailureReason"] == "too small"
    assert found["Refuse"]["Metadata"] == {"Fail": {"ErrorMessage": "too small"}}
    message = refused(service.sagemaker.retry_pipeline_execution, "ConflictException", PipelineExecutionArn=bad)
    assert "was ended by a Fail step" in message


def test_a_repeated_token_makes_and_starts_nothing(service: "Service") -> None:
    name = create(service, ClientRequestToken=TOKEN)
    again = service.sagemaker.create_pipeline(
        PipelineName=name, PipelineDefinition=GATE, RoleArn=ROLE, ClientRequestToken=TOKEN
    )
    assert again["PipelineArn"] == f"{ARN}/{name}"
    first = start(service, name, 1, ClientRequestToken=TOKEN)
    assert start(service, name, 1, ClientRequestToken=TOKEN) == first
    listed = service.sagemaker.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"]
    assert [each["PipelineExecutionArn"] for each in listed] == [first]


def test_each_update_of_the_definition_is_a_version(service: "Service") -> None:
    name, api = create(service), service.sagemaker
    other = definition(fail("Refuse"))
    assert api.update_pipeline(PipelineName=name, PipelineDefinition=other)["PipelineVersionId"] == 2
    assert api.update_pipeline(PipelineName=name, PipelineDescription="d")["PipelineVersionId"] == 2
    described = api.describe_pipeline(PipelineName=f"{ARN}/{name}")
    assert (described["PipelineDefinition"], described["PipelineDescription"]) == (other, "d")
    assert api.describe_pipeline(PipelineName=name, PipelineVersionId=1)["PipelineDefinition"] == GATE
    execution = start(service, name, 1, PipelineVersionId=1)
    assert ended(service, execution)["PipelineVersionId"] == 1
    text = api.describe_pipeline_definition_for_execution(PipelineExecutionArn=execution)["PipelineDefinition"]
    assert text == GATE
    versions = api.list_pipeline_versions(PipelineName=name)["PipelineVersionSummaries"]
    assert [each["PipelineVersionId"] for each in versions] == [2, 1]
    assert versions[1]["LastExecutionPipelineExecutionArn"] == execution
    missing = refused(api.start_pipeline_execution, "ResourceNotFound", PipelineName=name, PipelineVersionId=3)
    assert missing == f"Pipeline '{ARN}/{name}' has no version 3."


def test_a_definition_can_be_in_s3(service: "Service") -> None:
    s3, bucket, api = service.aws("s3"), service.name(), service.sagemaker
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="d.json", Body=GATE.encode())
    name, where = service.name(), {"Bucket": bucket, "ObjectKey": "d.json"}
    request: Any = {"PipelineName": name, "RoleArn": ROLE, "PipelineDefinitionS3Location": where}
    assert "shouldn't be present" in refused(api.create_pipeline, **request, PipelineDefinition=GATE)
    assert "should be provided" in refused(api.create_pipeline, PipelineName=name, RoleArn=ROLE)
    api.create_pipeline(**request)
    assert api.describe_pipeline(PipelineName=name)["PipelineDefinition"] == GATE
    where["ObjectKey"] = "none.json"
    assert "Could not read the pipeline definition" in refused(api.update_pipeline, **request)


def test_parameters_are_checked_before_anything_starts(service: "Service") -> None:
    name, api = create(service), service.sagemaker
    assert "[Value] have no value" in refused(api.start_pipeline_execution, PipelineName=name)
    unknown: Any = [{"Name": "Value", "Value": "1"}, {"Name": "Other", "Value": "1"}]
    message = refused(api.start_pipeline_execution, PipelineName=name, PipelineParameters=unknown)
    assert "[Other] are not defined" in message
    assert api.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"] == []
    execution = start(service, name, 1)
    given = api.list_pipeline_parameters_for_execution(PipelineExecutionArn=execution)["PipelineParameters"]
    assert given == [{"Name": "Value", "Value": "1"}]


def test_what_is_missing_or_there_already(service: "Service") -> None:
    name = create(service, Tags=[{"Key": "a", "Value": "b"}])
    api: Any = service.sagemaker
    taken = refused(api.create_pipeline, PipelineName=name, PipelineDefinition=GATE, RoleArn=ROLE)
    assert taken.startswith("Pipeline names must be unique within an AWS account and region.")
    assert api.list_tags(ResourceArn=f"{ARN}/{name}")["Tags"] == [{"Key": "a", "Value": "b"}]
    [listed] = api.list_pipelines(PipelineNamePrefix=name)["PipelineSummaries"]
    assert "LastExecutionTime" not in listed
    execution = start(service, name, 1)
    ended(service, execution)
    stopped = refused(api.stop_pipeline_execution, "ConflictException", PipelineExecutionArn=execution)
    assert "status Succeeded" in stopped
    api.delete_pipeline(PipelineName=name)
    missing = refused(api.describe_pipeline, "ResourceNotFound", PipelineName=name)
    assert missing == f"Pipeline '{ARN}/{name}' does not exist."
    gone = refused(api.describe_pipeline_execution, "ResourceNotFound", PipelineExecutionArn=execution)
    assert gone == f"PipelineExecution '{execution}' does not exist."


def test_the_number_of_pipelines_has_a_limit(service: "Service") -> None:
    create(service)
    service.settings(quotas={"pipelines": 1})
    call: Any = service.sagemaker.create_pipeline
    refused(call, "ResourceLimitExceeded", PipelineName=service.name(), PipelineDefinition=GATE, RoleArn=ROLE)


def test_every_state_is_announced(service: "Service") -> None:
    queues, bus, name = service.aws("sqs"), service.aws("events"), create(service)
    queue = queues.create_queue(QueueName=service.name())["QueueUrl"]
    target = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rule, pattern = service.name(), {"source": ["aws.sagemaker"], "detail": {"pipelineArn": [f"{ARN}/{name}"]}}
    bus.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    bus.put_targets(Rule=rule, Targets=[{"Id": "q", "Arn": target}])
    ended(service, start(service, name, 0))
    events: list[Any] = []

    def all_received() -> bool:
        service.flush()
        messages = queues.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", ())
        received = [json.loads(message["Body"]) for message in messages]
        events.extend(each for each in received if each not in events)  # one that was received may come again
        return len(events) == 6

    service.eventually(all_received, "six events")
    executions = [each["detail"] for each in events if each["detail-type"].endswith("Execution Status Change")]
    assert {
        (each.get("previousPipelineExecutionStatus"), each["currentPipelineExecutionStatus"]) for each in executions
    } == {
        (None, "Executing"),
        ("Executing", "Failed"),
    }
    told = [each["detail"] for each in events if each["detail-type"].endswith("Step Status Change")]
    assert {(each["stepName"], each["stepType"], each["currentStepStatus"]) for each in told} == {
        ("Gate", "Condition", "Starting"),
        ("Gate", "Condition", "Succeeded"),
        ("Refuse", "Fail", "Starting"),
        ("Refuse", "Fail", "Failed"),
    }
    failed = next(each for each in told if each["currentStepStatus"] == "Failed")
    assert failed["failureReason"] == "too small"
    assert failed["metadata"] == {"fail": {"errorMessage": "too small"}}
