"""The boto3 clients of one account and region, created once and shared by all threads."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Self

import boto3
import botocore.session
from botocore.client import BaseClient
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.loaders import Loader
from typing_extensions import override

from ephemeral_endpoints import __version__
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.fence import fence, watch_dates
from ephemeral_endpoints.aws.service_models import ServiceModels
from ephemeral_endpoints.iam.statement import Statement

if TYPE_CHECKING:
    from types_boto3_apigatewayv2 import ApiGatewayV2Client
    from types_boto3_application_autoscaling import ApplicationAutoScalingClient
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_codebuild import CodeBuildClient
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_ecr import ECRClient
    from types_boto3_events import EventBridgeClient
    from types_boto3_iam import IAMClient
    from types_boto3_lambda import LambdaClient
    from types_boto3_logs import CloudWatchLogsClient
    from types_boto3_resourcegroupstaggingapi import ResourceGroupsTaggingAPIClient
    from types_boto3_s3 import S3Client
    from types_boto3_sagemaker import SageMakerClient
    from types_boto3_sns import SNSClient
    from types_boto3_sqs import SQSClient
    from types_boto3_sts import STSClient

STATEMENTS: Final = (
    Statement(
        "AssumeRoleOfClass",
        ("sts:AssumeRole",),
        ("${AssumedRole}",),
        "The roles of classes in other accounts, each by its ARN.",
    ),
)
"""The permissions on the roles that classes name. sts:GetCallerIdentity needs no permission
(https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html)."""

CONNECT_TIMEOUT_SECONDS: Final = 5
READ_TIMEOUT_SECONDS: Final = 30
SESSION_NAME: Final = "ephemeral-endpoints"
"""The session name that CloudTrail shows for an assumed role."""


@dataclass(frozen=True, slots=True)
class Role:
    """A role that the operator assumes."""

    arn: str
    external_id: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Access:
    """An account and region, and the role that the operator assumes there; None: its own credentials."""

    account: str
    region: str
    role: Role | None = None

    @classmethod
    def of(cls, endpoint_class: EphemeralEndpointClass) -> Self:
        """The account, region and role of a class."""
        assumed = endpoint_class.spec.assume_role
        role = Role(assumed.role_arn, assumed.external_id) if assumed else None
        return cls(endpoint_class.spec.account, endpoint_class.spec.region, role)


@dataclass(frozen=True, slots=True)
class Clients:
    """One client per service. Clients are thread-safe, sessions are not.

    Those of S3, DynamoDB, EventBridge, Firehose, the Price List, Service Quotas and SSM, which take megabytes and few
    classes need, are made by the first call of ``s3``, ``dynamodb``, ``events``, ``firehose``, ``pricing``,
    ``service_quotas`` and ``ssm``, which may block.
    """

    region: str
    role: Role | None
    session: boto3.Session
    sagemaker: "SageMakerClient"
    lambda_: "LambdaClient"
    apigateway: "ApiGatewayV2Client"
    autoscaling: "ApplicationAutoScalingClient"
    cloudwatch: "CloudWatchClient"
    codebuild: "CodeBuildClient"
    logs: "CloudWatchLogsClient"
    dynamodb: Callable[[], "DynamoDBClient"]
    ecr: "ECRClient"
    events: Callable[[], "EventBridgeClient"]
    firehose: Callable[[], Any]
    s3: Callable[[], "S3Client"]
    iam: "IAMClient"
    pricing: Callable[[], Any]
    service_quotas: Callable[[], Any]
    sns: "SNSClient"
    sqs: "SQSClient"
    ssm: Callable[[], Any]
    sts: "STSClient"
    tagging: "ResourceGroupsTaggingAPIClient"


_PRICING_REGIONS: Final = {"ap": "ap-south-1"} | dict.fromkeys(("af", "eu", "il", "me"), "eu-central-1")


def pricing_region(region: str) -> str:
    """The nearest of the three regions that have the Price List API, which tells of all regions.

    Source: https://docs.aws.amazon.com/general/latest/gr/billing.html.
    """
    return _PRICING_REGIONS.get(region.partition("-")[0], "us-east-1")


class Sessions:
    """Creates clients, with one session per role for all its regions.

    All sessions share botocore's service models, which are most of their clients' memory. Thread-safe.
    ``check`` is called before every request of every client, ``note_date`` with the Date of every answer.
    """

    def __init__(
        self,
        *,
        connections: int,
        check: Callable[[], None] = lambda: None,
        note_date: Callable[[str | None], None] = lambda _: None,
    ) -> None:
        self._check = check
        self._note_date = note_date
        self._lock = threading.RLock()
        self._sessions: dict[Role | None, boto3.Session] = {}
        # A retry of a call with an unknown outcome could create a duplicate: the reconciler looks instead.
        self._config = Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            max_pool_connections=connections,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"total_max_attempts": 1, "mode": "standard"},
            tcp_keepalive=True,
            user_agent_extra=f"ephemeral-endpoints/{__version__}",
        )

    def connect(self, region: str, role: Role | None = None) -> Clients:
        """Clients for ``region`` with the credentials of ``role``, else with those of the default chain.

        Calls no service, but the default chain may query the instance's metadata. A role is assumed at the first call
        and again before its credentials expire; that call raises the errors of STS.
        """
        with self._lock:
            session, config = self._session(role, region), self._config
            clients = Clients(
                region=region,
                role=role,
                session=session,
                sagemaker=session.client("sagemaker", region_name=region, config=config),
                lambda_=session.client("lambda", region_name=region, config=config),
                apigateway=session.client("apigatewayv2", region_name=region, config=config),
                autoscaling=session.client("application-autoscaling", region_name=region, config=config),
                cloudwatch=session.client("cloudwatch", region_name=region, config=config),
                codebuild=session.client("codebuild", region_name=region, config=config),
                logs=session.client("logs", region_name=region, config=config),
                ecr=session.client("ecr", region_name=region, config=config),
                dynamodb=self._later(session, "dynamodb", region),
                events=self._later(session, "events", region),
                firehose=self._later(session, "firehose", region),
                s3=self._later(session, "s3", region),
                iam=session.client("iam", region_name=region, config=config),
                pricing=self._later(session, "pricing", pricing_region(region)),
                service_quotas=self._later(session, "service-quotas", region),
                sns=session.client("sns", region_name=region, config=config),
                sqs=session.client("sqs", region_name=region, config=config),
                ssm=self._later(session, "ssm", region),
                sts=session.client("sts", region_name=region, config=config),
                tagging=session.client("resourcegroupstaggingapi", region_name=region, config=config),
            )
        for each in fields(clients):
            if isinstance(client := getattr(clients, each.name), BaseClient):
                self._guard(client)
        return clients

    def forget(self, clients: Clients) -> None:
        """Look up credentials again next time: botocore caches them, or their absence, in the session."""
        with self._lock:
            if self._sessions.get(clients.role) is clients.session:
                # A role's own credentials come from those of the default chain.
                self._sessions.pop(clients.role)
                self._sessions.pop(None, None)

    def _later(self, session: boto3.Session, service: str, region: str) -> Callable[[], Any]:
        """A client that is made once it is asked for."""
        made: list[BaseClient] = []

        def make() -> BaseClient:
            with self._lock:
                if not made:
                    create: Callable[..., BaseClient] = session.client
                    made.append(create(service, region_name=region, config=self._config))
                    self._guard(made[0])
            return made[0]

        return make

    def _guard(self, client: BaseClient) -> None:
        fence(client, self._check)
        watch_dates(client, self._note_date)

    def _session(self, role: Role | None, region: str) -> boto3.Session:
        if role not in self._sessions:
            core = botocore.session.Session()
            # Else botocore's own requests for credentials, such as AssumeRoleWithWebIdentity, may take five minutes.
            core.set_default_client_config(self._config)
            core.register_component("data_loader", _service_models())
            if role:
                provider = _RoleProvider(role, self._session(None, region), self._source_client(region))
                core.register_component("credential_provider", CredentialResolver([provider]))
            self._sessions[role] = boto3.Session(botocore_session=core)
        return self._sessions[role]

    def _source_client(self, region: str) -> Callable[..., BaseClient]:
        def make(service: str, **credentials: str | None) -> BaseClient:
            with self._lock:
                create: Callable[..., BaseClient] = self._session(None, region).client
                client = create(service, region_name=region, config=self._config, **credentials)
            fence(client, self._check)
            return client

        return make


@cache
def _service_models() -> Loader:
    """What all clients of the process share: reading it takes longer than everything else about them."""
    loader: Loader = botocore.session.Session().get_component("data_loader")
    loader.file_loader = ServiceModels()
    return loader


class _RoleProvider(CredentialProvider):
    """Credentials of a role, which botocore gets with sts:AssumeRole and refreshes in time."""

    METHOD = "assume-role"

    def __init__(self, role: Role, source: boto3.Session, make_client: Callable[..., BaseClient]) -> None:
        super().__init__()
        self._role = role
        self._source = source
        self._make_client = make_client

    @override
    def load(self) -> DeferredRefreshableCredentials | None:
        # None: there are no credentials to assume the role with.
        source = self._source.get_credentials()
        if source is None:
            return None
        arguments = {"RoleSessionName": SESSION_NAME}
        if self._role.external_id:
            arguments["ExternalId"] = self._role.external_id
        fetcher = AssumeRoleCredentialFetcher(self._make_client, source, self._role.arn, arguments)
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, self.METHOD)
