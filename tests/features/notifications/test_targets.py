"""Webhooks of Slack's kind, served on this machine: what is sent, and what each refusal is taken for."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from aiohttp import web
from tests.engine.objects import make_class

from ephemeral_endpoints.api.v1alpha1.notifications import NotificationTarget
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.features.notifications.messages import Notification, slack
from ephemeral_endpoints.features.notifications.reasons import TargetError, TargetMisconfigured, TargetUnavailable
from ephemeral_endpoints.features.notifications.targets import (
    MOST_RETRY_SECONDS,
    GuardedError,
    GuardedResolver,
    Targets,
)
from ephemeral_endpoints.kube.errors import Denied, KubernetesError, Unavailable
from ephemeral_endpoints.kube.secrets import OwnSecrets

CLASS = make_class()
TARGET = NotificationTarget.model_validate({"name": "ml-team", "webhook": {"secretName": "slack"}})
TOLD = Notification("nlp/pr-42 is ready", "acme/sentiment#42", url="https://a.example/nlp/pr-42")
HIDDEN = "T000-B000-XXXX"
"""The part of the URL that is the secret."""


@dataclass
class Secrets:
    """The Secrets of the operator's namespace, without an API server."""

    content: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    error: KubernetesError | None = None
    forgotten: list[str] = field(default_factory=list)
    namespace: str = "eep"

    async def data(self, name: str) -> Mapping[str, bytes] | None:
        if self.error:
            raise self.error
        return self.content.get(name)

    def forget(self, name: str) -> None:
        self.forgotten.append(name)


@dataclass
class Slack:
    """An incoming webhook that answers as the test says."""

    status: int = 200
    text: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)
    got: list[Any] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    url: str = ""

    async def take(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        self.got.append(json.loads(await request.read()))
        return web.Response(status=self.status, text=self.text, headers=self.headers)


@dataclass
class Desk:
    slack: Slack
    secrets: Secrets
    targets: Targets

    def store(self, url: str) -> None:
        self.secrets.content["slack"] = {"url": url.encode()}

    async def send(self) -> TargetError | None:
        """Send a notification; returns what went wrong, which never shows the URL."""
        try:
            await self.targets.send(CLASS, TARGET, TOLD)
        except TargetError as error:
            found = error
        else:
            return None
        assert HIDDEN not in str(found)
        return found


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    served, secrets = Slack(), Secrets()
    app = web.Application()
    app.router.add_post("/{tail:.*}", served.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}/{HIDDEN}"
    targets = Targets(cast("OwnSecrets", secrets), cast("Accounts", None))
    desk = Desk(served, secrets, targets)
    desk.store(f"{served.url}\n")
    yield desk
    await targets.close()
    await runner.cleanup()


async def test_a_notification_is_posted_as_slack_takes_it(desk: Desk) -> None:
    assert await desk.send() is None
    assert desk.slack.got == [slack(TOLD)]
    assert desk.slack.paths == [f"/{HIDDEN}"]


@pytest.mark.parametrize(
    ("status", "text", "kind", "message"),
    [
        pytest.param(404, "no_service", TargetMisconfigured, "answers 404 no_service: correct the URL", id="deleted"),
        pytest.param(410, "channel_is_archived", TargetMisconfigured, "answers 410 channel_is_archived", id="archived"),
        pytest.param(
            403, "<h1>Denied</h1>", TargetMisconfigured, "answers 403: correct the URL", id="no word of Slack's"
        ),
        pytest.param(302, "", TargetMisconfigured, "answers 302", id="redirects are not followed"),
        pytest.param(500, "", TargetUnavailable, "answers 500", id="it fails"),
        pytest.param(429, "", TargetUnavailable, "answers 429", id="too many"),
    ],
)
async def test_a_refusal_says_who_must_act(
    desk: Desk, status: int, text: str, kind: type[TargetError], message: str
) -> None:
    desk.slack.status, desk.slack.text = status, text
    desk.slack.headers = {"Location": "http://169.254.169.254/"} if status == 302 else {}
    error = await desk.send()
    assert type(error) is kind
    assert f"the webhook of the Secret slack {message}" in str(error)
    assert len(desk.slack.paths) == 1
    assert desk.secrets.forgotten == ["slack"], "it is read again, for it may have been corrected"


@pytest.mark.parametrize(("header", "seconds"), [("30", 30.0), ("9999", MOST_RETRY_SECONDS), ("soon", 0.0), ("", 0.0)])
async def test_a_target_may_say_when_to_come_again_within_reason(desk: Desk, header: str, seconds: float) -> None:
    desk.slack.status, desk.slack.headers = 429, {"Retry-After": header}
    error = await desk.send()
    assert isinstance(error, TargetUnavailable)
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param({}, "there is no key url of the Secret slack in the namespace eep", id="no Secret"),
        pytest.param({"slack": {"token": b"x"}}, "there is no key url of the Secret slack", id="no such key"),
        pytest.param({"slack": {"url": b"http://a.example/x"}}, "cannot be used: it begins with http://", id="plain"),
        pytest.param({"slack": {"url": b"https://169.254.169.254/x"}}, "a metadata service", id="metadata"),
        pytest.param({"slack": {"url": b"\xff"}}, "cannot be used: it is no URL", id="no text"),
    ],
)
async def test_a_target_that_cannot_be_one_is_found_without_a_notification(
    desk: Desk, content: dict[str, Mapping[str, bytes]], message: str
) -> None:
    desk.secrets.content = content
    with pytest.raises(TargetMisconfigured, match=message):
        await desk.targets.check(TARGET)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (Denied("forbidden"), TargetMisconfigured, "add slack to the value secrets of the chart"),
        (Unavailable("no answer"), TargetUnavailable, "the operator cannot read key url of the Secret slack"),
    ],
)
async def test_a_secret_that_cannot_be_read_is_said_to_be(
    desk: Desk, error: KubernetesError, kind: type[TargetError], message: str
) -> None:
    desk.secrets.error = error
    with pytest.raises(kind, match=message):
        await desk.targets.check(TARGET)


async def test_a_host_that_does_not_answer_is_tried_again(desk: Desk) -> None:
    desk.store(f"http://127.0.0.1:9/{HIDDEN}")
    error = await desk.send()
    assert isinstance(error, TargetUnavailable)
    assert "does not answer: ClientConnectorError" in str(error)


async def test_a_name_that_leads_to_the_metadata_service_is_not_connected_to(desk: Desk) -> None:
    desk.store(f"https://0xa9fea9fe/{HIDDEN}")  # 169.254.169.254 as one number of C
    error = await desk.send()
    assert isinstance(error, TargetMisconfigured)
    assert "the address of a metadata service" in str(error)


async def test_names_of_this_machine_are_resolved() -> None:
    resolver = GuardedResolver()
    assert {each["host"] for each in await resolver.resolve("localhost")} <= {"127.0.0.1", "::1"}
    with pytest.raises(GuardedError):
        await resolver.resolve("0xa9fea9fe")
    await resolver.close()
    await asyncio.sleep(0)
