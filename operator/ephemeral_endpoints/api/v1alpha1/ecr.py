"""The names of the private registries of Amazon ECR, in every partition of AWS.

A registry answers to several: also with IPv6 (``dkr-ecr``) and by FIPS endpoints. References:
https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-requests.html, and the list by which
kubelets recognize registries (https://github.com/kubernetes/cloud-provider-aws, ecr-credential-provider).
"""

import re
from dataclasses import dataclass
from typing import Final

from ephemeral_endpoints.api.v1alpha1.partitions import DOMAINS, partition_of

_DUAL_STACK_DOMAINS: Final = ("on.aws", "on.amazonwebservices.com.cn", "on.amazonwebservices.eu")


def _any_of(*domains: str) -> str:
    return f"({'|'.join(domains)})".replace(".", r"\.")


DOMAIN_PATTERN: Final = _any_of(*DOMAINS)
REGISTRY_PATTERN: Final = (
    rf"[0-9]{{12}}\.(dkr\.ecr(-fips)?\.[a-z0-9-]+\.{DOMAIN_PATTERN}"
    rf"|dkr-ecr(-fips)?\.[a-z0-9-]+\.{_any_of(*_DUAL_STACK_DOMAINS)})"
)
"""Any name of any registry, as a regular expression of RE2 too."""

_REGISTRY: Final = re.compile(REGISTRY_PATTERN)


@dataclass(frozen=True, slots=True)
class Registry:
    """The registry of an account in a region."""

    account: str
    region: str

    @classmethod
    def named(cls, host: str) -> "Registry | None":
        """The registry that answers to a name; None if it is not ECR's."""
        if _REGISTRY.fullmatch(host) is None:
            return None
        account, first, *labels = host.split(".")
        return cls(account, labels[1 if first == "dkr" else 0])

    @property
    def host(self) -> str:
        """The name by which SageMaker knows it: without IPv6 or FIPS."""
        return f"{self.account}.dkr.ecr.{self.region}.{partition_of(self.region).domain}"
