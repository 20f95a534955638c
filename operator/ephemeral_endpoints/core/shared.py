"""What should exist in AWS for one class, which its objects share."""

from collections.abc import Iterable

from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.core.apis import apis_of_class
from ephemeral_endpoints.core.plan import Desired
from ephemeral_endpoints.core.repositories import repository_want
from ephemeral_endpoints.core.resources import Key, Kind


def desired_of_class(  # noqa: PLR0913 - all that decides on what objects share
    cluster_id: str,
    klass: EphemeralEndpointClass,
    used: Iterable[Key],
    *,
    is_complete: bool = True,
    makes_images: bool = False,
    is_used: bool = False,
) -> Desired:
    """Everything that should exist for a class, by the APIs that are ``used`` and whether any object's image is made.

    Unless ``is_complete``, some object has no place yet, and no API is taken away from under it. A repository that is
    there stays for as long as the class does, and while ``is_used`` by what was retained: its images may be served.
    """
    wants = apis_of_class(cluster_id, klass, used)
    repository = repository_want(cluster_id, klass)
    if klass.metadata.deletion_timestamp is not None and not is_used:
        return Desired(tuple(wants), _held(is_complete=is_complete))
    if repository and makes_images and klass.metadata.deletion_timestamp is None:
        return Desired((*wants, repository), _held(is_complete=is_complete))
    return Desired(tuple(wants), _held(is_complete=is_complete) | {Kind.REPOSITORY})


def _held(*, is_complete: bool) -> frozenset[Kind]:
    return frozenset() if is_complete else frozenset({Kind.HTTP_API})
