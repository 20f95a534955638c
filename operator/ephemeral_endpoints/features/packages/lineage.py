"""Where a model package comes from, in its CustomerMetadataProperties. Pure.

Versions of a group take no tags, so that these are also what tells whose a version is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final, Self

from pydantic.alias_generators import to_camel

from ephemeral_endpoints.engine.tags import tag_value


@dataclass(frozen=True, slots=True)
class Lineage:
    """The code, the image and the data that a version was made of, and the object that made it.

    What is not known is empty. ``cluster`` is the id of the operator's cluster; ``pull_request`` is a number.
    """

    repository: str = ""
    pull_request: str = ""
    revision: str = ""
    image_digest: str = ""
    data_revision: str = ""
    cluster: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""

    @classmethod
    def of(cls, properties: Mapping[str, str]) -> Self:
        """The lineage in the properties of a version, which whoever registers it may write as they like."""
        return cls(**{name: properties.get(key, "") for name, key in KEYS.items()})

    @property
    def properties(self) -> dict[str, str]:
        """CustomerMetadataProperties for what is known: AWS refuses empty values, and some characters."""
        known = {key: tag_value(getattr(self, name)) for name, key in KEYS.items()}
        return {key: value for key, value in known.items() if value}


KEYS: Final[Mapping[str, str]] = {each.name: to_camel(each.name) for each in fields(Lineage)}
"""The keys of the properties, by the names of ``Lineage``."""
