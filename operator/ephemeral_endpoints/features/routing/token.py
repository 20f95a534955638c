"""The API token of an object, from the Secret that it owns."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ephemeral_endpoints.api import ROTATE_TOKEN_ANNOTATION
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.callers import needs_token
from ephemeral_endpoints.features.step import Step
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, Store
from ephemeral_endpoints.kube.client import Kube
from ephemeral_endpoints.kube.tokens import ApiToken, FormerToken

KEPT_SECONDS: Final = 300.0


@dataclass(slots=True)
class Token:
    """A token as it was read; None while it was not, or where none is needed. ``read_at`` is monotonic seconds.

    ``former`` is accepted too. ``rotation`` is what the object asked for when it was read.
    """

    found: ApiToken | None = None
    former: FormerToken | None = None
    rotation: str | None = None
    read_at: float = 0.0

    @property
    def value(self) -> str | None:
        """The token itself."""
        return self.found.value if self.found else None

    @property
    def sha256(self) -> str | None:
        """Its hash."""
        return self.found.sha256 if self.found else None


class TokenStep(Step[Token]):
    """Reads the token every few minutes, so that a Secret that was changed or deleted counts soon.

    ``clock`` is monotonic seconds, ``now`` the time of day in UTC.
    """

    def __init__(self, kube: Kube, store: Store, clock: Callable[[], float], now: Callable[[], datetime]) -> None:
        super().__init__(Token)
        self._kube = kube
        self._store = store
        self._clock = clock
        self._now = now

    async def run(self, reconciliation: Reconciliation) -> None:
        """Read the token if it is time. Raises what ``Kube.token`` raises."""
        await self.read(reconciliation.key, reconciliation.subject)

    async def read(self, key: ObjectKey, subject: Subject) -> None:
        """Read the token of an object of which nothing else is known yet, see ``run``."""
        metadata = subject.endpoint.metadata
        token, rotation = self.memory(metadata.uid), metadata.annotations.get(ROTATE_TOKEN_ANNOTATION)
        if not needs_token(subject):
            token.found = token.former = None
            return
        is_old = self._clock() - token.read_at > KEPT_SECONDS
        if token.found is None or is_old or token.rotation != rotation:
            token.found = await self._kube.token(self._store.raw(key))
            token.read_at, token.rotation = self._clock(), rotation
        token.former = token.found.former_at(self._now())

    def due(self, reconciliation: Reconciliation) -> float | None:
        """See ``Step``. The former token is taken out of the function once it is accepted no more."""
        former = self.memory(reconciliation.uid).former
        return None if former is None else max(0.0, (former.until - self._now()) / timedelta(seconds=1))

    def refresh(self, uid: str) -> None:
        """See ``Step``."""
        self.memory(uid).found = None
