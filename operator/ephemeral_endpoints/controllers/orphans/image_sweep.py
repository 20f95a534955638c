"""The sweep of images: deletes images of commits that no object names any more.

Images of model packages stay, whoever built them. Normally an object takes its last image with it. What is left are
those of earlier commits, of builds that ended after their object, and of objects whose finalizer was removed by hand.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import ORPHANS, Account
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.limits import Sleep
from ephemeral_endpoints.controllers.orphans.sweep import SweepObserver
from ephemeral_endpoints.engine.errors import AwsError, ReconcileError
from ephemeral_endpoints.features.images.builds.policy import is_made_tag
from ephemeral_endpoints.features.images.collection import has_models_of_nobody
from ephemeral_endpoints.features.images.components import registry_of
from ephemeral_endpoints.features.images.desired import desired_repository
from ephemeral_endpoints.features.images.policy import images_of
from ephemeral_endpoints.features.images.references import ImageReference, StoredImage, recorded_images
from ephemeral_endpoints.features.packages.inventory import PackageInventory
from ephemeral_endpoints.features.packages.policy import allows
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import Store
from ephemeral_endpoints.settings import Settings, SweepMode

logger = logging.getLogger(__name__)

KIND: Final = "Image"
MOST_IMAGES: Final = 50
"""Images of a class that a round deletes at most: a loss by mistake costs a few builds, and no hold costs for ever."""


class ImageSweep:
    """Finds images that no object names in the repositories of all classes.

    ``now`` is the time of day in UTC. A watch that is late makes an image be built again, nothing worse.
    """

    def __init__(  # noqa: PLR0913 - both edges, callbacks, and a clock
        self,
        settings: Settings,
        cluster_id: str,
        *,
        store: Store,
        accounts: Accounts,
        packages: PackageInventory,
        observer: SweepObserver,
        disagreement: Callable[[], str | None],
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._cluster_id = cluster_id
        self._store = store
        self._accounts = accounts
        self._packages = packages
        self._observer = observer
        self._disagreement = disagreement
        self._now = now

    async def run(self) -> None:
        """Make one round in all repositories at once, unless clocks differ.

        Those that cannot be reached are left for the next.
        """
        if differs := self._disagreement():
            logger.error("no sweep of images: set the clock of the operator's node", extra={"error": differs})
            return
        classes = (self._store.named_class(name) for name in self._store.class_names())
        swept = (each for each in classes if each and not each.spec.images.repository.keep_images)
        await asyncio.gather(*map(self._try, swept))

    async def _try(self, endpoint_class: EphemeralEndpointClass) -> None:
        try:
            await self._sweep(endpoint_class)
        except ReconcileError as problem:
            extra = {"class": endpoint_class.metadata.name, "error": str(problem)}
            logger.warning("the sweep of images failed; the operator tries again", extra=extra)

    async def _sweep(self, endpoint_class: EphemeralEndpointClass) -> None:
        resource = desired_repository(self._cluster_id, endpoint_class)
        account = await self._accounts.of(endpoint_class)
        if resource is None or resource.key not in account.inventory.all or has_models_of_nobody(self._store, account):
            return
        calls = account.calls.on_behalf_of(ORPHANS.owner, ORPHANS.priority)
        stored = await registry_of(account).list_tagged(calls, resource.key.name)
        policy = endpoint_class.spec.packages
        packages = await self._packages.versions(account, calls, partial(allows, policy)) if policy else ()
        registered = {ImageReference.parse(each.version.image) for each in packages if each.version.image}
        unused = self._unused(stored, self._named(endpoint_class) | registered)[:MOST_IMAGES]
        if not unused:
            return
        extra = {
            "class": endpoint_class.metadata.name,
            "repository": resource.key.name,
            "images": ", ".join(unused)[:1000],
        }
        if self._settings.sweep is SweepMode.DRY_RUN:
            logger.info("would be swept", extra=extra)
        else:
            await self._delete(account, resource.key.name, unused)
            logger.info("swept", extra=extra)

    async def _delete(self, account: Account, repository: str, tags: list[str]) -> None:
        outcome = "failed"
        try:
            await registry_of(account).take_off(
                account.calls.on_behalf_of(ORPHANS.owner, ORPHANS.priority), repository, tags
            )
            outcome = "deleted"
        except AwsError as error:
            logger.warning("the sweep could not delete images; the operator tries again", extra={"error": str(error)})
        finally:
            for _ in tags:
                self._observer.swept(KIND, outcome)

    def _named(self, endpoint_class: EphemeralEndpointClass) -> frozenset[ImageReference]:
        """All images that objects of the class name, or had pinned at their last status."""
        subjects = [
            Subject(self._cluster_id, each, endpoint_class)
            for _, each in self._store.of_class(endpoint_class.metadata.name)
        ]
        named = {ImageReference.parse(uri) for subject in subjects for uri in images_of(subject)}
        statuses = (subject.endpoint.status for subject in subjects)
        recorded = (each for status in statuses for each in recorded_images(status))
        return frozenset(named | {ImageReference.parse(each.uri) for each in recorded})

    def _unused(self, stored: Iterable[StoredImage], named: frozenset[ImageReference]) -> list[str]:
        """Our tags that no object names, of images that are old enough, the oldest first."""
        oldest = self._now() - timedelta(seconds=self._settings.sweep_min_age_seconds)
        tags = {reference.tag for reference in named}
        digests = {reference.digest for reference in named}
        return [
            tag
            for image in sorted(stored, key=lambda each: (each.pushed_at, each.digest))
            if image.pushed_at < oldest and image.digest not in digests and not tags & set(image.tags)
            for tag in sorted(image.tags)
            if is_made_tag(tag)
        ]


async def sweep_images_regularly(sweep: ImageSweep, seconds: float, sleep: Sleep = asyncio.sleep) -> None:
    """Make a round every so many seconds, until cancelled."""
    while True:
        await sleep(seconds)
        await sweep.run()
