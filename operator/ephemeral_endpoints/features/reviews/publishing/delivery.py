"""Bringing what is wanted to a forge: only what has changed, which is remembered part by part."""

from dataclasses import dataclass, field, replace

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.reviews import ReviewStatus
from ephemeral_endpoints.engine.conditions import ConditionUpdate
from ephemeral_endpoints.features.reviews.forge import Publication, Published, PublishingForge
from ephemeral_endpoints.features.reviews.publishing.desired import pull_request_of
from ephemeral_endpoints.features.reviews.publishing.digest import Digest
from ephemeral_endpoints.features.reviews.publishing.lane import Progress
from ephemeral_endpoints.features.reviews.publishing.stage import not_shown, shown, unchanged


@dataclass(slots=True)
class Memory(Progress):
    """What is remembered of an object's publication; it is looked up again where it is lost."""

    published: Published = field(default_factory=Published)


def changed_parts(wanted: Publication, known: Published) -> Publication:
    """What is wanted without the parts that are there already."""
    now, before = Digest.of(wanted), Digest.parse(known.digest)
    return replace(
        wanted,
        deployment=None if now.deployment == before.deployment else wanted.deployment,
        supersedes=wanted.supersedes and now.deployment != before.deployment,
        status=None if now.status == before.status else wanted.status,
        comment=None if now.comment == before.comment else wanted.comment,
    )


def is_empty(parts: Publication) -> bool:
    """Whether there is nothing to do."""
    return not (parts.deployment or parts.status or parts.comment)


def without_status(published: Published) -> Published:
    """What is remembered of an object that does not speak for its commit: another one does, and says what it wants."""
    before = Digest.parse(published.digest)
    return replace(published, digest=str(replace(before, status=None))) if before.status else published


async def deliver(forge: PublishingForge, parts: Publication, memory: Memory) -> None:
    """Bring parts to the forge, the deployment first. Raises a ForgeError; what is done by then is remembered."""
    made = Digest.of(parts)
    if parts.deployment or parts.status:
        published = await forge.publish(parts, memory.published)
        memory.published = _with(published, Digest(made.deployment, made.status, None))
    if parts.comment:
        published = await forge.comment(parts, memory.published)
        memory.published = _with(published, Digest(None, None, made.comment))


def published_of(review: ReviewStatus | None) -> Published:
    """What the status of an object remembers."""
    if review is None:
        return Published()
    return Published(
        review.revision,
        review.deployment_id,
        review.former_deployment_ids or (),
        review.comment_id,
        review.comment_revision,
        review.published,
    )


def review_of(published: Published) -> dict[str, object]:
    """The same as fields of ``ReviewStatus``."""
    return {
        "revision": published.revision,
        "deployment_id": published.deployment_id,
        "former_deployment_ids": published.former_ids or None,
        "comment_id": published.comment_id,
        "comment_revision": published.comment_revision,
        "published": published.digest,
    }


def condition(endpoint: EphemeralEndpoint, memory: Memory) -> ConditionUpdate:
    """The condition ``Published`` of an object that has something to publish."""
    if memory.problem:
        return not_shown(memory.problem)
    return shown(pull_request_of(endpoint)) if memory.is_current else unchanged(endpoint.status.conditions)


def is_reported(endpoint: EphemeralEndpoint, memory: Memory) -> bool:
    """Whether the status of an object says what is remembered."""
    wanted = condition(endpoint, memory)
    said = next((each for each in endpoint.status.conditions if each.type == wanted.type), None)
    is_said = said is not None and (said.status, said.reason, said.message) == (
        wanted.status.value,
        wanted.reason.name,
        wanted.message,
    )
    return is_said and published_of(endpoint.status.review) == memory.published


def _with(published: Published, made: Digest) -> Published:
    before = Digest.parse(published.digest)
    digest = Digest(made.deployment or before.deployment, made.status or before.status, made.comment or before.comment)
    return replace(published, digest=str(digest))
