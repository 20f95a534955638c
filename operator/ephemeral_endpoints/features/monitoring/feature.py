"""Monitoring: logs and alarms."""

from typing import Final

from ephemeral_endpoints.features.feature import Feature
from ephemeral_endpoints.features.monitoring.alarms import AlarmComponent
from ephemeral_endpoints.features.monitoring.desired import desired
from ephemeral_endpoints.features.monitoring.log_groups import READ_ACTIONS, LogGroupComponent

MONITORING: Final = Feature(
    name="monitoring",
    policy="operator-monitoring",
    adapters=(LogGroupComponent, AlarmComponent),
    desired=(desired,),
    shared_actions=READ_ACTIONS,
)
