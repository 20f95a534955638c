"""Objects in every state that GitOps tools distinguish, with the conditions that the operator writes.

They are the test data of the health scripts: ``EEP_RENEW_GOLDEN=1 .venv/bin/pytest tests/examples`` writes them anew.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.fixtures.kubernetes import CLASS_SPEC, SPEC

from ephemeral_endpoints.api import API_VERSION
from ephemeral_endpoints.api.kinds import BY_NAME
from ephemeral_endpoints.controllers.endpoint_class.reasons import class_condition
from ephemeral_endpoints.engine.conditions import (
    Cause,
    ConditionStatus,
    ConditionType,
    ConditionUpdate,
    kstatus,
    of_suspended,
    of_terminating,
    of_waiting,
    without_account,
)
from ephemeral_endpoints.engine.errors import Denied, NameConflict, Unauthenticated
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.engine.status import conditions
from ephemeral_endpoints.features.expiry.stage import EXPIRY_HELD, expired, of_held, of_retained
from ephemeral_endpoints.features.images.reasons import ImageProblem
from ephemeral_endpoints.features.routing.stage import SERVING
from ephemeral_endpoints.features.serving.specs import ENDPOINT

ROOT: Final = Path(__file__).parents[2]
SCRIPTS: Final = ROOT / "examples/gitops/argocd/resource_customizations/ephemeral-endpoints.io"
_NOON: Final = datetime(2026, 11, 28, 12, tzinfo=UTC)
_GENERATION: Final = 2


@dataclass(frozen=True, kw_only=True)
class State:
    """An object in one state, and its health: to Argo CD and to Flux."""

    name: str
    argo: str
    flux: str
    updates: tuple[ConditionUpdate, ...] = ()
    observed: int = _GENERATION
    is_suspended: bool = False
    kind: str = "EphemeralEndpoint"

    @property
    def path(self) -> Path:
        """The file of test data, named as in Argo CD's repository."""
        return SCRIPTS / self.kind / "testdata" / f"{self.argo.lower()}_{self.name}.yaml"

    @property
    def manifest(self) -> dict[str, Any]:
        """The object as the API server has it."""
        spec = SPEC if self.kind == "EphemeralEndpoint" else CLASS_SPEC
        reported = conditions(self.updates, (), generation=max(self.observed, 0), now=_NOON)
        status: dict[str, Any] = {"observedGeneration": self.observed}
        if reported:
            status["conditions"] = [each.model_dump(mode="json", by_alias=True) for each in reported]
        metadata = {"name": "sentiment-pr-42", "generation": _GENERATION, "uid": "6b1f9b0e-7e0a-4a51-8d39-3b1f0f6c2a11"}
        if BY_NAME[self.kind].is_namespaced:
            metadata["namespace"] = "nlp"
        return {
            "apiVersion": API_VERSION,
            "kind": self.kind,
            "metadata": metadata,
            "spec": {**spec, **({"suspend": True} if self.is_suspended else {})},
            "status": status,
        }


def _serving() -> tuple[ConditionUpdate, ...]:
    ready = ConditionUpdate.of(
        ConditionType.READY, ConditionStatus.TRUE, Cause(SERVING, "the URL serves revision 1f0c2a9")
    )
    return (ready, *kstatus(ready, done=True))


def _failed() -> tuple[ConditionUpdate, ...]:
    cause = Cause(
        ImageProblem.FAILED.reason, "the build failed in RUN pip install: no matching distribution found for numpi"
    )
    ready = ConditionUpdate.of(ConditionType.READY, ConditionStatus.FALSE, cause)
    return (ready, *kstatus(ready, done=False, permanent=cause))


def _changed(updates: Iterable[ConditionUpdate], changes: Iterable[ConditionUpdate]) -> tuple[ConditionUpdate, ...]:
    """As the status keeps the conditions that do not change."""
    return tuple({each.type: each for each in (*updates, *changes)}.values())


def _states() -> Iterator[State]:
    left = [ObservedResource(Key(ENDPOINT, "eep-prev1-6b1f9b0e"), Phase.READY)]
    tombstone = expired("its label argocd.argoproj.io/instance shows that a tool manages it")
    taken = {left[0].key: NameConflict("the endpoint is another cluster's", operation="DeleteEndpoint")}
    denied = Denied("no permission", operation="ListEndpoints")
    unknown = without_account(Unauthenticated("the role cannot be assumed"))
    building = of_waiting(Cause(ImageProblem.BUILDING.reason, "BuildKit is building the image: RUN pip install"))
    held = of_held(Cause(EXPIRY_HELD, "the time to live is over, but too many objects have expired"))
    yield State(name="unseen", argo="Progressing", flux="InProgress", observed=-1)
    yield State(name="new_spec", argo="Progressing", flux="InProgress", observed=1, updates=_serving())
    yield State(name="building", argo="Progressing", flux="InProgress", updates=building)
    yield State(name="unknown", argo="Progressing", flux="InProgress", updates=_changed(_serving(), unknown))
    yield State(name="serving", argo="Healthy", flux="Current", updates=_serving())
    yield State(name="expiry_held", argo="Healthy", flux="Current", updates=_changed(_serving(), held))
    yield State(name="build_failed", argo="Degraded", flux="Failed", updates=_failed())
    yield State(
        name="by_spec",
        argo="Suspended",
        flux="Current",
        updates=_changed(_serving(), of_suspended()),
        is_suspended=True,
    )
    yield State(name="expiring", argo="Progressing", flux="InProgress", updates=of_terminating(tombstone, left, {}))
    yield State(name="expired", argo="Suspended", flux="Current", updates=of_terminating(tombstone, [], {}))
    yield State(
        name="expired_but_not_deleted", argo="Degraded", flux="Failed", updates=of_terminating(tombstone, left, taken)
    )
    yield State(
        name="expiring_while_suspended",
        argo="Progressing",
        flux="InProgress",
        updates=of_terminating(tombstone, left, {}),
        is_suspended=True,
    )
    yield State(
        name="retained",
        argo="Suspended",
        flux="Current",
        updates=of_retained(left, is_deleted=False, is_tagged=True, problem=None),
    )
    yield State(
        name="retaining",
        argo="Progressing",
        flux="InProgress",
        updates=of_retained(left, is_deleted=False, is_tagged=False, problem=None),
    )
    kind = "EphemeralEndpointClass"
    yield State(kind=kind, name="unseen", argo="Progressing", flux="InProgress", observed=-1)
    yield State(kind=kind, name="connected", argo="Healthy", flux="Current", updates=(class_condition(None),))
    yield State(kind=kind, name="denied", argo="Degraded", flux="Failed", updates=(class_condition(denied),))


STATES: Final = tuple(_states())
