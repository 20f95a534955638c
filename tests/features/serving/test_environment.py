import re
from collections.abc import Mapping
from typing import Any

import pytest
from tests.engine.objects import subject

from ephemeral_endpoints.api.v1alpha1.model import Model
from ephemeral_endpoints.features.serving.environment import variables
from ephemeral_endpoints.features.serving.reasons import EnvironmentUnavailable


def model(*sources: tuple[str, str, str], **environment: str) -> Model:
    references = [{"name": name, "configMapKeyRef": {"name": of, "key": key}} for name, of, key in sources]
    given: dict[str, Any] = {"environment": environment, "environmentFrom": references}
    return subject({"model": given}).endpoint.spec.model


def test_a_model_without_references_has_no_variables_from_elsewhere() -> None:
    assert variables(model(A="b"), {}) == {}


def test_variables_have_the_values_of_their_keys() -> None:
    maps = {"a": {"x": "1", "y": "2"}, "b": {"x": ""}}
    assert variables(model(("X", "a", "x"), ("Y", "a", "y"), ("Z", "b", "x")), maps) == {"X": "1", "Y": "2", "Z": ""}


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ({"a": None}, "the ConfigMap a does not exist: create it"),
        ({"a": {"y": "1"}}, "the ConfigMap a has no key x: add it"),
        ({"a": {"x": "\0"}}, "values must not contain NUL characters"),
        ({"a": {"x": "v" * 1025}}, "at most 1024"),
    ],
    ids=["no ConfigMap", "no key", "no text of a variable", "too long"],
)
def test_what_cannot_be_a_variable_says_why(maps: Mapping[str, Mapping[str, str] | None], message: str) -> None:
    with pytest.raises(EnvironmentUnavailable, match=re.escape(message)):
        variables(model(("X", "a", "x")), maps)


def test_the_environment_has_its_limit_as_a_whole() -> None:
    sources = [(f"N{number}", "a", "x") for number in range(20)]
    plain = {f"M{number}": "v" * 1000 for number in range(13)}
    assert len(variables(model(*sources), {"a": {"x": "v" * 1000}})) == 20
    with pytest.raises(EnvironmentUnavailable, match="together must be at most 32 KiB"):
        variables(model(*sources, **plain), {"a": {"x": "v" * 1000}})
