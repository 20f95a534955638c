"""When the token of an object is read, and how long the one before a rotation counts."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

from tests.engine.objects import CLUSTER, endpoint, make_class, subject

from ephemeral_endpoints.api import ROTATE_TOKEN_ANNOTATION
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.token import KEPT_SECONDS, Token, TokenStep
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, Store
from ephemeral_endpoints.kube.client import Kube
from ephemeral_endpoints.kube.tokens import ApiToken, FormerToken

NOW = datetime(2026, 11, 30, tzinfo=UTC)


class Read:
    """The step over Secrets that are counted when they are read, at a time that the test sets."""

    def __init__(self, former: FormerToken | None = None) -> None:
        self.former = former
        self.reads = 0
        self.seconds = 1000.0
        kube, store = cast("Kube", SimpleNamespace(token=self._token)), cast("Store", SimpleNamespace(raw=lambda _: {}))
        self.step = TokenStep(kube, store, lambda: self.seconds, lambda: NOW + timedelta(seconds=self.seconds - 1000))

    async def of(self, asked: Subject) -> Token:
        await self.step.read(cast("ObjectKey", None), asked)
        return self.step.memory(asked.endpoint.metadata.uid)

    def due(self, asked: Subject) -> float | None:
        found = SimpleNamespace(uid=asked.endpoint.metadata.uid)
        return self.step.due(cast("Reconciliation", found))

    async def _token(self, _: object) -> ApiToken:
        self.reads += 1
        return ApiToken(f"token-{self.reads}", self.former)


def asking(rotation: str) -> Subject:
    """The object, whose annotation asks for a rotation."""
    rotated = endpoint({"metadata": {"annotations": {ROTATE_TOKEN_ANNOTATION: rotation}}})
    return Subject(CLUSTER, rotated, make_class())


def test_a_token_is_never_shown() -> None:
    assert "s3cret" not in repr(Token(ApiToken("s3cret")))


async def test_a_token_is_read_every_few_minutes() -> None:
    read = Read()
    await read.of(subject())
    read.seconds += KEPT_SECONDS
    assert (await read.of(subject())).value == "token-1"
    read.seconds += 1
    assert (await read.of(subject())).value == "token-2"


async def test_a_rotation_is_read_at_once_and_once() -> None:
    read = Read()
    await read.of(subject())
    assert (await read.of(asking("1"))).value == "token-2"
    assert (await read.of(asking("1"))).value == "token-2"
    assert (await read.of(asking("2"))).value == "token-3"


async def test_the_former_token_counts_until_its_time_at_which_the_object_is_due() -> None:
    read = Read(FormerToken("0b" * 32, NOW + timedelta(seconds=60)))
    assert (await read.of(subject())).former
    assert read.due(subject()) == 60
    read.seconds += 60
    assert (await read.of(subject())).former is None
    assert read.due(subject()) is None
    assert read.reads == 1


async def test_an_object_without_token_forgets_the_one_it_had() -> None:
    read = Read(FormerToken("0b" * 32, NOW + timedelta(seconds=60)))
    await read.of(subject())
    token = await read.of(subject({"api": {"auth": {"type": "None"}}}))
    assert (token.value, token.sha256, token.former) == (None, None, None)
