import re
from typing import Any

import pytest

from ephemeral_endpoints.api.kinds import BY_NAME, ENDPOINT, ENDPOINT_CLASS, KINDS, ObjectKind
from ephemeral_endpoints.api.schema.crds import crd


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_objects_of_a_kind_say_that_they_are_of_it(kind: ObjectKind) -> None:
    assert kind.model.model_fields["kind"].default == kind.name
    assert BY_NAME[kind.name] is kind


def test_names_are_taken_once() -> None:
    names = [name for kind in KINDS for name in (kind.name.lower(), kind.plural, kind.short_name)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_columns_show_fields_that_there_are(kind: ObjectKind) -> None:
    schema = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for column in kind.columns:
        first, *rest = re.sub(r"\[.*?\]", "[]", column.path.replace(r"\.", "")).strip(".").split(".")
        assert first == "metadata" or _has(schema["properties"][first], rest), column.path


def _has(schema: Any, path: list[str]) -> bool:  # noqa: ANN401 - JSON
    if not path:
        return True
    name, is_list = path[0].removesuffix("[]"), path[0].endswith("[]")
    part = schema.get("properties", {}).get(name)
    return part is not None and _has(part["items"] if is_list else part, path[1:])


@pytest.mark.parametrize(
    ("kind", "namespaces", "folders", "reason"),
    [
        (ENDPOINT, [], ["/ephemeralendpoints"], "an operator of the whole cluster asks once"),
        (ENDPOINT, ["a", "b"], ["/namespaces/a/ephemeralendpoints", "/namespaces/b/ephemeralendpoints"], "it may not"),
        (ENDPOINT_CLASS, [], ["/ephemeralendpointclasses"], "what is in no namespace is listed as a whole"),
        (ENDPOINT_CLASS, ["a", "b"], ["/ephemeralendpointclasses"], "however few namespaces are worked in"),
    ],
)
def test_objects_are_found_in_the_folders_that_may_be_read(
    kind: ObjectKind, namespaces: list[str], folders: list[str], reason: str
) -> None:
    found = [folder.removeprefix("/apis/ephemeral-endpoints.io/v1alpha1") for folder in kind.folders(namespaces)]
    assert found == folders, reason
