"""Shows the versions of stages as deployments on their forges, in the lanes of everything else that is published there.

It follows from the status of a stage, and is remembered there: what has not changed is no request, also after a
restart.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint import WHOLE_REVISIONS
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStage, ModelStageStatus, StageDeployment
from ephemeral_endpoints.engine.conditions import Cause, ConditionUpdate
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.features.packages.lineage import Lineage
from ephemeral_endpoints.features.promotion.deployments import deployments, ended
from ephemeral_endpoints.features.promotion.versions import Version
from ephemeral_endpoints.features.reviews.errors import ForgeError, ForgeInvalid
from ephemeral_endpoints.features.reviews.forge import (
    Deployment,
    DeploymentState,
    Owner,
    PublishingForge,
    StagePublication,
)
from ephemeral_endpoints.features.reviews.policy import not_granted
from ephemeral_endpoints.features.reviews.publishing.digest import of_stage
from ephemeral_endpoints.features.reviews.publishing.lane import Done, Lane, Progress, is_worth_a_try
from ephemeral_endpoints.features.reviews.publishing.stage import commit_unknown, not_shown, unchanged, versions_shown
from ephemeral_endpoints.kube.cache import ObjectKey

REFUSED_AGAIN: Final = timedelta(hours=1)
"""Until what the forge refuses as it is, such as a commit that the repository does not have, is tried again."""

_ACTIVE_FIRST: Final = (
    DeploymentState.IN_PROGRESS,
    DeploymentState.SUCCESS,
    DeploymentState.QUEUED,
    DeploymentState.FAILURE,
    DeploymentState.INACTIVE,
)

LineageOf = Callable[[EphemeralEndpointClass, Version], Awaitable[Lineage]]


@dataclass(slots=True)
class _Memory(Progress):
    """What is known of a stage's deployments, by version: what is there, what should be, and why it is not.

    ``commits`` are those of versions; empty for one whose package names none in the stage's repository.
    """

    owner: Owner
    repository: str
    shown: dict[str, StageDeployment]
    commits: dict[str, str] = field(default_factory=dict)
    wanted: dict[str, Deployment] = field(default_factory=dict)
    lane: Lane | None = None

    def changed(self) -> list[StagePublication]:
        """What has to be published, what is active first."""
        made = (self._publication(version, each) for version, each in self.wanted.items())
        found = [each for each in made if each and not self._is_shown(each)]
        return sorted(found, key=lambda each: _ACTIVE_FIRST.index(each.deployment.state))

    def keep(self, wanted: StagePublication, id_: int | None) -> None:
        """Remember that it is there, for as long as it is not over."""
        if id_ is None or wanted.deployment.state is DeploymentState.INACTIVE:
            self.shown.pop(wanted.version, None)
            return
        self.shown[wanted.version] = StageDeployment(
            version=wanted.version, revision=wanted.revision, deployment_id=id_, published=of_stage(wanted)
        )

    def _publication(self, version: str, deployment: Deployment) -> StagePublication | None:
        known = self.shown.get(version)
        revision = known.revision if known else self.commits.get(version)
        return StagePublication(self.owner, self.repository, revision, version, deployment) if revision else None

    def _is_shown(self, wanted: StagePublication) -> bool:
        known = self.shown.get(wanted.version)
        return known is not None and known.published == of_stage(wanted)


class StagePublisher:
    """Publishes stages. ``lane_of`` is the lane of a class's forge, ``lineage_of`` what a version was made from.

    ``enqueue`` has a stage reconciled.
    """

    def __init__(
        self,
        cluster_id: str,
        lane_of: Callable[[EphemeralEndpointClass], Lane | None],
        lineage_of: LineageOf,
        enqueue: Callable[[ObjectKey], None],
    ) -> None:
        self._cluster_id = cluster_id
        self._lane_of = lane_of
        self._lineage_of = lineage_of
        self._enqueue = enqueue
        self._memories: dict[ObjectKey, _Memory] = {}

    async def offer(
        self,
        key: ObjectKey,
        stage: ModelStage,
        endpoint_class: EphemeralEndpointClass,
        status: ModelStageStatus,
        running: Version | None,
    ) -> ConditionUpdate | None:
        """Have published what has changed in a status that is about to be written.

        Returns the condition about it, None where there is nothing to publish. Reads lineages, and does not wait for
        the forge.
        """
        lane, memory = self._lane_of(endpoint_class), self._memory(key, stage)
        refused = not_granted(endpoint_class, key.namespace or "", stage.spec.repository)
        if lane is None or refused:
            # Nothing of it is written any more, whatever waits, and also when the stage goes.
            memory.lane, memory.wanted = None, {}
            return not_shown(refused) if refused else None
        wanted = deployments(status, key.name, str(running) if running else None, memory.shown.keys())
        if not await self._read_commits(memory, endpoint_class, wanted):
            return _as_before(stage, memory)
        if memory.lane is not lane or memory.wanted != wanted:
            memory.wanted, memory.lane, memory.is_current = wanted, lane, False
        is_unsaid = not memory.is_current
        if is_unsaid and memory.changed():
            place = (key.namespace or "", memory.repository.lower())
            lane.add(_id(memory), _Publishing(key, place, memory, self._enqueue))
        elif is_unsaid:
            memory.is_current, memory.problem = True, None
        return self._condition(stage, memory)

    def shown(self, key: ObjectKey, stage: ModelStage) -> tuple[StageDeployment, ...]:
        """What is remembered of a stage, for its status."""
        found = self._memory(key, stage).shown.values()
        return tuple(sorted(found, key=lambda each: each.deployment_id))

    def gone(self, key: ObjectKey) -> None:
        """The stage is gone: have its deployments ended. Returns at once."""
        memory = self._memories.pop(key, None)
        if memory is None or memory.lane is None or not memory.shown:
            return
        memory.wanted, memory.is_over = dict.fromkeys(memory.shown, ended(key.name)), True
        place = (key.namespace or "", memory.repository.lower())
        memory.lane.add(_id(memory), _Publishing(key, place, memory, lambda _: None))

    def _memory(self, key: ObjectKey, stage: ModelStage) -> _Memory:
        """What is remembered of a stage, at first what its status says."""
        uid, repository = stage.metadata.uid, stage.spec.repository
        known = self._memories.get(key)
        if known and (known.owner.uid, known.repository) != (uid, repository):
            self.gone(key)
            known = None
        if known is None:
            owner = Owner(self._cluster_id, key.namespace or "", key.name, uid)
            shown = {each.version: each for each in stage.status.deployments}
            known = self._memories[key] = _Memory(owner, repository, shown)
        return known

    async def _read_commits(
        self, memory: _Memory, endpoint_class: EphemeralEndpointClass, wanted: Mapping[str, Deployment]
    ) -> bool:
        """Learn the commits of the versions that are to be shown; returns whether all are known."""
        memory.commits = {version: each for version, each in memory.commits.items() if version in wanted}
        for version in wanted.keys() - memory.shown.keys() - memory.commits.keys():
            try:
                lineage = await self._lineage_of(endpoint_class, Version.parse(version))
            except ReconcileError:
                return False
            memory.commits[version] = _commit(lineage, memory.repository)
        return True

    def _condition(self, stage: ModelStage, memory: _Memory) -> ConditionUpdate | None:
        if memory.problem:
            return not_shown(memory.problem)
        unknown = [version for version, commit in memory.commits.items() if not commit and version in memory.wanted]
        if unknown:
            return not_shown(commit_unknown(unknown, memory.repository))
        if not memory.wanted:
            return None
        if not memory.is_current:
            return _as_before(stage, memory)
        return versions_shown(memory.repository, stage.metadata.name)


@dataclass(frozen=True, slots=True)
class _Publishing:
    """The deployments of a stage, as they should be when it has its turn."""

    key: ObjectKey
    place: tuple[str, str]
    memory: _Memory
    enqueue: Callable[[ObjectKey], None]

    async def publish(self, forge: PublishingForge) -> Done:
        """See ``Work``."""
        memory, refused = self.memory, None
        changed = memory.changed()
        for wanted in changed:
            known = memory.shown.get(wanted.version)
            try:
                id_ = await forge.deploy(wanted, known.deployment_id if known else None)
            except ForgeInvalid as error:
                refused = error
                continue
            memory.keep(wanted, id_)
        memory.problem = Cause.of(refused) if refused else None
        memory.is_current = refused is not None or not memory.changed()
        self.enqueue(self.key)
        return Done(was_asked=bool(changed), again_in=REFUSED_AGAIN if refused else None)

    def failed(self, error: ForgeError, failures: int) -> bool:
        """See ``Work``. Of a stage that is gone, the repository may be, too, or the access to it."""
        self.memory.problem = Cause.of(error)
        self.enqueue(self.key)
        return not self.memory.is_over or is_worth_a_try(error, failures)


def _as_before(stage: ModelStage, memory: _Memory) -> ConditionUpdate:
    return unchanged(stage.status.conditions, f"the stage waits for its turn to be shown in {memory.repository}")


def _id(memory: _Memory) -> str:
    return f"stage {memory.owner.uid} {memory.repository}"


def _commit(lineage: Lineage, repository: str) -> str:
    """The commit that a version names in the stage's repository; empty where it names none, or another repository."""
    is_ours = lineage.repository.lower() in {"", repository.lower()}
    is_whole = len(lineage.revision) in WHOLE_REVISIONS
    return lineage.revision if is_ours and is_whole else ""
