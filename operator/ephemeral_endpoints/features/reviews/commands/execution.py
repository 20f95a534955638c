"""Carries out commands of comments: writes to the objects that they are about."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.features.reviews.commands.orders import NotDone, Order, order
from ephemeral_endpoints.features.reviews.commands.parser import Command
from ephemeral_endpoints.features.reviews.commands.reasons import COMMANDED
from ephemeral_endpoints.features.reviews.forge import Comment
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, Store
from ephemeral_endpoints.kube.client import Kube
from ephemeral_endpoints.kube.errors import Gone, Refused
from ephemeral_endpoints.kube.rest import Raw

logger = logging.getLogger(__name__)

REFUSED_BY_CLUSTER: Final = (
    "the cluster refuses it, by a policy of the namespace or for lack of a right of the operator, whose log says why: "
    "ask the platform team"
)


class Execution:
    """Carries out commands. ``now`` is the time of day in UTC.

    What it writes reaches the cache by the watch, which has the object reconciled.
    """

    def __init__(self, cluster_id: str, kube: Kube, store: Store, now: Callable[[], datetime]) -> None:
        self._cluster_id = cluster_id
        self._kube = kube
        self._store = store
        self._now = now

    async def execute(
        self, command: Command, comment: Comment, endpoint_class: EphemeralEndpointClass, keys: Sequence[ObjectKey]
    ) -> str | None:
        """Carry out the command for each object; returns why something was not done, as Markdown.

        May be repeated. Raises KubernetesError where it should be, such as Conflict before the watch is up to date.
        """
        refused = {}
        for key in keys:
            if why := await self._one(command, comment, endpoint_class, key):
                refused[key] = why
        if len(keys) > 1:
            return "; ".join(f"`{key.name}`: {why}" for key, why in refused.items()) or None
        return next(iter(refused.values()), None)

    async def _one(
        self, command: Command, comment: Comment, endpoint_class: EphemeralEndpointClass, key: ObjectKey
    ) -> str | None:
        endpoint = self._store.endpoint(key)
        if endpoint is None:
            return None
        wanted = order(command, comment, Subject(self._cluster_id, endpoint, endpoint_class), self._now())
        if isinstance(wanted, NotDone):
            return wanted.why
        extra = {**key.log_fields, "command": str(command.name), "user": comment.author, "comment": comment.id}
        try:
            await self._write(self._store.raw(key), wanted)
        except Gone:
            return None
        except Refused as refusal:
            logger.warning("a command by comment is refused", extra={**extra, "error": str(refusal)})
            return REFUSED_BY_CLUSTER
        logger.info("a command by comment is carried out", extra=extra)
        return None

    async def _write(self, raw: Raw, wanted: Order) -> None:
        """Write it; the Event comes first, since it is emitted once upon the same status."""
        if wanted.event:
            await self._kube.event(raw, type_="Normal", reason=COMMANDED, message=wanted.event)
        if wanted.annotations:
            await self._kube.annotate(raw, wanted.annotations)
        if wanted.deletes:
            await self._kube.delete(raw)
