"""What all objects of the API share: how models are read and written, metadata and conditions."""

import sys
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ephemeral_endpoints.api.docstrings import field_docstrings
from ephemeral_endpoints.api.rules import Rule
from ephemeral_endpoints.api.v1alpha1.types import Timestamp

STRICT = ConfigDict(
    alias_generator=to_camel,
    validate_by_name=True,
    validate_by_alias=True,
    serialize_by_alias=True,
    frozen=True,
    extra="forbid",
)
TOLERANT = ConfigDict(**{**STRICT, "extra": "ignore"})

_SHARED: dict[frozenset[str], set[str]] = {}


class ApiModel(BaseModel):
    """Part of an object: snake_case in Python, camelCase on the wire, immutable, unknown fields refused.

    A null is an absent field, as the API server has it. `rules` holds for the value as a whole.
    """

    model_config = STRICT
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: object) -> object:
        if isinstance(data, Mapping) and None in data.values():
            return {key: value for key, value in data.items() if value is not None}
        return data

    @model_validator(mode="after")
    def _rules_hold(self) -> Self:
        for rule in self.rules:
            rule.check(self)
        self._share_names()
        self._share_keys()
        return self

    def _share_names(self) -> None:
        """Have one set of the names that were given for all models alike.

        Each model's own would be half of what a thousand objects take in memory. pydantic copies it before it changes
        it, and a frozen model's is never changed.
        """
        given = self.model_fields_set
        object.__setattr__(self, "__pydantic_fields_set__", _SHARED.setdefault(frozenset(given), given))

    def _share_keys(self) -> None:
        """Have all models alike share the keys of their dictionaries, which halves each (PEP 412).

        Python does so where attributes are set one by one; pydantic sets the dictionary as a whole.
        """
        values = self.__dict__
        object.__delattr__(self, "__dict__")
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Publish the rules of the class with its schema, and the docstrings of its fields as their descriptions.

        pydantic can do the latter by itself, but then reads all sources at every start.
        """
        published = handler.resolve_ref_schema(handler(schema))
        for each in (each for each in reversed(cls.__mro__) if issubclass(each, ApiModel)):
            for name, docstring in field_docstrings(each).items():
                field = cls.model_fields.get(name)
                if field and field.description is None:
                    published["properties"][field.alias or name]["description"] = docstring
        for rule in cls.rules:
            published = rule.annotate(published)
        return published

    def to_wire(self) -> dict[str, Any]:
        """Return the value as JSON-compatible data in the API's spelling, without the fields that are unset."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class OwnerReference(ApiModel):
    """Another object that an object belongs to; with ``controller``, the one that creates it."""

    model_config = TOLERANT

    api_version: str
    kind: str
    name: str
    controller: bool = False


def _names_of_managers(entries: object) -> object:
    """The names alone of managedFields, which are most of an object in memory."""
    if isinstance(entries, list):
        return tuple(sorted({sys.intern(each["manager"]) for each in entries if each.get("manager")}))
    return entries


class ObjectMeta(ApiModel):
    """The metadata that the operator reads; the rest is ignored."""

    model_config = TOLERANT

    name: str
    namespace: str | None = None
    uid: str = ""
    generation: int = 0
    creation_timestamp: Timestamp | None = None
    deletion_timestamp: Timestamp | None = None
    labels: Mapping[str, str] = Field(default_factory=dict)
    annotations: Mapping[str, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()
    field_managers: Annotated[tuple[str, ...], Field(alias="managedFields"), BeforeValidator(_names_of_managers)] = ()


_SharedWord = Annotated[str, AfterValidator(sys.intern)]
"""One string for all objects that say the same."""


class Condition(ApiModel):
    """One aspect of the object's state, as of an observed generation (the shape of metav1.Condition)."""

    model_config = TOLERANT

    type: Annotated[_SharedWord, Field(min_length=1, max_length=316)]
    """Name of the aspect in CamelCase, such as Ready."""

    status: Literal["True", "False", "Unknown"]
    """Whether the condition holds: True, False or Unknown."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The metadata.generation of the spec that the condition refers to."""

    last_transition_time: Timestamp
    """When the status last changed from one value to another."""

    reason: Annotated[_SharedWord, Field(min_length=1, max_length=1024)]
    """Reason of the status as one CamelCase word, for programs."""

    message: Annotated[str, Field(max_length=32768)] = ""
    """Details for people, with the remedy if something is wrong."""


Conditions = Annotated[
    tuple[Condition, ...],
    Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
]
"""Conditions, at most one of each type."""


def _or_unwritten(value: object, read: ValidatorFunctionWrapHandler) -> object:
    try:
        return read(value)
    except ValidationError:
        return read({})


Readable = WrapValidator(_or_unwritten)
"""Of a status: one that cannot be read counts as not written yet.

It is output, and others may have rights to write it: it must not keep the rest of the object from being read.
"""
