"""Capacity: what is known of the account's quotas. It makes no resources."""

from typing import Final

from ephemeral_endpoints.features.capacity.service_quotas import STATEMENTS
from ephemeral_endpoints.features.feature import Feature

CAPACITY: Final = Feature(
    name="capacity",
    policy="operator-images",
    shared_actions=frozenset({"servicequotas:ListServiceQuotas"}),
    shared_statements=STATEMENTS,
)
