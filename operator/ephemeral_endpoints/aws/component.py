"""The interface of one kind of AWS resource to the reconciler, and helpers for the components of all kinds.

Adding a kind is adding one module with a ``Component``, and the component to the ``feature`` module beside it.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from typing_extensions import override

from ephemeral_endpoints.api.v1alpha1.partitions import partition_of
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.engine.errors import Denied, NotFound
from ephemeral_endpoints.engine.names import owner_of, prefix
from ephemeral_endpoints.engine.resources import (
    IN_FLIGHT,
    DesiredResource,
    Key,
    ObservedResource,
    ObservedResources,
    ResourceKind,
    Spec,
)
from ephemeral_endpoints.engine.tags import Tags
from ephemeral_endpoints.iam.statement import Statement

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scope:
    """Where the operator works: its cluster id, and the account and region of a class."""

    cluster_id: str
    account_id: str
    region: str

    @property
    def prefix(self) -> str:
        """The prefix of the names of all our resources."""
        return prefix(self.cluster_id)

    @property
    def partition(self) -> str:
        """The partition of ARNs there."""
        return partition_of(self.region).id

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource there."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"


class Component(ABC):
    """One kind of AWS resource: how it is listed, made, changed and deleted; each kind has a subclass in its feature.

    All methods raise errors of the ``AwsError`` tree and wait for AWS's answer only, never for a state.
    """

    kind: ClassVar[ResourceKind]
    actions: ClassVar[frozenset[str]]
    """The IAM actions that the component's calls need."""

    statements: ClassVar[tuple[Statement, ...]] = ()
    """The statements that grant them, unless other kinds share them: then they are the feature's."""

    def __init__(self, clients: Clients, scope: Scope) -> None:
        self._clients = clients
        self._scope = scope

    @abstractmethod
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        """All resources of the kind that carry our prefix, by paginated lists.

        Describes only what changed against ``known``, of which it looks at its own kind and at those that must be
        listed before. Never mutates.
        """

    async def list_changes(
        self, calls: Calls, known: ObservedResources
    ) -> Mapping[Key, ObservedResource | None] | None:
        """What of the known resources, or beside them, changed since they were listed; a missing one is None.

        None if a complete list costs no more calls. May overlook a change, which the next complete list shows. Never
        mutates.
        """
        del calls, known
        return None

    @abstractmethod
    async def describe(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        """The one resource as it is right now, None if it does not exist. Never mutates."""

    @abstractmethod
    async def tags(self, calls: Calls, observed: ObservedResource) -> Mapping[str, str] | None:
        """The resource's tags; None for kinds that AWS cannot tag."""

    @abstractmethod
    async def add_tags(self, calls: Calls, observed: ObservedResource, tags: Tags) -> None:
        """Add tags to the resource, or change the values of those that it has; nothing for kinds that AWS cannot tag.

        Idempotent.
        """

    @abstractmethod
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        """Create the resource (``observed`` None) or bring it one call nearer to ``resource``.

        Returns the resource as it is known afterwards.

        Idempotent: a repeated creation raises AlreadyExists or changes nothing.
        """

    @abstractmethod
    async def delete(
        self, calls: Calls, observed: ObservedResource, known: ObservedResources
    ) -> ObservedResource | None:
        """Trigger the deletion; None if the resource is gone, else its new state.

        Deleting a resource that does not exist succeeds.
        """

    def _owner_of(self, name: str) -> str | None:
        return owner_of(self._scope.cluster_id, name)


class NameListedComponent(Component, ABC):
    """A kind whose lists have only names, so that each of ours is described.

    Policies of an earlier version lack the permission to list it: then what is known stays.
    """

    @abstractmethod
    async def _names(self, calls: Calls) -> list[str]:
        """The names of all resources of the kind, others' too."""

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        try:
            names = await self._names(calls)
        except Denied:
            return [observed for key, observed in known.items() if key.kind is self.kind]
        ours = [Key(self.kind, name) for name in names if name.startswith(self._scope.prefix)]
        found = await asyncio.gather(*(self._listed(calls, key, known) for key in ours))
        return [each for each in found if each]

    @override
    async def list_changes(self, calls: Calls, known: ObservedResources) -> Mapping[Key, ObservedResource | None]:
        moving = [key for key, each in known.items() if key.kind is self.kind and each.phase in IN_FLIGHT]
        found = await asyncio.gather(*(self.describe(calls, key, known) for key in moving))
        return dict(zip(moving, found, strict=True))

    async def _listed(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        return await self.describe(calls, key, known)


def expect(resource: DesiredResource, kind: type[S]) -> S:
    """The want's specification, known to be of the component's own type."""
    if not isinstance(resource.spec, kind):
        raise TypeError(f"{resource.key} carries a {type(resource.spec).__name__}, not a {kind.__name__}")
    return resource.spec


def expect_spec(spec: Spec | None, kind: type[S]) -> S | None:
    """An observed specification of the component's own type, None if it is not known."""
    return spec if isinstance(spec, kind) else None


def tag_list(tags: Tags) -> list[Any]:
    """Tags as a list of Key and Value, as SageMaker and CloudWatch take them."""
    return [{"Key": key, "Value": value} for key, value in tags]


def tag_map(tags: list[Any]) -> dict[str, str]:
    """The reverse of ``tag_list``."""
    return {tag["Key"]: tag["Value"] for tag in tags}


async def pages(
    calls: Calls,
    method: Callable[..., Any],
    *,
    request_cursor: str = "NextToken",
    answer_cursor: str | None = None,
    **arguments: Any,
) -> AsyncIterator[Any]:
    """The answers of a paginated operation.

    ``request_cursor`` and ``answer_cursor`` name the paging members of request and answer, the latter if it differs.
    """
    more: dict[str, str] = {}
    while True:
        answer = await calls(method, **arguments, **more)
        yield answer
        following = answer.get(answer_cursor or request_cursor)
        if not following:
            return
        more = {request_cursor: following}


async def items(calls: Calls, method: Callable[..., Any], member: str, **arguments: Any) -> list[Any]:
    """The items that a paginated operation has in ``member`` of its answers; for ``arguments`` see ``pages``."""
    return [item async for page in pages(calls, method, **arguments) for item in page[member]]


async def if_there(call: Awaitable[T]) -> T | None:
    """The answer of a call, None if its resource does not exist."""
    try:
        return await call
    except NotFound:
        return None
