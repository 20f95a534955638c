"""With the generated policies nothing can be done to what is somebody else's, by name or by tag."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.aws.cloud import IMAGE, INSTANCE_TYPE
from tests.deploy.conftest import KEY, POLICY, RECORDINGS, REPORTS, ROLE, VALUES, RestrictedCloud

from ephemeral_endpoints.aws.errors import translate
from ephemeral_endpoints.deploy.policies import merged, named
from ephemeral_endpoints.engine.errors import Denied
from ephemeral_endpoints.engine.tags import CLUSTER, RETAIN, UID
from ephemeral_endpoints.features.serving.specs import MODEL

OURS = [{"Key": CLUSTER, "Value": "c1"}]
OTHERS = [{"Key": CLUSTER, "Value": "c2"}]
THEIRS, CLAIMED = "eep-c2-pr-abcdefghij", "eep-c1-pr-abcdefghij"
"""A name of another cluster, and one of ours on what carries the tag of the other."""
NAMES = (THEIRS, CLAIMED)

CHEAP = VALUES | {"InstanceTypes": "ml.m5.*", "MaxConcurrency": "10"}

Call = Callable[[RestrictedCloud], Any]


def created(cloud: RestrictedCloud, **members: Any) -> Any:  # noqa: ANN401 - members of a request
    """Create a model under our name, with other members."""
    given: dict[str, Any] = {
        "ModelName": "eep-c1-new",
        "PrimaryContainer": {"Image": IMAGE},
        "ExecutionRoleArn": ROLE,
        "Tags": OURS,
    }
    return cloud.operator.sagemaker.create_model(**(given | members))


def config(cloud: RestrictedCloud, **variant: Any) -> Any:  # noqa: ANN401 - members of a request
    """Create an endpoint configuration of one variant."""
    return cloud.operator.sagemaker.create_endpoint_config(
        EndpointConfigName="eep-c1-new",
        ProductionVariants=[{"VariantName": "main", "ModelName": "eep-c1-model", **variant}],  # type: ignore[list-item]  # likewise
        Tags=OURS,  # type: ignore[arg-type]  # a list of its form
    )


def alarm(cloud: RestrictedCloud, name: str) -> Any:  # noqa: ANN401 - nothing is answered
    return cloud.operator.cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="AWS/SageMaker",
        MetricName="ModelLatency",
        Statistic="Average",
        ComparisonOperator="GreaterThanThreshold",
        Threshold=1.0,
        Period=60,
        EvaluationPeriods=1,
        Tags=OURS,  # type: ignore[arg-type]  # a list of its form
    )


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:us-east-1:000000000000:{resource}"


FOREIGN_NAMES: list[tuple[str, Call, str]] = [
    ("an endpoint", lambda w: w.operator.sagemaker.delete_endpoint(EndpointName=THEIRS), "sagemaker:DeleteEndpoint"),
    (
        "a configuration of another, for our endpoint",
        lambda w: w.operator.sagemaker.update_endpoint(EndpointName=w.names.base, EndpointConfigName=THEIRS),
        "sagemaker:UpdateEndpoint",
    ),
    ("a look", lambda w: w.operator.sagemaker.describe_endpoint(EndpointName=THEIRS), "sagemaker:DescribeEndpoint"),
    ("a function", lambda w: w.operator.lambda_.delete_function(FunctionName=THEIRS), "lambda:DeleteFunction"),
    (
        "a log group",
        lambda w: w.operator.logs.delete_log_group(logGroupName="/aws/lambda/billing"),
        "logs:DeleteLogGroup",
    ),
    ("an alarm", lambda w: alarm(w, "billing"), "cloudwatch:PutMetricAlarm"),
    (
        "one alarm among ours",
        lambda w: w.operator.cloudwatch.delete_alarms(AlarmNames=[w.names.alarm("latency"), "billing"]),
        "cloudwatch:DeleteAlarms",
    ),
    (
        "a repository",
        lambda w: w.operator.ecr.batch_delete_image(repositoryName="models/wine", imageIds=[{"imageTag": "1"}]),
        "ecr:BatchDeleteImage",
    ),
    (
        "an API",
        lambda w: w.operator.apigateway.create_api(Name="billing", ProtocolType="HTTP", Tags={CLUSTER: "c1"}),
        "apigateway:POST",
    ),
    (
        "a report outside of its folder",
        lambda w: w.operator.s3().put_object(Bucket=REPORTS, Key="billing/a.json", Body=b""),
        "s3:PutObject",
    ),
    (
        "a file that is no recording",
        lambda w: w.operator.s3().get_object(Bucket=RECORDINGS, Key="models/model.tar.gz"),
        "s3:GetObject",
    ),
    ("another bucket", lambda w: w.operator.s3().list_objects_v2(Bucket="billing"), "s3:ListBucket"),
    ("a project", lambda w: w.operator.codebuild.start_build(projectName="release"), "codebuild:StartBuild"),
    ("a topic", lambda w: w.operator.sns.publish(TopicArn=arn("sns", "billing"), Message="x"), "sns:Publish"),
    ("a queue", lambda w: w.operator.sqs.get_queue_url(QueueName="orders"), "sqs:GetQueueUrl"),
    (
        "a role",
        lambda w: w.operator.sts.assume_role(RoleArn="arn:aws:iam::000000000000:role/admin", RoleSessionName="me"),
        "sts:AssumeRole",
    ),
    (
        "a role that models are to run as",
        lambda w: created(w, ExecutionRoleArn="arn:aws:iam::000000000000:role/admin"),
        "iam:PassRole",
    ),
    (
        "an endpoint that is to be scaled",
        lambda w: w.operator.autoscaling.register_scalable_target(
            ServiceNamespace="sagemaker",
            ScalableDimension="sagemaker:variant:DesiredInstanceCount",
            ResourceId=f"endpoint/{THEIRS}/variant/main",
            Tags={CLUSTER: "c1"},
        ),
        "sagemaker:DescribeEndpoint",
    ),
    (
        "something else that is to be scaled",
        lambda w: w.operator.autoscaling.register_scalable_target(
            ServiceNamespace="ecs",
            ScalableDimension="ecs:service:DesiredCount",
            ResourceId="service/default/shop",
            Tags={CLUSTER: "c1"},
        ),
        "application-autoscaling:RegisterScalableTarget",
    ),
]

FOREIGN_TAGS: list[tuple[str, Call, str]] = [
    ("a model", lambda w: w.operator.sagemaker.delete_model(ModelName=CLAIMED), "sagemaker:DeleteModel"),
    (
        "a model that is to be ours",
        lambda w: w.operator.sagemaker.add_tags(ResourceArn=arn("sagemaker", f"model/{CLAIMED}"), Tags=OURS),  # type: ignore[arg-type]  # a list of its form
        "sagemaker:AddTags",
    ),
    (
        "our model that is to be of another",
        lambda w: w.operator.sagemaker.add_tags(ResourceArn=w.observed(MODEL).arn, Tags=OTHERS),  # type: ignore[arg-type]  # likewise
        "sagemaker:AddTags",
    ),
    ("a function", lambda w: w.operator.lambda_.delete_function(FunctionName=CLAIMED), "lambda:DeleteFunction"),
    (
        "a log group",
        lambda w: w.operator.logs.delete_log_group(logGroupName=f"/aws/lambda/{CLAIMED}"),
        "logs:DeleteLogGroup",
    ),
    ("an alarm", lambda w: w.operator.cloudwatch.delete_alarms(AlarmNames=[CLAIMED]), "cloudwatch:DeleteAlarms"),
    (
        "the tags of an alarm",
        lambda w: w.operator.cloudwatch.tag_resource(
            ResourceARN=arn("cloudwatch", f"alarm:{CLAIMED}"),
            Tags=[{"Key": RETAIN, "Value": ""}],
        ),
        "cloudwatch:TagResource",
    ),
    (
        "an alarm that is to be ours",
        lambda w: w.operator.cloudwatch.tag_resource(ResourceARN=arn("cloudwatch", f"alarm:{CLAIMED}"), Tags=OURS),  # type: ignore[arg-type]  # likewise
        "cloudwatch:TagResource",
    ),
    (
        "a repository",
        lambda w: w.operator.ecr.delete_repository(repositoryName=CLAIMED, force=True),
        "ecr:DeleteRepository",
    ),
    (
        "an API",
        lambda w: w.operator.apigateway.delete_api(ApiId=w.aws.client("apigatewayv2").get_apis()["Items"][0]["ApiId"]),
        "apigateway:DELETE",
    ),
    ("a creation without tags", lambda w: created(w, Tags=[]), "sagemaker:CreateModel"),
    ("a creation for another", lambda w: created(w, Tags=OTHERS), "sagemaker:CreateModel"),
]


@pytest.fixture(scope="module")
def strangers(held: RestrictedCloud) -> RestrictedCloud:
    """Things of another cluster, under its names and under ours, beside a model of ours."""
    admin: Any = held.clients
    for name in NAMES:
        admin.sagemaker.create_model(
            ModelName=name, PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE, Tags=OTHERS
        )
        admin.logs.create_log_group(logGroupName=f"/aws/lambda/{name}", tags={CLUSTER: "c2"})
        admin.ecr.create_repository(repositoryName=name, tags=OTHERS)
        admin.cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="AWS/SageMaker",
            MetricName="ModelLatency",
            Statistic="Average",
            ComparisonOperator="GreaterThanThreshold",
            Threshold=1.0,
            Period=60,
            EvaluationPeriods=1,
            Tags=OTHERS,
        )
    admin.apigateway.create_api(Name=THEIRS, ProtocolType="HTTP", Tags={CLUSTER: "c2", UID: "u"})
    asyncio.run(held.make(held.resources[MODEL]))
    return held


@pytest.mark.parametrize(
    ("what", "call", "action"),
    [
        *(pytest.param(*row, id=f"name: {row[0]}") for row in FOREIGN_NAMES),
        *(pytest.param(*row, id=f"tag: {row[0]}") for row in FOREIGN_TAGS),
    ],
)
def test_what_is_of_others_is_denied_and_said_so(
    strangers: RestrictedCloud, what: str, call: Call, action: str
) -> None:
    with pytest.raises(ClientError) as caught:
        call(strangers)
    reported = translate(caught.value, caught.value.operation_name)
    assert isinstance(reported, Denied), what
    assert f"is not authorized to perform: {action} on resource: " in str(reported)
    assert f"because no identity-based policy allows the {action} action" in str(reported)


@pytest.fixture
def limited(held: RestrictedCloud) -> Iterator[RestrictedCloud]:
    """The operator with the policy that caps what it can spend."""
    held.aws.control.hold_to(KEY, [POLICY, merged(named("limits"), CHEAP)])
    yield held
    held.aws.control.hold_to(KEY, [POLICY])


@pytest.mark.parametrize(
    "variant",
    [
        {"InstanceType": "ml.p4d.24xlarge", "InitialInstanceCount": 1},
        {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 11}},
    ],
    ids=["instances", "serverless"],
)
def test_what_is_too_dear_is_denied_whatever_classes_allow(limited: RestrictedCloud, variant: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="with an explicit deny in an identity-based policy"):
        config(limited, **variant)


@pytest.mark.parametrize(
    "variant",
    [
        {"InstanceType": INSTANCE_TYPE, "InitialInstanceCount": 1},
        {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 10}},
    ],
    ids=["instances", "serverless"],
)
def test_what_is_cheap_enough_is_allowed(limited: RestrictedCloud, variant: dict[str, Any]) -> None:
    limited.clients.sagemaker.create_model(
        ModelName="eep-c1-model", PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE
    )
    try:
        config(limited, **variant)
    finally:
        limited.clients.sagemaker.delete_model(ModelName="eep-c1-model")
    limited.operator.sagemaker.delete_endpoint_config(EndpointConfigName="eep-c1-new")
