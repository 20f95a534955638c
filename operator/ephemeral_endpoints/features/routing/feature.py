"""Routing: the forwarder functions, and the HTTP APIs with their routes."""

from typing import Final

from ephemeral_endpoints.features.feature import Feature
from ephemeral_endpoints.features.routing.concurrency import FunctionConcurrencyComponent
from ephemeral_endpoints.features.routing.desired import desired
from ephemeral_endpoints.features.routing.function import FunctionComponent
from ephemeral_endpoints.features.routing.http_api import HttpApiComponent, IntegrationComponent, RouteComponent

ROUTING: Final = Feature(
    name="routing",
    policy="operator-routes",
    adapters=(
        FunctionComponent,
        FunctionConcurrencyComponent,
        HttpApiComponent,
        IntegrationComponent,
        RouteComponent,
    ),
    desired=(desired,),
)
