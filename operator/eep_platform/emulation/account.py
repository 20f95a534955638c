"""The account and region that resources belong to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """An AWS account (12 digits) in one region."""

    id: str
    region: str

    @property
    def partition(self) -> str:
        """The ARN partition of the region."""
        return "aws-cn" if self.region.startswith("cn-") else "aws"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.id}:{resource}"
