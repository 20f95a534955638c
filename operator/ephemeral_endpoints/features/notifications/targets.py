"""The ways to the targets of notifications: incoming webhooks by HTTPS, and SNS topics."""

import re
import socket
from http import HTTPStatus
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from typing_extensions import override

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.notifications import NotificationTarget, TopicTarget, WebhookTarget
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.engine.errors import AwsError, Transient, Unauthenticated
from ephemeral_endpoints.features.notifications.addresses import refused_address, refused_url
from ephemeral_endpoints.features.notifications.messages import Notification, plain, slack, subject
from ephemeral_endpoints.features.notifications.reasons import TargetMisconfigured, TargetUnavailable
from ephemeral_endpoints.kube.connection import proxy_for
from ephemeral_endpoints.kube.errors import Denied, KubernetesError
from ephemeral_endpoints.kube.secrets import OwnSecrets

TIMEOUT_SECONDS: Final = 10.0
MOST_ANSWER: Final = 64
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
"""By which a receiver knows a repetition: a header, or an attribute of the message of a topic.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header
"""

MOST_RETRY_SECONDS: Final = 300.0

_OF_SLACK: Final = re.compile("[a-z_]{1,40}")
"""Slack says in one word why it refuses a message, such as channel_is_archived; other words are not shown."""


class Targets:
    """Sends notifications. Its methods raise a TargetError, and wait for the target, but not for long."""

    def __init__(self, secrets: OwnSecrets, accounts: Accounts) -> None:
        self._secrets = secrets
        self._accounts = accounts
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self, endpoint_class: EphemeralEndpointClass, target: NotificationTarget, notification: Notification
    ) -> None:
        """Deliver one notification; where the answer is lost it may have arrived."""
        if target.webhook:
            await self._post(await self._url(target.webhook), target.webhook, notification)
        elif target.topic:
            await self._publish(endpoint_class, target.topic, notification)

    async def check(self, target: NotificationTarget) -> None:
        """Whether the target is configured as it must be; sends nothing."""
        if target.webhook:
            await self._url(target.webhook)

    async def close(self) -> None:
        """End all connections."""
        if self._session:
            await self._session.close()

    async def _url(self, webhook: WebhookTarget) -> str:
        where = f"key {webhook.key} of the Secret {webhook.secret_name} in the namespace {self._secrets.namespace}"
        try:
            data = await self._secrets.data(webhook.secret_name)
        except Denied as error:
            raise TargetMisconfigured(
                f"the operator may not read {where}: add {webhook.secret_name} to the value secrets of the chart"
            ) from error
        except KubernetesError as error:
            raise TargetUnavailable(f"the operator cannot read {where}: {error}") from error
        if data is None or webhook.key not in data:
            raise TargetMisconfigured(f"there is no {where}: put the URL of the webhook there")
        url = data[webhook.key].decode("ascii", errors="replace").strip()
        if why := refused_url(url):
            raise TargetMisconfigured(f"the URL in {where} cannot be used: {why}")
        return url

    async def _post(self, url: str, webhook: WebhookTarget, notification: Notification) -> None:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
            connector = aiohttp.TCPConnector(resolver=GuardedResolver())
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        try:
            async with self._session.post(
                url,
                json=slack(notification),
                headers={IDEMPOTENCY_KEY: notification.id},
                proxy=proxy_for(url),
                allow_redirects=False,
            ) as response:
                status, headers = response.status, response.headers
                answer = await response.content.read(MOST_ANSWER)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise unanswered(webhook, error) from None  # its message has the URL in it
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            self._secrets.forget(webhook.secret_name)
            raise refusal(webhook, status, answer, headers.get("Retry-After", ""))

    async def _publish(
        self, endpoint_class: EphemeralEndpointClass, topic: TopicTarget, notification: Notification
    ) -> None:
        try:
            account = await self._accounts.of(endpoint_class)
            await account.calls(
                account.clients.sns.publish,
                TopicArn=topic.arn,
                Subject=subject(notification),
                Message=plain(notification),
                MessageAttributes={IDEMPOTENCY_KEY: {"DataType": "String", "StringValue": notification.id}},
            )
        except (Transient, Unauthenticated) as error:
            raise TargetUnavailable(error.described) from error
        except AwsError as error:
            raise TargetMisconfigured(error.described) from error


class GuardedError(OSError):
    """A host may not be connected to."""


class GuardedResolver(AbstractResolver):
    """Resolves names to addresses that notifications may be sent to: what is resolved here is what is connected to."""

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        refused = [why for each in found if (why := refused_address(each["host"]))]
        if refused:
            raise GuardedError(refused[0])
        return found

    @override
    async def close(self) -> None:
        await self._resolver.close()


def unanswered(webhook: WebhookTarget, error: Exception) -> TargetMisconfigured | TargetUnavailable:
    """What a request to a webhook is taken for that was not answered."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(error, aiohttp.InvalidURL):
        return TargetMisconfigured(f"the URL in the Secret {webhook.secret_name} cannot be used: it is no URL")
    if isinstance(cause, GuardedError):
        return TargetMisconfigured(f"the URL in the Secret {webhook.secret_name} cannot be used: {cause}")
    return TargetUnavailable(f"the webhook of the Secret {webhook.secret_name} does not answer: {type(error).__name__}")


def refusal(
    webhook: WebhookTarget, status: int, answer: bytes, retry_after: str
) -> TargetMisconfigured | TargetUnavailable:
    """What an answer that is no success is taken for."""
    word = answer.decode("ascii", errors="replace").strip()
    shown = f" {word}" if _OF_SLACK.fullmatch(word) else ""
    message = f"the webhook of the Secret {webhook.secret_name} answers {status}{shown}"
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        seconds = float(retry_after) if re.fullmatch("[0-9]{1,6}", retry_after) else 0.0
        return TargetUnavailable(message, min(seconds, MOST_RETRY_SECONDS))
    return TargetMisconfigured(f"{message}: correct the URL in the Secret, or what it leads to")
