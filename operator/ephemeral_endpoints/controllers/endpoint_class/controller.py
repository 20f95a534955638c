"""Reconciles classes: shared resources exist while an object needs them, and a class is deleted after its objects."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, Protocol

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.endpoint_class_status import EphemeralEndpointClassStatus
from ephemeral_endpoints.aws.account import Account, Owner
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.converge import converge
from ephemeral_endpoints.aws.roles import ClassRoles, RoleFindings
from ephemeral_endpoints.controllers.endpoint_class.desired import desired_of_class
from ephemeral_endpoints.controllers.endpoint_class.reasons import InUse, class_condition
from ephemeral_endpoints.engine.backoff import delay
from ephemeral_endpoints.engine.conditions import Cause, ConditionUpdate
from ephemeral_endpoints.engine.errors import AwsError, ReconcileError, Unauthenticated
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.engine.plan import Step, View
from ephemeral_endpoints.engine.resources import Key, ObservedResources
from ephemeral_endpoints.engine.sharding import Shard
from ephemeral_endpoints.engine.status import conditions, event_of, merge_patch, transitions
from ephemeral_endpoints.features.capacity.limits import in_words, uses
from ephemeral_endpoints.features.capacity.listed_prices import PriceLists
from ephemeral_endpoints.features.capacity.service_quotas import ServiceQuotas
from ephemeral_endpoints.features.reaping.desired import function_key, is_part, reaper_of_class
from ephemeral_endpoints.features.reaping.stage import reaping
from ephemeral_endpoints.features.routing.apis import api_number
from ephemeral_endpoints.features.routing.capture.desired import captures, lost_alarm, stale_alarm, stream_key
from ephemeral_endpoints.features.routing.capture.stage import delivered
from ephemeral_endpoints.features.routing.domain import is_taken, mapped, mapping_path, mappings, taken_cause
from ephemeral_endpoints.features.routing.domains import Domains
from ephemeral_endpoints.features.routing.placements import Placements
from ephemeral_endpoints.features.routing.results.desired import alarm_key, publishes
from ephemeral_endpoints.features.routing.results.stage import published
from ephemeral_endpoints.features.routing.specs import API_MAPPING, AUTHORIZER, HTTP_API, ROUTE, mapping_key
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import FINALIZER, ObjectKey, Store
from ephemeral_endpoints.kube.client import Kube
from ephemeral_endpoints.kube.errors import Conflict, Gone

CONFLICT_SECONDS: Final = 0.5


class Further(Protocol):
    """A condition of a class beside ``Ready``. Neither method waits."""

    def condition(self, endpoint_class: EphemeralEndpointClass) -> ConditionUpdate | None:
        """The condition as it is known now; None if the class asks for nothing of the kind."""
        ...

    def due_in(self, endpoint_class: EphemeralEndpointClass) -> float | None:
        """In how many seconds it may be another one without a change; None if it is made known by then."""
        ...


class ClassController:
    """Reconciles EphemeralEndpointClasses.

    ``enqueue`` has an object reconciled, ``events_error`` gives the error of a class's event queue once it
    ``is_known``, and ``further`` the conditions beside ``Ready``. Each shard maintains the APIs of its objects; the
    first shard maintains everything else and writes to Kubernetes. ``now`` is the time of day in UTC, ``clock``
    monotonic seconds.
    """

    def __init__(  # noqa: PLR0913 - both edges, shared resources, and two clocks
        self,
        cluster_id: str,
        accounts: Accounts,
        placements: Placements,
        *,
        kube: Kube,
        store: Store,
        shard: Shard,
        enqueue: Callable[[ObjectKey], None],
        events_error: Callable[[EphemeralEndpointClass], ReconcileError | None],
        is_known: Callable[[EphemeralEndpointClass], bool],
        further: Sequence[Further],
        domains: Domains,
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        self._cluster_id = cluster_id
        self._accounts = accounts
        self._placements = placements
        self._kube = kube
        self._store = store
        self._shard = shard
        self._enqueue = enqueue
        self._events_error = events_error
        self._is_known = is_known
        self._service_quotas = ServiceQuotas(clock)
        self._price_lists = PriceLists(now, clock)
        self._further = (*further, domains, self._service_quotas, self._price_lists)
        self._domains = domains
        self._led_to: dict[ObjectKey, tuple[frozenset[Key], bool]] = {}
        self._now = now
        self._clock = clock
        self._roles = ClassRoles(clock)
        self._attempts: dict[ObjectKey, int] = {}
        self._beside: dict[ObjectKey, tuple[list[ConditionUpdate], ReconcileError | None]] = {}

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Reconcile the class; returns in how many seconds it is due again, None if only a change can make it so."""
        endpoint_class = self._store.named_class(key.name)
        if endpoint_class is None:
            self._attempts.pop(key, None)
            self._beside.pop(key, None)
            self._roles.forget(key.name)
            return None
        try:
            error = await self._reconcile(key, endpoint_class)
            if self._shard.is_first:
                findings = RoleFindings() if error else await self._role_findings(endpoint_class)
                error = error or self._events_error(endpoint_class) or findings.problem
                # Another process begins without knowing what the last one reported: it comes back once it knows.
                if error or self._is_known(endpoint_class):
                    await self._report(key, error, findings.unknown)
        except Conflict:
            return CONFLICT_SECONDS
        except Gone:
            return None
        # Without its stream or its reaper a class is ready all the same, but they are tried again.
        error = error or self._beside.get(key, ([], None))[1]
        self._attempts[key] = self._attempts.get(key, 0) + 1 if error else 0
        if error:
            # What is due besides may be so at once, and need what has failed.
            return delay(error, self._attempts[key])
        dues = [self._roles.due_in(key.name)]
        if self._shard.is_first:
            dues += [each.due_in(endpoint_class) for each in self._further]
        return min((due for due in dues if due is not None), default=None)

    async def _role_findings(self, endpoint_class: EphemeralEndpointClass) -> RoleFindings:
        if endpoint_class.metadata.deletion_timestamp is not None:
            return RoleFindings()
        account = await self._accounts.of(endpoint_class)
        return await self._roles.findings(endpoint_class, account.calls, account.clients.iam)

    async def _reconcile(self, key: ObjectKey, endpoint_class: EphemeralEndpointClass) -> ReconcileError | None:
        try:
            account = await self._accounts.of(endpoint_class)
        except ReconcileError as problem:
            return problem
        await self._add_finalizer(key, endpoint_class)
        owner = Owner(owner_hash(endpoint_class.metadata.uid), endpoint_class.metadata.uid)
        try:
            await self._poll_other_shards(endpoint_class, account)
            await account.resolve_unknown(owner.owner)
            found = await self._act(key, endpoint_class, account, owner)
            errors = self._without_beside(key, endpoint_class, account, found)
        except ReconcileError as problem:
            errors = [problem]
        if any(isinstance(error, Unauthenticated) for error in errors):
            self._accounts.forget(account)
        if not account.inventory.of(owner.owner):
            await self._remove_finalizer(key, endpoint_class)
        return next(iter(errors), None) or self._hindrance(key, endpoint_class, account, owner) or account.list_error

    async def _poll_other_shards(self, endpoint_class: EphemeralEndpointClass, account: Account) -> None:
        """No event arrives when another shard has deleted what a terminating class waits for."""
        shard = self._shard
        if endpoint_class.metadata.deletion_timestamp is not None and shard.is_first and not shard.is_whole:
            await account.refresh(ROUTE.lineage, since=self._clock())

    def _hindrance(
        self, key: ObjectKey, endpoint_class: EphemeralEndpointClass, account: Account, owner: Owner
    ) -> ReconcileError | None:
        """The reason why a terminating class waits; it may wait for retained resources, which nothing deletes."""
        if endpoint_class.metadata.deletion_timestamp is None:
            return None
        if self._store.of_class(key.name):
            return InUse.by_objects()
        own = account.inventory.of(owner.owner)
        users = account.inventory.users_of(own)
        if not users:
            return None
        return InUse.by_resources(own, users.keys() - own.keys())

    async def _act(
        self, key: ObjectKey, endpoint_class: EphemeralEndpointClass, account: Account, owner: Owner
    ) -> Mapping[Key, ReconcileError]:
        is_usable = await self._domains.is_usable(endpoint_class, account)
        if self._shard.is_first:
            active = self._active(key, endpoint_class)
            await self._service_quotas.look(endpoint_class, account, (each.endpoint for each in active))
        is_unknown = endpoint_class.spec.routing.domain is not None and not is_usable

        def observe() -> View:
            own = self._kept_up(account.inventory.of(owner.owner))
            users, objects = account.inventory.users_of(own), self._store.of_class(key.name)
            used, is_complete = self._placements.of(self._active_owners(key, endpoint_class))
            wanted = desired_of_class(
                self._cluster_id,
                endpoint_class,
                used,
                is_complete=is_complete,
                makes_images=any(user.spec.model.is_made for _, user in objects),
                is_used=bool(users.keys() - own.keys()),
                captures=any(captures(each.endpoint) for each in self._active(key, endpoint_class)),
                publishes=any(publishes(each.endpoint) for each in self._active(key, endpoint_class)),
                mappings=None if is_unknown else mappings(endpoint_class, used, account.inventory.all),
            )
            rest = account.inventory.of(owner.owner)
            reaper = reaper_of_class(self._cluster_id, endpoint_class, rest, is_used=bool(objects))
            resources = tuple(each for each in (*wanted.resources, *reaper) if self._keeps_up(each.key))
            return View(replace(wanted, resources=resources), own, users)

        steps: list[Step] = []
        errors: dict[Key, ReconcileError] = {}
        await converge(account, owner, observe, errors, steps.append)
        if self._shard.is_first:
            await self._price_lists.look(endpoint_class, account)
        self._note_domain(endpoint_class, account, owner, errors)
        made = mapped(account.inventory.of(owner.owner))
        if steps or self._led_to.get(key, (made, False)) != (made, is_unknown):
            for user, _ in self._store.of_class(key.name):
                self._enqueue(user)
        self._led_to[key] = made, is_unknown
        return errors

    def _without_beside(
        self,
        key: ObjectKey,
        endpoint_class: EphemeralEndpointClass,
        account: Account,
        errors: Mapping[Key, ReconcileError],
    ) -> list[ReconcileError]:
        """The errors but those of capture, results and the reaper, which have conditions of their own."""
        stream = stream_key(self._cluster_id, endpoint_class)
        of_capture = {stream, lost_alarm(stream), stale_alarm(stream)}
        capture = next((each for failed, each in errors.items() if failed in of_capture), None)
        alarm = alarm_key(self._cluster_id, endpoint_class)
        active = [each.endpoint for each in self._active(key, endpoint_class)]
        known, spec = account.inventory.all, endpoint_class.spec
        reaper = next((each for failed, each in errors.items() if is_part(failed)), None)
        updates = (
            delivered(spec.capture, stream, known, capture, asked=any(map(captures, active))),
            published(spec.results, known.get(alarm), errors.get(alarm), asked=any(map(publishes, active))),
            reaping(spec.reaper, function_key(self._cluster_id, endpoint_class), known, reaper),
        )
        self._beside[key] = ([each for each in updates if each], capture or errors.get(alarm) or reaper)
        beside = {*of_capture, alarm}
        return [each for failed, each in errors.items() if failed not in beside and not is_part(failed)]

    def _note_domain(
        self, endpoint_class: EphemeralEndpointClass, account: Account, owner: Owner, errors: dict[Key, ReconcileError]
    ) -> None:
        """Note what keeps the domain from leading to the APIs; the class serves without it."""
        failed = [errors.pop(key) for key in mapped(errors)]
        known, domain = account.inventory.all, endpoint_class.spec.routing.domain
        apis = [key for key in account.inventory.of(owner.owner) if key.kind is HTTP_API]
        keys = [mapping_key(domain.name, mapping_path(endpoint_class, api)) for api in apis] if domain else []
        taken = taken_cause((key for key in keys if is_taken(key, owner.owner, known)), known)
        self._domains.note(endpoint_class, taken or next(map(Cause.of, failed), None))

    def _kept_up(self, observed_resources: ObservedResources) -> ObservedResources:
        return {key: observed for key, observed in observed_resources.items() if self._keeps_up(key)}

    def _keeps_up(self, key: Key) -> bool:
        shard = self._shard
        if key.kind is API_MAPPING:
            number = key.name.rpartition("/_")[2]
            return shard.has(int(number) if number.isdecimal() else 0)
        return shard.has(api_number(key)) if key.kind in {AUTHORIZER, HTTP_API} else shard.is_first

    async def _add_finalizer(self, key: ObjectKey, endpoint_class: EphemeralEndpointClass) -> None:
        store, metadata = self._store, endpoint_class.metadata
        if not self._shard.is_first:
            return
        has_own = endpoint_class.spec.reaper is not None or bool(store.of_class(key.name))
        if has_own and metadata.deletion_timestamp is None and FINALIZER not in metadata.finalizers:
            store.put(await self._kube.add_finalizer(store.raw(key), None))

    async def _remove_finalizer(self, key: ObjectKey, endpoint_class: EphemeralEndpointClass) -> None:
        store = self._store
        is_going = endpoint_class.metadata.deletion_timestamp is not None and not store.of_class(key.name)
        if not is_going or not self._shard.is_first:
            return
        if await self._kube.remove_finalizer(store.raw(key)) is None:
            store.remove(key, endpoint_class.metadata.uid)

    def _active_owners(self, key: ObjectKey, endpoint_class: EphemeralEndpointClass) -> frozenset[str]:
        """The owners of the class's active objects that this shard places."""
        active = self._active(key, endpoint_class)
        return frozenset(each.names.owner for each in active if self._shard.takes(each.endpoint.metadata.namespace))

    def _active(self, key: ObjectKey, endpoint_class: EphemeralEndpointClass) -> list[Subject]:
        """The class's active objects, of all shards."""
        users = (Subject(self._cluster_id, each, endpoint_class) for _, each in self._store.of_class(key.name))
        return [user for user in users if not user.is_terminating(self._now())]

    async def _report(self, key: ObjectKey, problem: ReconcileError | None, unread: AwsError | None) -> None:
        """Write the condition, and an Event about its transition, if it has changed."""
        store = self._store
        endpoint_class = store.named_class(key.name)
        if endpoint_class is None:
            return
        generation, before = endpoint_class.metadata.generation, endpoint_class.status.conditions
        further = (each.condition(endpoint_class) for each in self._further)
        beside, _ = self._beside.get(key, ([], None))
        updates = (class_condition(problem, unread), *beside, *(each for each in further if each))
        made = conditions(updates, before, generation=generation, now=self._now())
        shown = uses((each for _, each in store.of_class(key.name)), endpoint_class.spec.limits)
        after = EphemeralEndpointClassStatus(
            observed_generation=generation,
            conditions=made,
            limits=shown,
            limits_summary=in_words(shown[0]) if shown else None,
            ended_costs=endpoint_class.status.ended_costs,
            prices=self._price_lists.known(endpoint_class),
        )
        raw = store.raw(key)
        patch = merge_patch(raw.get("status", {}), after.to_wire())
        if patch is None:
            return
        # As for objects, the Event comes first: it exists once however often it is emitted upon the same status.
        if event := event_of(transitions(updates, before)):
            await self._kube.event(raw, type_=event.type_, reason=event.reason, message=event.message)
        relevant = store.relevant_fields(key)
        store.put(await self._kube.write_status(raw, patch))
        if relevant != store.relevant_fields(key):
            for user, _ in store.of_class(key.name):
                self._enqueue(user)
