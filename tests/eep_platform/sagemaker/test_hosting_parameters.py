"""Where data comes from, how instances start, and where they run: the parameters of hosting beside the plain ones."""

import io
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.eep_platform.sagemaker.conftest import Service

SERVERLESS = {"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 1}}
INSTANCES = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
POOLS = [{"InstanceType": "ml.g5.xlarge", "Priority": 1}, {"InstanceType": "ml.g6.xlarge", "Priority": 2}]
VPC = {"SecurityGroupIds": ["sg-0123456789abcdef0"], "Subnets": ["subnet-0123456789abcdef0"]}
KEY = "arn:aws:kms:us-east-1:000000000000:key/1"


def source(uri: str, kind: str = "S3Prefix", compression: str = "None", **more: object) -> dict[str, Any]:
    return {"S3DataSource": {"S3Uri": uri, "S3DataType": kind, "CompressionType": compression, **more}}


def model(service: "Service", container: dict[str, Any] | None = None, **more: Any) -> str:  # noqa: ANN401 - as boto3
    name = service.name()
    primary: Any = {"Image": service.image, **(container or {})}
    service.sagemaker.create_model(ModelName=name, ExecutionRoleArn=service.role, PrimaryContainer=primary, **more)
    return name


def bucket(service: "Service", **objects: str) -> str:
    """A bucket with these objects; ``__`` in a name stands for a slash."""
    s3, name = service.aws("s3"), service.name()
    s3.create_bucket(Bucket=name)
    for key, body in objects.items():
        s3.put_object(Bucket=name, Key=key.replace("__", "/"), Body=body.encode())
    return name


def failure(service: "Service", config: str) -> str:
    name = service.endpoint(config, status="Failed")
    return str(service.sagemaker.describe_endpoint(EndpointName=name)["FailureReason"])


@pytest.mark.parametrize(
    ("container", "message"),
    [
        pytest.param(
            {"ModelDataUrl": "s3://b/m.tar.gz", "ModelDataSource": source("s3://b/m/")},
            "only specify one of ModelDataUrl or ModelDataSource",
            id="two places",
        ),
        pytest.param({"ModelDataSource": source("s3://b/m")}, "must end with a forward slash", id="half a name"),
        pytest.param(
            {"ModelDataSource": source("s3://b/m/", compression="Gzip")},
            "needs S3DataType S3Object",
            id="a folder in gzip",
        ),
        pytest.param(
            {"ModelDataSource": source("s3://b/m/", ManifestS3Uri="s3://b/manifest")},
            "not served here",
            id="a manifest",
        ),
        pytest.param(
            {"AdditionalModelDataSources": [{"ChannelName": "a", **source("s3://b/m/")}] * 2},
            "must be unique",
            id="two channels of one name",
        ),
        pytest.param({"Mode": "MultiModel"}, "Only Mode SingleModel", id="several models in a container"),
    ],
)
def test_models_that_cannot_be(service: "Service", container: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        model(service, container)


@pytest.mark.parametrize(
    ("variant", "more", "message"),
    [
        *(
            pytest.param(
                SERVERLESS | {member: value}, {}, f"ServerlessConfig or {member}", id=f"serverless and {member}"
            )
            for member, value in {
                "InstancePools": POOLS,
                "VariantInstanceProvisionTimeoutInSeconds": 300,
                "VolumeSizeInGB": 1,
                "ModelDataDownloadTimeoutInSeconds": 60,
                "ContainerStartupHealthCheckTimeoutInSeconds": 60,
                "RoutingConfig": {"RoutingStrategy": "RANDOM"},
                "InferenceAmiVersion": "al2-ami-sagemaker-inference-gpu-2",
            }.items()
        ),
        pytest.param(INSTANCES | {"InstancePools": POOLS}, {}, "InstanceType or InstancePools", id="type and pools"),
        pytest.param(
            {"InitialInstanceCount": 1, "InstancePools": [POOLS[0], POOLS[1] | {"Priority": 1}]},
            {},
            "The Priority of each instance pool",
            id="two pools of one priority",
        ),
        pytest.param(
            {"InitialInstanceCount": 1, "InstancePools": [POOLS[0], POOLS[0] | {"Priority": 2}]},
            {},
            "The InstanceType of each instance pool",
            id="two pools of one type",
        ),
        pytest.param({"InstancePools": POOLS}, {}, "InitialInstanceCount is needed", id="pools of no size"),
        pytest.param(
            {"InitialInstanceCount": 1, "InstancePools": POOLS, "VolumeSizeInGB": 30},
            {},
            r"not allowed for the selected Instance type ml\.g5\.xlarge",
            id="a volume beside disks of a pool",
        ),
        *(
            pytest.param(
                {"InstanceType": type_, "InitialInstanceCount": 1, "VolumeSizeInGB": 30},
                {},
                "VolumeSize parameter is not allowed",
                id=f"a volume beside the disks of {type_}",
            )
            for type_ in ("ml.g4dn.xlarge", "ml.m5d.large", "ml.p4d.24xlarge", "ml.trn1.2xlarge", "ml.g6e.xlarge")
        ),
        pytest.param(INSTANCES | {"VolumeSizeInGB": 513}, {}, "less than or equal to 512", id="a large volume"),
        pytest.param(
            INSTANCES | {"ManagedInstanceScaling": {"Status": "ENABLED"}},
            {},
            "ManagedInstanceScaling is not supported with the given EndpointConfig setup",
            id="managed scaling without inference components",
        ),
        pytest.param(INSTANCES, {"VpcConfig": VPC}, "is for inference components", id="the VPC of a configuration"),
    ],
)
def test_configurations_that_cannot_be(
    service: "Service", variant: dict[str, Any], more: dict[str, Any], message: str
) -> None:
    member: Any = {"VariantName": "a", "ModelName": service.model(), **variant}
    with pytest.raises(ClientError, match=message):
        service.config_of(member, **more)


@pytest.mark.parametrize(
    ("container", "more", "message"),
    [
        ({"ModelDataSource": source("s3://b/m/")}, {}, "ModelDataSource is not supported for serverless"),
        (
            {"AdditionalModelDataSources": [{"ChannelName": "a", **source("s3://b/m/")}]},
            {},
            "AdditionalModelDataSources is not supported for serverless",
        ),
        ({}, {"VpcConfig": VPC}, "VpcConfig and network isolation are not supported for serverless"),
        ({}, {"EnableNetworkIsolation": True}, "VpcConfig and network isolation are not supported for serverless"),
    ],
    ids=["uncompressed data", "additional data", "a VPC", "isolation"],
)
def test_models_that_serverless_endpoints_cannot_serve(
    service: "Service", container: dict[str, Any], more: dict[str, Any], message: str
) -> None:
    name = model(service, container, **more)
    with pytest.raises(ClientError, match=message):
        service.config(name)
    service.config(name, instances=True)


def test_a_serverless_endpoint_may_have_a_key_for_its_image(service: "Service") -> None:
    """As "Create an endpoint configuration" for serverless endpoints in the developer guide has it."""
    variant: Any = {"VariantName": "a", "ModelName": service.model(), **SERVERLESS}
    name = service.config_of(variant, KmsKeyId=KEY)
    assert service.sagemaker.describe_endpoint_config(EndpointConfigName=name)["KmsKeyId"] == KEY


def test_what_was_asked_for_is_described(service: "Service") -> None:
    network: dict[str, Any] = {"VpcConfig": VPC, "EnableNetworkIsolation": True}
    name = model(service, **network)
    assert {key: service.sagemaker.describe_model(ModelName=name).get(key) for key in network} == network
    more: dict[str, Any] = {
        "VolumeSizeInGB": 64,
        "ModelDataDownloadTimeoutInSeconds": 3600,
        "ContainerStartupHealthCheckTimeoutInSeconds": 600,
        "InferenceAmiVersion": "al2023-ami-sagemaker-inference-gpu-4-1",
        "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
    }
    config = service.config_of(service.instances(name, **more), KmsKeyId=KEY)
    described: Any = service.sagemaker.describe_endpoint_config(EndpointConfigName=config)
    assert described["KmsKeyId"] == KEY
    assert {key: described["ProductionVariants"][0][key] for key in more} == more
    endpoint = service.endpoint(config)
    [variant] = service.sagemaker.describe_endpoint(EndpointName=endpoint)["ProductionVariants"]
    assert variant["RoutingConfig"] == more["RoutingConfig"]


def test_uncompressed_and_additional_data_are_in_their_folders(service: "Service") -> None:
    name = bucket(service, m__config="{}", m__shards__1="one", adapters__a="lora", m2="another's")
    data = {
        "ModelDataSource": source(f"s3://{name}/m/", ModelAccessConfig={"AcceptEula": True}),
        "AdditionalModelDataSources": [
            {"ChannelName": "lora", **source(f"s3://{name}/adapters/")},
            {"ChannelName": "one", **source(f"s3://{name}/m2", kind="S3Object")},
        ],
    }
    endpoint = service.endpoint(service.config(model(service, data), instances=True))
    found = service.invoke(endpoint)
    assert found["modelData"] == {"config": "{}", "shards/1": "one"}
    assert found["additionalData"] == {"lora/a": "lora", "one/m2": "another's"}


def test_an_archive_is_unpacked_from_a_source_too(service: "Service") -> None:
    name, buffer = bucket(service), io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("weights")
        member.size = 5
        tar.addfile(member, io.BytesIO(b"1 2 3"))
    service.aws("s3").put_object(Bucket=name, Key="model.tar.gz", Body=buffer.getvalue())
    data = {"ModelDataSource": source(f"s3://{name}/model.tar.gz", kind="S3Object", compression="Gzip")}
    endpoint = service.endpoint(service.config(model(service, data), instances=True))
    assert service.invoke(endpoint)["modelData"] == {"weights": "1 2 3"}


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        ({"other": "1"}, "Please ensure that there is an object located at the URL"),
        ({"m__a": "1", "m__a__b": "2"}, "not an unambiguous file name"),
        ({"m__..__escaped": "1"}, "not an unambiguous file name"),
    ],
    ids=["nothing there", "a file and a folder of one name", "out of the folder"],
)
def test_data_that_cannot_be_placed_fails_the_endpoint(
    service: "Service", objects: dict[str, str], reason: str
) -> None:
    data = {"ModelDataSource": source(f"s3://{bucket(service, **objects)}/m/")}
    assert reason in failure(service, service.config(model(service, data), instances=True))


def test_a_server_that_is_not_healthy_within_its_own_limit_fails(service: "Service") -> None:
    service.settings(start_seconds_per_second=1e6)
    variant = service.instances(service.model(MODE="never-healthy"), ContainerStartupHealthCheckTimeoutInSeconds=3600)
    assert "did not pass the ping health check" in failure(service, service.config_of(variant))


def test_data_that_is_not_there_within_its_own_limit_fails(service: "Service") -> None:
    service.settings(start_seconds_per_second=1e9)
    data = {"ModelDataSource": source(f"s3://{bucket(service, m__a='1')}/m/")}
    variant = service.instances(model(service, data), ModelDataDownloadTimeoutInSeconds=60)
    assert "within 60 seconds" in failure(service, service.config_of(variant))


def pooled(service: "Service") -> str:
    variant: Any = {
        "VariantName": "a",
        "ModelName": service.model(),
        "InitialInstanceCount": 2,
        "InstancePools": POOLS[::-1],
        "VariantInstanceProvisionTimeoutInSeconds": 300,
    }
    return service.config_of(variant)


def running(service: "Service", endpoint: str) -> dict[str, int]:
    [variant] = service.sagemaker.describe_endpoint(EndpointName=endpoint)["ProductionVariants"]
    assert "InstanceType" not in variant
    return {pool["InstanceType"]: pool["CurrentInstanceCount"] for pool in variant["InstancePools"]}


def test_the_pool_of_the_highest_priority_runs(service: "Service") -> None:
    assert running(service, service.endpoint(pooled(service))) == {"ml.g5.xlarge": 2, "ml.g6.xlarge": 0}


def test_without_capacity_the_next_pool_runs_and_counts_against_its_quota(service: "Service") -> None:
    service.settings(capacity_shortages=["ml.g5.xlarge"], quotas={"instances": {"ml.g6.xlarge": 3}})
    assert running(service, service.endpoint(pooled(service))) == {"ml.g5.xlarge": 0, "ml.g6.xlarge": 2}
    with pytest.raises(ClientError, match=r"ml\.g6\.xlarge for endpoint usage' is 3 Instances"):
        service.endpoint(service.config_of(service.instances(InstanceType="ml.g6.xlarge", InitialInstanceCount=2)))


def test_without_any_capacity_the_endpoint_fails(service: "Service") -> None:
    service.settings(capacity_shortages=["ml.g5.xlarge", "ml.g6.xlarge"])
    assert "InsufficientInstanceCapacity" in failure(service, pooled(service))
    service.settings(capacity_shortages=["ml.m5.large"])
    assert "InsufficientInstanceCapacity" in failure(service, service.config(instances=True))
