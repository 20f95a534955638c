"""The boto3 clients of one account and region, made once and shared by all threads."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final, Self

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

from ephemeral_endpoints import __version__
from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.fence import fence

if TYPE_CHECKING:
    from types_boto3_apigatewayv2 import ApiGatewayV2Client
    from types_boto3_application_autoscaling import ApplicationAutoScalingClient
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_codebuild import CodeBuildClient
    from types_boto3_ecr import ECRClient
    from types_boto3_lambda import LambdaClient
    from types_boto3_logs import CloudWatchLogsClient
    from types_boto3_sagemaker import SageMakerClient
    from types_boto3_sqs import SQSClient
    from types_boto3_sts import STSClient

ACTIONS: Final = frozenset({"sts:AssumeRole"})
"""The IAM actions that the operator's own role needs on the roles that classes name."""

CONNECT_TIMEOUT_SECONDS: Final = 5
READ_TIMEOUT_SECONDS: Final = 30
SESSION_NAME: Final = "ephemeral-endpoints"
"""What CloudTrail shows beside an assumed role."""


@dataclass(frozen=True, slots=True)
class Role:
    """A role that the operator assumes."""

    arn: str
    external_id: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Access:
    """An account and region, and the role by which the operator works there; None: with its own credentials."""

    account: str
    region: str
    role: Role | None = None

    @classmethod
    def of(cls, klass: EphemeralEndpointClass) -> Self:
        """Where the things of a class are, and how the class says to get there."""
        assumed = klass.spec.assume_role
        role = Role(assumed.role_arn, assumed.external_id) if assumed else None
        return cls(klass.spec.account, klass.spec.region, role)


@dataclass(frozen=True, slots=True)
class Clients:
    """One client a service; clients are safe to use from many threads, sessions are not."""

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
    ecr: "ECRClient"
    sqs: "SQSClient"
    sts: "STSClient"


class Sessions:
    """Makes clients. There is one session a role, for all its regions.

    All sessions share botocore's service models, which are 30 of the 32 MB that the clients of a session take. Safe to
    use from many threads. ``check`` is called before every request of every client.
    """

    def __init__(self, *, connections: int, check: Callable[[], None] = lambda: None) -> None:
        self._check = check
        self._lock = threading.RLock()
        self._sessions: dict[Role | None, boto3.Session] = {}
        self._loader: object = botocore.session.Session().get_component("data_loader")
        # Repeating a call whose outcome is unknown could make a twin: botocore never repeats, the reconciler looks.
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

        Calls no service, but the default chain may ask the instance's metadata for credentials. A role is assumed at
        the first call and again before its credentials expire; that call then raises what STS answers.
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
                sqs=session.client("sqs", region_name=region, config=config),
                sts=session.client("sts", region_name=region, config=config),
            )
        for each in fields(clients):
            if isinstance(client := getattr(clients, each.name), BaseClient):
                fence(client, self._check)
        return clients

    def forget(self, clients: Clients) -> None:
        """Look for credentials anew next time: botocore keeps those it has, or their absence, with the session."""
        with self._lock:
            if self._sessions.get(clients.role) is clients.session:
                # A role's own credentials come from those of the default chain.
                self._sessions.pop(clients.role)
                self._sessions.pop(None, None)

    def _session(self, role: Role | None, region: str) -> boto3.Session:
        if role not in self._sessions:
            core = botocore.session.Session()
            core.register_component("data_loader", self._loader)
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


class _RoleProvider(CredentialProvider):
    """Credentials of a role, which botocore gets by sts:AssumeRole and refreshes in time."""

    METHOD = "assume-role"

    def __init__(self, role: Role, source: boto3.Session, make_client: Callable[..., BaseClient]) -> None:
        super().__init__()
        self._role = role
        self._source = source
        self._make_client = make_client

    def load(self) -> DeferredRefreshableCredentials | None:
        """See ``CredentialProvider``. None if there are no credentials to assume the role with."""
        source = self._source.get_credentials()
        if source is None:
            return None
        arguments = {"RoleSessionName": SESSION_NAME}
        if self._role.external_id:
            arguments["ExternalId"] = self._role.external_id
        fetcher = AssumeRoleCredentialFetcher(self._make_client, source, self._role.arn, arguments)
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, self.METHOD)
