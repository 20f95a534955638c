"""Which forge a class has, and how its condition follows what GitHub says."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
from kubernetes.aio.client import ApiClient
from kubernetes.client import V1ObjectMeta, V1Secret
from tests.features.reviews.classes import class_with
from tests.features.reviews.github.clients import Time
from tests.fixtures.github import REPOSITORY
from tests.fixtures.kubernetes import Cluster

from eep_platform.github.client import GitHubClient as Service
from eep_platform.github.client import sha_of
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.engine.conditions import ConditionUpdate
from ephemeral_endpoints.features.reviews.connections import (
    AGAIN_SECONDS,
    FINE_SECONDS,
    FIRST_SECONDS,
    LACKING_SECONDS,
    LONGEST_SECONDS,
    Connections,
)
from ephemeral_endpoints.features.reviews.errors import ForgePermissionMissing
from ephemeral_endpoints.features.reviews.github.permissions import WRITING
from ephemeral_endpoints.kube.cache import ObjectKey
from ephemeral_endpoints.kube.secrets import OwnSecrets

LONG = 60.0


class Operator:
    """The connections, with a clock that the test moves, and the Secret ``forge-github``."""

    def __init__(self, session: aiohttp.ClientSession, api: ApiClient, cluster: Cluster, github: Service) -> None:
        self.time = Time()
        self.enqueued = asyncio.Queue[ObjectKey]()
        self.requests: list[tuple[str, ...]] = []
        self.github = github
        self._cluster = cluster
        self.connections = Connections(
            session,
            OwnSecrets(api, cluster.namespace, self.time.monotonic),
            enqueue=self.enqueued.put_nowait,
            count=1,
            check=lambda: None,
            counted=lambda *request: self.requests.append(request),
            now=self.time.now,
            clock=self.time.monotonic,
        )

    def made(self, **reviews: Any) -> EphemeralEndpointClass:  # noqa: ANN401 - members of spec.reviews
        return class_with((REPOSITORY, ["nlp"]), url=self.github.url, **reviews)

    def put(self, **data: str) -> None:
        body = V1Secret(metadata=V1ObjectMeta(name="forge-github"), string_data=data)
        self._cluster.core.create_namespaced_secret(self._cluster.namespace, body)

    async def condition(self, endpoint_class: EphemeralEndpointClass) -> ConditionUpdate:
        """The condition after the look that is due."""
        before = self.connections.condition(endpoint_class)
        assert self.connections.due_in(endpoint_class) is None, "a look is under way"
        await asyncio.wait_for(self.enqueued.get(), LONG)
        after = self.connections.condition(endpoint_class)
        assert after is not None, before
        return after

    def pass_time(self, seconds: float) -> None:
        self.time.seconds += seconds
        self.github.advance(seconds)


@pytest.fixture
async def operator(api: ApiClient, cluster: Cluster, github: Service) -> AsyncIterator[Operator]:
    async with aiohttp.ClientSession() as session:
        made = Operator(session, api, cluster, github)
        yield made
        await made.connections.stop()


async def test_a_class_without_reviews_has_no_forge_and_no_condition(operator: Operator) -> None:
    without = class_with()
    assert operator.connections.forge_of(without) is None
    assert operator.connections.condition(without) is None
    assert operator.connections.due_in(without) is None
    assert operator.github.calls() == {}


@pytest.mark.parametrize("kind", ["token", "app"])
async def test_good_credentials_are_looked_at_hourly(operator: Operator, kind: str) -> None:
    if kind == "token":
        operator.put(token=operator.github.add_token("ada"))
    else:
        app = operator.github.add_app("previews", [REPOSITORY])
        operator.put(appId=str(app.id), privateKey=app.private_key)
    endpoint_class = operator.made()
    found = await operator.condition(endpoint_class)
    assert (found.status.value, found.reason.name) == ("True", "ForgeConnected")
    assert operator.connections.due_in(endpoint_class) == FINE_SECONDS
    assert operator.github.writes() in ([], ["apps/create-installation-access-token"] * 2), "nothing is written"
    operator.github.forget_calls()
    operator.time.seconds += FINE_SECONDS - 1
    assert operator.connections.condition(endpoint_class) == found
    assert operator.connections.due_in(endpoint_class) == 1.0
    assert operator.github.calls() == {}
    operator.time.seconds += 1
    assert await operator.condition(endpoint_class) == found


async def test_what_is_wrong_is_looked_at_at_growing_intervals_until_it_is_repaired(operator: Operator) -> None:
    endpoint_class = operator.made()
    found, pauses = await operator.condition(endpoint_class), list[float]()
    assert found.reason.name == "ForgeSecretMissing"
    while not pauses or pauses[-1] < LONGEST_SECONDS:
        pauses.append(operator.connections.due_in(endpoint_class) or 0.0)
        operator.time.seconds += pauses[-1]
        await operator.condition(endpoint_class)
    assert pauses == [FIRST_SECONDS, 30.0, 60.0, 120.0, 240.0, LONGEST_SECONDS]
    operator.put(token=operator.github.add_token("ada"))
    operator.pass_time(LONGEST_SECONDS + 1)
    assert (await operator.condition(endpoint_class)).reason.name == "ForgeConnected"


@pytest.mark.parametrize(
    ("data", "expected", "words"),
    [
        ({"user": "ada"}, "ForgeSecretInvalid", "lacks appId and privateKey"),
        ({"appId": "7", "privateKey": "no key"}, "ForgeSecretInvalid", "is not an RSA private key"),
        ({"token": "ghp_revoked"}, "ForgeDenied", "a platform engineer must renew the Secret"),
    ],
)
async def test_credentials_that_are_none_are_told(
    operator: Operator, data: Mapping[str, str], expected: str, words: str
) -> None:
    operator.put(**data)
    found = await operator.condition(operator.made())
    assert (found.status.value, found.reason.name) == ("False", expected)
    assert words in found.message
    assert "ghp_revoked" not in found.message


async def test_permissions_that_an_app_lacks_are_named(operator: Operator) -> None:
    app = operator.github.add_app("previews", [REPOSITORY], permissions={"metadata": "read", "pull_requests": "read"})
    operator.put(appId=str(app.id), privateKey=app.private_key)
    found = await operator.condition(operator.made())
    assert found.reason.name == "ForgePermissionMissing"
    assert "previews[bot] lacks Pull requests: write (of the App), Deployments: write (of the App)" in found.message


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ({"scopes": ["public_repo"]}, "lacks the scope repo:status, the scope repo_deployment"),
        ({"permissions": {"pull_requests": "write"}}, "lacks Deployments: write, Commit statuses: write"),
    ],
)
async def test_what_a_token_lacks_is_named(operator: Operator, token: dict[str, Any], words: str) -> None:
    operator.put(token=operator.github.add_token("ada", **token))
    found = await operator.condition(operator.made())
    assert found.reason.name == "ForgePermissionMissing"
    assert words in found.message


async def test_a_user_who_may_not_push_cannot_publish(operator: Operator) -> None:
    operator.github.add_collaborator(REPOSITORY, "eve", "read")
    operator.put(token=operator.github.add_token("eve"))
    found = await operator.condition(operator.made())
    assert found.reason.name == "ForgePermissionMissing"
    assert f"the user's permission to push to {REPOSITORY}" in found.message


@pytest.mark.parametrize("kind", ["token", "app"])
async def test_a_repository_that_cannot_be_seen_is_named(operator: Operator, kind: str) -> None:
    operator.github.add_repository("acme/other")
    if kind == "token":
        operator.put(token=operator.github.add_token("eve"))
    else:
        app = operator.github.add_app("previews", ["acme/other"])
        operator.put(appId=str(app.id), privateKey=app.private_key)
    found = await operator.condition(operator.made())
    assert found.reason.name == "ForgeNotFound"
    assert f"cannot see {REPOSITORY}" in found.message


async def test_a_forge_that_does_not_answer_leaves_it_unknown(operator: Operator) -> None:
    operator.put(token=operator.github.add_token("ada"))
    operator.github.trouble({"effect": "html"})
    found = await operator.condition(operator.made())
    assert (found.status.value, found.reason.name) == ("Unknown", "ForgeUnavailable")


async def test_a_limit_is_waited_for(operator: Operator) -> None:
    operator.put(token=operator.github.add_token("ada"))
    operator.github.trouble({"effect": "secondary_limit", "retry_after": 700, "times": 1})
    endpoint_class = operator.made()
    found = await operator.condition(endpoint_class)
    assert (found.status.value, found.reason.name) == ("Unknown", "ForgeLimited")
    assert operator.connections.due_in(endpoint_class) == 700.0


async def test_requests_are_counted_and_what_is_left_of_the_limit_is_known(operator: Operator) -> None:
    operator.put(token=operator.github.add_token("ada", permissions=dict.fromkeys(WRITING, "read")))
    operator.github.open(REPOSITORY, sha_of("first"), number=1)
    endpoint_class = operator.made()
    forge = operator.connections.forge_of(endpoint_class)
    assert forge is not None
    await forge.client.get(f"/repos/{REPOSITORY}")
    with pytest.raises(ForgePermissionMissing):
        await forge.client.write("POST", f"/repos/{REPOSITORY}/issues/1/comments", {"body": "hello"})
    url = operator.github.url
    assert operator.requests == [
        (url, "forge-github", "read", "ok"),
        (url, "forge-github", "write", "ForgePermissionMissing"),
    ]
    assert operator.connections.remaining() == {(url, "forge-github", "", "core"): 4998}
    operator.time.seconds += 3600
    assert operator.connections.remaining() == {(url, "forge-github", "", "core"): 5000}


async def test_a_write_that_lacks_a_permission_is_told_for_a_while(operator: Operator) -> None:
    """A token that may read everything looks good, until it is to write."""
    operator.github.open(REPOSITORY, sha_of("first"), number=1)
    reading = dict.fromkeys(WRITING, "read")
    operator.put(token=operator.github.add_token("ada", permissions=reading))
    endpoint_class = operator.made()
    assert (await operator.condition(endpoint_class)).reason.name == "ForgeConnected"
    forge = operator.connections.forge_of(endpoint_class)
    assert forge is not None
    operator.time.seconds += AGAIN_SECONDS
    with pytest.raises(ForgePermissionMissing):
        await forge.client.write("POST", f"/repos/{REPOSITORY}/issues/1/comments", {"body": "hello"})
    await asyncio.wait_for(operator.enqueued.get(), LONG)
    found = await operator.condition(endpoint_class)
    assert found.reason.name == "ForgePermissionMissing"
    assert "issues=write" in found.message
    assert operator.connections.due_in(endpoint_class) == LACKING_SECONDS
    operator.time.seconds += LACKING_SECONDS
    after = operator.connections.condition(endpoint_class)
    assert after is not None
    assert after.reason.name == "ForgeConnected"


async def test_a_changed_policy_is_looked_at_at_once(operator: Operator) -> None:
    operator.put(token=operator.github.add_token("ada"))
    assert (await operator.condition(operator.made())).reason.name == "ForgeConnected"
    other = operator.made(secretName="forge-other")
    assert (await operator.condition(other)).reason.name == "ForgeSecretMissing"


async def test_classes_with_the_same_secret_share_a_forge_and_its_limits(operator: Operator) -> None:
    first, second, other = operator.made(), operator.made(comment="Never"), operator.made(secretName="forge-other")
    forge = operator.connections.forge_of(first)
    assert forge is operator.connections.forge_of(second)
    assert forge is not operator.connections.forge_of(other)
    operator.connections.keep_only([other])
    assert operator.connections.forge_of(other) is operator.connections.forge_of(other)
    assert operator.connections.forge_of(first) is not forge, "nobody named it meanwhile"


async def test_a_class_that_is_gone_is_not_looked_at(operator: Operator) -> None:
    operator.github.trouble({"held": True})
    operator.put(token=operator.github.add_token("ada"))
    endpoint_class = operator.made()
    operator.connections.condition(endpoint_class)
    operator.connections.keep_only([])
    assert operator.connections.due_in(endpoint_class) is None
    await operator.connections.stop()
    assert operator.enqueued.empty()
