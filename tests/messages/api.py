"""What the API server says of objects that break a rule of their schema."""

from collections.abc import Iterator, Mapping
from typing import Any

from ephemeral_endpoints.api.rules import VALIDATIONS
from ephemeral_endpoints.api.schema.crds import crds


def rules() -> Iterator[tuple[str, str]]:
    for crd in crds():
        for version in crd["spec"]["versions"]:
            yield from _of(version["schema"]["openAPIV3Schema"], crd["spec"]["names"]["kind"])


def _of(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for rule in schema.get(VALIDATIONS, []):
        yield path, rule["message"]
    for name, part in schema.get("properties", {}).items():
        yield from _of(part, f"{path}.{name}")
    if "items" in schema:
        yield from _of(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield from _of(schema["additionalProperties"], f"{path}{{}}")
