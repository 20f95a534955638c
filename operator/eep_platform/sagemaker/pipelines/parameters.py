"""The parameters of pipelines: their definitions, and the values that an execution has; pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from eep_platform.emulation.errors import validation_exception
from eep_platform.sagemaker.pipelines.errors import unparsable
from eep_platform.sagemaker.pipelines.expressions import Scalar

_MOST: Final = 200
_NAME: Final = re.compile(r"[A-Za-z0-9\-_]{1,256}", re.ASCII)
_MEMBERS: Final = frozenset({"Name", "Type", "DefaultValue", "EnumValues"})
_INTEGER: Final = re.compile(r"[+-]?\d+", re.ASCII)
_FLOAT: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class ParameterType(StrEnum):
    """The types of parameters."""

    STRING = "String"
    INTEGER = "Integer"
    FLOAT = "Float"
    BOOLEAN = "Boolean"

    @property
    def shape(self) -> str:
        """Botocore's name of the type."""
        return self.value.lower()

    def accepts(self, value: object) -> bool:
        """Whether a default value is of the type."""
        if self is ParameterType.STRING:
            return isinstance(value, str)
        if self is ParameterType.BOOLEAN or isinstance(value, bool):
            return self is ParameterType.BOOLEAN and isinstance(value, bool)
        return isinstance(value, int) or (self is ParameterType.FLOAT and isinstance(value, float))

    def read(self, text: str) -> Scalar:
        """The value that a text means; raises ValueError if it means none."""
        if self is ParameterType.STRING:
            return text
        if self is ParameterType.BOOLEAN:
            return {"true": True, "false": False}[text.lower()] if text.lower() in {"true", "false"} else _invalid(text)
        if self is ParameterType.INTEGER:
            return int(text) if _INTEGER.fullmatch(text) else _invalid(text)
        return float(text) if _FLOAT.fullmatch(text) else _invalid(text)


def _invalid(text: str) -> Scalar:
    raise ValueError(text)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter; without a default every execution has to give a value."""

    name: str
    type: ParameterType
    default: Scalar | None
    allowed: tuple[Scalar, ...]


def parameters_of(given: object) -> Mapping[str, Parameter]:
    """The parameters that a definition declares; raises the service's error."""
    if given is None:
        return {}
    if not isinstance(given, list):
        raise unparsable("Expecting start of Json Array.")
    found = [_parameter(each) for each in given]
    parameters = {parameter.name: parameter for parameter in found}
    if len(parameters) < len(found):
        raise unparsable("Parameter names must be unique.")
    if len(found) > _MOST:
        raise unparsable(f"A pipeline can have at most {_MOST} parameters.")
    return parameters


def _parameter(given: object) -> Parameter:
    if not isinstance(given, Mapping):
        raise unparsable("Expecting start of Json Object.")
    if unknown := sorted(set(given) - _MEMBERS):
        raise unparsable(f"Unknown Parameter member '{unknown[0]}'.")
    name = given.get("Name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise unparsable(f"Parameter name {name!r} must match {_NAME.pattern}.")
    if given.get("Type") not in {each.value for each in ParameterType}:
        raise unparsable(f"Type of parameter {name} must be one of {', '.join(ParameterType)}.")
    type_, default = ParameterType(given["Type"]), given.get("DefaultValue")
    allowed = given.get("EnumValues") or []
    if not isinstance(allowed, list) or not all(type_.accepts(each) for each in allowed):
        raise unparsable(f"EnumValues of parameter {name} must be a list of values of type {type_}.")
    if default is not None and not type_.accepts(default):
        raise unparsable(f"DefaultValue of parameter {name} is not of type {type_}.")
    if default is not None and allowed and default not in allowed:
        raise unparsable(f"DefaultValue of parameter {name} is not one of its EnumValues.")
    return Parameter(name, type_, default, tuple(allowed))


def values_for(declared: Mapping[str, Parameter], given: Sequence[Mapping[str, Any]]) -> dict[str, Scalar]:
    """The values of an execution that was given these `PipelineParameters`; raises `ValidationException`."""
    texts = {each["Name"]: each["Value"] for each in given}
    if len(texts) < len(given):
        raise validation_exception("A parameter is given more than once.")
    if unknown := sorted(set(texts) - set(declared)):
        raise validation_exception(f"Parameters [{', '.join(unknown)}] are not defined in the pipeline definition.")
    missing = sorted(name for name, each in declared.items() if each.default is None and name not in texts)
    if missing:
        raise validation_exception(f"Parameters [{', '.join(missing)}] have no value and no DefaultValue.")
    return {name: _value(parameter, texts.get(name)) for name, parameter in declared.items()}


def _value(parameter: Parameter, text: str | None) -> Scalar:
    if text is None:
        assert parameter.default is not None  # noqa: S101 - those without are refused before
        return parameter.default
    if not text:
        raise validation_exception('[string "" is too short (length: 0, required minimum: 1)]')
    try:
        value = parameter.type.read(text)
    except ValueError as error:
        raise validation_exception(f"Value '{text}' of parameter {parameter.name} is no {parameter.type}.") from error
    if parameter.allowed and value not in parameter.allowed:
        raise validation_exception(f"Value '{text}' of parameter {parameter.name} is not one of its EnumValues.")
    return value
