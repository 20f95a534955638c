"""The one list of the capabilities of the operator, and values derived from it."""

from typing import Final

from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Component, Scope
from ephemeral_endpoints.features.capacity.feature import CAPACITY
from ephemeral_endpoints.features.images.feature import IMAGES
from ephemeral_endpoints.features.monitoring.feature import MONITORING
from ephemeral_endpoints.features.packages.feature import PACKAGES
from ephemeral_endpoints.features.reaping.feature import REAPING
from ephemeral_endpoints.features.routing.feature import CAPTURE, FEEDBACK, PARAMETERS, ROUTING
from ephemeral_endpoints.features.serving.feature import EVENTS, HOSTING, SERVING
from ephemeral_endpoints.features.training.feature import TRAINING

FEATURES: Final = (
    PACKAGES,
    IMAGES,
    MONITORING,
    SERVING,
    HOSTING,
    EVENTS,
    ROUTING,
    FEEDBACK,
    CAPTURE,
    PARAMETERS,
    REAPING,
    TRAINING,
    CAPACITY,
)
"""Each after those on whose resources its own depend."""

KINDS: Final = tuple(kind for feature in FEATURES for kind in feature.kinds)
"""All kinds of AWS resources, each after those that its lists refer to."""


def components(clients: Clients, scope: Scope) -> tuple[Component, ...]:
    """A component for every kind."""
    return tuple(each for feature in FEATURES for each in feature.components(clients, scope))
