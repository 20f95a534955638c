"""Serving: models, endpoint configurations, endpoints, their autoscaling, and their events."""

from typing import Final

from ephemeral_endpoints.features.feature import Feature
from ephemeral_endpoints.features.serving import events, iam
from ephemeral_endpoints.features.serving.autoscaling import ScalableTargetComponent
from ephemeral_endpoints.features.serving.components import EndpointComponent, EndpointConfigComponent, ModelComponent
from ephemeral_endpoints.features.serving.desired import desired

SERVING: Final = Feature(
    name="serving",
    policy="operator-endpoints",
    adapters=(ModelComponent, EndpointConfigComponent, EndpointComponent, ScalableTargetComponent),
    desired=(desired,),
    shared_statements=iam.SERVING,
)
HOSTING: Final = Feature(name="hosting", policy="operator-hosting", shared_statements=iam.HOSTING)
EVENTS: Final = Feature(
    name="events", policy="operator-images", shared_actions=events.ACTIONS, shared_statements=iam.EVENTS
)
