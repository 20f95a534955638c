"""The partitions of AWS: which ARNs and domains a region has.

References: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html and ``partitions.json`` of botocore.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition: its part of ARNs, after ``arn:``, and the domain of its services."""

    id: str
    domain: str


_COMMERCIAL: Final = Partition("aws", "amazonaws.com")
_OTHERS: Final[Mapping[str, Partition]] = {
    "cn-": Partition("aws-cn", "amazonaws.com.cn"),
    "eu-isoe-": Partition("aws-iso-e", "cloud.adc-e.uk"),
    "eusc-": Partition("aws-eusc", "amazonaws.eu"),
    "us-gov-": Partition("aws-us-gov", "amazonaws.com"),
    "us-iso-": Partition("aws-iso", "c2s.ic.gov"),
    "us-isob-": Partition("aws-iso-b", "sc2s.sgov.gov"),
    "us-isof-": Partition("aws-iso-f", "csp.hci.ic.gov"),
}
"""By how the names of their regions begin."""

DOMAINS: Final = tuple(dict.fromkeys(each.domain for each in (_COMMERCIAL, *_OTHERS.values())))
"""The domains of all partitions, each once."""


def partition_of(region: str) -> Partition:
    """The partition of a region."""
    return next((partition for start, partition in _OTHERS.items() if region.startswith(start)), _COMMERCIAL)
