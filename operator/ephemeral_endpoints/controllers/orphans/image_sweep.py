"""The sweep of images: deletes images of commits that no object names any more.

Images of model packages stay, whoever built them. Normally an object takes its last image with it. What is left are
those of earlier commits, of builds that ended after their object, and of objects whose finalizer was removed by hand.
"""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import ORPHANS
from ephemeral_endpoints.controllers.orphans.rounds import Removal, SweepDeps, left_for_next, remove
from ephemeral_endpoints.features.images.builds.policy import is_made_tag
from ephemeral_endpoints.features.images.collection import has_models_of_nobody
from ephemeral_endpoints.features.images.components import registry_of
from ephemeral_endpoints.features.images.desired import desired_repository
from ephemeral_endpoints.features.images.policy import images_of
from ephemeral_endpoints.features.images.references import ImageReference, StoredImage, recorded_images
from ephemeral_endpoints.features.packages.inventory import PackageInventory
from ephemeral_endpoints.features.packages.policy import allows
from ephemeral_endpoints.features.subject import Subject

MOST_IMAGES: Final = 50
"""Images of a class that a round deletes at most: a loss by mistake costs a few builds, and no hold costs for ever."""


class ImageSweep:
    """Finds images that no object names in the repositories of all classes.

    A watch that is late makes an image be built again, nothing worse.
    """

    def __init__(self, deps: SweepDeps, packages: PackageInventory) -> None:
        self._deps = deps
        self._packages = packages

    async def run(self) -> None:
        """Make one round in all repositories at once, unless clocks differ.

        Those that cannot be reached are left for the next.
        """
        if self._deps.may_begin("sweep of images"):
            classes = self._deps.store.classes()
            await asyncio.gather(*(self._try(each) for each in classes if not each.spec.images.repository.keep_images))

    async def _try(self, endpoint_class: EphemeralEndpointClass) -> None:
        with left_for_next("sweep of images", endpoint_class):
            await self._sweep(endpoint_class)

    async def _sweep(self, endpoint_class: EphemeralEndpointClass) -> None:
        deps = self._deps
        resource = desired_repository(deps.cluster_id, endpoint_class)
        account = await deps.accounts.of(endpoint_class)
        if resource is None or resource.key not in account.inventory.all or has_models_of_nobody(deps.store, account):
            return
        calls, repository = account.calls_for(ORPHANS), resource.key.name
        stored = await registry_of(account).list_tagged(calls, repository)
        policy = endpoint_class.spec.packages
        packages = await self._packages.versions(account, calls, partial(allows, policy)) if policy else ()
        registered = {ImageReference.parse(each.version.image) for each in packages if each.version.image}
        unused = self._unused(stored, self._named(endpoint_class) | registered)[:MOST_IMAGES]
        if not unused:
            return
        removal = Removal(
            "Image",
            partial(registry_of(account).take_off, calls, repository, unused),
            {"class": endpoint_class.metadata.name, "repository": repository, "images": ", ".join(unused)[:1000]},
            failure="the sweep could not delete images",
            count=len(unused),
        )
        await remove(deps, removal)

    def _named(self, endpoint_class: EphemeralEndpointClass) -> frozenset[ImageReference]:
        """All images that objects of the class name, or had pinned at their last status."""
        subjects = [
            Subject(self._deps.cluster_id, each, endpoint_class)
            for _, each in self._deps.store.of_class(endpoint_class.metadata.name)
        ]
        named = {ImageReference.parse(uri) for subject in subjects for uri in images_of(subject)}
        statuses = (subject.endpoint.status for subject in subjects)
        recorded = (each for status in statuses for each in recorded_images(status))
        return frozenset(named | {ImageReference.parse(each.uri) for each in recorded})

    def _unused(self, stored: Iterable[StoredImage], named: frozenset[ImageReference]) -> list[str]:
        """Our tags that no object names, of images that are old enough, the oldest first."""
        oldest = self._deps.now() - timedelta(seconds=self._deps.settings.sweep_min_age_seconds)
        tags = {reference.tag for reference in named}
        digests = {reference.digest for reference in named}
        return [
            tag
            for image in sorted(stored, key=lambda each: (each.pushed_at, each.digest))
            if image.pushed_at < oldest and image.digest not in digests and not tags & set(image.tags)
            for tag in sorted(image.tags)
            if is_made_tag(tag)
        ]
