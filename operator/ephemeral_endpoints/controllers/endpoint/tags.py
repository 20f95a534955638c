"""Tags after the creation: they follow the object and its class, and are repaired where somebody removes them.

Lists do not show tags. What was added is remembered; the rest is read once a day for each object, at a time of its own,
and whenever somebody requests a refresh. The proof of ownership cannot be repaired: without it a resource is not ours.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from ephemeral_endpoints.engine.errors import AwsError, NameConflict, NotFound, ReconcileError, Unauthenticated
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.engine.retries import Retries
from ephemeral_endpoints.engine.tags import ACTIVE_TAGS, EXPIRES_AT, Tags, is_owned, repairable, timestamp
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.step import Step

logger = logging.getLogger(__name__)

_TAGGING: Final = "tagging"
AUDIT_SECONDS: Final = 24 * 3600.0
_EARLIEST_AUDIT_SECONDS: Final = 3600


@dataclass(slots=True)
class TagMemory:
    """The tags that were added last, and the resources that carry them already. Times are monotonic seconds."""

    tags: Tags = ()
    tagged: set[Key] = field(default_factory=set)
    followed: Tags | None = None
    """The tags that the object's resources carry, as far as nobody else has changed them."""

    audit_at: float | None = None
    """When to read the tags in AWS; None before the first reconciliation."""

    retries: Retries[str] = field(default_factory=Retries)

    @property
    def error(self) -> ReconcileError | None:
        """Why a resource could not be tagged the last time."""
        return self.retries.error(_TAGGING)


class TagsStep(Step[TagMemory]):
    """Keeps the tags of an active object's resources. ``clock`` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(TagMemory)
        self._clock = clock

    async def run(self, reconciliation: Reconciliation) -> None:
        """Follow the object and its class, and repair when that is due. Raises what ``add`` raises."""
        memory, wanted = self.memory(reconciliation.uid), repairable(reconciliation.subject.tags)
        if memory.followed is None:
            memory.followed = _reported(reconciliation)
        if memory.audit_at is None:
            memory.audit_at = self._first_audit(reconciliation)
        if memory.followed != wanted:
            if await self.add(reconciliation, (*wanted, *ACTIVE_TAGS)):
                memory.followed = wanted
        elif self._clock() >= memory.audit_at and await self._repair(reconciliation, wanted):
            memory.audit_at = self._clock() + AUDIT_SECONDS

    def has_followed(self, reconciliation: Reconciliation) -> bool:
        """Whether all resources carry the tags that the object should have now."""
        return self.memory(reconciliation.uid).followed == repairable(reconciliation.subject.tags)

    async def add(self, reconciliation: Reconciliation, tags: Tags) -> bool:
        """Have everything taggable that the object has in AWS carry these tags; returns whether it does.

        Failures are recorded and retried when due; resources that do not belong to the object are not changed.
        Raises Unauthenticated, which concerns more than this object.
        """
        memory = self.memory(reconciliation.uid)
        if memory.tags != tags:
            memory.tags, memory.tagged = tags, set()
        if memory.retries.blocked(self._clock()):
            return False
        left = [each for each in _taggable(reconciliation) if each.key not in memory.tagged]
        results = await asyncio.gather(*(self._add(reconciliation, each, tags) for each in left))
        return self._conclude(reconciliation, [error for error in results if error])

    async def _repair(self, reconciliation: Reconciliation, wanted: Tags) -> bool:
        """Add what the object's resources lack of ``wanted``; returns whether that succeeded. Raises like ``add``."""
        if self.memory(reconciliation.uid).retries.blocked(self._clock()):
            return False
        work = (self._repair_one(reconciliation, each, wanted) for each in _taggable(reconciliation))
        return self._conclude(reconciliation, [error for error in await asyncio.gather(*work) if error])

    async def _repair_one(
        self, reconciliation: Reconciliation, resource: ObservedResource, wanted: Tags
    ) -> AwsError | None:
        account, owner = reconciliation.account, reconciliation.owner
        try:
            found = await account.tags(resource, owner) or {}
        except NotFound:
            return None
        except AwsError as error:
            return error
        lost = tuple((key, value) for key, value in wanted if found.get(key) != value)
        if not lost or not is_owned(found, cluster_id=account.scope.cluster_id, uid=owner.uid):
            return None
        extra = {**reconciliation.key.log_fields, "resource": str(resource.key), "keys": [key for key, _ in lost]}
        logger.info("the operator adds tags to a resource that lacks them", extra=extra)
        return await self._add(reconciliation, resource, lost)

    def _conclude(self, reconciliation: Reconciliation, errors: list[AwsError]) -> bool:
        """Remember the failures of a round; returns whether there was none."""
        memory = self.memory(reconciliation.uid)
        if not errors:
            memory.retries.clear(_TAGGING)
            return True
        for error in errors:
            if isinstance(error, Unauthenticated):
                raise error
        memory.retries.note(_TAGGING, errors[0], self._clock())
        key = reconciliation.key
        extra = {"namespace": key.namespace, "object_name": key.name, "error": str(errors[0])}
        logger.warning("the operator could not tag a resource; it tries again", extra=extra)
        return False

    def due(self, reconciliation: Reconciliation) -> float | None:
        """See ``Step``."""
        memory = self.memory(reconciliation.uid)
        retry = memory.retries.due(self._clock())
        if retry is not None or memory.audit_at is None:
            return retry
        return max(0.0, memory.audit_at - self._clock())

    def retry(self, uid: str) -> None:
        """See ``Step``."""
        self.memory(uid).retries.keep_only(())

    def refresh(self, uid: str) -> None:
        """See ``Step``."""
        super().refresh(uid)
        self.memory(uid).audit_at = self._clock()

    def _first_audit(self, reconciliation: Reconciliation) -> float:
        """At once if the object has changed since the last status, otherwise within a day, at a time of its own."""
        endpoint = reconciliation.subject.endpoint
        if endpoint.status.observed_generation not in {-1, endpoint.metadata.generation}:
            return self._clock()
        spread = int(AUDIT_SECONDS) - _EARLIEST_AUDIT_SECONDS
        return self._clock() + _EARLIEST_AUDIT_SECONDS + crc32(reconciliation.uid.encode()) % spread

    async def _add(self, reconciliation: Reconciliation, resource: ObservedResource, tags: Tags) -> AwsError | None:
        try:
            await reconciliation.account.add_tags(resource, tags, reconciliation.owner)
        except (NotFound, NameConflict):
            return None
        except AwsError as error:
            return error
        self.memory(reconciliation.uid).tagged.add(resource.key)
        return None


def _taggable(reconciliation: Reconciliation) -> list[ObservedResource]:
    return [each for key, each in reconciliation.own.items() if key.kind.taggable and each.phase is not Phase.DELETING]


def _reported(reconciliation: Reconciliation) -> Tags:
    """The tags that resources carried when the status was written: they are tagged before it says when they end."""
    subject = reconciliation.subject
    expires_at = subject.endpoint.status.expires_at or subject.lifetime.expires_at
    tags = dict(repairable(subject.tags)) | {EXPIRES_AT: timestamp(expires_at)}
    return tuple(sorted(tags.items()))
