import botocore.session
import pytest

from ephemeral_endpoints.aws.component import Scope


@pytest.mark.parametrize(
    ("region", "partition", "reason"),
    [
        ("eu-central-1", "aws", "most regions"),
        ("us-east-1", "aws", "a region of the same country as those of its government"),
        ("us-gov-west-1", "aws-us-gov", "a partition of its own"),
        ("cn-north-1", "aws-cn", "likewise"),
    ],
)
def test_arns_are_of_the_partition_of_the_region(region: str, partition: str, reason: str) -> None:
    assert Scope("c1", "123456789012", region).partition == partition, reason


def test_every_region_has_the_partition_that_aws_says() -> None:
    aws = botocore.session.get_session()
    regions = [region for each in aws.get_data("partitions")["partitions"] for region in each["regions"]]
    expected = {region: aws.get_partition_for_region(region) for region in regions if not region.endswith("-global")}
    assert {region: Scope("c1", "123456789012", region).partition for region in expected} == expected
