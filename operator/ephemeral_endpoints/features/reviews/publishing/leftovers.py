"""The search for what is left on a forge of objects that went while the operator was not running."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from ephemeral_endpoints.features.reviews.errors import ForgeError
from ephemeral_endpoints.features.reviews.forge import LeftDeployment, Published, PublishingForge
from ephemeral_endpoints.features.reviews.publishing.desired import left_over
from ephemeral_endpoints.features.reviews.publishing.lane import Done, Work, is_worth_a_try
from ephemeral_endpoints.features.reviews.publishing.works import Remains
from ephemeral_endpoints.kube.errors import KubernetesError

logger = logging.getLogger(__name__)

AGAIN: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Objects:
    """All objects as the API server just listed them: their UIDs, and the commits that they serve in place of others.

    ``names`` are namespaces and names.
    """

    uids: frozenset[str]
    names: frozenset[tuple[str, str]]
    served: Mapping[str, str]

    def is_over(self, left: LeftDeployment) -> bool:
        """Whether a deployment is over: its object is gone, or serves another commit now."""
        if left.owner.uid not in self.uids:
            return True
        return self.served.get(left.owner.uid, left.revision) != left.revision


@dataclass(frozen=True, slots=True)
class Search:
    """A search through the deployments of one environment of a repository.

    ``context`` is that of commit statuses, ``speaks`` says whether an object of this operator speaks for a commit.
    ``objects`` lists all objects afresh, ``owns`` says whether those of a namespace are this operator's, ``served``
    which commit an object serves if it is the one that it should. ``found`` takes what has to be ended, by an id.
    ``over`` are the deployments that are known to be ended, or about to be.
    """

    repository: str
    environment: str
    context: str
    cluster: str
    objects: Callable[[], AsyncIterator[Mapping[str, Any]]]
    owns: Callable[[str], bool]
    served: Callable[[], Mapping[str, str]]
    speaks: Callable[[str], bool]
    found: Callable[[str, Work], None]
    now: Callable[[], datetime]
    over: set[int] = field(default_factory=set)

    @property
    def place(self) -> tuple[str, str]:
        """See ``Work``. It belongs to no namespace."""
        return "", self.repository.lower()

    async def publish(self, forge: PublishingForge) -> Done:
        """See ``Work``."""
        try:
            return await self._search(forge)
        except KubernetesError as error:
            logger.warning("no search for left deployments: the objects cannot be listed", extra={"error": str(error)})
            return Done(was_asked=False, again_in=AGAIN)

    def failed(self, error: ForgeError, failures: int) -> bool:
        """See ``Work``. The next search comes by itself."""
        return is_worth_a_try(error, failures)

    async def _search(self, forge: PublishingForge) -> Done:
        existing = await self._existing()

        def is_over(left: LeftDeployment) -> bool:
            return self.owns(left.owner.namespace) and left.id not in self.over and existing.is_over(left)

        found = await forge.left(self.repository, self.environment, self.cluster, is_over)
        if any(each.is_active for each in found):
            # With other credentials for the same forge, an object may have been published since it was listed.
            existing = await self._existing()
        for left in found:
            if not existing.is_over(left):
                continue
            self.over.add(left.id)
            if left.is_active:
                self._end(left, existing)
        return Done(was_asked=True)

    async def _existing(self) -> Objects:
        metadata = [each["metadata"] async for each in self.objects()]
        names = frozenset((each.get("namespace") or "", each["name"]) for each in metadata)
        return Objects(frozenset(each["uid"] for each in metadata), names, self.served())

    def _end(self, left: LeftDeployment, existing: Objects) -> None:
        owner = left.owner
        wanted = left_over(
            left,
            self.environment,
            None if self.speaks(left.revision) else self.context,
            self.now(),
            is_gone=owner.uid not in existing.uids,
            is_remade=(owner.namespace, owner.name) in existing.names,
        )
        known = Published(revision=left.revision, deployment_id=left.id)
        self.found(f"deployment {left.id}", Remains(wanted, known, (owner.namespace, self.place[1])))
