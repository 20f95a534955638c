"""The supported part of buildspecs, version 0.2; anything else is an error and never ignored.

Source: "Build specification reference for CodeBuild".
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

DEFAULT_FILE = "buildspec.yml"
_MOST_PROBLEMS = 3


class BuildspecError(Exception):
    """The buildspec is malformed or uses something unsupported."""


def _text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


Text = Annotated[str, BeforeValidator(_text)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Variables(_Part):
    """The section `env`: plain values, references to Secrets Manager and the Parameter Store, and what is exported."""

    variables: dict[str, Text] = Field(default_factory=dict)
    secrets_manager: dict[str, str] = Field(default_factory=dict, alias="secrets-manager")
    parameter_store: dict[str, str] = Field(default_factory=dict, alias="parameter-store")
    exported_variables: tuple[str, ...] = Field(default=(), alias="exported-variables")


class PhaseSpec(_Part):
    """The commands of a phase; those of `finally_` run even if one of the others failed."""

    on_failure: Literal["ABORT", "CONTINUE"] | None = Field(default=None, alias="on-failure")
    commands: tuple[Text, ...] = ()
    finally_: tuple[Text, ...] = Field(default=(), alias="finally")


class Phases(_Part):
    """The section `phases`."""

    install: PhaseSpec = PhaseSpec()
    pre_build: PhaseSpec = PhaseSpec()
    build: PhaseSpec = PhaseSpec()
    post_build: PhaseSpec = PhaseSpec()


class Buildspec(_Part):
    """A whole buildspec."""

    version: Literal["0.2"]
    env: Variables = Variables()
    phases: Phases


def is_inline(text: str) -> bool:
    """Whether the member `buildspec` of a source is a buildspec itself and not the path of one."""
    return "\n" in text.strip() or text.lstrip().startswith("{") or text.lstrip().startswith("version:")


def parse(text: str) -> Buildspec:
    """Parse a buildspec in YAML or JSON.

    Raises:
        BuildspecError: The buildspec is malformed or uses something unsupported.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BuildspecError(" ".join(str(error).split())) from error
    if not isinstance(document, Mapping):
        raise BuildspecError("a buildspec must be a mapping")
    try:
        return Buildspec.model_validate({**document, "version": _text(document.get("version"))})
    except ValidationError as error:
        raise BuildspecError(_problems(error)) from error


def _problems(error: ValidationError) -> str:
    def line(problem: Any) -> str:  # noqa: ANN401 - pydantic's own kind of dictionary
        return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"

    return "; ".join(map(line, error.errors(include_url=False)[:_MOST_PROBLEMS]))
