"""Whose a resource in AWS is, by its name together with its tags."""

from collections.abc import Mapping

from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.engine.resources import ObservedResource
from ephemeral_endpoints.engine.tags import CLUSTER, UID


def is_made_by_a_service(observed: ObservedResource, tags: Mapping[str, str]) -> bool:
    """Whether it is a log group that Lambda or SageMaker made for lines that came late, which they do without tags.

    Tags with ``aws:`` in front are not given by people (https://docs.aws.amazon.com/tag-editor/latest/userguide/).
    """
    return observed.key.kind.remade_by_services and all(key.startswith("aws:") for key in tags)


def is_ours(observed: ObservedResource, tags: Mapping[str, str] | None, cluster_id: str) -> bool:
    """Whether a resource in AWS is of this operator, by its name together with its tags (None: it cannot have any).

    A log group that a service made again is: only we give the name that it made it under.
    """
    if tags is None:
        return observed.owner is not None or observed.is_dangling
    if is_made_by_a_service(observed, tags):
        return observed.owner is not None
    return tags.get(CLUSTER) == cluster_id and owner_hash(tags.get(UID, "")) == observed.owner
