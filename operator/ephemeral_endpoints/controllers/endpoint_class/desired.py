"""The desired resources of one class, which its objects share."""

from collections.abc import Iterable
from dataclasses import replace

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ResourceKind
from ephemeral_endpoints.engine.tags import joined, rendered
from ephemeral_endpoints.features.images.desired import desired_repository
from ephemeral_endpoints.features.images.specs import REPOSITORY, RepositorySpec
from ephemeral_endpoints.features.monitoring.specs import ALARM, AlarmSpec
from ephemeral_endpoints.features.routing.apis import apis_of_class
from ephemeral_endpoints.features.routing.capture.desired import capture_of_class
from ephemeral_endpoints.features.routing.capture.specs import DELIVERY_STREAM, DeliveryStreamSpec
from ephemeral_endpoints.features.routing.results.desired import results_of_class
from ephemeral_endpoints.features.routing.specs import API_MAPPING, AUTHORIZER, HTTP_API, AuthorizerSpec, HttpApiSpec


def desired_of_class(  # noqa: PLR0913 - all that shared resources depend on
    cluster_id: str,
    endpoint_class: EphemeralEndpointClass,
    used: Iterable[Key],
    *,
    is_complete: bool = True,
    makes_images: bool = False,
    is_used: bool = False,
    captures: bool = False,
    publishes: bool = False,
    mappings: Iterable[DesiredResource] | None = (),
) -> DesiredState:
    """Everything that should exist for a class, by the APIs that are ``used`` and whether any object's image is made.

    ``captures`` says whether any object has its requests captured, ``publishes`` whether any publishes its results.

    Unless ``is_complete``, some object has no place yet, and no API is taken away from under it. A repository that is
    there stays for as long as the class does, and while ``is_used`` by retained models: its images may be served.
    ``mappings`` are what of the class's domain should lead to its APIs; None: that is not known, and stays as it is.
    """
    shared = apis_of_class(cluster_id, endpoint_class, used)
    shared += capture_of_class(cluster_id, endpoint_class) if captures else []
    shared += results_of_class(cluster_id, endpoint_class) if publishes else []
    resources = [*(_tagged(each, endpoint_class) for each in shared), *(mappings or ())]
    has_domain = endpoint_class.spec.routing.domain is not None
    kept: frozenset[ResourceKind] = frozenset()
    if not is_complete:
        kept = frozenset({AUTHORIZER, HTTP_API, DELIVERY_STREAM, ALARM})
    kept |= frozenset({API_MAPPING}) if has_domain and (mappings is None or not is_complete) else frozenset()
    made = desired_repository(cluster_id, endpoint_class)
    repository = _tagged(made, endpoint_class) if made else None
    if endpoint_class.metadata.deletion_timestamp is not None and not is_used:
        return DesiredState(tuple(resources), kept)
    if repository and makes_images and endpoint_class.metadata.deletion_timestamp is None:
        return DesiredState((*resources, repository), kept)
    return DesiredState(tuple(resources), kept | {REPOSITORY})


def _tagged(resource: DesiredResource, endpoint_class: EphemeralEndpointClass) -> DesiredResource:
    """The same with those tags of the class that refer to no object."""
    spec = resource.spec
    if isinstance(spec, AuthorizerSpec):
        return resource
    if not isinstance(spec, HttpApiSpec | RepositorySpec | DeliveryStreamSpec | AlarmSpec):
        raise TypeError(f"{resource.key} is not shared by the objects of a class")
    return replace(resource, spec=replace(spec, tags=joined(spec.tags, rendered(endpoint_class.spec.tags.values, {}))))
