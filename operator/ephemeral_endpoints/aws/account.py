"""One account and region: its inventory, kept by shared lists, and the steps that are taken in it."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Component, Scope
from ephemeral_endpoints.aws.components import components
from ephemeral_endpoints.aws.images import Images
from ephemeral_endpoints.aws.inventory import Inventory
from ephemeral_endpoints.aws.limits import Lane
from ephemeral_endpoints.core import errors, tags
from ephemeral_endpoints.core.orphans import is_made_by_a_service, is_ours, leads_to_nothing
from ephemeral_endpoints.core.plan import Create, Delete, Step, Update
from ephemeral_endpoints.core.resources import IN_FLIGHT, Have, Key, Kind, Want
from ephemeral_endpoints.core.tags import Tags


@dataclass(frozen=True, slots=True)
class Identity:
    """On whose behalf steps are taken: the owner in names, the UID in tags, and whether it is on its way out."""

    owner: str
    uid: str
    leaving: bool = False

    @property
    def lane(self) -> Lane:
        """The lane at the rate limits."""
        return Lane.DELETE if self.leaving else Lane.NORMAL


ORPHANS: Final = Identity("orphans", "", leaving=True)
"""Everything in AWS behind which there is no object any more.

It counts as one object that is on its way out, so that the sweep of thousands holds up the living as little as that.
"""


class Account:
    """What the operator knows and does in one account and region.

    Knowledge is shared: lists answer for all objects at once. A change whose outcome is unknown makes its resource a
    suspect, which is looked at on its own before anything more is planned for its owner.
    """

    def __init__(  # noqa: PLR0913 - the ways into AWS, and who hears what is found there
        self,
        clients: Clients,
        scope: Scope,
        calls: Calls,
        *,
        clock: Callable[[], float],
        on_change: Callable[[str], None],
        on_trouble: Callable[[], None] = lambda: None,
    ) -> None:
        """``on_change`` hears of each owner whose things have changed, ``on_trouble`` when ``trouble`` is another."""
        self.clients = clients
        self.scope = scope
        self.calls = calls
        self.images = Images(clients.ecr)
        self.inventory = Inventory(clock, on_change)
        self._clock = clock
        self._on_trouble = on_trouble
        self._troubles: dict[Kind, errors.AwsError] = {}
        self._components: dict[Kind, Component] = {each.kind: each for each in components(clients, scope)}
        self._refreshing: dict[Kind, asyncio.Task[None]] = {}
        self._suspects: dict[Key, str] = {}
        self._proven: set[Key] = set()

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """All kinds, in the order in which lists depend on one another."""
        return tuple(self._components)

    @property
    def seen_at(self) -> float:
        """When the oldest of the last complete lists of all kinds began; 0 if a kind was never listed."""
        return min(self.inventory.listed_at(kind) or 0.0 for kind in self.kinds)

    @property
    def trouble(self) -> errors.AwsError | None:
        """Why a kind cannot be listed, so that changes of it are not seen, unless that passes by itself."""
        return next(iter(self._troubles.values()), None)

    def is_in_flight(self) -> bool:
        """Whether any endpoint is changing by itself."""
        return any(have.phase in IN_FLIGHT for have in self.inventory.all.values())

    async def refresh(self, kinds: Collection[Kind], *, since: float) -> None:
        """Have a complete list of each kind that began at or after ``since``; callers share lists.

        Raises an error of the ``AwsError`` tree if a list fails; the knowledge so far then stays as it is.
        """
        chained = [kind for chain in _CHAINS for kind in chain]
        chains = [[kind for kind in chain if kind in kinds] for chain in _CHAINS]
        alone = [[kind] for kind in kinds if kind not in chained]
        await _all(self._in_order(chain, since) for chain in (*chains, *alone))

    async def settle(self, owner: str) -> None:
        """Look at the owner's suspects, so that the inventory says what is true of them."""
        await _all([self._look(key, self.calls) for key, of in list(self._suspects.items()) if of == owner])

    async def look(self, keys: Collection[Key], identity: Identity) -> None:
        """Have AWS say of each of these resources whether it is there, and note it. Raises an ``AwsError``."""
        calls = self.calls.on_behalf_of(identity.owner, identity.lane)
        await _all([self._look(key, calls) for key in keys])

    async def take(self, step: Step, identity: Identity) -> None:
        """Take one step and note its result in the inventory. Raises an error of the ``AwsError`` tree."""
        calls = self.calls.on_behalf_of(identity.owner, identity.lane)
        try:
            await self._take(step, calls, identity)
        except (errors.Transient, errors.NotFound, errors.AlreadyExists) as error:
            self._suspects[step.key] = identity.owner
            if isinstance(error, errors.NotFound) and isinstance(step, Create | Update):
                self._suspects |= dict.fromkeys(step.want.needs, identity.owner)
            raise

    async def mark(self, have: Have, marks: Tags, identity: Identity) -> None:
        """Put tags on a resource beside those that it carries, unless AWS cannot tag its kind; idempotent.

        Raises an error of the ``AwsError`` tree: NameConflict for what does not belong to ``identity``.
        """
        component = self._components[have.key.kind]
        calls = self.calls.on_behalf_of(identity.owner, identity.lane)
        await self._prove(component, calls, have, identity)
        await component.mark(calls, have, marks)

    async def tags(self, have: Have, identity: Identity) -> Mapping[str, str] | None:
        """The tags that a resource carries right now, None for kinds without. Raises an ``AwsError``."""
        calls = self.calls.on_behalf_of(identity.owner, identity.lane)
        return await self._components[have.key.kind].tags(calls, have)

    async def _take(self, step: Step, calls: Calls, identity: Identity) -> None:
        component = self._components[step.key.kind]
        match step:
            case Create(want):
                self._note(want.key, await self._create(component, calls, want, identity))
            case Update(want, have):
                await self._prove(component, calls, have, identity)
                self._note(want.key, await component.apply(calls, want, have, self.inventory.all))
            case Delete(have):
                await self._prove(component, calls, have, identity)
                self._note(have.key, await self._delete(component, calls, have))

    async def _delete(self, component: Component, calls: Calls, have: Have) -> Have | None:
        try:
            return await component.delete(calls, have, self.inventory.all)
        except errors.AlreadyExists as error:
            # API Gateway has one code for both conflicts: here it means that something still refers to the resource.
            raise errors.InProgress(error.message, operation=error.operation) from error

    async def _create(self, component: Component, calls: Calls, want: Want, identity: Identity) -> Have:
        known = self.inventory.all.get(want.key)
        if known is not None and known.owner is not None:
            raise errors.InProgress(
                f"{want.key} is still another object's; it is taken over when that has given it up. "
                "What was retained is never given up: delete it by hand"
            )
        try:
            made = await component.apply(calls, want, None, self.inventory.all)
        except errors.AlreadyExists:
            if want.key.kind is Kind.ROUTE:
                # Whose a route is, what it leads to tells, and that may be newer than our list.
                await self.refresh((Kind.HTTP_API, Kind.INTEGRATION), since=self._clock())
            found = await component.look(calls, want.key, self.inventory.all)
            if found is None:
                raise
            await self._prove(component, calls, found, identity)
            return found
        self._proven.add(want.key)
        return made

    async def _prove(self, component: Component, calls: Calls, have: Have, identity: Identity) -> None:
        """Whoever made it, it must carry our tags before it is changed.

        What this process made or has proven needs no call, unless it has been nobody's since.
        """
        if have.key in self._proven and identity != ORPHANS:
            return
        found = await component.tags(calls, have)
        if not self._owns(identity, have, found):
            raise errors.NameConflict(f"{have.key} exists but does not belong to this object; it is left as it is")
        self._proven.add(have.key)

    def _owns(self, identity: Identity, have: Have, found: Mapping[str, str] | None) -> bool:
        if identity == ORPHANS:
            return is_ours(have, found, self.scope.cluster_id)
        if found is None:
            return have.owner == identity.owner or leads_to_nothing(have)
        if is_made_by_a_service(have, found):
            return have.owner == identity.owner
        return tags.is_owned(found, cluster_id=self.scope.cluster_id, uid=identity.uid)

    def _note(self, key: Key, have: Have | None) -> None:
        if have is None:
            self._proven.discard(key)
            self.inventory.remove(key)
        else:
            self.inventory.put(have)

    async def _look(self, key: Key, calls: Calls) -> None:
        found = await self._components[key.kind].look(calls, key, self.inventory.all)
        self._suspects.pop(key, None)
        self._note(key, found)

    async def _in_order(self, kinds: Collection[Kind], since: float) -> None:
        for kind in kinds:
            await self._refresh(kind, since)

    async def _refresh(self, kind: Kind, since: float) -> None:
        while (listed := self.inventory.listed_at(kind)) is None or listed < since:
            running = self._refreshing.get(kind)
            if running is None:
                running = self._refreshing[kind] = asyncio.create_task(self._list(kind))
            await asyncio.shield(running)

    async def _list(self, kind: Kind) -> None:
        began = self._clock()
        try:
            found = await self._components[kind].observe(self.calls, self.inventory.all)
        except errors.AwsError as error:
            if not isinstance(error, errors.Transient):
                self._note_trouble(kind, error)
            raise
        else:
            self.inventory.replace(kind, found, began=began)
            self._proven &= self.inventory.all.keys()
            self._note_trouble(kind, None)
        finally:
            del self._refreshing[kind]

    def _note_trouble(self, kind: Kind, error: errors.AwsError | None) -> None:
        before = self.trouble
        self._troubles.pop(kind, None)
        if error:
            self._troubles[kind] = error
        if str(before) != str(self.trouble):
            self._on_trouble()


_CHAINS: Final = ((Kind.MODEL, Kind.ENDPOINT_CONFIG, Kind.ENDPOINT), (Kind.HTTP_API, Kind.INTEGRATION, Kind.ROUTE))
"""What a list refers to must have been listed before it."""


async def _all(work: Iterable[Awaitable[None]]) -> None:
    """Wait for all of it, then raise the first error if there was one."""
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
