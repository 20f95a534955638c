"""Reaping: the rules that run the reapers of classes; their other parts are of kinds of other features."""

from typing import Final

from ephemeral_endpoints.features.feature import Feature
from ephemeral_endpoints.features.reaping.components import EventRuleComponent

REAPING: Final = Feature(name="reaping", policy="operator-images", adapters=(EventRuleComponent,))
