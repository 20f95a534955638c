"""For which repositories objects may speak, as their class grants it to their namespace."""

from fnmatch import fnmatchcase
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.reviews import RepositoryGrant, ReviewPolicy
from ephemeral_endpoints.engine.conditions import Cause
from ephemeral_endpoints.engine.reasons import ReasonGroup

PUBLISHED: Final = "Published"
"""The condition of an object that says whether its pull request shows it."""

REASONS: Final = ReasonGroup(PUBLISHED)

REPOSITORY_NOT_GRANTED: Final = REASONS.for_platform(
    "RepositoryNotGranted",
    meaning="The class grants the object's namespace no right to speak for the repository of `spec.source`. The object "
    "is served, but its pull request shows nothing of it, and its end does not end the object.",
    remedy="correct `spec.source.repository`, or add the repository with the namespace to `spec.reviews.repositories` "
    "of the class",
)


def grants(endpoint_class: EphemeralEndpointClass, namespace: str, repository: str) -> bool:
    """Whether objects in the namespace may publish, watch and be commanded for pull requests of the repository."""
    reviews = endpoint_class.spec.reviews
    return reviews is not None and any(_admits(each, namespace, repository) for each in reviews.repositories)


def not_granted(endpoint_class: EphemeralEndpointClass, namespace: str, repository: str) -> Cause | None:
    """Why an object in the namespace may not speak for the repository; None if it may, or the class has no forge."""
    if endpoint_class.spec.reviews is None or grants(endpoint_class, namespace, repository):
        return None
    return Cause(
        REPOSITORY_NOT_GRANTED,
        f"the class {endpoint_class.metadata.name} does not let objects in the namespace {namespace} speak for "
        f"{repository}: correct spec.source.repository, or have a platform engineer add both to "
        "spec.reviews.repositories of the class; the operator then publishes at once",
    )


def fixed_repositories(policy: ReviewPolicy) -> frozenset[str]:
    """The repositories that the policy names without a pattern."""
    return frozenset(each.repository for each in policy.repositories if not _is_pattern(each.repository))


def fixed_owners(policy: ReviewPolicy) -> frozenset[str]:
    """The owners of repositories that it names without a pattern, such as acme of acme/*."""
    owners = (each.repository.partition("/")[0] for each in policy.repositories)
    return frozenset(owner for owner in owners if not _is_pattern(owner))


def _is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


def _admits(grant: RepositoryGrant, namespace: str, repository: str) -> bool:
    """Forges know repositories in upper and lower case as the same."""
    return fnmatchcase(repository.lower(), grant.repository.lower()) and any(
        fnmatchcase(namespace, pattern) for pattern in grant.namespaces
    )
