"""Requests of the runtime API, whose members are HTTP headers."""

from collections.abc import Mapping
from typing import Any

from eep_platform.emulation.validation import input_shape, refuse_violations, violations
from eep_platform.sagemaker.errors import validation_error


def parameters_of(operation: str, headers: Mapping[str, str], **members: object) -> dict[str, Any]:
    """The members of an operation's request, from its headers and from `members`.

    Raises:
        ServiceError: `ValidationError` that lists all violations.
    """
    shape = input_shape("sagemaker-runtime", operation)
    located = {
        member: headers[part.serialization["name"]]
        for member, part in shape.members.items()
        if part.serialization.get("location") == "header" and part.serialization["name"] in headers
    }
    found = {member: _typed(member, shape.members[member].type_name, text) for member, text in located.items()}
    parameters = found | members
    refuse_violations(violations(shape, parameters), validation_error)
    return parameters


def _typed(member: str, type_name: str, text: str) -> str | int:
    if type_name != "integer":
        return text
    try:
        return int(text)
    except ValueError as error:
        raise validation_error(f"{member} must be an integer.") from error
