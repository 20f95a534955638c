"""Deletes images that were made for an object: those of earlier revisions, and the last one with the object."""

from collections.abc import Callable, Collection
from dataclasses import replace

from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.engine.errors import AwsError
from ephemeral_endpoints.features.images.builds.policy import is_made_tag
from ephemeral_endpoints.features.images.builds.queues import Builds
from ephemeral_endpoints.features.images.components import registry_of
from ephemeral_endpoints.features.images.desired import desired_repository
from ephemeral_endpoints.features.images.observe import ImagesStep
from ephemeral_endpoints.features.images.policy import images_of, target_of
from ephemeral_endpoints.features.images.references import ImageReference
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.serving.specs import MODEL
from ephemeral_endpoints.kube.cache import Store


class ImageCollector:
    """Deletes images that nothing names any more.

    Unless it ``sees_all_namespaces``, the images that objects of other operators name are not known: images stay
    until they expire. ``clock`` is monotonic seconds.
    """

    def __init__(
        self,
        images: ImagesStep,
        builds: Builds,
        store: Store,
        clock: Callable[[], float],
        *,
        sees_all_namespaces: bool,
    ) -> None:
        self._images = images
        self._builds = builds
        self._store = store
        self._clock = clock
        self._sees_all_namespaces = sees_all_namespaces

    def is_being_made(self, reconciliation: Reconciliation) -> bool:
        """Whether the object's image is still being made for it alone; the object is enqueued once that has ended.

        Pins in the status count as made. Raises the ``ReconcileError`` that keeps it from being known.
        """
        subject = reconciliation.subject
        target, known, endpoint_class = target_of(subject), subject.endpoint.status.image, subject.endpoint_class
        if target is None or endpoint_class.spec.builds is None or (known and known.uri == target.image):
            return False
        return self._builds.is_making(reconciliation.key, endpoint_class, reconciliation.account, target.image)

    async def collect_last(self, reconciliation: Reconciliation) -> None:
        """Delete the images made for a terminating object, unless others name them. Raises an ``AwsError``.

        Once it has succeeded, a repetition calls nothing.
        """
        target, known = target_of(reconciliation.subject), self._images.memory(reconciliation.uid)
        last = ({target.image} if target else set()) | known.replaced
        await self._collect(reconciliation, last - known.collected)
        known.collected |= last

    async def collect_replaced(self, reconciliation: Reconciliation) -> None:
        """Delete the images of revisions that the object does not serve any more, unless others name them.

        What fails is left for the sweep.
        """
        known = self._images.memory(reconciliation.uid)
        replaced, known.replaced = known.replaced, frozenset()
        try:
            await self._collect(reconciliation, replaced - images_of(reconciliation.subject))
        except AwsError as error:
            known.note(error, self._clock())

    async def _collect(self, reconciliation: Reconciliation, uris: Collection[str]) -> None:
        """Take the tags off: ECR deletes an image with its last one, so that another one keeps it."""
        subject, account = reconciliation.subject, reconciliation.account
        policy = subject.endpoint_class.spec
        # An image may be that of a model package, which only the sweep knows.
        stays = policy.images.repository.keep_images or policy.packages is not None
        if not self._sees_all_namespaces or not uris or stays:
            return
        repository = desired_repository(subject.cluster_id, subject.endpoint_class)
        if repository is None or repository.key not in reconciliation.others:
            return
        name = repository.key.name
        references = [ImageReference.parse(uri) for uri in sorted(uris) if not self._is_needed(reconciliation, uri)]
        tags = [each.tag for each in references if each.repository == name and each.tag and is_made_tag(each.tag)]
        if tags and not has_models_of_nobody(self._store, account):
            await registry_of(account).take_off(reconciliation.calls, name, tags)

    def _is_needed(self, reconciliation: Reconciliation, uri: str) -> bool:
        """Whether another object names the image, as its own or by its tag."""
        subject = reconciliation.subject
        others = (
            replace(subject, endpoint=endpoint)
            for key, endpoint in self._store.of_class(subject.endpoint_class.metadata.name)
            if key != reconciliation.key
        )
        return any(uri in images_of(other) for other in others)


def has_models_of_nobody(store: Store, account: Account) -> bool:
    """Whether there are models of objects that are gone, such as retained ones: lists do not contain their images."""
    return any(
        key.kind is MODEL and (observed.owner is None or store.by_owner(observed.owner) is None)
        for key, observed in account.inventory.all.items()
    )
