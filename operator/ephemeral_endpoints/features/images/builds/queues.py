"""The build queues of all classes, and the objects that have requested an image."""

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.features.images.builds.policy import BuildRequest, BuildTarget
from ephemeral_endpoints.features.images.builds.queue import BuildQueue, BuildQueueDeps
from ephemeral_endpoints.features.images.references import ImageState
from ephemeral_endpoints.kube.cache import ObjectKey


class Builds:
    """The build queues of all classes, by the classes' UIDs."""

    def __init__(self, deps: BuildQueueDeps) -> None:
        self._deps = deps
        self._declared: set[ObjectKey] = set()
        self._queues: dict[str, BuildQueue] = {}

    def making(
        self, key: ObjectKey, endpoint_class: EphemeralEndpointClass, account: Account, target: BuildTarget
    ) -> ImageState | None:
        """The state of the image that the object has requested; None if it has not, or once it was built.

        Raises the ``ReconcileError`` that keeps it from being made.
        """
        return (
            self._queue(endpoint_class, account).making(key, target)
            if endpoint_class.metadata.uid in self._queues
            else None
        )

    def request(
        self, key: ObjectKey, endpoint_class: EphemeralEndpointClass, account: Account, request: BuildRequest
    ) -> ImageState:
        """The object needs this image and no other; returns its state. Raises what ``making`` does."""
        self._declared.add(key)
        return self._queue(endpoint_class, account).request(key, request)

    def withdraw(self, key: ObjectKey, endpoint_class: EphemeralEndpointClass) -> None:
        """The object needs no image to be built (any more)."""
        self._declared.add(key)
        if queue := self._queues.get(endpoint_class.metadata.uid):
            queue.withdraw(key)

    def is_making(self, key: ObjectKey, endpoint_class: EphemeralEndpointClass, account: Account, image: str) -> bool:
        """Whether an image is still being built for a terminating object, which is enqueued once that has ended.

        An image that others have requested too is built for them. Raises the ``ReconcileError`` that hides it.
        """
        self._declared.add(key)
        return self._queue(endpoint_class, account).is_building_for_terminating(key, image)

    def forget(self, key: ObjectKey) -> None:
        """The object is gone, and with it its request: another client may have removed the finalizer."""
        self._declared.discard(key)
        for queue in self._queues.values():
            queue.withdraw(key)

    async def pushed(self, endpoint_class: EphemeralEndpointClass, account: Account, image: str) -> frozenset[str]:
        """The digests that builds of the image have pushed, as far as the builder still knows.

        Raises the ``ReconcileError`` that keeps them from being listed.
        """
        return await self._queue(endpoint_class, account).pushed(image)

    def again(self, endpoint_class: EphemeralEndpointClass, image: str) -> None:
        """Forget the image's earlier builds: a retry was requested."""
        if queue := self._queues.get(endpoint_class.metadata.uid):
            queue.again(image)

    def announce_end(self, build_id: str) -> None:
        """An event says that this build has ended; whoever needs it looks now."""
        for queue in self._queues.values():
            queue.announce_end(build_id)

    async def stop(self) -> None:
        """End all queues; their builds continue."""
        for queue in self._queues.values():
            await queue.stop()

    def _queue(self, endpoint_class: EphemeralEndpointClass, account: Account) -> BuildQueue:
        builder = self._deps.builder(endpoint_class, account)
        queue = self._queues.setdefault(
            endpoint_class.metadata.uid, BuildQueue(self._deps, self._declared, endpoint_class, account, builder)
        )
        queue.endpoint_class, queue.account, queue.builder = endpoint_class, account, builder
        return queue
