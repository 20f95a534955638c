"""Names of registries, held to the partitions that botocore knows."""

import pytest
from botocore.session import get_session

from ephemeral_endpoints.api.v1alpha1.ecr import Registry
from ephemeral_endpoints.aws.component import Scope

ACCOUNT = "123456789012"
SESSION = get_session()
REGIONS = [
    (partition, region)
    for partition in SESSION.get_available_partitions()
    for region in SESSION.get_available_regions("ecr", partition, allow_non_regional=False)
]


@pytest.mark.parametrize(("partition", "region"), REGIONS, ids=[region for _, region in REGIONS])
def test_a_registry_has_the_domain_of_its_partition(partition: str, region: str) -> None:
    [domain] = {
        each["dnsSuffix"]
        for each in SESSION.get_data("endpoints")["partitions"]
        if each["partition"] == SESSION.get_partition_for_region(region)
    }
    registry = Registry(ACCOUNT, region)
    assert registry.host == f"{ACCOUNT}.dkr.ecr.{region}.{domain}"
    assert Registry.named(registry.host) == registry
    assert Scope("c1", ACCOUNT, region).partition == partition


@pytest.mark.parametrize(
    ("host", "region"),
    [
        (f"{ACCOUNT}.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        (f"{ACCOUNT}.dkr-ecr.eu-central-1.on.aws", "eu-central-1"),
        (f"{ACCOUNT}.dkr-ecr-fips.us-west-2.on.aws", "us-west-2"),
        (f"{ACCOUNT}.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "cn-north-1"),
        (f"{ACCOUNT}.dkr-ecr.eusc-de-east-1.on.amazonwebservices.eu", "eusc-de-east-1"),
    ],
)
def test_a_registry_answers_to_other_names(host: str, region: str) -> None:
    assert Registry.named(host) == Registry(ACCOUNT, region)


@pytest.mark.parametrize(
    "host",
    [
        "public.ecr.aws",
        f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com.evil.example",
        f"evil.example.{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr.us-east-1.amazonawsXcom",
        f"{ACCOUNT}.dkr-ecr.us-east-1.amazonaws.com",
        f"{ACCOUNT}.dkr.ecr.us-east-1.on.aws",
        f"{ACCOUNT}.dkr.ecr.us-east-1.evil.example.amazonaws.com",
        "12345678901.dkr.ecr.us-east-1.amazonaws.com",
    ],
)
def test_another_host_is_no_registry(host: str) -> None:
    assert Registry.named(host) is None
