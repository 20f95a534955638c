"""Translates pydantic's JSON Schema into the structural schema that a CustomResourceDefinition demands.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
What has no structural counterpart is refused, never dropped: a limit that stayed behind unnoticed would be no limit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ephemeral_endpoints.api.rules import VALIDATIONS
from ephemeral_endpoints.api.v1alpha1.json_values import PRESERVE

# In the order in which they are written.
_KEYWORDS = (
    *("description", "type", "nullable", PRESERVE, "format", "enum", "default"),
    *("minimum", "maximum", "multipleOf", "minLength", "maxLength", "pattern"),
    *("minItems", "maxItems", "minProperties", "maxProperties"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type", VALIDATIONS),
    *("required", "properties", "additionalProperties", "items"),
)


# What may stand beside PRESERVE: the API server looks into nothing below it but the properties that are named.
_BESIDE_PRESERVE = frozenset({"description", "type", "nullable", PRESERVE, "x-kubernetes-map-type", "properties"})


class NotStructuralError(ValueError):
    """A JSON Schema cannot be expressed as a structural schema. The message begins with the path to the cause."""


def structural(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the structural counterpart of a JSON Schema as pydantic's `model_json_schema()` writes it.

    References are inlined. Any JSON (x-kubernetes-preserve-unknown-fields) stays as it is. "X or null" becomes X, and a
    default that is null or an empty list is dropped: an omitted field means the same. Closed objects become plain ones,
    because the API server handles unknown fields by itself. Titles are dropped.
    Raises NotStructuralError, with the path, for everything else that has no counterpart.
    """
    body = {key: value for key, value in schema.items() if key != "$defs"}
    return _Node(schema.get("$defs", {})).translate(body)


@dataclass(frozen=True, slots=True)
class _Node:
    """A place in the document: the definitions known there, the path to it, and the definitions inlined around it."""

    definitions: Mapping[str, Mapping[str, Any]]
    path: str = ""
    within: tuple[str, ...] = ()

    def translate(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        if "$ref" in schema:
            return self._inline(schema)
        if "anyOf" in schema:
            return self._unwrap_optional(schema)
        plain = _plain(schema)
        if foreign := sorted(plain.keys() - set(_KEYWORDS)):
            raise self._refusal(f"{', '.join(foreign)} has no counterpart in a structural schema")
        if PRESERVE in plain:
            return self._any_json(plain)
        if "nullable" in plain:
            raise self._refusal("is nullable: elsewhere than in any JSON, null is an absent field")
        if not isinstance(plain.get("type"), str):
            raise self._refusal("has not exactly one type")
        plain |= self._parts(plain)
        return {key: plain[key] for key in _KEYWORDS if key in plain}

    def _inline(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        name = str(schema["$ref"]).removeprefix("#/$defs/")
        if name not in self.definitions:
            raise self._refusal(f"refers to {schema['$ref']}, which the document does not define")
        if name in self.within:
            raise self._refusal(f"{name} contains itself")
        inside = replace(self, within=(*self.within, name))
        return inside.translate(_merge(self.definitions[name], schema, without="$ref"))

    def _unwrap_optional(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        choices = [choice for choice in schema["anyOf"] if choice != {"type": "null"}]
        if len(choices) != 1:
            raise self._refusal("is a union: only one type or null can be translated")
        return self.translate(_merge(choices[0], schema, without="anyOf"))

    def _any_json(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        """Return the schema of any JSON, or of an object with any members beside those that are named."""
        if plain[PRESERVE] is not True:
            raise self._refusal(f"{PRESERVE} can only be true")
        if foreign := sorted(plain.keys() - _BESIDE_PRESERVE):
            raise self._refusal(f"{', '.join(foreign)} does not go with {PRESERVE}")
        if plain.get("type", "object") != "object":
            raise self._refusal(f"{PRESERVE} needs the type object, or none for any JSON")
        plain = {**plain, **self._parts(plain)}
        return {key: plain[key] for key in _KEYWORDS if key in plain}

    def _parts(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keywords that hold schemas of parts, with those translated."""
        parts: dict[str, Any] = {
            key: self._at(step).translate(self._schema_of(key, schema[key]))
            for key, step in (("items", "[]"), ("additionalProperties", "{}"))
            if key in schema
        }
        if "properties" in schema:
            parts["properties"] = {
                name: self._at(f".{name}").translate(part) for name, part in schema["properties"].items()
            }
        return parts

    def _schema_of(self, key: str, value: object) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise self._refusal(f"{key} must say a type")
        return value

    def _at(self, step: str) -> "_Node":
        return replace(self, path=self.path + step)

    def _refusal(self, reason: str) -> NotStructuralError:
        return NotStructuralError(f"{self.path or '.'}: {reason}")


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the schema from JSON Schema 2020-12 to OpenAPI 3.0, as far as possible."""
    plain = {key: value for key, value in schema.items() if key != "title"}
    if plain.get("additionalProperties") is False:
        del plain["additionalProperties"]
    if "description" in plain:
        plain["description"] = _paragraphs(plain["description"])
    if "default" in plain and (default := _without_absent(plain.pop("default"))) not in (None, []):
        plain["default"] = default
    if "const" in plain:
        plain["enum"] = [plain.pop("const")]
    if plain.get("type") == "integer":
        for exclusive, inclusive, step in (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1)):
            if isinstance(plain.get(exclusive), int):
                plain[inclusive] = plain.pop(exclusive) + step
    return plain


def _merge(inner: Mapping[str, Any], outer: Mapping[str, Any], *, without: str) -> dict[str, Any]:
    """Return the inner schema merged with its siblings: descriptions and defaults replace, validations add up."""
    merged = {**inner, **{key: value for key, value in outer.items() if key != without}}
    validations = [*inner.get(VALIDATIONS, []), *outer.get(VALIDATIONS, [])]
    return {**merged, VALIDATIONS: validations} if validations else merged


def _without_absent(value: Any) -> Any:  # noqa: ANN401 JSON of any kind
    if isinstance(value, dict):
        return {key: _without_absent(part) for key, part in value.items() if part not in (None, [])}
    return value


def _paragraphs(text: str) -> str:
    """Undo the line breaks of source code, but keep those between paragraphs."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
