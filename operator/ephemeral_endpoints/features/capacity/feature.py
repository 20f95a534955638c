"""Capacity: what is known of the account's quotas, and of AWS's prices. It makes no resources."""

from typing import Final

from ephemeral_endpoints.features.capacity import listed_prices, service_quotas
from ephemeral_endpoints.features.feature import Feature

CAPACITY: Final = Feature(
    name="capacity",
    policy="operator-images",
    shared_actions=frozenset({"pricing:GetProducts", "servicequotas:ListServiceQuotas"}),
    shared_statements=(*service_quotas.STATEMENTS, *listed_prices.STATEMENTS),
)
