"""The boto3 clients of one region, made once and shared by all threads."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config

from ephemeral_endpoints import __version__

if TYPE_CHECKING:
    from types_boto3_apigatewayv2 import ApiGatewayV2Client
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_ecr import ECRClient
    from types_boto3_lambda import LambdaClient
    from types_boto3_logs import CloudWatchLogsClient
    from types_boto3_sagemaker import SageMakerClient
    from types_boto3_sqs import SQSClient
    from types_boto3_sts import STSClient

CONNECT_TIMEOUT_SECONDS: Final = 5
READ_TIMEOUT_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Clients:
    """One client a service; clients are safe to use from many threads, sessions are not."""

    region: str
    sagemaker: "SageMakerClient"
    lambda_: "LambdaClient"
    apigateway: "ApiGatewayV2Client"
    cloudwatch: "CloudWatchClient"
    logs: "CloudWatchLogsClient"
    ecr: "ECRClient"
    sqs: "SQSClient"
    sts: "STSClient"


def connect(region: str, *, connections: int) -> Clients:
    """Clients for ``region`` with the default credential chain; makes no call.

    botocore's retries are off: repeating a call whose outcome is unknown could make a twin, so the reconciler looks
    first.
    """
    session = boto3.Session(region_name=region)
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        max_pool_connections=connections,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"total_max_attempts": 1, "mode": "standard"},
        tcp_keepalive=True,
        user_agent_extra=f"ephemeral-endpoints/{__version__}",
    )
    return Clients(
        region=region,
        sagemaker=session.client("sagemaker", config=config),
        lambda_=session.client("lambda", config=config),
        apigateway=session.client("apigatewayv2", config=config),
        cloudwatch=session.client("cloudwatch", config=config),
        logs=session.client("logs", config=config),
        ecr=session.client("ecr", config=config),
        sqs=session.client("sqs", config=config),
        sts=session.client("sts", config=config),
    )
