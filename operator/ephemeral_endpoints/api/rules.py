"""Validation rules that the API server and Python both apply, with one message for users."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

VALIDATIONS = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition on a value: in CEL for the API server, and in Python for everybody else.

    Stands in the metadata of an annotated type, or in the `rules` of an ApiModel. In the schema it becomes an entry of
    x-kubernetes-validations (https://kubernetes.io/docs/reference/using-api/cel/). The message contains the remedy.
    Where `holds` is None the rule is the API server's alone: it compares with the object's former state, for example.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool] | None = None

    def check(self, value: object) -> object:
        """Return the value; raise ValueError with the rule's message where the rule does not hold."""
        if self.holds is not None and not self.holds(value):
            raise ValueError(self.message)
        return value

    def annotate(self, schema: JsonSchemaValue) -> JsonSchemaValue:
        """Return the JSON schema with this rule appended to its validations."""
        entry = {"rule": self.cel, "message": self.message}
        return {**schema, VALIDATIONS: [*schema.get(VALIDATIONS, []), entry]}

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the value after pydantic has read it."""
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Publish the rule."""
        return self.annotate(handler(schema))


def matches(expression: str, message: str) -> Rule:
    """Return the rule that a regular expression matches the whole string.

    The expression uses the common syntax of RE2 and Python's `re`.
    """
    return Rule(
        cel=f"self.matches({cel_string(f'^({expression})$')})",
        message=message,
        holds=lambda text: re.fullmatch(expression, text) is not None,
    )


def cel_string(text: str) -> str:
    """Quote a text as a CEL string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
