import threading
from queue import Queue
from typing import Any

from kubernetes.client import ApiClient, CoreV1Api, V1ConfigMap, V1Namespace, V1ObjectMeta
from tests.fixtures.waiting import TIMEOUT_SECONDS

from eep_platform.watching import Stream, watching

NAMESPACE = "watched"


def test_what_happens_is_seen_and_nothing_is_left_that_watches(kubernetes_client: ApiClient) -> None:
    core, seen, before = CoreV1Api(kubernetes_client), Queue[str](), set(threading.enumerate())
    core.create_namespace(V1Namespace(metadata=V1ObjectMeta(name=NAMESPACE)))
    connections: list[Any] = []

    def follow(stream: Stream) -> None:
        def listing(namespace: str, **options: Any) -> Any:  # noqa: ANN401 - the client's
            """list_namespaced_config_map."""
            answer = core.list_namespaced_config_map(namespace, **options)
            connections.append(answer)
            return answer

        for each in stream(listing, NAMESPACE):
            seen.put(each["raw_object"]["metadata"]["name"])

    with watching(follow):
        core.create_namespaced_config_map(NAMESPACE, V1ConfigMap(metadata=V1ObjectMeta(name="made-meanwhile")))
        while seen.get(timeout=TIMEOUT_SECONDS) != "made-meanwhile":
            pass
    assert set(threading.enumerate()) <= before
    assert connections
    assert all(each.closed for each in connections)
