"""JSON Schemas of what goes through the URL of an endpoint."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, WithJsonSchema

from ephemeral_endpoints.api.rules import Rule
from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.json_values import PRESERVE, only_json
from ephemeral_endpoints.api.v1alpha1.model_data import ConfigMapKeyRef

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

MAX_SCHEMA_BYTES: Final = 64 * 1024
"""Of one schema without white space: an object with two of them must fit into etcd and a deployment package."""

_KEYWORD: Final = "$schema"
_RULE: Final = Rule(
    cel=f"self in ['{DIALECT}', '{DIALECT}#']",
    message=f"must be {DIALECT}, or absent: earlier drafts differ from it, as draft-07 does in three places: a list in "
    "items is prefixItems, definitions is $defs, and dependencies is dependentRequired or dependentSchemas",
    holds=lambda dialect: dialect in {DIALECT, f"{DIALECT}#"},
)


def _of_our_dialect(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    _RULE.check(schema.get(_KEYWORD, DIALECT))
    return schema


InlineSchema = Annotated[
    Mapping[str, Any],
    AfterValidator(only_json),
    AfterValidator(_of_our_dialect),
    # Atomic: server-side apply would record an owner of every keyword otherwise.
    WithJsonSchema(
        {
            "type": "object",
            PRESERVE: True,
            "x-kubernetes-map-type": "atomic",
            "properties": {
                _KEYWORD: _RULE.annotate({"type": "string", "maxLength": 256, "description": "The dialect."})
            },
        }
    ),
]


class SchemaSource(ApiModel):
    """A JSON Schema (draft 2020-12) of at most 64 KiB without white space, with at most 32 schemas in one another.

    References lead to places within the schema only. The formats date, time, date-time, duration, email, uri, uuid,
    ipv4 and ipv6 are asserted, others are not. Patterns that can take long are refused.
    """

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.inline) != has(self.configMapKeyRef)",
            message="set exactly one of inline, for a schema that stands in the object, and configMapKeyRef",
            holds=lambda source: (source.inline is None) != (source.config_map_key_ref is None),
        ),
    )

    inline: InlineSchema | None = None
    """The schema itself."""

    config_map_key_ref: ConfigMapKeyRef | None = None
    """A key of a ConfigMap in the object's namespace, which has the schema as JSON. It is waited for until it exists,
    and a change of it counts at once."""
