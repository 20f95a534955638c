"""What those who may write Secrets in a namespace can do to the tokens of the endpoints there."""

import base64
from typing import Any

import pytest
from kubernetes.client import V1ObjectMeta, V1OwnerReference, V1Secret
from tests.fixtures.kubernetes import Cluster

from ephemeral_endpoints.engine.errors import SecretTaken
from ephemeral_endpoints.kube.client import KubeClient, secret_name

NAME = secret_name("pr-42")


def _owner(raw: Any, **changes: str) -> V1OwnerReference:  # noqa: ANN401 - an object as the API gives it
    reference = {"apiVersion": raw["apiVersion"], "kind": raw["kind"], "name": "pr-42", "uid": raw["metadata"]["uid"]}
    owner = V1OwnerReference.from_dict(reference | changes)
    assert owner
    return owner


def _put(cluster: Cluster, token: bytes, *owners: V1OwnerReference) -> V1Secret:
    metadata = V1ObjectMeta(name=NAME, owner_references=list(owners))
    secret = V1Secret(metadata=metadata, data={"token": base64.b64encode(token).decode()})
    return cluster.core.create_namespaced_secret(cluster.namespace, secret)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(b"0123456789abcdef\r\nX-Evil: 1", id="the next header"),
        pytest.param(b"0123456789abcdef\n", id="a line break, as a file ends"),
        pytest.param(b"0123456789abcdef\0", id="a NUL"),
        pytest.param(b"0123456789abcdef\x1b[31m", id="a colour"),
        pytest.param(b"0123456789 abcdef", id="two words: a header has one"),
        pytest.param("пароль-пароль-пароль".encode(), id="not ASCII"),
        pytest.param(b"admin", id="soon guessed"),
        pytest.param(b"a" * 1025, id="longer than a header should be"),
    ],
)
async def test_a_forged_token_that_no_header_can_carry_or_that_is_soon_guessed_opens_nothing(
    cluster: Cluster, kube: KubeClient, token: bytes
) -> None:
    raw = cluster.create()
    _put(cluster, token, _owner(raw))
    with pytest.raises(SecretTaken, match="holds no valid token: delete it") as taken:
        await kube.token(raw)
    assert token.decode() not in str(taken.value)


async def test_a_user_who_may_write_secrets_may_choose_the_token(cluster: Cluster, kube: KubeClient) -> None:
    """They could read it too: it is no more than what they have."""
    raw = cluster.create()
    _put(cluster, b"correct-horse-battery-staple", _owner(raw))
    assert (await kube.token(raw)).value == "correct-horse-battery-staple"


@pytest.mark.parametrize("is_neighbour", [True, False], ids=["a neighbour", "a kind of that name of another group"])
async def test_a_secret_of_another_owner_is_neither_read_nor_deleted(
    cluster: Cluster, kube: KubeClient, *, is_neighbour: bool
) -> None:
    raw = cluster.create()
    other = _owner(cluster.create("pr-43"), name="pr-43")
    owner = other if is_neighbour else _owner(raw, apiVersion="evil.example/v1", uid="another")
    _put(cluster, b"correct-horse-battery-staple", owner)
    with pytest.raises(SecretTaken, match="does not belong to this object"):
        await kube.token(raw)
    kept = cluster.core.read_namespaced_secret(NAME, cluster.namespace)
    assert kept.data == {"token": base64.b64encode(b"correct-horse-battery-staple").decode()}


async def test_a_second_owner_does_not_take_the_secret_over(cluster: Cluster, kube: KubeClient) -> None:
    """Somebody's further reference keeps it from being collected, and gives nobody the token that did not have it."""
    raw = cluster.create()
    token = (await kube.token(raw)).value
    another = {"apiVersion": "v1", "kind": "ConfigMap", "name": "any", "uid": "another"}
    patch = [{"op": "add", "path": "/metadata/ownerReferences/-", "value": another}]
    cluster.core.patch_namespaced_secret(NAME, cluster.namespace, patch)
    assert (await kube.token(raw)).value == token


async def test_a_token_is_never_looked_for_in_another_namespace(cluster: Cluster, kube: KubeClient) -> None:
    """The name of the Secret follows from the object's, which cannot contain a slash."""
    raw = cluster.create()
    elsewhere = V1Secret(metadata=V1ObjectMeta(name=NAME), string_data={"token": "theirs-theirs-theirs"})
    cluster.core.create_namespaced_secret("default", elsewhere)
    try:
        assert (await kube.token(raw)).value != "theirs-theirs-theirs"
    finally:
        cluster.core.delete_namespaced_secret(NAME, "default")
