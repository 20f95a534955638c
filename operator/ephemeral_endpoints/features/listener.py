"""What is told of objects to the parts that pass it on to people: reviews and notifications."""

from collections.abc import Collection
from typing import Protocol

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.engine.conditions import ConditionUpdate
from ephemeral_endpoints.kube.cache import ObjectKey


class Listener(Protocol):
    """Is told of every written change. Methods return at once, and never raise."""

    def reported(self, key: ObjectKey, endpoint: EphemeralEndpoint, changed: Collection[ConditionUpdate]) -> None:
        """The status of ``endpoint`` was written; ``changed`` are the conditions with another status or reason."""
        ...

    def gone(self, key: ObjectKey, endpoint: EphemeralEndpoint) -> None:
        """The finalizer of ``endpoint``, as it was last, is removed.

        Nothing of it is left in AWS, unless it was retained or abandoned (``features.expiry.policy``).
        """
        ...
