"""Images in the making: who wants which, by class."""

from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.core.builds import Demand, Order
from ephemeral_endpoints.core.images import ImageState
from ephemeral_endpoints.kube.store import ObjectKey
from ephemeral_endpoints.reconcile.build_line import Line, Surroundings


class Builds:
    """The lines of all classes, by the classes' UIDs."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings
        self._declared: set[ObjectKey] = set()
        self._lines: dict[str, Line] = {}

    def making(
        self, key: ObjectKey, klass: EphemeralEndpointClass, account: Account, order: Order
    ) -> ImageState | None:
        """What to tell of the image that the object has demanded; None if it has not, or once it was made.

        Raises the ``Problem`` that keeps it from being made.
        """
        return self._line(klass, account).making(key, order) if klass.metadata.uid in self._lines else None

    def demand(self, key: ObjectKey, klass: EphemeralEndpointClass, account: Account, demand: Demand) -> ImageState:
        """The object wants this image and no other; returns what to tell of it. Raises what ``making`` does."""
        self._declared.add(key)
        return self._line(klass, account).demand(key, demand)

    def wants_nothing(self, key: ObjectKey, klass: EphemeralEndpointClass) -> None:
        """The object wants no image to be made (any more)."""
        self._declared.add(key)
        if line := self._lines.get(klass.metadata.uid):
            line.wants_nothing(key)

    def is_making(self, key: ObjectKey, klass: EphemeralEndpointClass, account: Account, image: str) -> bool:
        """Whether an image is still being made for an object that leaves; it is woken once that has ended.

        What others want too is made for them. Raises the ``Problem`` that keeps that from being known.
        """
        self._declared.add(key)
        return self._line(klass, account).is_making_for_leaving(key, image)

    def forget(self, key: ObjectKey) -> None:
        """The object is gone."""
        self._declared.discard(key)

    def again(self, klass: EphemeralEndpointClass, image: str) -> None:
        """Forget what came of the image so far: somebody asks to try again."""
        if line := self._lines.get(klass.metadata.uid):
            line.again(image)

    async def stop(self) -> None:
        """End all lines; builds go on."""
        for line in self._lines.values():
            await line.stop()

    def _line(self, klass: EphemeralEndpointClass, account: Account) -> Line:
        builder = self._around.builder(klass, account)
        line = self._lines.setdefault(klass.metadata.uid, Line(self._around, self._declared, klass, builder))
        line.klass, line.builder = klass, builder
        return line
