import sys
from base64 import b64encode
from typing import Any

import pytest

from eep_platform.kubelet.pods import (
    Image,
    Unstartable,
    command_line,
    container_ports,
    environment,
    mounted,
    port_number,
)

POD: dict[str, Any] = {
    "metadata": {
        "name": "web-1",
        "namespace": "shop",
        "uid": "u-1",
        "labels": {"app.kubernetes.io/name": "web"},
        "annotations": {"note": "hello"},
    },
    "spec": {"serviceAccountName": "cook", "containers": []},
}
OBJECTS = {
    ("ConfigMap", "menu"): {"data": {"SOUP": "tomato", "MAIN": "pasta"}},
    ("Secret", "safe"): {"data": {"KEY": b64encode(b"hunter2").decode()}},
}


def made(container: dict[str, Any], ports: dict[int, int] | None = None) -> dict[str, str]:
    return environment(POD, container, ports or {}, lambda kind, name: OBJECTS.get((kind, name)))


def field(path: str) -> dict[str, Any]:
    return {"env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}]}


@pytest.mark.parametrize(
    ("container", "expected", "reason"),
    [
        ({}, [sys.executable, "-m", "app"], "the image's entrypoint"),
        ({"args": ["--all"]}, [sys.executable, "-m", "app", "--all"], "arguments are added to it"),
        ({"command": ["true"], "args": ["x"]}, ["true", "x"], "a command replaces it"),
        ({"command": ["python3.11", "-V"]}, [sys.executable, "-V"], "python is the running one"),
        ({"command": ["sh", "$(A) $(B) $$(A)"]}, ["sh", "1 $(B) $(A)"], "references as Kubernetes replaces them"),
    ],
)
def test_what_runs_is_the_command_or_the_images_with_the_arguments(
    container: dict[str, Any], expected: list[str], reason: str
) -> None:
    assert command_line(container, Image((sys.executable, "-m", "app")), {"A": "1"}) == expected, reason


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web-1"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app.kubernetes.io/name']", "web"),
        ("metadata.annotations['note']", "hello"),
        ("metadata.annotations['other']", ""),
        ("spec.serviceAccountName", "cook"),
        ("status.podIP", "127.0.0.1"),
    ],
)
def test_the_downward_api_describes_the_pod(path: str, value: str) -> None:
    assert made(field(path)) == {"X": value}


def test_variables_come_from_values_config_maps_and_secrets() -> None:
    container = {
        "envFrom": [{"configMapRef": {"name": "menu"}, "prefix": "M_"}, {"secretRef": {"name": "safe"}}],
        "env": [
            {"name": "KEY", "value": "prevails"},
            {"name": "ONE", "valueFrom": {"secretKeyRef": {"name": "safe", "key": "KEY"}}},
            {"name": "TWO", "valueFrom": {"configMapKeyRef": {"name": "menu", "key": "SOUP"}}},
            {"name": "THREE", "value": "$(TWO) soup"},
            {"name": "NONE", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "y", "optional": True}}},
        ],
    }
    assert made(container) == {
        "M_SOUP": "tomato",
        "M_MAIN": "pasta",
        "KEY": "prevails",
        "ONE": "hunter2",
        "TWO": "tomato",
        "THREE": "tomato soup",
    }


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"envFrom": [{"secretRef": {"name": "none"}}]}, "Secret none not found"),
        (
            {"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "menu", "key": "WINE"}}}]},
            "ConfigMap menu has no key WINE",
        ),
        (field("spec.priority"), "field spec.priority is not supported"),
        ({"env": [{"name": "X", "valueFrom": {"resourceFieldRef": {}}}]}, "resourceFieldRef is not supported"),
    ],
)
def test_what_cannot_be_found_is_named(container: dict[str, Any], message: str) -> None:
    with pytest.raises(Unstartable, match=message):
        made(container)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        pytest.param("HTTP_PORT", "8080", "15001", id="the port is another one on this machine"),
        pytest.param("HTTP_PORT", "9090", "9090", id="no port of a container"),
        pytest.param("RETRIES", "8080", "8080", id="a number that happens to be the same"),
        pytest.param("HTTP_HOST", "0.0.0.0", "127.0.0.1", id="nothing listens on the network"),  # noqa: S104 - what is replaced
        pytest.param("HTTP_HOST", "10.0.0.1", "10.0.0.1", id="an address of somebody else"),
    ],
)
def test_a_program_gets_its_port_on_this_machine(name: str, value: str, expected: str) -> None:
    assert made({"env": [{"name": name, "value": value}]}, {8080: 15001}) == {name: expected}


def test_ports_are_found_by_number_and_by_name() -> None:
    container = {"name": "web", "ports": [{"name": "http", "containerPort": 8080}, {"containerPort": 9090}]}
    assert container_ports({"spec": {"containers": [container, {"name": "side"}]}}) == [8080, 9090]
    assert (port_number(container, "http"), port_number(container, 9090)) == (8080, 9090)
    with pytest.raises(Unstartable, match="container web has no port named metrics"):
        port_number(container, "metrics")


def mounting(volume: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A Pod with the volume, and its container that mounts it."""
    container = {"volumeMounts": [{"name": "v", "mountPath": "/run/v"}]}
    return {**POD, "spec": {"volumes": [{"name": "v", **volume}]}}, container


@pytest.mark.parametrize(
    ("volume", "files"),
    [
        ({"secret": {"secretName": "safe"}}, {"/run/v/KEY": b"hunter2"}),
        ({"secret": {"secretName": "safe", "items": [{"key": "KEY", "path": "a/b"}]}}, {"/run/v/a/b": b"hunter2"}),
        ({"configMap": {"name": "menu", "items": [{"key": "SOUP", "path": "soup"}]}}, {"/run/v/soup": b"tomato"}),
        ({"secret": {"secretName": "none", "optional": True}}, {}),
        ({"emptyDir": {}}, {}),
        ({"projected": {"sources": []}}, {}),
    ],
)
def test_files_come_from_config_maps_and_secrets(volume: dict[str, Any], files: dict[str, bytes]) -> None:
    pod, container = mounting(volume)
    assert mounted(pod, container, lambda kind, name: OBJECTS.get((kind, name))) == files


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"secret": {"secretName": "none"}}, "Secret none not found"),
        ({"configMap": {"name": "menu", "items": [{"key": "WINE", "path": "w"}]}}, "ConfigMap menu has no key WINE"),
    ],
)
def test_a_file_that_cannot_be_mounted_is_named(volume: dict[str, Any], message: str) -> None:
    pod, container = mounting(volume)
    with pytest.raises(Unstartable, match=message):
        mounted(pod, container, lambda kind, name: OBJECTS.get((kind, name)))


def test_a_program_finds_its_files_on_this_machine() -> None:
    container = {"env": [{"name": "FILE", "value": "/run/v/KEY"}, {"name": "FOLDER", "value": "/run/v"}]}
    paths = {"/run/v/KEY": "/state/pod/file-0"}
    found = environment(POD, container, {}, lambda *_: None, paths)
    assert found == {"FILE": "/state/pod/file-0", "FOLDER": "/run/v"}
