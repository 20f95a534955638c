"""The API token of an object, from the Secret that it owns."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.desired import needs_token
from ephemeral_endpoints.features.step import Step
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, Store
from ephemeral_endpoints.kube.client import Kube

KEPT_SECONDS: Final = 300.0


@dataclass(slots=True)
class Token:
    """A token and its hash; None while it was not read, or where none is needed. ``read_at`` is monotonic seconds."""

    value: str | None = field(default=None, repr=False)
    sha256: str | None = None
    read_at: float = 0.0


class TokenStep(Step[Token]):
    """Reads the token every few minutes, so that a Secret that was changed or deleted counts soon."""

    def __init__(self, kube: Kube, store: Store, clock: Callable[[], float]) -> None:
        super().__init__(Token)
        self._kube = kube
        self._store = store
        self._clock = clock

    async def run(self, reconciliation: Reconciliation) -> None:
        """Read the token if it is time. Raises what ``Kube.token`` raises."""
        await self.read(reconciliation.key, reconciliation.subject)

    async def read(self, key: ObjectKey, subject: Subject) -> None:
        """Read the token of an object of which nothing else is known yet, see ``run``."""
        token = self.memory(subject.endpoint.metadata.uid)
        if not needs_token(subject):
            token.value = token.sha256 = None
        elif token.value is None or self._clock() - token.read_at > KEPT_SECONDS:
            token.value = await self._kube.token(self._store.raw(key))
            token.sha256 = hashlib.sha256(token.value.encode()).hexdigest()
            token.read_at = self._clock()

    def refresh(self, uid: str) -> None:
        """See ``Step``."""
        self.memory(uid).value = None
