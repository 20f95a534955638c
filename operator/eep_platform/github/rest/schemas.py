"""GitHub's own schema of request and response bodies, by the models that githubkit-schemas generates from its OpenAPI.

The models take a second to load, so they are loaded at their first use.
"""

from functools import cache
from importlib import import_module
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from eep_platform.github.errors import GitHubError, invalid_request

_MODELS: Final = "githubkit_schemas.latest.models"


@cache
def adapter(name: str) -> "TypeAdapter[Any]":
    """The validator of a model, or of a list of it (``list[NAME]``)."""
    models = import_module(_MODELS)
    if name.startswith("list["):
        member: Any = getattr(models, name.removeprefix("list[").removesuffix("]"))
        return TypeAdapter(list[member])
    return TypeAdapter(getattr(models, name))


def check_request(model: str, body: bytes) -> None:
    """Raise GitHub's error 422 if a request's body is not what the operation takes."""
    try:
        adapter(model).validate_json(body, strict=True)
    except ValidationError as error:
        raise _invalid(error) from error


def response_problem(model: str, body: bytes) -> str | None:
    """What is wrong with a response's body; None if nothing is."""
    try:
        adapter(model).validate_json(body)
    except ValidationError as error:
        return str(error)
    return None


def _invalid(error: ValidationError) -> GitHubError:
    first = error.errors(include_url=False, include_context=False)[0]
    name = ".".join(str(part) for part in first["loc"][:1])
    if first["type"] == "missing":
        return invalid_request(f'"{name}" wasn\'t supplied.')
    return invalid_request(f"For 'properties/{name}', {first['input']!r} is not allowed: {first['msg']}.")
