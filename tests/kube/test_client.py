import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient as AsyncApiClient
from kubernetes.aio.client import Configuration
from kubernetes.client import V1ObjectMeta, V1Secret
from kubernetes.client.exceptions import ApiException
from tests.fixtures.kubernetes import NOW, Cluster

from ephemeral_endpoints.api import ROTATE_TOKEN_ANNOTATION
from ephemeral_endpoints.engine.errors import SecretTaken
from ephemeral_endpoints.engine.names import CLUSTER_ID_PATTERN
from ephemeral_endpoints.engine.reasons import CREATING, UP_TO_DATE
from ephemeral_endpoints.features.images.reasons import ImageProblem
from ephemeral_endpoints.kube.cache import FINALIZER
from ephemeral_endpoints.kube.client import KubeClient, secret_name
from ephemeral_endpoints.kube.errors import Conflict, Gone

LONG = "n" + "-0" * 126
OTHERS = "example.com/other"

Write = Callable[[KubeClient, Mapping[str, Any]], Awaitable[object]]

WRITES: dict[str, Write] = {
    "annotate": lambda kube, raw: kube.annotate(raw, {"example.com/a": "b"}),
    "adopt": lambda kube, raw: kube.add_finalizer(raw, None),
    "release": lambda kube, raw: kube.remove_finalizer(raw),
    "write_status": lambda kube, raw: kube.write_status(raw, {"url": "https://x"}),
    "delete": lambda kube, raw: kube.delete(raw),
}


def condition(kind: str, status: str) -> dict[str, object]:
    return {
        "type": kind,
        "observedGeneration": 1,
        "status": status,
        "reason": "Because",
        "message": "",
        "lastTransitionTime": "2026-11-21T12:00:00Z",
    }


async def test_adopting_adds_the_finalizer_and_the_class_and_keeps_what_is_there(
    cluster: Cluster, kube: KubeClient
) -> None:
    raw = cluster.create(finalizers=[OTHERS], annotations={"a": "b"})
    finalized_by_us = await kube.add_finalizer(raw, "default")
    assert finalized_by_us == cluster.read()
    assert finalized_by_us["metadata"]["finalizers"] == [OTHERS, FINALIZER]
    assert finalized_by_us["metadata"]["annotations"] == {"a": "b"}
    assert finalized_by_us["spec"] == {**raw["spec"], "className": "default"}


async def test_what_the_operator_writes_is_managed_under_its_name(cluster: Cluster, kube: KubeClient) -> None:
    raw = await kube.add_finalizer(cluster.create(), "default")
    token = (await kube.token(raw)).value
    assert token
    written = await kube.write_status(raw, {"url": "https://x"})
    ours = [each for each in written["metadata"]["managedFields"] if each["manager"] == "ephemeral-endpoints"]
    assert [each.get("subresource", "") for each in ours] == ["", "status"]
    await kube.event(written, type_="Normal", reason=UP_TO_DATE, message="as it should be")
    events: Any = cluster.core.list_namespaced_event(cluster.namespace).items
    secret: Any = cluster.core.read_namespaced_secret(secret_name("pr-42"), cluster.namespace)
    managers = {each.manager for found in (*events, secret) for each in found.metadata.managed_fields}
    assert managers == {"ephemeral-endpoints"}


async def test_an_object_without_a_class_is_adopted_without_one(cluster: Cluster, kube: KubeClient) -> None:
    finalized_by_us = await kube.add_finalizer(cluster.create(), None)
    assert finalized_by_us["metadata"]["finalizers"] == [FINALIZER]
    assert "className" not in finalized_by_us["spec"]


async def test_releasing_takes_our_finalizer_only(cluster: Cluster, kube: KubeClient) -> None:
    finalized_by_us = await kube.add_finalizer(cluster.create(finalizers=[OTHERS]), None)
    left = await kube.remove_finalizer(finalized_by_us)
    assert left == cluster.read()
    assert left is not None
    assert left["metadata"]["finalizers"] == [OTHERS]
    cluster.patch({"metadata": {"finalizers": None}})


async def test_an_object_in_deletion_is_gone_with_its_last_finalizer(cluster: Cluster, kube: KubeClient) -> None:
    deleted = await kube.delete(await kube.add_finalizer(cluster.create(), None))
    assert deleted["metadata"]["deletionTimestamp"]
    assert await kube.remove_finalizer(deleted) is None
    with pytest.raises(ApiException, match="404"):
        cluster.read()
    assert await kube.remove_finalizer(deleted) is None, "releasing what is gone succeeds"


@pytest.mark.parametrize("name", sorted(WRITES))
async def test_a_write_upon_an_older_version_is_a_conflict(cluster: Cluster, kube: KubeClient, name: str) -> None:
    raw = cluster.create()
    newer = cluster.patch({"metadata": {"labels": {"a": "b"}}})
    with pytest.raises(Conflict):
        await WRITES[name](kube, raw)
    assert cluster.read() == newer


@pytest.mark.parametrize("name", sorted(WRITES))
async def test_another_object_of_the_same_name_is_never_written(cluster: Cluster, kube: KubeClient, name: str) -> None:
    raw = cluster.create()
    cluster.delete()
    another = cluster.create()
    with pytest.raises(Conflict):
        await WRITES[name](kube, raw)
    assert cluster.read() == another


@pytest.mark.parametrize("name", sorted(WRITES.keys() - {"release"}))
async def test_a_missing_object_is_reported(cluster: Cluster, kube: KubeClient, name: str) -> None:
    raw = cluster.create()
    cluster.delete()
    with pytest.raises(Gone):
        await WRITES[name](kube, raw)


async def test_annotations_are_set_and_removed_and_others_stay(cluster: Cluster, kube: KubeClient) -> None:
    raw = cluster.create(annotations={"example.com/theirs": "1"})
    first = await kube.annotate(raw, {"example.com/ours": "2"})
    assert first["metadata"]["annotations"] == {"example.com/theirs": "1", "example.com/ours": "2"}
    second = await kube.annotate(first, {"example.com/ours": None})
    assert second == cluster.read()
    assert second["metadata"]["annotations"] == {"example.com/theirs": "1"}
    assert second["metadata"]["generation"] == raw["metadata"]["generation"]


async def test_status_is_merged_and_nothing_else_is_written(cluster: Cluster, kube: KubeClient) -> None:
    raw = cluster.create(labels={"a": "b"})
    assert raw["status"] == {"observedGeneration": -1}
    first = await kube.write_status(raw, {"url": "https://x", "conditions": [condition("Ready", "True")]})
    assert first == cluster.read()
    assert first["status"]["url"] == "https://x"
    second = await kube.write_status(first, {"url": None, "conditions": [condition("Stalled", "True")]})
    assert second["status"] == {"observedGeneration": -1, "conditions": [condition("Stalled", "True")]}
    assert second["metadata"]["labels"] == {"a": "b"}
    assert second["metadata"]["generation"] == raw["metadata"]["generation"]


async def test_a_status_that_changes_nothing_makes_no_new_version(cluster: Cluster, kube: KubeClient) -> None:
    first = await kube.write_status(cluster.create(), {"url": "https://x"})
    second = await kube.write_status(first, {"url": "https://x"})
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_classes_are_adopted_written_and_released_too(cluster: Cluster, kube: KubeClient) -> None:
    name = f"class-{cluster.namespace}"
    finalized_by_us = await kube.add_finalizer(cluster.create_class(name), None)
    assert finalized_by_us["metadata"]["finalizers"] == [FINALIZER]
    written = await kube.write_status(finalized_by_us, {"conditions": [condition("Ready", "True")]})
    assert written["status"]["conditions"] == [condition("Ready", "True")]
    cluster.delete_class(name)
    deleted = cluster.patch_class(name, {"metadata": {"labels": {"a": "b"}}})
    assert deleted["metadata"]["deletionTimestamp"]
    assert await kube.remove_finalizer(deleted) is None


@pytest.mark.parametrize("name", ["pr-42", LONG], ids=["short", "of 253 characters"])
async def test_the_token_is_made_once_and_goes_with_its_object(cluster: Cluster, kube: KubeClient, name: str) -> None:
    raw = cluster.create(name)
    token = (await kube.token(raw)).value
    assert re.fullmatch(r"eep_[A-Za-z0-9_-]{43}", token), "256 bits that pass in a header"
    assert (await kube.token(raw)).value == token
    secret = cluster.core.read_namespaced_secret(secret_name(name), cluster.namespace)
    assert secret.data == {"token": base64.b64encode(token.encode()).decode()}
    assert secret.metadata is not None
    [owner] = secret.metadata.owner_references or []
    assert (owner.kind, owner.name, owner.uid, owner.controller) == (raw["kind"], name, raw["metadata"]["uid"], True)


async def test_the_token_of_another_object_is_read_and_not_made(cluster: Cluster, kube: KubeClient) -> None:
    raw = cluster.create()
    assert await kube.known_token(raw) is None
    token = (await kube.token(raw)).value
    assert await kube.known_token(raw) == token
    with pytest.raises(SecretTaken):
        await kube.known_token({**raw, "metadata": {**raw["metadata"], "uid": "another"}})


async def test_a_token_that_was_taken_away_is_made_anew(cluster: Cluster, kube: KubeClient) -> None:
    raw = cluster.create()
    token = (await kube.token(raw)).value
    cluster.core.delete_namespaced_secret(secret_name("pr-42"), cluster.namespace)
    assert (await kube.token(raw)).value != token


async def test_a_rotated_token_is_another_one_and_the_one_before_is_accepted_for_an_hour(
    cluster: Cluster, kube: KubeClient
) -> None:
    raw = cluster.create()
    before = await kube.token(raw)
    asking = await kube.annotate(raw, {ROTATE_TOKEN_ANNOTATION: "1"})
    after = await kube.token(asking)
    assert after.value != before.value
    assert after.former is not None
    assert after.former.sha256 == before.sha256
    assert await kube.token(asking) == after, "once for each value"


async def test_a_secret_of_somebody_else_is_neither_read_nor_changed(cluster: Cluster, kube: KubeClient) -> None:
    name = secret_name("pr-42")
    metadata = V1ObjectMeta(name=name)
    made = cluster.core.create_namespaced_secret(
        cluster.namespace, V1Secret(metadata=metadata, string_data={"token": "theirs"})
    )
    with pytest.raises(SecretTaken, match=f"{name} does not belong to this object") as taken:
        await kube.token(cluster.create())
    assert "theirs" not in str(taken.value)
    assert cluster.core.read_namespaced_secret(name, cluster.namespace) == made


@pytest.mark.parametrize("data", [{}, {"token": ""}, {"token": base64.b64encode(b"\xff\xfe").decode()}])
async def test_a_secret_without_a_token_does_not_open_the_endpoint(
    cluster: Cluster, kube: KubeClient, data: dict[str, str]
) -> None:
    raw = cluster.create()
    await kube.token(raw)
    patch = [{"op": "replace", "path": "/data", "value": data}]
    cluster.core.patch_namespaced_secret(secret_name("pr-42"), cluster.namespace, patch)
    with pytest.raises(SecretTaken, match="holds no valid token: delete it"):
        await kube.token(raw)


def test_names_of_secrets_are_valid_and_distinct() -> None:
    cut = {secret_name(LONG), secret_name(LONG[:-1] + "1"), secret_name("a." * 126 + "b")}
    assert len(cut) == 3
    for name in cut:
        assert len(name) <= 253
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", name)


@pytest.mark.parametrize("name", ["pr-42", LONG, "a" * 199 + ".b"], ids=["short", "of 253 characters", "cut at a dot"])
async def test_events_are_seen_about_the_object(cluster: Cluster, kube: KubeClient, name: str) -> None:
    raw = cluster.create(name)
    await kube.event(raw, type_="Warning", reason=ImageProblem.NOT_FOUND.reason, message="x" * 2000)
    [event] = cluster.core.list_namespaced_event(
        cluster.namespace, field_selector=f"involvedObject.uid={raw['metadata']['uid']}"
    ).items
    assert (event.type, event.reason, len(event.message or "")) == ("Warning", "ImageNotFound", 1024)
    assert (event.first_timestamp, event.count) == (NOW, 1)


async def test_the_same_event_upon_the_same_status_is_there_once(cluster: Cluster, kube: KubeClient) -> None:
    def messages() -> list[str]:
        uid = raw["metadata"]["uid"]
        events = cluster.core.list_namespaced_event(cluster.namespace, field_selector=f"involvedObject.uid={uid}")
        return sorted(event.message or "" for event in events.items)

    raw = cluster.create()
    for _ in range(2):
        await kube.event(raw, type_="Normal", reason=CREATING, message="waits")
    assert messages() == ["waits"], "an Event with an unknown outcome is emitted again"
    await kube.event(raw, type_="Normal", reason=CREATING, message="waits for more")
    assert messages() == ["waits", "waits for more"]
    newer = await kube.write_status(raw, {"url": "https://x"})
    await kube.event(newer, type_="Normal", reason=CREATING, message="waits")
    assert messages() == ["waits", "waits", "waits for more"], "a new occurrence is a new Event"


async def test_an_event_survives_a_connection_that_breaks(cluster: Cluster) -> None:
    requests: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n"))
        if len(requests) > 1:
            writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            await writer.drain()
        writer.close()

    raw = cluster.create()
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with AsyncApiClient(Configuration(host=f"http://{host}:{port}")) as api:
            await KubeClient(api, lambda: NOW).event(raw, type_="Normal", reason=UP_TO_DATE, message="")
    assert [request.split()[0] for request in requests] == [b"POST", b"POST"]


async def test_events_about_classes_are_seen_in_the_default_namespace(cluster: Cluster, kube: KubeClient) -> None:
    name = f"class-{cluster.namespace}"
    raw = cluster.create_class(name)
    await kube.event(raw, type_="Normal", reason=UP_TO_DATE, message="serves")
    events = cluster.core.list_namespaced_event("default", field_selector=f"involvedObject.name={name}").items
    assert [event.message for event in events] == ["serves"]
    cluster.delete_class(name)


async def test_an_event_that_cannot_be_written_disturbs_nobody(cluster: Cluster, kube: KubeClient) -> None:
    raw = cluster.create()
    raw["metadata"]["namespace"] = "no-such-namespace"
    await kube.event(raw, type_="Normal", reason=UP_TO_DATE, message="")
    async with AsyncApiClient(Configuration(host="http://127.0.0.1:1")) as nowhere:
        await KubeClient(nowhere, lambda: NOW).event(raw, type_="Normal", reason=UP_TO_DATE, message="")


async def test_the_cluster_id_stands_for_the_cluster(kube: KubeClient) -> None:
    found = await kube.cluster_id()
    assert CLUSTER_ID_PATTERN.fullmatch(found)
    assert found == await kube.cluster_id()
