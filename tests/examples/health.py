"""Objects in every state that GitOps tools distinguish, with the conditions that the operator writes.

They are the test data of the health scripts: ``EEP_RENEW_GOLDEN=1 .venv/bin/pytest tests/examples`` writes them anew.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.fixtures.kubernetes import CLASS_SPEC, SPEC

from ephemeral_endpoints.api import API_VERSION
from ephemeral_endpoints.api.kinds import BY_NAME
from ephemeral_endpoints.api.v1alpha1.model_promotion import Outcome
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
from ephemeral_endpoints.engine.reasons import Reason
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.engine.status import conditions
from ephemeral_endpoints.features.expiry.policy import EndCause
from ephemeral_endpoints.features.expiry.stage import EXPIRY_HELD, ended, of_held, of_retained
from ephemeral_endpoints.features.images.reasons import ImageProblem
from ephemeral_endpoints.features.promotion import causes as promotion_causes
from ephemeral_endpoints.features.promotion import reasons as promotion
from ephemeral_endpoints.features.promotion import report
from ephemeral_endpoints.features.promotion.policy import Endpoint
from ephemeral_endpoints.features.routing.stage import SERVING
from ephemeral_endpoints.features.serving.specs import ENDPOINT

ROOT: Final = Path(__file__).parents[2]
SCRIPTS: Final = ROOT / "examples/gitops/argocd/resource_customizations/ephemeral-endpoints.io"
_NOON: Final = datetime(2026, 11, 28, 12, tzinfo=UTC)
_GENERATION: Final = 2
_SPECS: Final[Mapping[str, Mapping[str, Any]]] = {
    "EphemeralEndpoint": SPEC,
    "EphemeralEndpointClass": CLASS_SPEC,
    "ModelStage": {"className": "production", "repository": "acme/sentiment", "source": {"from": {"stage": "staging"}}},
    "ModelPromotion": {"stage": "production", "version": "sentiment/7"},
}


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
            "spec": {**_SPECS[self.kind], **({"suspend": True} if self.is_suspended else {})},
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
    why = "its label argocd.argoproj.io/instance shows that a tool manages it"
    tombstone, closed, merged, over_budget = (ended(each, why) for each in EndCause)
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
    yield State(name="expired", argo="Suspended", flux="Current", updates=of_terminating(tombstone, [], {}, stays=True))
    yield State(name="closed", argo="Suspended", flux="Current", updates=of_terminating(closed, [], {}, stays=True))
    yield State(name="merged", argo="Suspended", flux="Current", updates=of_terminating(merged, [], {}, stays=True))
    over = of_terminating(over_budget, [], {}, stays=True)
    yield State(name="over_budget", argo="Suspended", flux="Current", updates=over)
    yield State(name="closing", argo="Progressing", flux="InProgress", updates=of_terminating(closed, left, {}))
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
        updates=of_retained(left, EndCause.EXPIRED, is_tagged=True, problem=None),
    )
    yield State(
        name="retaining",
        argo="Progressing",
        flux="InProgress",
        updates=of_retained(left, EndCause.EXPIRED, is_tagged=False, problem=None),
    )
    kind = "EphemeralEndpointClass"
    yield State(kind=kind, name="unseen", argo="Progressing", flux="InProgress", observed=-1)
    yield State(kind=kind, name="connected", argo="Healthy", flux="Current", updates=(class_condition(None),))
    yield State(kind=kind, name="denied", argo="Degraded", flux="Failed", updates=(class_condition(denied),))
    yield from _stages()
    yield from _promotions()


def _stages() -> Iterator[State]:
    def staged(reason: Reason, message: str, *, serves: bool = True) -> tuple[ConditionUpdate, ...]:
        absent = ConditionUpdate.of(
            ConditionType.READY, ConditionStatus.FALSE, promotion_causes.no_endpoint(is_made=False)
        )
        ready = _serving()[0] if serves else absent
        return (ready, *kstatus(ready, done=serves), report.promoted(Cause(reason, message)))

    def state(name: str, argo: str, flux: str, updates: tuple[ConditionUpdate, ...] = (), **more: Any) -> State:  # noqa: ANN401 - fields of a state
        return State(kind="ModelStage", name=name, argo=argo, flux=flux, updates=updates, **more)

    waiting = "sentiment/7 waits for an approval"
    invalid = Cause(promotion.STAGE_INVALID, "there is no time zone Europe/Bärlin")
    not_ready = ConditionUpdate.of(ConditionType.READY, ConditionStatus.FALSE, invalid)
    yield state("unseen", "Progressing", "InProgress", observed=-1)
    yield state("promoted", "Healthy", "Current", staged(promotion.PROMOTED, "sentiment/7 serves"))
    yield state("awaiting_approval", "Healthy", "Current", staged(promotion.AWAITING_APPROVAL, waiting))
    yield state("pinned", "Healthy", "Current", staged(promotion.PINNED, "pinned to sentiment/6"))
    yield state("verifying", "Progressing", "InProgress", staged(promotion.VERIFYING, "the checks of sentiment/7 run"))
    yield state("promotion_failed", "Degraded", "Failed", staged(promotion.PROMOTION_FAILED, "its checks failed"))
    yield state("invalid", "Degraded", "Failed", (not_ready, *kstatus(not_ready, done=False, permanent=invalid)))
    first = staged(promotion.AWAITING_APPROVAL, waiting, serves=False)
    yield state("before_the_first", "Suspended", "Current", first)
    unknown = without_account(Unauthenticated("the role cannot be assumed"))
    promoted = staged(promotion.PROMOTED, "sentiment/7 serves")
    yield state("not_known", "Progressing", "InProgress", _changed(promoted, unknown))


def _promotions() -> Iterator[State]:
    def state(name: str, argo: str, flux: str, updates: tuple[ConditionUpdate, ...] = (), **more: Any) -> State:  # noqa: ANN401 - fields of a state
        return State(kind="ModelPromotion", name=name, argo=argo, flux=flux, updates=updates, **more)

    def ended(outcome: Outcome, message: str) -> tuple[ConditionUpdate, ...]:
        return report.of_ended(outcome, Endpoint(is_rolled_out=True), message)

    given = Cause(promotion.APPROVAL_GIVEN, "approved by ada")
    waiting = report.of_waiting(Cause(promotion.AWAITING_APPROVAL, "sentiment/7 waits for an approval"))
    running = report.of_running(Endpoint(), Cause(promotion.PROMOTING, "sentiment/7 is rolled out"), given)
    yield state("unseen", "Progressing", "InProgress", observed=-1)
    yield state("awaiting_approval", "Suspended", "Current", waiting)
    yield state("running", "Progressing", "InProgress", running)
    yield state("succeeded", "Healthy", "Current", ended(Outcome.SUCCEEDED, "sentiment/7 serves"))
    yield state("went_back", "Degraded", "Failed", ended(Outcome.ROLLED_BACK, "its checks failed"))
    yield state("superseded", "Suspended", "Current", ended(Outcome.SUPERSEDED, "a rollback was asked for"))


STATES: Final = tuple(_states())
