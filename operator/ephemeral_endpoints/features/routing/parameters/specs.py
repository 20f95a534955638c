"""The spec of a parameter that names the endpoints of an object."""

from dataclasses import dataclass, field
from typing import Final

from typing_extensions import override

from ephemeral_endpoints.engine.names import CONTENT_LENGTH, content_digest
from ephemeral_endpoints.engine.resources import ResourceKind, Spec
from ephemeral_endpoints.engine.tags import Tags

PARAMETER: Final = ResourceKind("Parameter", None)


@dataclass(frozen=True, slots=True)
class ParameterSpec(Spec):
    """A parameter of the type String in the standard tier, which costs nothing.

    ``digest`` is that of the value, empty if somebody else wrote the parameter last. An observed one has no ``value``:
    lists do not show it.
    """

    digest: str
    is_standard: bool = True
    value: str = field(compare=False, repr=False, default="")
    tags: Tags = field(compare=False, default=())

    @override
    def can_become(self, wanted: Spec) -> bool:
        # SSM changes neither the type of a parameter nor an advanced one into a standard one.
        return isinstance(wanted, ParameterSpec) and self.is_standard


def digest_of(value: str) -> str:
    """The digest by which lists show what value a parameter has."""
    return content_digest(value)[:CONTENT_LENGTH]
