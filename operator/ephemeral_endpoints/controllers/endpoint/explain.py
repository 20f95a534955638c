"""The operator's next steps for one object, computed by its own rules from AWS and Kubernetes. Read-only."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ephemeral_endpoints.aws.account import Account, Owner
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.controllers.endpoint.reasons import class_not_found
from ephemeral_endpoints.engine import explain
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.features.capacity.budget_stage import forced_rest, standings, within_budget
from ephemeral_endpoints.features.capacity.budgets import BudgetVerdict, budget_input, decide
from ephemeral_endpoints.features.capacity.observe import RunningCosts
from ephemeral_endpoints.features.capacity.spending import by_group
from ephemeral_endpoints.features.capacity.turns import Turns
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.images.components import registry_of
from ephemeral_endpoints.features.images.policy import images_of, platform_of
from ephemeral_endpoints.features.images.references import ImageReference, recorded_images
from ephemeral_endpoints.features.packages.registry import Registry
from ephemeral_endpoints.features.packages.step import PackagesStep
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.bases import base_of, second_of
from ephemeral_endpoints.features.routing.placements import Placements, PlacementStep
from ephemeral_endpoints.features.routing.schemas import SchemasStep
from ephemeral_endpoints.features.serving.environment import EnvironmentStep
from ephemeral_endpoints.features.serving.observe import EndpointRecovery
from ephemeral_endpoints.features.sleep.policy import Calls, rest_of
from ephemeral_endpoints.features.sleep.stage import asleep
from ephemeral_endpoints.features.subject import Resolved, Subject
from ephemeral_endpoints.kube.cache import ObjectKey, Store
from ephemeral_endpoints.kube.configmaps import ConfigMaps
from ephemeral_endpoints.kube.tokens import ApiToken


@dataclass(frozen=True, slots=True)
class ObjectExplanation:
    """An object, its resources, and what could not be determined. ``notes`` are sentences for people."""

    subject: Subject
    is_terminating: bool
    resources: tuple[explain.Explanation, ...]
    notes: tuple[str, ...]


class ExplainError(Exception):
    """The object cannot be explained; the message contains the cause and the remedy."""


@dataclass(frozen=True, slots=True)
class Explainer:
    """Explains objects of a filled ``store``. ``now`` is the time of day in UTC, ``clock`` monotonic seconds."""

    cluster_id: str
    store: Store
    accounts: Accounts
    configmaps: ConfigMaps
    now: Callable[[], datetime]
    clock: Callable[[], float]

    async def explain(self, key: ObjectKey, token: ApiToken | None) -> ObjectExplanation:
        """The desired state, the observed state, and the next steps. Lists AWS, and changes nothing.

        ``token`` is None where the object's token is not known. Raises ExplainError, and an ``AwsError`` where AWS
        cannot be listed.
        """
        subject = self._subject(key)
        account = await self.accounts.of(subject.endpoint_class)
        is_terminating = subject.is_terminating(self.now())
        owner = Owner(subject.names.owner, subject.endpoint.metadata.uid, is_terminating)
        reconciliation = Reconciliation(key, subject, account, owner, set())
        notes: list[str] = []
        state = await self._desired(reconciliation, token, notes)
        return ObjectExplanation(subject, is_terminating, explain.explain(reconciliation.observe(state)), tuple(notes))

    def _subject(self, key: ObjectKey) -> Subject:
        endpoint = self.store.endpoint(key)
        if endpoint is None:
            raise ExplainError(f"{key} does not exist: see `kubectl get eep --all-namespaces`")
        name = self.store.class_name_of(endpoint)
        endpoint_class = self.store.named_class(name) if name else None
        if endpoint_class is None:
            raise ExplainError(f"{key}: {class_not_found(name).message}")
        return Subject(self.cluster_id, endpoint, endpoint_class)

    async def _desired(self, reconciliation: Reconciliation, token: ApiToken | None, notes: list[str]) -> DesiredState:
        subject = reconciliation.subject
        if subject.endpoint.spec.suspend and not subject.is_terminating(self.now()):
            notes.append("spec.suspend is true: the operator leaves everything as it is")
            return DesiredState.unchanged()
        if subject.is_terminating(self.now()):
            stays = subject.is_retained
            notes.append("the object is deleted or has ended: its resources " + ("are retained" if stays else "go"))
            return DesiredState.unchanged() if stays else DesiredState.absent()
        if waits_for := Turns(self.store, _ignore, self.now).wait(reconciliation):
            notes.append(waits_for.message)
            return DesiredState.unchanged()
        placement = PlacementStep(Placements(self.cluster_id), self.store, _ignore, self.now)
        await placement.run(reconciliation)
        api, path = placement.memory(reconciliation.uid).api, placement.path(reconciliation, subject)
        if api is None:
            return DesiredState.unchanged()
        if problem := (path.holder and f"the path {subject.path} belongs to {path.holder}") or path.refused:
            notes.append(str(problem))
        await self._resolve_package(reconciliation, notes)
        subject = reconciliation.subject
        digests = await self._digests(reconciliation, notes)
        environment = EnvironmentStep(self.configmaps)
        await environment.run(reconciliation)
        found = environment.memory(reconciliation.uid)
        if found.error:
            notes.append(f"a variable of the environment is not known: {found.error}")
        schemas = SchemasStep(self.configmaps, self.clock)
        await schemas.run(reconciliation)
        judged = schemas.memory(reconciliation.uid)
        if judged.error:
            notes.append(f"the schemas of the API cannot be used: {judged.error}")
        forced = forced_rest(subject, self._by_budgets(subject, notes), self.now())
        rest = rest_of(subject, Calls(subject.activity.used_at), self.now(), is_busy=False, forced=forced)
        resolved = Resolved(
            digests,
            token.sha256 if token else None,
            api,
            owns_path=path.is_owned,
            environment=found.variables,
            former_token=token.former_at(self.now()) if token else None,
            schemas=judged.schemas,
            base=base_of(subject, self.store, self.now()),
            second=second_of(subject, self.store, self.now()),
            url=reconciliation.told_url(subject, api),
            former_api=placement.former_api(reconciliation.uid),
            has_room=placement.memory(reconciliation.uid).has_room,
            asleep=rest.is_asleep,
            kept_asleep=rest.is_forced,
        )
        if rest.is_asleep:
            notes.append(asleep(subject, rest).message)
        state = desired(subject, resolved)
        costs = RunningCosts()
        return EndpointRecovery(costs.describe, self.now).recover(reconciliation, subject, state)

    async def _resolve_package(self, reconciliation: Reconciliation, notes: list[str]) -> None:
        """Give the subject its package, and note why it is not served."""
        packages = PackagesStep(Registry(self.clock), _is_heard, self.clock)
        await packages.run(reconciliation)
        known = packages.memory(reconciliation.uid)
        if known.error:
            notes.append(f"the model package could not be read: {known.error}")
        elif known.state and known.state.model is None:
            notes.append(known.state.cause.message)

    def _by_budgets(self, subject: Subject, notes: list[str]) -> BudgetVerdict:
        """What becomes of the object by its budgets."""
        endpoint_class = subject.endpoint_class
        objects = (each for _, each in self.store.of_class(endpoint_class.metadata.name))
        groups = by_group(objects, endpoint_class.status.ended_costs, self.now())
        given = budget_input(subject, groups, self.now())
        notes += standings(subject, given.spent)
        verdict = decide(given)
        if verdict.budget:
            notes.append(within_budget(subject, verdict, self.now()).message)
        return verdict

    async def _digests(self, reconciliation: Reconciliation, notes: list[str]) -> dict[str, str]:
        """The pins that the status records for this revision; missing ones are read from ECR."""
        subject, account = reconciliation.subject, reconciliation.account
        status = subject.endpoint.status
        is_current = status.revision == subject.endpoint.revision
        digests = {image.uri: image.digest for image in recorded_images(status)} if is_current else {}
        for uri in sorted(images_of(subject) - digests.keys()):
            try:
                state = await _resolve(account, reconciliation, uri)
            except ReconcileError as error:
                notes.append(f"the image {uri} could not be looked up: {error}")
                continue
            if state:
                digests[uri] = state
            else:
                notes.append(f"the image {uri} is not in ECR")
        return digests


async def _resolve(account: Account, reconciliation: Reconciliation, uri: str) -> str | None:
    platform = platform_of(reconciliation.subject.endpoint.spec.serving)
    state = await registry_of(account).resolve_for(reconciliation.calls, ImageReference.parse(uri), platform)
    return state.digest


def _is_heard(_: Account) -> bool:
    """Explaining listens to nothing."""
    return False


def _ignore(_: ObjectKey) -> None:
    """Explaining enqueues nothing."""
