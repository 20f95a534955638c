"""Files with checks: a list as in `spec.checks`, or the manifest of an object with the ConfigMaps that it refers to."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml
from pydantic import TypeAdapter, ValidationError

from ephemeral_endpoints.api.v1alpha1.checks import Check, Checks
from ephemeral_endpoints.api.v1alpha1.samples import Sample, Samples
from ephemeral_endpoints.features.checks.preparation import PreparedCheck, prepare

_CHECKS: Final[TypeAdapter[Sequence[Check]]] = TypeAdapter(Checks)
_SAMPLES: Final[TypeAdapter[Sequence[Sample]]] = TypeAdapter(Samples)
_DATA: Final[TypeAdapter[dict[str, str]]] = TypeAdapter(dict[str, str])
_MOST_ERRORS: Final = 3


class CheckFileError(ValueError):
    """A file has no checks, or none that can be run. The message is one for people, without the name of the file."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A list of checks, and the samples of its object."""

    checks: object
    samples: object = ()


def prepared_checks(text: str) -> tuple[PreparedCheck, ...]:
    """The checks of a file, ready to be run. Raises CheckFileError, and what ``prepare`` raises."""
    try:
        documents = list(_documents(yaml.safe_load_all(text)))
    except (yaml.YAMLError, RecursionError) as error:
        raise CheckFileError(f"it is not YAML: {' '.join(str(error).split())}") from error
    found = [each for document in documents if (each := _found(document))]
    if len(found) != 1:
        raise CheckFileError(
            f"it has {len(found) or 'no'} lists of checks: it must be one list as in spec.checks, or contain one "
            "EphemeralEndpoint that has spec.checks"
        )
    try:
        checks = _CHECKS.validate_python(found[0].checks)
        samples = _SAMPLES.validate_python(found[0].samples)
        data = {name: _DATA.validate_python(each) for name, each in _configmaps(documents)}
    except ValidationError as error:
        raise CheckFileError(_first(error)) from error
    _unique([each.name for each in checks])
    if not checks:
        raise CheckFileError("it has an empty list of checks")
    return prepare(checks, samples, data)


def _documents(loaded: Iterator[Any]) -> Iterator[object]:
    for each in loaded:
        if isinstance(each, dict) and each.get("kind") == "List" and isinstance(each.get("items"), list):
            yield from each["items"]
        else:
            yield each


def _found(document: object) -> _Found | None:
    match document:
        case list():
            return _Found(document)
        case {"kind": "EphemeralEndpoint", "spec": {"checks": checks, "api": {"samples": samples}}}:
            return _Found(checks, samples)
        case {"kind": "EphemeralEndpoint", "spec": {"checks": checks}}:
            return _Found(checks)
        case _:
            return None


def _configmaps(documents: list[object]) -> Iterator[tuple[str, Mapping[str, object]]]:
    for document in documents:
        match document:
            case {"kind": "ConfigMap", "metadata": {"name": str(name)}, "data": dict(data)}:
                yield name, data


def _first(error: ValidationError) -> str:
    """The first problems, each with its place."""
    found = error.errors(include_url=False, include_input=False)
    parts = [
        f"{'.'.join(map(str, each['loc'])) or 'the list'}: {each['msg'].removeprefix('Value error, ')}"
        for each in found[:_MOST_ERRORS]
    ]
    more = len(found) - len(parts)
    return "; ".join([*parts, *([f"and {more} more"] if more else [])])


def _unique(names: list[str]) -> None:
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise CheckFileError(f"two checks have the name {twice[0]}")
