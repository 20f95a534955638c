"""Hostile requests, as seeded noise: no one of them is the point, but what holds for each.

``EEP_FUZZ_REQUESTS=20000 pytest tests/abuse/test_requests.py`` runs for minutes, ``EEP_FUZZ_SEED`` begins elsewhere.
"""

import base64
import json
import os
import random
import re
from collections import Counter
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

import pytest
from tests.features.routing.forwarder.deployed import (
    ABOUT,
    PATH,
    TOKEN,
    TOKEN_SHA256,
    Context,
    Reply,
    Runtime,
    deployed,
    event,
    refusal,
    serving,
)

from ephemeral_endpoints.features.routing.forwarder.config import ForwarderConfig, Variant
from ephemeral_endpoints.features.routing.forwarder.messages import MAX_RESPONSE_BYTES

REQUESTS: Final = int(os.environ.get("EEP_FUZZ_REQUESTS", "600"))
SEED: Final = int(os.environ.get("EEP_FUZZ_SEED", "13"))
MOST_BYTES: Final = 1000
SECRET: Final = "marked-payload"  # noqa: S105 - what no log line may repeat
CONFIG: Final = ForwarderConfig(
    (Variant("one", "endpoint-one", 1), Variant("two", "endpoint-two", 1)),
    TOKEN_SHA256,
    MOST_BYTES,
    "eu-west-1",
    ABOUT,
    PATH,
)
PRINTABLE: Final = re.compile(r"[\x20-\x7e]*")
WITHOUT_TOKEN: Final = {"GET": 401, "POST": 401, "OPTIONS": 204}

TEXTS: Final = (
    "",
    " ",
    "\x00",
    "\r\nx-injected: 1",
    "\x1b[2J",
    "\u202e\u2066",
    "\ud800",
    "é" * 40,
    "💥" * 300,
    "a" * 5000,
    "../../../etc/passwd",
    "%0d%0aSet-Cookie: a=b",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "' OR 1=1 --",
    "http://169.254.169.254/latest/meta-data/",
    "NaN",
    "-1",
    "99999",
    "1" * 30,
    "NEW_SESSION",
    "one",
    "two",
    "endpoint-one",
    "application/json",
    "text/plain; a=b" + "; c=d" * 50,
    SECRET,
)
HEADERS: Final = (
    "accept",
    "authorization",
    "content-length",
    "content-type",
    "cookie",
    "eep-variant",
    "host",
    "transfer-encoding",
    "x-api-key",
    "x-amzn-sagemaker-custom-attributes",
    "x-amzn-sagemaker-enable-explanations",
    "x-amzn-sagemaker-inference-id",
    "x-amzn-sagemaker-requestttlseconds",
    "x-amzn-sagemaker-session-id",
    "x-amzn-sagemaker-target-model",
    "x-amzn-sagemaker-target-variant",
    "x-forwarded-for",
    "x-http-method-override",
)
METHODS: Final = ("GET", "POST", "POST", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "get", "\r\n", "")
REPLIES: Final = (
    Reply(),
    Reply(body=b"\xff\xfe" * 100),
    Reply(headers={"Content-Type": "text/html\x0b<script>"}),
    Reply(headers={"Content-Type": "", "X-Amzn-SageMaker-Custom-Attributes": "é" * 20}),
    Reply(headers={"x-Amzn-Invoked-Production-Variant": "../x", "X-Amzn-SageMaker-New-Session-Id": ";" * 900}),
    refusal(424, "ModelError", SECRET, OriginalStatusCode=418, OriginalMessage="\u202e" * 50),
    refusal(424, "ModelError", OriginalStatusCode=99999, OriginalMessage=None),
    refusal(400, "ValidationError", SECRET),
    refusal(503, "ServiceUnavailable"),
    Reply(status=500, body=b"<html>"),
    Reply(body=b""),
    Reply(hang_up=True),
)


class Noise:
    """Requests and replies of a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - the same noise every time

    def reply(self) -> Reply:
        """What the model answers."""
        return self._random.choice(REPLIES)

    def request(self) -> tuple[dict[str, Any], bool]:
        """An event as API Gateway may make one of a hostile request, and whether it has the right token."""
        pick = self._random
        sent = {self._case(pick.choice(HEADERS)): self._text() for _ in range(pick.randrange(6))}
        has_token = pick.random() < 0.5
        sent = {name: value for name, value in sent.items() if name.lower() not in {"authorization", "x-api-key"}}
        sent["authorization"] = f"Bearer {TOKEN}" if has_token else self._text(f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}")
        encoded = pick.random() < 0.3
        body = pick.choice([None, "{", '{"a":' * 200, "[" * MOST_BYTES, self._text(), self._text() * 3])
        if body and encoded and pick.random() < 0.8:
            body = base64.b64encode(body.encode("utf-8", "surrogatepass")).decode()
        query = {pick.choice(["inference", "a", "\x00"]): self._text()} if pick.random() < 0.3 else None
        return event(pick.choice(METHODS), body, sent, encoded=encoded, query=query), has_token

    def _text(self, *more: str) -> str:
        parts = self._random.choices(TEXTS + more, k=self._random.choice([1, 1, 2]))
        return "".join(parts)

    def _case(self, name: str) -> str:
        return self._random.choice([name, name.upper(), name.title()])


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    runtime = Runtime()
    with serving(runtime):
        yield runtime


@pytest.fixture(scope="module")
def forwarder(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    url = f"http://127.0.0.1:{runtime.server_address[1]}"
    with deployed(CONFIG, tmp_path_factory.mktemp("function"), {"SAGEMAKER_RUNTIME": url}) as module:
        yield module


def check(response: dict[str, Any]) -> None:
    """What holds for whatever the forwarder returns: API Gateway can send it, and it injects nothing."""
    status, headers, body = response["statusCode"], response["headers"], response["body"]
    assert 200 <= status < 600
    assert status != 500, body
    assert all(PRINTABLE.fullmatch(f"{name}{value}") for name, value in headers.items())
    assert headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert headers["x-content-type-options"] == "nosniff"
    assert not {"set-cookie", "x-injected", "location"} & headers.keys()
    assert len(json.dumps(response).encode()) <= MAX_RESPONSE_BYTES
    assert TOKEN not in json.dumps(response)
    if response["isBase64Encoded"]:
        base64.b64decode(body, validate=True)


def test_whatever_is_sent_is_answered_and_reaches_the_model_with_the_token_only(
    forwarder: ModuleType, runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    noise, statuses = Noise(SEED), Counter[int]()
    for number in range(REQUESTS):
        sent, has_token = noise.request()
        runtime.answer_with(noise.reply())
        response = forwarder.handle(sent, Context(1000))
        context = f"request {number} of seed {SEED}: {sent}"
        check(response)
        statuses[response["statusCode"]] += 1
        method = sent["requestContext"]["http"]["method"]
        assert has_token or not runtime.requests, context
        assert has_token or response["statusCode"] == WITHOUT_TOKEN.get(method, 405), context
        for path, headers, body in runtime.requests:
            assert re.fullmatch(r"/endpoints/endpoint-(one|two)/(async-)?invocations", path), context
            assert len(body) <= MOST_BYTES, context
            assert TOKEN not in str(headers), context
        [line] = capsys.readouterr().out.splitlines()
        assert json.loads(line)["status"] == response["statusCode"], context
        assert SECRET not in line, context
        assert TOKEN not in line, context
    assert len(statuses) >= 6, f"the noise is not even: {statuses}"
