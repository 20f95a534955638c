"""Turns the spec of a Pod into the command lines and environments of its processes. Pure.

All Pods share the ports of the machine, so a free port replaces each port of a container. A program learns it from the
variable that sets its port: if a variable's name ends in ``PORT`` and its value is a container's port, the value
becomes the replacement. If a name ends in ``HOST`` and the value means all addresses, it becomes the loopback address.

They share its files too. A program finds a file of a Secret or ConfigMap that is mounted, and the one for its
termination message, where a variable whose value is the path in the container says.
"""

import re
import sys
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

Raw = Mapping[str, Any]
Lookup = Callable[[str, str], Raw | None]
"""Returns the object for a kind (ConfigMap or Secret) and name in the Pod's namespace; None if there is none."""

LOOPBACK: Final = "127.0.0.1"
NODE: Final = "local"
TERMINATION_LOG: Final = "/dev/termination-log"
"""Where a container's message is written unless it says otherwise."""

_PYTHON: Final = re.compile(r"python(3(\.\d+)?)?")
_REFERENCE: Final = re.compile(r"\$\$|\$\(([-._a-zA-Z0-9]+)\)")
_KEYED: Final = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_EVERY_ADDRESS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - replaced, not listened on


class Unstartable(Exception):  # noqa: N818 - a state of containers in Kubernetes, CreateContainerConfigError
    """A container cannot be started as its Pod specifies; the message says why."""


@dataclass(frozen=True, slots=True)
class Image:
    """The entrypoint and environment of an image, and what the platform adds. The manifest takes precedence."""

    entrypoint: Sequence[str] = (sys.executable, "-m", "ephemeral_endpoints")
    environment: Mapping[str, str] = field(default_factory=dict)


def container_ports(pod: Raw) -> list[int]:
    """The ports that the containers of a Pod declare."""
    return [port["containerPort"] for each in pod["spec"]["containers"] for port in each.get("ports", [])]


def port_number(container: Raw, port: int | str) -> int:
    """The number of a container's port. Raises Unstartable for a name that no port has."""
    if isinstance(port, int):
        return port
    for each in container.get("ports", []):
        if each.get("name") == port:
            return int(each["containerPort"])
    raise Unstartable(f"container {container['name']} has no port named {port}")


def command_line(container: Raw, image: Image, environment: Mapping[str, str]) -> list[str]:
    """The command of a container: its own or the image's, and its arguments; ``python`` is the running interpreter."""
    program = [*container.get("command", image.entrypoint), *container.get("args", [])]
    first, *others = (_expanded(word, environment) for word in program)
    return [sys.executable if _PYTHON.fullmatch(first) else first, *others]


def mounted(pod: Raw, container: Raw, lookup: Lookup) -> dict[str, bytes]:
    """The files of Secrets and ConfigMaps that a container mounts, by their paths in it.

    Raises Unstartable if one of them, or a key, is missing.
    """
    volumes = {each["name"]: each for each in pod["spec"].get("volumes", [])}
    files: dict[str, bytes] = {}
    for each in container.get("volumeMounts", []):
        for name, content in _files(volumes[each["name"]], lookup).items():
            files[f"{each['mountPath']}/{name}"] = content.encode()
    return files


def _files(volume: Raw, lookup: Lookup) -> dict[str, str]:
    for member, kind, named in (("secret", "Secret", "secretName"), ("configMap", "ConfigMap", "name")):
        if member in volume:
            source = volume[member]
            data = _data(kind, {"name": source[named], "optional": source.get("optional", False)}, lookup)
            items = source.get("items") or [{"key": key, "path": key} for key in data]
            if missing := [each["key"] for each in items if each["key"] not in data]:
                raise Unstartable(f"{kind} {source[named]} has no key {missing[0]}")
            return {each["path"]: data[each["key"]] for each in items}
    return {}


def environment(
    pod: Raw,
    container: Raw,
    ports: Mapping[int, int],
    lookup: Lookup,
    paths: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """The variables in a container's manifest, in Kubernetes' order of precedence.

    ``paths`` has the machine's path for each of a container that differs. Raises Unstartable if a ConfigMap, Secret or
    key is missing, or a field is not supported.
    """
    made: dict[str, str] = {}
    for source in container.get("envFrom", []):
        made |= _all_of(source, lookup)
    for variable in container.get("env", []):
        value = _value(variable, pod, made, lookup)
        if value is not None:
            made[variable["name"]] = paths.get(value) or _on_this_machine(variable["name"], value, ports)
    return made


def _on_this_machine(name: str, value: str, ports: Mapping[int, int]) -> str:
    if name.endswith("PORT") and value.isdecimal():
        return str(ports.get(int(value), value))
    return LOOPBACK if name.endswith("HOST") and value in _EVERY_ADDRESS else value


def _all_of(source: Raw, lookup: Lookup) -> dict[str, str]:
    kind, reference = next(
        (kind, source[member])
        for kind, member in (("ConfigMap", "configMapRef"), ("Secret", "secretRef"))
        if member in source
    )
    return {f"{source.get('prefix', '')}{key}": value for key, value in _data(kind, reference, lookup).items()}


def _value(variable: Raw, pod: Raw, before: Mapping[str, str], lookup: Lookup) -> str | None:
    source = variable.get("valueFrom")
    if source is None:
        return _expanded(variable.get("value", ""), before)
    for member, read in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if member in source:
            reference = source[member]
            data = _data(read, reference, lookup)
            if reference["key"] not in data and not reference.get("optional"):
                raise Unstartable(f"{read} {reference['name']} has no key {reference['key']}")
            return data.get(reference["key"])
    if "fieldRef" in source:
        return _field(pod, source["fieldRef"]["fieldPath"])
    raise Unstartable(f"variable {variable['name']}: {', '.join(source)} is not supported")


def _data(kind: str, reference: Raw, lookup: Lookup) -> dict[str, str]:
    found = lookup(kind, reference["name"])
    if found is None and not reference.get("optional"):
        raise Unstartable(f"{kind} {reference['name']} not found")
    data: dict[str, str] = (found or {}).get("data") or {}
    return {key: b64decode(value).decode() for key, value in data.items()} if kind == "Secret" else data


def _field(pod: Raw, path: str) -> str:
    if keyed := _KEYED.fullmatch(path):
        return str(pod["metadata"].get(keyed[1], {}).get(keyed[2], ""))
    known = {
        "metadata.name": pod["metadata"]["name"],
        "metadata.namespace": pod["metadata"]["namespace"],
        "metadata.uid": pod["metadata"]["uid"],
        "spec.nodeName": NODE,
        "spec.serviceAccountName": pod["spec"]["serviceAccountName"],
        "status.hostIP": LOOPBACK,
        "status.podIP": LOOPBACK,
    }
    if path not in known:
        raise Unstartable(f"field {path} is not supported")
    return str(known[path])


def _expanded(text: str, environment: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` as Kubernetes does: unset variables stay unreplaced, ``$$`` is a dollar."""
    return _REFERENCE.sub(lambda found: _replacement(found, environment), text)


def _replacement(found: re.Match[str], environment: Mapping[str, str]) -> str:
    return "$" if found[1] is None else environment.get(found[1], found[0])
