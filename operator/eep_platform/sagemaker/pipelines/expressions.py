"""Expressions in definitions: `Get`, `Std:Join` and `Std:JsonGet`, what they refer to and their values; pure.

Source: "Define a pipeline" and "Pass data between steps" in the SageMaker developer guide.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from eep_platform.sagemaker.pipelines.errors import UnresolvableError, unparsable

_GET, _JOIN, _JSON_GET = "Get", "Std:Join", "Std:JsonGet"
_FUNCTIONS: Final = frozenset({_GET, _JOIN, _JSON_GET})
_PROPERTY_FILES: Final = "PropertyFiles."
_PARTS: Final = re.compile(
    r"(?P<dot>\.)?(?P<name>[^.\[\]'\"]+)|\[(?P<index>\d+)\]|\[(?P<quote>['\"])(?P<key>.*?)(?P=quote)\]"
)
_KEYS: Final = ("OutputName", "InputName", "ChannelName", "MetricName", "Key")
"""The members by which a list of a Describe answer is a map."""

EXECUTION_VARIABLES: Final = frozenset(
    {
        "CurrentDateTime",
        "PipelineArn",
        "PipelineExecutionArn",
        "PipelineExecutionId",
        "PipelineName",
        "StartDateTime",
    }
)

Scalar = str | int | float | bool
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class PropertyFile:
    """A property file of a step."""

    step: str
    name: str


@dataclass(frozen=True, slots=True)
class Reference:
    """What a `Get` names: `root` is `Parameters`, `Execution` or `Steps`."""

    text: str
    root: str
    name: str
    path: str = ""

    @property
    def property_file(self) -> PropertyFile | None:
        """The property file that it names, if it names one."""
        is_file = self.root == "Steps" and self.path.startswith(_PROPERTY_FILES)
        return PropertyFile(self.name, self.path.removeprefix(_PROPERTY_FILES)) if is_file else None


@dataclass(frozen=True, slots=True)
class Values:
    """What expressions can refer to at one moment of an execution.

    `results` has what Describe answers for each step that succeeded, `files` the contents of property files.
    """

    parameters: Mapping[str, Scalar] = field(default_factory=dict)
    execution: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[PropertyFile, Any] = field(default_factory=dict)


def is_expression(value: object) -> bool:
    """Whether a value is one of the functions rather than data."""
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in _FUNCTIONS


def references(value: object) -> Iterator[Reference]:
    """Every reference within a value; raises the service's error for malformed expressions."""
    if is_expression(value):
        assert isinstance(value, Mapping)  # noqa: S101 - narrows what the type cannot say
        yield from _references_of(value)
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)


def _references_of(expression: Mapping[str, Any]) -> Iterator[Reference]:
    function, argument = next(iter(expression.items()))
    if function == _GET:
        yield reference(argument)
    elif function == _JOIN:
        if not _has(argument, On=str, Values=list):
            raise unparsable(f"{_JOIN} needs On, a string, and Values, a list.")
        for part in argument["Values"]:
            if not is_expression(part) and not isinstance(part, Scalar):
                raise unparsable(f"The Values of {_JOIN} must be expressions, strings, numbers or booleans.")
        yield from references(argument["Values"])
    else:
        file = argument.get("PropertyFile") if isinstance(argument, Mapping) else None
        if not _has(argument, PropertyFile=dict, Path=str) or not _has(file, Get=str):
            raise unparsable(f'{_JSON_GET} needs PropertyFile, {{"Get": "Steps.NAME.PropertyFiles.NAME"}}, and Path.')
        parts_of(argument["Path"])
        named = reference(argument["PropertyFile"]["Get"])
        if named.property_file is None:
            raise unparsable(f"{named.text} is not a property file.")
        yield named


def reference(text: object) -> Reference:
    """Parse what a `Get` names; raises the service's error for anything else."""
    if not isinstance(text, str):
        raise unparsable(f"{_GET} needs a string.")
    root, _, rest = text.partition(".")
    if root in {"Parameters", "Execution"} and rest:
        return Reference(text, root, rest)
    name, _, path = rest.partition(".")
    if root != "Steps" or not name or not path:
        raise unparsable(f"Invalid property reference '{text}'.")
    if not path.startswith(_PROPERTY_FILES):
        parts_of(path)
    return Reference(text, root, name, path)


def parts_of(path: str) -> Path:
    """The names, keys and indexes of a path such as `Outputs['train'].S3Output`; raises the service's error."""
    parts: list[str | int] = []
    end = 0
    while end < len(path):
        found = _PARTS.match(path, end)
        if found is None or (found["name"] is not None and bool(found["dot"]) is (end == 0)):
            raise unparsable(f"Invalid path '{path}'.")
        name = found["name"] if found["name"] is not None else found["key"]
        parts.append(name if name is not None else int(found["index"]))
        end = found.end()
    if not parts:
        raise unparsable("A path is empty.")
    return tuple(parts)


def resolved(value: object, values: Values) -> Any:  # noqa: ANN401 - as many types as JSON
    """The value with every expression replaced by what it is now; raises `UnresolvableError`."""
    if is_expression(value):
        assert isinstance(value, Mapping)  # noqa: S101 - narrows what the type cannot say
        return _evaluated(value, values)
    if isinstance(value, Mapping):
        return {key: resolved(member, values) for key, member in value.items()}
    if isinstance(value, list):
        return [resolved(member, values) for member in value]
    return value


def _evaluated(expression: Mapping[str, Any], values: Values) -> Scalar:
    function, argument = next(iter(expression.items()))
    if function == _GET:
        return _got(reference(argument), values)
    if function == _JOIN:
        return str(argument["On"]).join(text_of(resolved(part, values)) for part in argument["Values"])
    file = reference(argument["PropertyFile"]["Get"]).property_file
    if file is None or file not in values.files:
        raise UnresolvableError(f"Property file {argument['PropertyFile']['Get']} was not read.")
    return _scalar(_at(values.files[file], argument["Path"], "property file"), argument["Path"])


def _got(named: Reference, values: Values) -> Scalar:
    if named.root == "Parameters":
        return values.parameters[named.name]
    if named.root == "Execution":
        return values.execution[named.name]
    if named.name not in values.results:
        raise UnresolvableError(f"Step {named.name} has no result.")
    return _scalar(_at(values.results[named.name], named.path, f"result of step {named.name}"), named.path)


def _at(value: Any, path: str, where: str) -> Any:  # noqa: ANN401 - as many types as JSON
    for part in parts_of(path):
        try:
            value = _member(value, part)
        except LookupError as error:
            raise UnresolvableError(f"There is no '{path}' in the {where}.") from error
    return value


def _member(value: Any, part: str | int) -> Any:  # noqa: ANN401 - as many types as JSON
    if isinstance(value, Mapping):
        return value[str(part)]
    if isinstance(value, list) and isinstance(part, int):
        return value[part]
    if isinstance(value, list):
        return next((each for each in value if part in {each.get(key) for key in _KEYS}), None) or _absent()
    return _absent()


def _absent() -> Any:  # noqa: ANN401 - never returns
    raise LookupError


def _scalar(value: object, path: str) -> Scalar:
    if not isinstance(value, Scalar):
        raise UnresolvableError(f"'{path}' is not a string, a number or a boolean.")
    return value


def text_of(value: Scalar) -> str:
    """A value within a joined string, as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value)


def _has(value: object, **members: type) -> bool:
    return (
        isinstance(value, Mapping)
        and set(value) == set(members)
        and all(isinstance(value[member], type_) for member, type_ in members.items())
    )
