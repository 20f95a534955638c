"""Routing: the forwarder functions, the HTTP APIs with their routes, and the streams of captured requests."""

from typing import Final

from ephemeral_endpoints.features.feature import Feature
from ephemeral_endpoints.features.routing.api_mappings import ApiMappingComponent
from ephemeral_endpoints.features.routing.capture.components import DeliveryStreamComponent
from ephemeral_endpoints.features.routing.concurrency import FunctionConcurrencyComponent
from ephemeral_endpoints.features.routing.desired import desired
from ephemeral_endpoints.features.routing.feedback import desired as feedback
from ephemeral_endpoints.features.routing.feedback.components import FeedbackTableComponent
from ephemeral_endpoints.features.routing.function import FunctionComponent
from ephemeral_endpoints.features.routing.http_api import (
    AuthorizerComponent,
    HttpApiComponent,
    IntegrationComponent,
    RouteComponent,
)
from ephemeral_endpoints.features.routing.parameters import desired as parameters
from ephemeral_endpoints.features.routing.parameters.components import ParameterComponent
from ephemeral_endpoints.features.routing.route_throttles import RouteThrottleComponent

ROUTING: Final = Feature(
    name="routing",
    policy="operator-routes",
    adapters=(
        FunctionComponent,
        FunctionConcurrencyComponent,
        HttpApiComponent,
        ApiMappingComponent,
        IntegrationComponent,
        AuthorizerComponent,
        RouteComponent,
        RouteThrottleComponent,
    ),
    desired=(desired,),
)
FEEDBACK: Final = Feature(
    name="feedback",
    policy="operator-data",
    adapters=(FeedbackTableComponent,),
    desired=(feedback.desired,),
)
PARAMETERS: Final = Feature(
    name="parameters",
    policy="operator-data",
    adapters=(ParameterComponent,),
    desired=(parameters.desired,),
)

CAPTURE: Final = Feature(name="capture", policy="operator-capture", adapters=(DeliveryStreamComponent,))
