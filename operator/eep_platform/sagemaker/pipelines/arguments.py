"""Checks the arguments of steps by botocore's model of the requests that they become; pure.

A definition has expressions where a request has values, so a value is checked where it is known, and an expression by
the type that it will have.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.model import ListShape, MapShape, Shape, StructureShape

from eep_platform.emulation.validation import input_shape, service_model, violations
from eep_platform.sagemaker.pipelines.errors import unparsable
from eep_platform.sagemaker.pipelines.expressions import Reference, is_expression, parts_of, reference

_SERVICE: Final = "sagemaker"
_NUMBERS: Final = frozenset({"integer", "long", "float", "double"})
_ACCEPTED: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
}


@dataclass(frozen=True, slots=True)
class Call:
    """The operation that a step becomes, the one that describes its result, and the members that the service sets."""

    create: str
    describe: str
    name: str
    """The member of both requests that has the name; of a new model package the service has none."""
    omitted: frozenset[str] = frozenset()


CALLS: Final[Mapping[str, Call]] = {
    "Processing": Call("CreateProcessingJob", "DescribeProcessingJob", "ProcessingJobName"),
    "Training": Call("CreateTrainingJob", "DescribeTrainingJob", "TrainingJobName"),
    "Model": Call("CreateModel", "DescribeModel", "ModelName"),
    "RegisterModel": Call(
        "CreateModelPackage", "DescribeModelPackage", "ModelPackageName", omitted=frozenset({"ClientToken"})
    ),
}
"""The calls of the steps that make something, by their type."""

TypeOf = Callable[[Reference], str]
"""The type of what a reference names: one of botocore's names of types."""


def refuse_arguments(step_type: str, arguments: object, type_of: TypeOf) -> None:
    """Raise the service's error for arguments that cannot become the request of a step of this type."""
    call = CALLS[step_type]
    shape = input_shape(_SERVICE, call.create)
    if not isinstance(arguments, Mapping):
        raise unparsable("Expecting start of Json Object.")
    left_out = {call.name, *call.omitted}
    for member in arguments:
        if member in left_out:
            raise unparsable(f"Unknown Argument member '{member}'.")
    _refuse_structure(shape, arguments, type_of, left_out)


def property_type(step_type: str, named: Reference) -> str:
    """The type of a property of a step's result; raises the service's error if there is no such property."""
    if step_type == "Condition" and named.path == "Outcome":
        return "boolean"
    if step_type not in CALLS:
        raise unparsable(f"Invalid property reference '{named.text}'.")
    shape: Shape | None = service_model(_SERVICE).operation_model(CALLS[step_type].describe).output_shape
    for part in parts_of(named.path):
        shape = _below(shape, part)
        if shape is None:
            raise unparsable(f"Invalid property reference '{named.text}'.")
    return str(shape.type_name) if shape else ""


def _below(shape: Shape | None, part: str | int) -> Shape | None:
    if isinstance(shape, StructureShape):
        return shape.members.get(str(part))
    if isinstance(shape, ListShape):
        return shape.member
    return shape.value if isinstance(shape, MapShape) else None


def _refuse(shape: Shape, value: object, type_of: TypeOf) -> None:
    if is_expression(value):
        assert isinstance(value, Mapping)  # noqa: S101 - narrows what the type cannot say
        _refuse_type(shape, value, type_of)
    elif isinstance(shape, StructureShape):
        if not isinstance(value, Mapping):
            raise unparsable("Expecting start of Json Object.")
        _refuse_structure(shape, value, type_of)
    elif isinstance(shape, ListShape):
        if not isinstance(value, list):
            raise unparsable("Expecting start of Json Array.")
        for member in value:
            _refuse(shape.member, member, type_of)
    elif isinstance(shape, MapShape):
        if not isinstance(value, Mapping):
            raise unparsable("Expecting start of Json Object.")
        for key, member in value.items():
            _refuse_literal(shape.key, key)
            _refuse(shape.value, member, type_of)
    else:
        _refuse_literal(shape, value)


def _refuse_structure(
    shape: StructureShape, value: Mapping[str, Any], type_of: TypeOf, left_out: set[str] | None = None
) -> None:
    for member in value:
        if member not in shape.members:
            raise unparsable(f"Unknown Argument member '{member}'.")
    for member in shape.required_members:
        if value.get(member) is None and member not in (left_out or ()):
            raise unparsable(f"Missing required Argument member '{member}'.")
    for member, below in value.items():
        if below is not None:
            _refuse(shape.members[member], below, type_of)


def _refuse_literal(shape: Shape, value: object) -> None:
    accepted = _ACCEPTED.get(shape.type_name, (str, int, float))
    if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted):
        raise unparsable(f"Value {value!r} for '{shape.name}' is not of type {shape.type_name}.")
    for found in violations(shape, value):
        raise unparsable(f"Model Validation failed: {found.shown} for '{shape.name}' {_failed(found.constraint)}.")


def _failed(constraint: str) -> str:
    return f"failed to satisfy constraint: {constraint}"


def _refuse_type(shape: Shape, expression: Mapping[str, Any], type_of: TypeOf) -> None:
    function, argument = next(iter(expression.items()))
    if function == "Std:JsonGet":
        return
    given = type_of(reference(argument)) if function == "Get" else "string"
    text = argument if function == "Get" else function
    wanted = shape.type_name
    if given != wanted and not (given in _NUMBERS and wanted in _NUMBERS):
        raise unparsable(f"Cannot assign property reference [{text}] to argument of type [{wanted.capitalize()}].")
