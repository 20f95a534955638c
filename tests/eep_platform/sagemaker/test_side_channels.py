import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.eep_platform.sagemaker.conftest import Service


def test_what_a_server_prints_reaches_the_endpoints_log_group(service: "Service") -> None:
    began = datetime.now(UTC)
    name = service.endpoint()
    service.invoke(name)
    logs, group = service.aws("logs"), f"/aws/sagemaker/Endpoints/{name}"

    def messages() -> list[str]:
        service.flush()
        try:
            return [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]
        except logs.exceptions.ResourceNotFoundException:
            return []

    service.eventually(lambda: messages() == ["loading the model", "predicted"], "both lines")
    stream = logs.describe_log_streams(logGroupName=group)["logStreams"][0]["logStreamName"]
    assert stream.startswith(tuple(f"AllTraffic/{at:%Y}-" for at in (began, datetime.now(UTC))))
    assert "retentionInDays" not in logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]


def test_late_logs_bring_a_deleted_group_back(service: "Service") -> None:
    name = service.endpoint()
    logs, group = service.aws("logs"), f"/aws/sagemaker/Endpoints/{name}"

    def groups() -> list[Any]:
        service.flush()
        found: list[Any] = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        return found

    service.eventually(groups, "the group")
    logs.delete_log_group(logGroupName=group)
    service.invoke(name)
    service.eventually(groups, "the group is back")


def test_invocations_are_measured(service: "Service") -> None:
    name = service.endpoint()
    service.invoke(name, "sleep 0.05")
    for status in ("status 400", "status 500"):
        with pytest.raises(ClientError):
            service.invoke(name, status)
    service.flush()
    sums = {metric: _statistic(service, name, metric, "Sum") for metric in ("Invocations", "InvocationModelErrors")}
    assert sums == {"Invocations": 3, "InvocationModelErrors": 2}
    assert _statistic(service, name, "Invocation4XXErrors", "Sum") == 1
    assert _statistic(service, name, "Invocation5XXErrors", "Sum") == 1
    assert 50_000 <= _statistic(service, name, "ModelLatency", "Maximum") < 60_000_000
    assert _statistic(service, name, "OverheadLatency", "Minimum") > 0


def _statistic(service: "Service", name: str, metric: str, statistic: str) -> float:
    now = datetime.now(UTC)
    dimensions = [{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": "AllTraffic"}]
    answer = service.aws("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=dimensions,
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        Period=3600,
        Statistics=[statistic],
    )
    return sum(float(point[statistic]) for point in answer["Datapoints"])


def test_every_state_is_announced_on_the_event_bus(service: "Service") -> None:
    queues, bus = service.aws("sqs"), service.aws("events")
    queue = queues.create_queue(QueueName=service.name())["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rule = service.name()
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Endpoint State Change"]}
    bus.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    bus.put_targets(Rule=rule, Targets=[{"Id": "q", "Arn": arn}])
    config = service.config()
    name = service.endpoint(config)
    service.sagemaker.delete_endpoint(EndpointName=name)
    details: list[Any] = []

    def three_received() -> bool:
        service.flush()
        for message in queues.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", ()):
            detail = json.loads(message["Body"])["detail"]
            details.extend([detail] if detail["EndpointName"] == name and detail not in details else [])
        return len(details) == 3

    service.eventually(three_received, "three events")
    assert {detail["EndpointStatus"] for detail in details} == {"CREATING", "IN_SERVICE", "DELETING"}
    in_service = next(detail for detail in details if detail["EndpointStatus"] == "IN_SERVICE")
    assert in_service["EndpointConfigName"] == config
    assert in_service["EndpointArn"] == f"arn:aws:sagemaker:us-east-1:000000000000:endpoint/{name}"
    assert in_service["LastModifiedTime"] > in_service["CreationTime"] > 1e12
