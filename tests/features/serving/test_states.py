"""Every state of a SageMaker endpoint, crossed with what may have become of its object: the actions and the conditions.

The states are those of https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import product
from typing import Final

import pytest
from tests.engine.objects import CLUSTER, DIGEST, OTHER_DIGEST, make_class, resolved, subject

from ephemeral_endpoints.engine.conditions import ConditionType, ConditionUpdate, of_suspended, of_terminating
from ephemeral_endpoints.engine.names import models_of_config
from ephemeral_endpoints.engine.plan import DesiredState, plan
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.expiry.stage import DELETED
from ephemeral_endpoints.features.images.references import ImageState
from ephemeral_endpoints.features.routing.apis import api_key
from ephemeral_endpoints.features.routing.specs import HttpApiSpec
from ephemeral_endpoints.features.serving.components import PHASES
from ephemeral_endpoints.features.serving.failures import Endpoints
from ephemeral_endpoints.features.serving.recovery import EndpointHistory, RecoveryInput, recover
from ephemeral_endpoints.features.serving.specs import ENDPOINT as ENDPOINT_KIND
from ephemeral_endpoints.features.serving.specs import (
    ENDPOINT_CONFIG,
    ENDPOINT_READY,
    MODEL,
    SERVING_KINDS,
    EndpointSpec,
)
from ephemeral_endpoints.features.stages import ConditionInput, of_active

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
API = api_key(CLUSTER, make_class())
OTHERS = {API: ObservedResource(API, Phase.READY, HttpApiSpec())}
OLD, NEW = desired(subject(), resolved(DIGEST)), desired(subject(), resolved(OTHER_DIGEST))
ENDPOINT = next(resource.key for resource in OLD.resources if resource.key.kind is ENDPOINT_KIND)
ABSENT: Final = "absent"


class Case(StrEnum):
    """What became of the object since its endpoint entered the state."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    SUSPENDED = "suspended"
    DELETED = "deleted"


@dataclass(frozen=True)
class Row:
    """What is done about models, configurations and the endpoint, and the reasons of the conditions."""

    state: str
    case: Case
    steps: str
    ready: str
    endpoint_ready: str | None
    progress: str
    reason: str


U, C, S, D = Case
MOVING, WAITING, STALLED, SUSPENDED, DONE = "Reconciling", "Reconciling", "Stalled", "Suspended", "done"

ROWS = [
    Row("Creating", U, "", "Creating", "Creating", MOVING, "it is waited for"),
    Row("Creating", C, "", "Creating", "Creating", WAITING, "SageMaker takes no change yet"),
    Row("Creating", S, "", "Suspended", None, SUSPENDED, "what is under way goes on"),
    Row("Creating", D, "", "Deleting", None, MOVING, "SageMaker takes no deletion yet"),
    Row("Updating", U, "", "Updating", "Updating", MOVING, "it is waited for"),
    Row("Updating", C, "", "Updating", "Updating", WAITING, "the newest comes next, what came between never"),
    Row("Updating", S, "", "Suspended", None, SUSPENDED, "what is under way goes on"),
    Row("Updating", D, "", "Deleting", None, MOVING, "SageMaker takes no deletion yet"),
    Row("SystemUpdating", U, "", "SystemUpdating", "SystemUpdating", MOVING, "AWS maintains it"),
    Row("SystemUpdating", C, "", "SystemUpdating", "SystemUpdating", WAITING, "SageMaker takes no change yet"),
    Row("SystemUpdating", S, "", "Suspended", None, SUSPENDED, "it serves all the same"),
    Row("SystemUpdating", D, "", "Deleting", None, MOVING, "SageMaker takes no deletion yet"),
    Row("RollingBack", U, "", "RollingBack", "RollingBack", MOVING, "it ends where it began"),
    Row("RollingBack", C, "", "RollingBack", "RollingBack", WAITING, "SageMaker takes no change yet"),
    Row("RollingBack", S, "", "Suspended", None, SUSPENDED, "what is under way goes on"),
    Row("RollingBack", D, "", "Deleting", None, MOVING, "SageMaker takes no deletion yet"),
    Row("InService", U, "", "Serving", "InService", DONE, "it serves what is wanted"),
    Row("InService", C, "Update Endpoint", "Updating", "Updating", MOVING, "the new configuration is there"),
    Row("InService", S, "", "Suspended", None, SUSPENDED, "it goes on serving"),
    Row("InService", D, "Delete Endpoint", "Deleting", None, MOVING, "what it uses goes after it"),
    Row("OutOfService", U, "", "OutOfService", "OutOfService", WAITING, "an update is tried after a pause"),
    Row("OutOfService", C, "Update Endpoint", "Updating", "Updating", MOVING, "it can be updated, and nothing serves"),
    Row("OutOfService", S, "", "Suspended", None, SUSPENDED, "nobody asked for a repair"),
    Row("OutOfService", D, "Delete Endpoint", "Deleting", None, MOVING, "it can be deleted"),
    Row("Failed", U, "", "EndpointFailed", "EndpointFailed", WAITING, "its reason stays to be read until the next try"),
    Row("Failed", C, "Delete Endpoint", "Updating", "Updating", MOVING, "it can only be deleted: it is made anew"),
    Row("Failed", S, "", "Suspended", None, SUSPENDED, "its reason stays to be read"),
    Row("Failed", D, "Delete Endpoint", "Deleting", None, MOVING, "it can be deleted"),
    Row(
        "UpdateRollbackFailed",
        U,
        "",
        "UpdateRollbackFailed",
        "UpdateRollbackFailed",
        STALLED,
        "the same would fail again, and a mix of both serves",
    ),
    Row(
        "UpdateRollbackFailed",
        C,
        "Update Endpoint",
        "UpdateRollbackFailed",
        "UpdateRollbackFailed",
        MOVING,
        "another update mends it, be it to what served before",
    ),
    Row("UpdateRollbackFailed", S, "", "Suspended", None, SUSPENDED, "the mix goes on serving"),
    Row("UpdateRollbackFailed", D, "Delete Endpoint", "Deleting", None, MOVING, "it can be deleted"),
    Row("Deleting", U, "", "Deleting", "Deleting", MOVING, "somebody deleted it: it is made anew when it is gone"),
    Row("Deleting", C, "", "Deleting", "Deleting", MOVING, "it is made anew when it is gone"),
    Row("Deleting", S, "", "Suspended", None, SUSPENDED, "nobody asked for a repair"),
    Row("Deleting", D, "", "Deleting", None, MOVING, "a deletion is triggered once"),
    Row(ABSENT, U, "Create Endpoint", "Creating", "Creating", MOVING, "it is made"),
    Row(
        ABSENT,
        C,
        "Create Endpoint, Delete EndpointConfig",
        "Creating",
        "Creating",
        MOVING,
        "it is made as it is wanted now, and nothing uses what was wanted before",
    ),
    Row(ABSENT, S, "", "Suspended", None, SUSPENDED, "nothing is made"),
    Row(ABSENT, D, "Delete EndpointConfig", "Deleting", None, MOVING, "nothing uses its configuration any more"),
]


def config_of(wanted: DesiredState) -> str:
    spec = next(resource.spec for resource in wanted.resources if resource.key == ENDPOINT)
    assert isinstance(spec, EndpointSpec)
    return spec.config


def found(state: str, case: Case) -> dict[Key, ObservedResource]:
    """What is in AWS: all of the spec before the change, and of the one after it all but the endpoint."""
    made = (*OLD.resources, *(NEW.resources if case is C or state == "UpdateRollbackFailed" else ()))
    own = {resource.key: have_of(resource.key, replace(resource.spec)) for resource in made}
    if state == ABSENT:
        del own[ENDPOINT]
        return own
    uses = frozenset(key for key in own if key.kind is ENDPOINT_CONFIG)
    own[ENDPOINT] = ObservedResource(
        ENDPOINT, PHASES[state], EndpointSpec(config_of(OLD)), status=state, version=state, uses=uses, since=NOON
    )
    return own


def have_of(key: Key, spec: object) -> ObservedResource:
    models = [each.key.name for each in (*OLD.resources, *NEW.resources) if each.key.kind is MODEL]
    used = models_of_config(key.name, models) if key.kind is ENDPOINT_CONFIG else ()
    uses = frozenset(Key(MODEL, name) for name in used)
    return ObservedResource(key, Phase.READY, spec, uses=uses, since=NOON - timedelta(minutes=1))  # type: ignore[arg-type]  # a want's own


def wanted_of(state: str, case: Case) -> DesiredState:
    if case in (S, D):
        return DesiredState.unchanged() if case is S else DesiredState.absent()
    # What was wanted when the way back failed too is the new one; changed since means back to the old one.
    is_new = (case is C and state != "UpdateRollbackFailed") or (case is U and state == "UpdateRollbackFailed")
    return NEW if is_new else OLD


def judged(state: str, case: Case) -> tuple[str, dict[str, ConditionUpdate]]:
    """The steps that are taken right away, and the conditions that follow."""
    own, wanted = found(state, case), wanted_of(state, case)
    history = EndpointHistory()
    if state == "UpdateRollbackFailed":
        # It entered the state under the new spec.
        history = recover(NEW, own, history, RecoveryInput(NOON, generation=1)).history
    concluded = recover(wanted, own, history, RecoveryInput(NOON, generation=2 if case is C else 1))
    steps = plan(concluded.desired, own, OTHERS)
    serving = sorted(f"{type(step).__name__} {step.key.kind}" for step in steps if step.key.kind in SERVING_KINDS)
    if case is D:
        updates = of_terminating(DELETED, own.values(), {})
    elif case is S:
        updates = of_suspended()
    else:
        endpoints = Endpoints(concluded.given_up, concluded.history.attempts)
        image = ImageState(DIGEST)
        updates = of_active(ConditionInput(concluded.desired, own, OTHERS, image, answered=True, endpoints=endpoints))
    return ", ".join(serving), {update.type: update for update in updates}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.state}, {row.case}: {row.reason}")
def test_actions_and_conditions_of_every_state(row: Row) -> None:
    steps, reported = judged(row.state, row.case)
    assert steps == row.steps, row.reason
    progress = [
        type_ for type_ in (ConditionType.RECONCILING, ConditionType.STALLED) if reported[type_].status == "True"
    ]
    assert progress == ([row.progress] if row.progress in {"Reconciling", "Stalled"} else []), row.reason
    if row.case is S:
        assert reported[ConditionType.RECONCILING].reason.name == row.ready
        return
    assert reported[ConditionType.READY].reason.name == row.ready, row.reason
    if row.endpoint_ready:
        assert reported[ENDPOINT_READY].reason.name == row.endpoint_ready, row.reason


def test_every_state_is_crossed_with_every_case() -> None:
    assert [(row.state, row.case) for row in ROWS] == list(product([*_ORDER, ABSENT], Case))
    assert set(_ORDER) == set(PHASES)


_ORDER = list(dict.fromkeys(row.state for row in ROWS if row.state != ABSENT))
