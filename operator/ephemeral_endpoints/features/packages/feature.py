"""Packages: the versions of models that the registry keeps, and their approval."""

from typing import Final

from ephemeral_endpoints.features.feature import Feature
from ephemeral_endpoints.features.packages import groups, inventory, registry
from ephemeral_endpoints.features.packages.iam import PACKAGES as STATEMENTS

PACKAGES: Final = Feature(
    name="packages",
    policy="operator-images",
    shared_actions=groups.ACTIONS | inventory.ACTIONS | registry.ACTIONS | {"sagemaker:CreateModel"},
    shared_statements=STATEMENTS,
)
