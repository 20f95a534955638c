"""The sweep of images: takes away what was made for commits that no object names any more.

Normally an object takes its last image with it. What is left are those of earlier commits, of builds that ended after
their object, and of objects whose finalizer was torn off.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import ORPHANS, Account
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.limits import Sleep
from ephemeral_endpoints.core.builds import is_made_tag
from ephemeral_endpoints.core.desired import Subject
from ephemeral_endpoints.core.errors import AwsError, Problem
from ephemeral_endpoints.core.images import ImageReference, StoredImage
from ephemeral_endpoints.core.repositories import repository_want
from ephemeral_endpoints.core.status import recorded_images
from ephemeral_endpoints.kube.store import Store
from ephemeral_endpoints.reconcile.collection import has_models_of_nobody
from ephemeral_endpoints.settings import Settings, SweepMode
from ephemeral_endpoints.sweep import Observer

logger = logging.getLogger(__name__)

KIND: Final = "Image"


class ImageSweep:
    """Finds images that nobody names in the repositories of all classes; a call is one round.

    ``now`` tells the time of day in UTC. A watch that is late makes an image be built again, nothing worse.
    """

    def __init__(  # noqa: PLR0913 - both edges, who is told of what, and a clock
        self,
        settings: Settings,
        cluster_id: str,
        *,
        store: Store,
        accounts: Accounts,
        observer: Observer,
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._cluster_id = cluster_id
        self._store = store
        self._accounts = accounts
        self._observer = observer
        self._now = now

    async def __call__(self) -> None:
        """Make one round. What cannot be reached is left for the next."""
        for name in self._store.class_names():
            if (klass := self._store.named_class(name)) and not klass.spec.images.repository.keep_images:
                try:
                    await self._sweep(klass)
                except Problem as problem:
                    logger.warning("images were not swept", extra={"class": name, "error": str(problem)})

    async def _sweep(self, klass: EphemeralEndpointClass) -> None:
        want = repository_want(self._cluster_id, klass)
        account = await self._accounts.of(klass)
        if want is None or want.key not in account.inventory.all or has_models_of_nobody(self._store, account):
            return
        calls = account.calls.on_behalf_of(ORPHANS.owner, ORPHANS.lane)
        stored = await account.images.list_tagged(calls, want.key.name)
        unused = self._unused(stored, self._named(klass))
        if not unused:
            return
        extra = {"class": klass.metadata.name, "repository": want.key.name, "images": ", ".join(unused)[:1000]}
        if len(unused) > self._settings.sweep_most_deletions:
            logger.error("no image is swept: there are too many without an object at once", extra=extra)
        elif self._settings.sweep is SweepMode.DRY_RUN:
            logger.info("would be swept", extra=extra)
        else:
            await self._delete(account, want.key.name, unused)
            logger.info("swept", extra=extra)

    async def _delete(self, account: Account, repository: str, tags: list[str]) -> None:
        outcome = "failed"
        try:
            await account.images.take_off(account.calls.on_behalf_of(ORPHANS.owner, ORPHANS.lane), repository, tags)
            outcome = "deleted"
        except AwsError as error:
            logger.warning("images could not be swept; tried again", extra={"error": str(error)})
        finally:
            for _ in tags:
                self._observer.swept(KIND, outcome)

    def _named(self, klass: EphemeralEndpointClass) -> frozenset[ImageReference]:
        """All images that objects of the class name, or had pinned at their last status."""
        subjects = [Subject(self._cluster_id, each, klass) for _, each in self._store.of_class(klass.metadata.name)]
        named = {ImageReference.parse(uri) for subject in subjects for uri in subject.images}
        statuses = (subject.endpoint.status for subject in subjects)
        recorded = (each for status in statuses for each in recorded_images(status))
        return frozenset(named | {ImageReference.parse(each.uri) for each in recorded})

    def _unused(self, stored: Iterable[StoredImage], named: frozenset[ImageReference]) -> list[str]:
        """The tags of ours that nobody names, of images that are old enough."""
        oldest = self._now() - timedelta(seconds=self._settings.sweep_min_age_seconds)
        tags = {reference.tag for reference in named}
        digests = {reference.digest for reference in named}
        return sorted(
            tag
            for image in stored
            if image.pushed_at < oldest and image.digest not in digests and not tags & set(image.tags)
            for tag in image.tags
            if is_made_tag(tag)
        )


async def sweep_images_regularly(sweep: ImageSweep, seconds: float, sleep: Sleep = asyncio.sleep) -> None:
    """Make a round every so many seconds, until cancelled."""
    while True:
        await sleep(seconds)
        await sweep()
