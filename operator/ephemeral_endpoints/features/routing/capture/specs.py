"""The spec of the delivery stream of a class."""

from dataclasses import dataclass, field
from typing import Final

from typing_extensions import override

from ephemeral_endpoints.engine.resources import ResourceKind, Spec
from ephemeral_endpoints.engine.tags import Tags

DELIVERY_STREAM: Final = ResourceKind("DeliveryStream", None, changes_by_itself=True)


@dataclass(frozen=True, slots=True)
class DeliveryStreamSpec(Spec):
    """A delivery stream of Firehose, which writes each object's records below a prefix of its own.

    ``bucket`` and ``prefix`` are where, ``query`` is what the prefix depends on, and ``role_arn`` the role that it
    writes with. ``error_prefix`` is for records that have no place below the prefix.
    """

    bucket: str
    prefix: str
    error_prefix: str
    role_arn: str
    query: str = ""
    extension: str = ""
    buffer_seconds: int = 0
    buffer_megabytes: int = 0
    compression: str = "UNCOMPRESSED"
    is_partitioned: bool = True
    tags: Tags = field(compare=False, default=())

    @override
    def can_become(self, wanted: Spec) -> bool:
        # Firehose cannot partition the records of a stream that was made without.
        return isinstance(wanted, type(self)) and self.is_partitioned == wanted.is_partitioned
