"""The one list of the kinds of AWS resources, in the order in which they can be listed.

Later ones refer to earlier ones.
"""

from ephemeral_endpoints.aws.alarm import AlarmComponent
from ephemeral_endpoints.aws.autoscaling import ScalableTargetComponent
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Component, Scope
from ephemeral_endpoints.aws.function import FunctionComponent
from ephemeral_endpoints.aws.http_api import HttpApiComponent, IntegrationComponent, RouteComponent
from ephemeral_endpoints.aws.logs import LogGroupComponent
from ephemeral_endpoints.aws.repositories import RepositoryComponent
from ephemeral_endpoints.aws.sagemaker import EndpointComponent, EndpointConfigComponent, ModelComponent


def components(clients: Clients, scope: Scope) -> tuple[Component, ...]:
    """A component for every kind."""
    return (
        LogGroupComponent(clients.logs, scope),
        ModelComponent(clients.sagemaker, scope),
        EndpointConfigComponent(clients.sagemaker, scope),
        EndpointComponent(clients.sagemaker, scope),
        ScalableTargetComponent(clients.autoscaling, scope),
        FunctionComponent(clients.lambda_, scope),
        HttpApiComponent(clients.apigateway, scope),
        IntegrationComponent(clients.apigateway, scope),
        RouteComponent(clients.apigateway, scope),
        AlarmComponent(clients.cloudwatch, scope),
        RepositoryComponent(clients.ecr, scope),
    )
