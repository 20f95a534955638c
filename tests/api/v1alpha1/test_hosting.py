"""Hosting, data, networks, tags: inputs that both sides refuse, and the message that a person reads."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass

Body = dict[str, Any]

ON_INSTANCES: Body = {"instances": {"type": "ml.m5.large"}}
FOLDER = "s3://bucket/models/"
ARCHIVE = "s3://bucket/m.tar.gz"
TOPIC = "arn:aws:sns:sa-east-1:123456789012:results"
KEY = "arn:aws:kms:us-east-1:123456789012:key/0a1b2c3d"
NEEDS_INSTANCES = "s3Prefix, acceptEula and additionalData need serving.instances"
OWN_TAGS = "must not set aws:…, ephemeral-endpoints.io/…, CreatedAt, Environment, ManagedBy or PR_Number"


def instances(**members: object) -> Body:
    return {"serving": {"instances": {"type": "ml.m5.large", **members}}}


def data(serving: Body | None = None, **members: object) -> Body:
    return {"model": {"image": IMAGE, **members}, "serving": ON_INSTANCES if serving is None else serving}


IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/models/sentiment:1"

OBJECT_REFUSED: list[tuple[Body, str, str]] = [
    (instances(startupTimeout="59s"), "less than SageMaker takes", "must be between 1m and 1h"),
    (instances(modelDownloadTimeout="61m"), "more than SageMaker takes", "must be between 1m and 1h"),
    (instances(capacityTimeout="4m"), "less than SageMaker takes", "must be between 5m and 1h"),
    (instances(volumeSizeGB=513), "more than SageMaker takes", "volumeSizeGB"),
    (instances(type="ml.g5.xlarge", volumeSizeGB=64), "disks of its own", "volumeSizeGB does not apply to instance"),
    (
        instances(fallbackTypes=["ml.m6i.large", "ml.m5d.large"], volumeSizeGB=64),
        "disks of its own, as the last resort",
        "volumeSizeGB does not apply to instance types",
    ),
    (instances(fallbackTypes=["ml.m5.large"]), "no other type", "fallbackTypes must differ from type"),
    (instances(fallbackTypes=["ml.m6i.large"] * 2), "one type twice", "fallbackTypes must differ from type"),
    (instances(fallbackTypes=[f"ml.m{n}.large" for n in range(5)]), "more pools than SageMaker takes", "fallbackTypes"),
    (
        instances(fallbackTypes=["ml.t2.medium"], autoscaling={"maxCount": 2, "invocationsPerInstance": 1}),
        "burstable, as the last resort",
        "autoscaling does not support burstable instances",
    ),
    (
        instances(amiVersion="ami-0123456789abcdef0"),
        "an image of EC2",
        "must be the name of an AMI version of SageMaker",
    ),
    (instances(routingStrategy="LEAST_OUTSTANDING_REQUESTS"), "SageMaker's spelling", "routingStrategy"),
    (
        {"serving": {"network": {"isolation": True}}},
        "serverless",
        "network needs instances: SageMaker supports neither a VPC nor isolation for serverless endpoints",
    ),
    (
        {"serving": {**ON_INSTANCES, "network": {"subnetIds": ["10.0.0.0/24"]}}},
        "no ID",
        "must be the ID of a subnet, such as subnet-0123456789abcdef0",
    ),
    (
        {"serving": {**ON_INSTANCES, "network": {"securityGroupIds": ["default"]}}},
        "a name",
        "must be the ID of a security group, such as sg-0123456789abcdef0",
    ),
    ({"serving": {"executionRoleArn": "model"}}, "no ARN", "must be the ARN of an IAM role"),
    (data(dataUrl=ARCHIVE, s3Prefix=FOLDER), "two places", "set only one of dataUrl, for an archive, and s3Prefix"),
    (data(s3Prefix="s3://bucket/models"), "the beginning of a name", "must end with '/'"),
    (data(s3Prefix="s3://bucket/../models/"), "steps", "must not contain the segments '.' and '..'"),
    (data(s3Prefix="https://bucket.s3.amazonaws.com/m/"), "no S3 URL", "must be the S3 URL of a folder"),
    (data(acceptEula=True), "an agreement about nothing", "acceptEula needs dataUrl or s3Prefix"),
    (data({}, s3Prefix=FOLDER), "serverless", NEEDS_INSTANCES),
    (data({}, dataUrl=ARCHIVE, acceptEula=True), "serverless", NEEDS_INSTANCES),
    (data({}, additionalData=[{"name": "a", "s3Prefix": FOLDER}]), "serverless", NEEDS_INSTANCES),
    (
        data({"variants": [{"name": "a", "model": {"s3Prefix": FOLDER}}]}),
        "serverless, of a variant",
        NEEDS_INSTANCES,
    ),
    (data(additionalData=[{"name": "a"}]), "nothing", "set one of dataUrl and s3Prefix"),
    (data(additionalData=[{"name": "../a", "s3Prefix": FOLDER}]), "leads out", "must be at most 64 letters, digits"),
    (data(additionalData=[{"name": f"a{n}", "s3Prefix": FOLDER} for n in range(6)]), "more than SageMaker takes", "5"),
    (
        data(environmentFrom=[{"name": "TOKEN"}]),
        "a Secret, which the schema does not have",
        "configMapKeyRef is required. Secrets cannot be referenced, because DescribeModel shows the environment",
    ),
    (
        data(environmentFrom=[{"name": "1A", "configMapKeyRef": {"name": "a", "key": "b"}}]),
        "no name",
        "must be letters, digits and '_'",
    ),
    (
        data(environmentFrom=[{"name": "AWS_SESSION_TOKEN", "configMapKeyRef": {"name": "a", "key": "b"}}]),
        "a credential",
        "must not be SAGEMAKER_BIND_TO_PORT",
    ),
    (
        data(environmentFrom=[{"name": "A", "configMapKeyRef": {"name": "Settings", "key": "b"}}]),
        "no name of an object",
        "must be the name of a Kubernetes object",
    ),
    (
        data(environmentFrom=[{"name": "A", "configMapKeyRef": {"name": "a", "key": "b/c"}}]),
        "no key",
        "must be the key of a ConfigMap",
    ),
    ({"tags": {"aws:team": "nlp"}}, "reserved by AWS", OWN_TAGS),
    ({"tags": {"AWS:team": "nlp"}}, "reserved by AWS in any case", OWN_TAGS),
    ({"tags": {"ephemeral-endpoints.io/uid": "1"}}, "the proof of ownership", OWN_TAGS),
    ({"tags": {"managedby": "me"}}, "an owner tag, which some services compare without case", OWN_TAGS),
    ({"tags": {"team!": "nlp"}}, "no character of a tag", "keys must be 1 to 128 letters, digits, spaces"),
    ({"tags": {"": "nlp"}}, "no key", "keys must be 1 to 128"),
    ({"tags": {"x" * 129: "nlp"}}, "a long key", "keys must be 1 to 128"),
    ({"tags": {"team": "nlp|cv"}}, "no character of a tag", "values must be letters, digits, spaces"),
    ({"tags": {"team": "{namespace}"}}, "a placeholder, which only classes have", "values must be letters"),
    ({"tags": {"team": "x" * 257}}, "a long value", "team"),
    ({"tags": {f"t{n}": "" for n in range(21)}}, "more than there is room for", "tags"),
]
OBJECT_ACCEPTED: list[tuple[Body, str]] = [
    (instances(startupTimeout="1m", modelDownloadTimeout="1h", capacityTimeout="5m", volumeSizeGB=512), "bounds"),
    (instances(fallbackTypes=[f"ml.m{n}.xlarge" for n in range(4)], volumeSizeGB=1), "as many pools as there may be"),
    (instances(amiVersion="al2023-ami-sagemaker-inference-gpu-4-1", routingStrategy="Random"), "settings"),
    (data(s3Prefix="s3://bucket/"), "a whole bucket"),
    (data(s3Prefix="s3://bucket/möwe/ü/"), "any key"),
    (data(dataUrl=ARCHIVE, acceptEula=True), "a gated archive"),
    (data({}, dataUrl=ARCHIVE, acceptEula=False), "nothing to accept on serverless"),
    (data(additionalData=[{"name": "a.b-c_D", "dataUrl": ARCHIVE}]), "an archive beside"),
    (data(environmentFrom=[{"name": "A", "configMapKeyRef": {"name": "a.b", "key": ".C_d-e"}}]), "a variable"),
    ({"tags": {"Kostenstelle ü": "1/2=3", "team:ml": ""}}, "all that AWS takes"),
    ({"tags": {"environments": "a", "x" * 128: "y" * 256}}, "long, and nearly ours"),
]

CLASS_REFUSED: list[tuple[Body, str, str]] = [
    ({"network": {"vpc": {"securityGroupIds": [], "subnetIds": ["subnet-0000000a"]}}}, "no group", "securityGroupIds"),
    ({"network": {"vpc": {"securityGroupIds": ["sg-0000000a"]}}}, "no subnet", "subnetIds"),
    (
        {"encryption": {"volumeKeyArn": KEY.replace("key/", "alias/")}},
        "an alias, which no policy can name",
        "must be the ARN of a KMS key",
    ),
    (
        {"allowedExecutionRoleArns": ["arn:aws:iam::210987654321:role/other"]},
        "another account's",
        "allowedExecutionRoleArns must be roles of the same account",
    ),
    (
        {"alarms": {"actions": ["arn:aws:sns:eu-west-1:123456789012:previews"]}},
        "another region's",
        "alarms.actions must be SNS topics in the class's region",
    ),
    ({"alarms": {"actions": ["arn:aws:lambda:us-east-1:123456789012:function:a"]}}, "no topic", "standard SNS topic"),
    (
        {"instances": {"maxVolumeSizeGB": 32, "defaults": {"volumeSizeGB": 64}}},
        "more than objects may have",
        "defaults.volumeSizeGB must not be greater than maxVolumeSizeGB",
    ),
    ({"tags": {"values": {"CostCenter": "{owner}"}}}, "no such placeholder", "and placeholders: {namespace}, {name}"),
    ({"tags": {"values": {"CostCenter": "{namespace"}}}, "half a placeholder", "and placeholders"),
    ({"tags": {"values": {"Environment": "dev"}}}, "an owner tag", OWN_TAGS),
    ({"results": {}}, "nowhere", "set exactly one of topicArn, deliveryStream and kinesisStream"),
    ({"results": {"kinesisStream": "a", "deliveryStream": "b"}}, "two streams", "set exactly one of topicArn"),
    ({"results": {"topicArn": TOPIC}}, "another region", "results.topicArn must be an SNS topic in the class's region"),
    ({"results": {"topicArn": f"{TOPIC}.fifo"}}, "an ordered topic", "must be the ARN of a standard SNS topic"),
    ({"tags": {"allowedKeys": ["a|b"]}}, "no character of a tag", "must be the key of a tag in which * matches"),
]
CLASS_ACCEPTED: list[tuple[Body, str]] = [
    ({"network": {"vpc": {"securityGroupIds": ["sg-0000000a"], "subnetIds": ["subnet-0000000a"]}}}, "short IDs"),
    ({"encryption": {"volumeKeyArn": KEY, "captureKeyArn": KEY.replace("key/", "key/mrk-")}}, "keys"),
    ({"tags": {"values": {"CostCenter": "ml/{namespace}-{name}", "PR": "{pullRequest}"}}}, "placeholders"),
    ({"tags": {"allowedKeys": ["*"]}}, "any key"),
    ({"instances": {"maxVolumeSizeGB": 64, "defaults": {"volumeSizeGB": 64}}}, "as large as objects may have"),
]


@pytest.mark.parametrize(("spec", "reason", "message"), OBJECT_REFUSED, ids=[case[2][:40] for case in OBJECT_REFUSED])
def test_both_sides_refuse_an_object(
    spec: Body, reason: str, message: str, endpoint: Body, create: Callable[..., Body]
) -> None:
    body = endpoint | {"spec": endpoint["spec"] | spec}
    with pytest.raises(ValueError, match=re.escape(message)):
        create(body)
    with pytest.raises(ValueError, match=re.escape(message) if " " in message else None):
        EphemeralEndpoint.model_validate(body)
    assert reason


@pytest.mark.parametrize(("spec", "reason"), OBJECT_ACCEPTED, ids=[case[1] for case in OBJECT_ACCEPTED])
def test_both_sides_accept_an_object(spec: Body, reason: str, endpoint: Body, create: Callable[..., Body]) -> None:
    body = create(endpoint | {"spec": endpoint["spec"] | spec})
    assert EphemeralEndpoint.model_validate(body).to_wire()["spec"].keys() >= spec.keys(), reason


@pytest.mark.parametrize(("spec", "reason", "message"), CLASS_REFUSED, ids=[case[2][:40] for case in CLASS_REFUSED])
def test_both_sides_refuse_a_class(
    spec: Body, reason: str, message: str, endpoint_class: Body, create: Callable[..., Body]
) -> None:
    body = endpoint_class | {"spec": endpoint_class["spec"] | spec}
    with pytest.raises(ValueError, match=re.escape(message)):
        create(body)
    with pytest.raises(ValueError, match=re.escape(message) if " " in message else None):
        EphemeralEndpointClass.model_validate(body)
    assert reason


@pytest.mark.parametrize(("spec", "reason"), CLASS_ACCEPTED, ids=[case[1] for case in CLASS_ACCEPTED])
def test_both_sides_accept_a_class(spec: Body, reason: str, endpoint_class: Body, create: Callable[..., Body]) -> None:
    body = create(endpoint_class | {"spec": endpoint_class["spec"] | spec})
    assert EphemeralEndpointClass.model_validate(body).to_wire()["spec"].keys() >= spec.keys(), reason
