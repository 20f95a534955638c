"""Has the objects reconciled that are compared with one whose status was written."""

from collections.abc import Callable, Collection

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.engine.conditions import ConditionUpdate
from ephemeral_endpoints.kube.cache import ObjectKey
from ephemeral_endpoints.kube.triggers import StatusWritten


class BaseListener:
    """A ``Listener`` that triggers for every object: what it serves, and whether it is Ready, is in its status."""

    def __init__(self, trigger: Callable[[StatusWritten], None]) -> None:
        self._trigger = trigger

    def reported(self, key: ObjectKey, endpoint: EphemeralEndpoint, changed: Collection[ConditionUpdate]) -> None:
        """See ``Listener``."""
        del endpoint, changed
        self._trigger(StatusWritten(key))

    def gone(self, key: ObjectKey, endpoint: EphemeralEndpoint) -> None:
        """See ``Listener``."""
        del endpoint
        self._trigger(StatusWritten(key))
