"""The operator's next steps for one object, computed by its own rules from AWS and Kubernetes. Read-only."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ephemeral_endpoints.aws.account import Account, Owner
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.controllers.endpoint.finalize import is_retained
from ephemeral_endpoints.controllers.endpoint.reasons import class_not_found
from ephemeral_endpoints.engine import explain
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.features.capacity.observe import RunningCosts
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.images.components import registry_of
from ephemeral_endpoints.features.images.policy import images_of, platform_of
from ephemeral_endpoints.features.images.references import ImageReference, recorded_images
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.placements import Placements, PlacementStep
from ephemeral_endpoints.features.serving.environment import EnvironmentStep
from ephemeral_endpoints.features.serving.observe import EndpointRecovery
from ephemeral_endpoints.features.subject import Resolved, Subject
from ephemeral_endpoints.kube.cache import ObjectKey, Store
from ephemeral_endpoints.kube.configmaps import ConfigMaps


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
    """Explains objects of a filled ``store``. ``now`` is the time of day in UTC."""

    cluster_id: str
    store: Store
    accounts: Accounts
    configmaps: ConfigMaps
    now: Callable[[], datetime]

    async def explain(self, key: ObjectKey, token_sha256: str | None) -> ObjectExplanation:
        """The desired state, the observed state, and the next steps. Lists AWS, and changes nothing.

        ``token_sha256`` is the hash of the object's token, None where it is not known. Raises ExplainError, and an
        ``AwsError`` where AWS cannot be listed.
        """
        subject = self._subject(key)
        account = await self.accounts.of(subject.endpoint_class)
        is_terminating = subject.is_terminating(self.now())
        owner = Owner(subject.names.owner, subject.endpoint.metadata.uid, is_terminating)
        reconciliation = Reconciliation(key, subject, account, owner, set())
        notes: list[str] = []
        state = await self._desired(reconciliation, token_sha256, notes)
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

    async def _desired(
        self, reconciliation: Reconciliation, token_sha256: str | None, notes: list[str]
    ) -> DesiredState:
        subject = reconciliation.subject
        if subject.endpoint.spec.suspend and not subject.is_terminating(self.now()):
            notes.append("spec.suspend is true: the operator leaves everything as it is")
            return DesiredState.unchanged()
        if subject.is_terminating(self.now()):
            stays = is_retained(subject)
            notes.append("the object is deleted or expired: its resources " + ("are retained" if stays else "go"))
            return DesiredState.unchanged() if stays else DesiredState.absent()
        placement = PlacementStep(Placements(self.cluster_id), self.store, _ignore, self.now)
        await placement.run(reconciliation)
        api, path = placement.memory(reconciliation.uid).api, placement.path(reconciliation, subject)
        if api is None:
            return DesiredState.unchanged()
        if problem := (path.holder and f"the path {subject.path} belongs to {path.holder}") or path.refused:
            notes.append(str(problem))
        digests = await self._digests(reconciliation, notes)
        environment = EnvironmentStep(self.configmaps)
        await environment.run(reconciliation)
        found = environment.memory(reconciliation.uid)
        if found.error:
            notes.append(f"a variable of the environment is not known: {found.error}")
        resolved = Resolved(digests, token_sha256, api, owns_path=path.is_owned, environment=found.variables)
        state = desired(subject, resolved)
        costs = RunningCosts()
        return EndpointRecovery(costs.describe, self.now).recover(reconciliation, subject, state)

    async def _digests(self, reconciliation: Reconciliation, notes: list[str]) -> dict[str, str]:
        """The pins that the status records for this revision; missing ones are read from ECR."""
        subject, account = reconciliation.subject, reconciliation.account
        status = subject.endpoint.status
        is_current = status.revision == subject.endpoint.spec.source.revision
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


def _ignore(_: ObjectKey) -> None:
    """Explaining enqueues nothing."""
