"""How a model is hosted, on real parts: data, networks, keys and tags of a class, and variables from ConfigMaps."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from kubernetes.client import V1ConfigMap, V1ObjectMeta
from tests.fixtures.operator import Bench
from tests.fixtures.waiting import eventually
from tests.integration.test_serving import ask

from eep_platform.aws import ministack

KEY = f"arn:aws:kms:{ministack.REGION}:{ministack.ACCOUNT}:key/0a1b2c3d"
VPC: Mapping[str, Any] = {
    "securityGroupIds": ["sg-0000000a"],
    "subnetIds": ["subnet-0000000a", "subnet-0000000b"],
}


@pytest.fixture
def private(bench: Bench) -> Iterator[str]:
    """A class with a network, a key, defaults and tags."""
    name = f"private-{bench.namespace}"
    bench.make_class(
        name,
        network={"vpc": VPC},
        encryption={"volumeKeyArn": KEY},
        instances={"defaults": {"startupTimeout": "10m", "volumeSizeGB": 64}},
        tags={"values": {"CostCenter": "{namespace}"}, "allowedKeys": ["Team"]},
    )
    yield name
    bench.delete_class(name)


def test_a_model_is_hosted_as_its_class_and_its_object_say(bench: Bench, private: str) -> None:
    s3, sagemaker = bench.aws("s3"), bench.aws("sagemaker")
    bucket = f"data-{bench.namespace}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="m/weights/1", Body=b"1")
    instances = {"type": "ml.m5.large", "fallbackTypes": ["ml.m6i.large"], "startupTimeout": "20m"}
    serving = {"instances": instances, "network": {"subnetIds": VPC["subnetIds"][:1]}}
    model = {**bench.saying("hosted"), "s3Prefix": f"s3://{bucket}/m/"}
    bench.apply("pr", bench.spec(className=private, model=model, serving=serving, tags={"Team": "nlp"}))
    obj = bench.wait_ready("pr")
    assert ask(bench, obj).text == "hosted"
    there = bench.left()
    [made] = there["Model"]
    described = sagemaker.describe_model(ModelName=made)
    assert described["VpcConfig"] == {"SecurityGroupIds": ["sg-0000000a"], "Subnets": ["subnet-0000000a"]}
    assert described["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]["S3DataType"] == "S3Prefix"
    [config] = there["EndpointConfig"]
    found = sagemaker.describe_endpoint_config(EndpointConfigName=config)
    [variant] = found["ProductionVariants"]
    assert found["KmsKeyId"] == KEY
    assert (variant["VolumeSizeInGB"], variant["ContainerStartupHealthCheckTimeoutInSeconds"]) == (64, 1200)
    assert [pool["InstanceType"] for pool in variant["InstancePools"]] == ["ml.m5.large", "ml.m6i.large"]
    tags = {each["Key"]: each["Value"] for each in sagemaker.list_tags(ResourceArn=described["ModelArn"])["Tags"]}
    assert (tags["CostCenter"], tags["Team"]) == (bench.namespace, "nlp")


def test_a_class_in_a_vpc_does_not_serve_serverless_endpoints(bench: Bench, private: str) -> None:
    bench.apply("pr", bench.spec(className=private))
    refused = bench.wait_condition("pr", "Stalled", reason="NotAllowed")
    assert "set spec.serving.instances" in str(refused["status"]["conditions"])
    assert "Model" not in bench.left()


def test_a_changed_configmap_is_rolled_out(bench: Bench) -> None:
    source = {"name": "SAY", "configMapKeyRef": {"name": "words", "key": "greeting"}}
    bench.apply("pr", bench.spec(model={"image": bench.image, "environmentFrom": [source]}))
    bench.wait_condition("pr", "EndpointReady", reason="EnvironmentUnavailable")
    words = V1ConfigMap(metadata=V1ObjectMeta(name="words"), data={"greeting": "good morning"})
    bench.core.create_namespaced_config_map(bench.namespace, words)
    obj = bench.wait_ready("pr")
    assert ask(bench, obj).text == "good morning"
    words.data = {"greeting": "good night"}
    bench.core.replace_namespaced_config_map("words", bench.namespace, words)
    eventually(lambda: ask(bench, obj).text == "good night", "the new words")
