"""One account and region: its inventory, kept by shared lists, and the steps that are taken in it."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Component, Scope
from ephemeral_endpoints.aws.errors import not_owned, still_owned
from ephemeral_endpoints.aws.inventory import Inventory
from ephemeral_endpoints.aws.limits import Priority
from ephemeral_endpoints.aws.tag_index import TagIndex
from ephemeral_endpoints.engine import errors, tags
from ephemeral_endpoints.engine.ownership import is_made_by_a_service, is_ours
from ephemeral_endpoints.engine.plan import Create, Delete, Step, Update
from ephemeral_endpoints.engine.resources import IN_FLIGHT, DesiredResource, Key, ObservedResource, ResourceKind
from ephemeral_endpoints.engine.tags import Tags

C = TypeVar("C", bound=Component)


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner for which steps are taken: its hash in names, its UID in tags, and whether it is terminating."""

    owner: str
    uid: str
    terminating: bool = False

    @property
    def priority(self) -> Priority:
        """The lane at the rate limits."""
        return Priority.DELETE if self.terminating else Priority.NORMAL


ORPHANS: Final = Owner("orphans", "", terminating=True)
"""The owner of all orphans: one terminating object, so that the sweep of thousands delays others no more than that."""


class Account:
    """The operator's knowledge and calls in one account and region.

    Knowledge is shared: lists answer for all objects at once. A change whose outcome is unknown is resolved
    by describing its resource before anything more is planned for its owner.
    """

    def __init__(  # noqa: PLR0913 - the ways into AWS, and callbacks
        self,
        clients: Clients,
        scope: Scope,
        calls: Calls,
        components: Iterable[Component],
        *,
        clock: Callable[[], float],
        on_change: Callable[[str], None],
        on_list_error: Callable[[], None] = lambda: None,
    ) -> None:
        """``on_change`` receives owners whose resources changed; ``on_list_error`` signals that ``list_error`` did."""
        self.clients = clients
        self.scope = scope
        self.calls = calls
        self.inventory = Inventory(clock, on_change)
        self._clock = clock
        self._on_list_error = on_list_error
        self._list_errors: dict[ResourceKind, errors.AwsError] = {}
        self._components: dict[ResourceKind, Component] = {each.kind: each for each in components}
        self._refreshing: dict[ResourceKind, asyncio.Task[None]] = {}
        self._changes_listed: dict[ResourceKind, float] = {}
        self._unknown_outcomes: dict[Key, str] = {}
        self._tag_index = TagIndex(clients.tagging, clock)
        self._verified: set[Key] = set()
        self._disputed: set[Key] = set()

    @property
    def kinds(self) -> tuple[ResourceKind, ...]:
        """All kinds, in the order in which lists depend on one another."""
        return tuple(self._components)

    def component(self, of: type[C]) -> C:
        """The component of that type, for its operations beside the steps."""
        found = self._components[of.kind]
        if not isinstance(found, of):
            raise TypeError(f"{of.kind} is kept by a {type(found).__name__}, not by a {of.__name__}")
        return found

    def calls_for(self, owner: Owner) -> Calls:
        """Makes AWS calls for an owner, with its priority."""
        return self.calls.on_behalf_of(owner.owner, owner.priority)

    @property
    def seen_at(self) -> float:
        """When the oldest of the last complete lists of all kinds began; 0 if a kind was never listed."""
        return min(self.inventory.listed_at(kind) or 0.0 for kind in self.kinds)

    @property
    def list_error(self) -> errors.AwsError | None:
        """Why a kind cannot be listed, so that changes of it are not seen, unless that passes by itself."""
        return next(iter(self._list_errors.values()), None)

    def is_in_flight(self) -> bool:
        """Whether any endpoint is changing by itself."""
        return any(observed.phase in IN_FLIGHT for observed in self.inventory.all.values())

    async def refresh(self, kinds: Collection[ResourceKind], *, since: float) -> None:
        """Have a complete list of each kind that began at or after ``since``; callers share lists.

        Raises an error of the ``AwsError`` tree if a list fails; the knowledge so far then stays as it is.
        """
        chains: dict[ResourceKind, list[ResourceKind]] = {}
        for kind in sorted(kinds, key=lambda kind: len(kind.lineage)):
            chains.setdefault(kind.lineage[0], []).append(kind)
        await _all(self._in_order(chain, since) for chain in chains.values())

    async def poll(self, *, since: float) -> None:
        """Have a list of what changed by itself that began at or after ``since``; callers share lists.

        A list of changes takes fewer calls than a complete one, and may overlook a change. Raises like ``refresh``.
        """
        await _all(self._refresh(kind, since, only_changes=True) for kind in self.kinds if kind.changes_by_itself)

    async def resolve_unknown(self, owner: str) -> None:
        """Describe the owner's resources with unknown outcomes, so that the inventory shows their real state."""
        await _all([self._describe(key, self.calls) for key, of in list(self._unknown_outcomes.items()) if of == owner])

    async def describe(self, keys: Collection[Key], owner: Owner) -> None:
        """Describe each of these resources in AWS, and record whether it exists. Raises an ``AwsError``."""
        calls = self.calls_for(owner)
        await _all([self._describe(key, calls) for key in keys])

    async def execute(self, step: Step, owner: Owner) -> None:
        """Take one step and note its result in the inventory. Raises an error of the ``AwsError`` tree."""
        calls = self.calls_for(owner)
        try:
            await self._execute(step, calls, owner)
        except (errors.Transient, errors.NotFound, errors.AlreadyExists) as error:
            self._unknown_outcomes[step.key] = owner.owner
            if isinstance(error, errors.NotFound) and isinstance(step, Create | Update):
                self._unknown_outcomes |= dict.fromkeys(step.resource.needs, owner.owner)
            raise

    async def add_tags(self, observed: ObservedResource, tags: Tags, owner: Owner) -> None:
        """Put tags on a resource beside those that it carries, unless AWS cannot tag its kind; idempotent.

        Raises an error of the ``AwsError`` tree: NameConflict for a resource that does not belong to ``owner``.
        """
        component = self._components[observed.key.kind]
        calls = self.calls_for(owner)
        await self._verify_ownership(component, calls, observed, owner)
        await component.add_tags(calls, observed, tags)

    async def tags(self, observed: ObservedResource, owner: Owner) -> Mapping[str, str] | None:
        """The tags that a resource carries right now, None for kinds without. Raises an ``AwsError``."""
        calls = self.calls_for(owner)
        return await self._components[observed.key.kind].tags(calls, observed)

    async def _execute(self, step: Step, calls: Calls, owner: Owner) -> None:
        component = self._components[step.key.kind]
        match step:
            case Create(resource):
                self._note(resource.key, await self._create(component, calls, resource, owner))
            case Update(resource, observed):
                await self._verify_ownership(component, calls, observed, owner)
                self._note(resource.key, await component.apply(calls, resource, observed, self.inventory.all))
            case Delete(observed):
                await self._verify_ownership(component, calls, observed, owner)
                self._note(observed.key, await self._delete(component, calls, observed))

    async def _delete(self, component: Component, calls: Calls, observed: ObservedResource) -> ObservedResource | None:
        try:
            return await component.delete(calls, observed, self.inventory.all)
        except errors.AlreadyExists as error:
            # API Gateway has one code for both conflicts: here it means that something still refers to the resource.
            raise errors.InProgress(error.message, operation=error.operation, is_quoted=True) from error

    async def _create(
        self, component: Component, calls: Calls, resource: DesiredResource, owner: Owner
    ) -> ObservedResource:
        known = self.inventory.all.get(resource.key)
        if known is not None and known.owner is not None:
            raise still_owned(resource.key)
        try:
            made = await component.apply(calls, resource, None, self.inventory.all)
        except errors.AlreadyExists:
            if not resource.key.kind.taggable:
                # The resource that it leads to identifies the owner, and may be newer than our list.
                await self.refresh(resource.key.kind.lineage[:-1], since=self._clock())
            found = await component.describe(calls, resource.key, self.inventory.all)
            if found is None:
                raise
            await self._ask_whose(component, calls, found, owner)
            return found
        self._verified.add(resource.key)
        return made

    async def _verify_ownership(
        self, component: Component, calls: Calls, observed: ObservedResource, owner: Owner
    ) -> None:
        """A resource must carry our tags before it is changed, whichever client created it.

        A resource that this process created or verified needs no call, unless it is an orphan by now.
        """
        if observed.is_dangling and owner != ORPHANS:
            # It may lead to a resource of another object that another operator made after our list.
            await self.refresh(observed.key.kind.lineage, since=self._clock())
            observed = self.inventory.all.get(observed.key, observed)
            if observed.owner not in {None, owner.owner}:
                raise still_owned(observed.key)
        elif owner != ORPHANS and await self._is_verified(calls, observed, owner):
            return
        await self._ask_whose(component, calls, observed, owner)

    async def _ask_whose(self, component: Component, calls: Calls, observed: ObservedResource, owner: Owner) -> None:
        """Have the resource's own service say that it is the owner's. Raises NameConflict if it is not."""
        found = await component.tags(calls, observed)
        if not self._owns(owner, observed, found):
            self._disputed.add(observed.key)
            raise not_owned(observed.key)
        self._disputed.discard(observed.key)
        self._verified.add(observed.key)

    async def _is_verified(self, calls: Calls, observed: ObservedResource, owner: Owner) -> bool:
        """Whether the resource is known to be the owner's, by the index of tags if nothing better is known.

        The index is asked about everything that the owner has, except what its service said to be another's.
        """
        if observed.key not in self._verified and self._is_indexed(observed.key):
            of_owner = {observed.key: observed, **self.inventory.of(owner.owner)}
            asked = [each for key, each in of_owner.items() if key not in self._verified and self._is_indexed(key)]
            found = await self._tag_index.tags(calls, [each.arn for each in asked])
            for each in asked:
                is_owned = tags.is_owned(found.get(each.arn, {}), cluster_id=self.scope.cluster_id, uid=owner.uid)
                # Meanwhile it may have been deleted, and the name be another resource's.
                if is_owned and self.inventory.all.get(each.key) == each:
                    self._verified.add(each.key)
        return observed.key in self._verified

    def _is_indexed(self, key: Key) -> bool:
        return key.kind.taggable and key not in self._disputed

    def _owns(self, owner: Owner, observed: ObservedResource, found: Mapping[str, str] | None) -> bool:
        if owner == ORPHANS:
            return is_ours(observed, found, self.scope.cluster_id)
        if found is None:
            return observed.owner == owner.owner or observed.is_dangling
        if is_made_by_a_service(observed, found):
            return observed.owner == owner.owner
        return tags.is_owned(found, cluster_id=self.scope.cluster_id, uid=owner.uid)

    def _note(self, key: Key, observed: ObservedResource | None) -> None:
        if observed is None:
            self._verified.discard(key)
            self._disputed.discard(key)
            self.inventory.remove(key)
        else:
            self.inventory.put(observed)

    async def _describe(self, key: Key, calls: Calls) -> None:
        found = await self._components[key.kind].describe(calls, key, self.inventory.all)
        self._unknown_outcomes.pop(key, None)
        self._note(key, found)

    async def _in_order(self, kinds: Collection[ResourceKind], since: float) -> None:
        for kind in kinds:
            await self._refresh(kind, since)

    async def _refresh(self, kind: ResourceKind, since: float, *, only_changes: bool = False) -> None:
        while (listed := self._listed_at(kind, only_changes=only_changes)) is None or listed < since:
            running = self._refreshing.get(kind)
            if running is None:
                work = self._list(kind, only_changes=only_changes)
                running = self._refreshing[kind] = asyncio.create_task(work)
            await asyncio.shield(running)

    def _listed_at(self, kind: ResourceKind, *, only_changes: bool) -> float | None:
        """When the newest complete list began, or with ``only_changes`` the newest list of either sort."""
        listed = self.inventory.listed_at(kind)
        return self._changes_listed.get(kind, listed) if only_changes else listed

    async def _list(self, kind: ResourceKind, *, only_changes: bool) -> None:
        began, component, known = self._clock(), self._components[kind], self.inventory.all
        try:
            changes = await component.list_changes(self.calls, known) if only_changes else None
            if changes is None:
                self.inventory.replace(kind, await component.list_all(self.calls, known), began=began)
            else:
                self.inventory.update(changes, began=began)
        except errors.AwsError as error:
            if not isinstance(error, errors.Transient):
                self._note_list_error(kind, error)
            raise
        else:
            self._changes_listed[kind] = began
            self._verified &= self.inventory.all.keys()
            self._note_list_error(kind, None)
        finally:
            del self._refreshing[kind]

    def _note_list_error(self, kind: ResourceKind, error: errors.AwsError | None) -> None:
        before = self.list_error
        self._list_errors.pop(kind, None)
        if error:
            self._list_errors[kind] = error
        if str(before) != str(self.list_error):
            self._on_list_error()


async def _all(work: Iterable[Awaitable[None]]) -> None:
    """Wait for all of it, then raise the first error if there was one."""
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
