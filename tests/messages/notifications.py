"""What people are told of objects, and what classes say about it."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import cast

import pytest
from tests.engine.objects import endpoint
from tests.features.notifications.test_targets import TARGET, Secrets

from ephemeral_endpoints.api.v1alpha1.notifications import NotificationEvent
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.features.expiry.stage import expires_soon
from ephemeral_endpoints.features.notifications.messages import dropped, notification, plain
from ephemeral_endpoints.features.notifications.notifier import delivered
from ephemeral_endpoints.features.notifications.reasons import TargetError
from ephemeral_endpoints.features.notifications.targets import Targets, refusal, unanswered
from ephemeral_endpoints.kube.errors import Denied, Unavailable
from ephemeral_endpoints.kube.secrets import OwnSecrets

_CONTENTS: tuple[Mapping[str, bytes], ...] = (
    {},
    {"url": b"slack"},
    {"url": b"\xff"},
    {"url": b"https://[::1"},
    {"url": b"http://hooks.slack.com/services/x"},
    {"url": b"https://169.254.169.254/"},
)
_ENDS = datetime(2026, 11, 4, 12, tzinfo=UTC)
_DETAILS = {
    NotificationEvent.READY: "the endpoint is serving this revision",
    NotificationEvent.FAILED: "the role lacks a permission: a platform engineer must grant it",
    NotificationEvent.CHECKS_FAILED: "greeting: expected 200, found 500",
    NotificationEvent.EXPIRING: expires_soon(_ENDS, is_last=False).message,
    NotificationEvent.BUDGET: "the budget of namespace nlp, $500.00 a month, is spent to 80 %",
}


def told() -> Iterator[tuple[str, str]]:
    """The notifications, then the condition of a class, and the errors that it repeats."""
    example = endpoint({"spec": {"source": {"branch": "feature/x"}}, "status": {"url": "https://a.example/nlp/pr-42"}})
    for event in (*_DETAILS, NotificationEvent.GONE):
        yield event, " / ".join(plain(notification(event, example, _DETAILS.get(event, ""))).splitlines())
    yield "dropped", " / ".join(plain(dropped({NotificationEvent.FAILED: 40, NotificationEvent.READY: 2})).splitlines())
    updates = [expires_soon(_ENDS, is_last=is_last) for is_last in (False, True)]
    for update in (*updates, delivered({}), delivered(dict.fromkeys(["ml-team"], next(_errors())))):
        yield f"{update.type}={update.status} {update.reason}", update.message
    for error in _errors():
        yield f"{type(error).__name__} {error.reason}", str(error)


def _errors() -> Iterator[TargetError]:
    unread = (Denied("secrets is forbidden"), Unavailable("the API server did not answer"))
    for secrets in (*(Secrets({"slack": each}) for each in _CONTENTS), *(Secrets(error=each) for each in unread)):
        with pytest.raises(TargetError) as caught:
            asyncio.run(Targets(cast("OwnSecrets", secrets), cast("Accounts", None)).check(TARGET))
        yield caught.value
    assert TARGET.webhook
    yield unanswered(TARGET.webhook, TimeoutError())
    for status, word in ((404, b"no_service"), (500, b"")):
        yield refusal(TARGET.webhook, status, word, "")
