"""Every state of a SageMaker endpoint, crossed with what may have become of its object: what is done and what is told.

The states are those of https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import product
from typing import Final

import pytest
from tests.core.objects import CLUSTER, DIGEST, OTHER_DIGEST, endpoint_class, resolved, subject

from ephemeral_endpoints.aws.sagemaker import PHASES
from ephemeral_endpoints.core.apis import api_key
from ephemeral_endpoints.core.conditions import Situation, Type, Verdict, of_leaving, of_living, of_suspended
from ephemeral_endpoints.core.desired import AS_IT_IS, NOTHING, desired
from ephemeral_endpoints.core.failures import Endpoints
from ephemeral_endpoints.core.images import ImageState
from ephemeral_endpoints.core.plan import Desired, plan
from ephemeral_endpoints.core.resources import EndpointSpec, Have, HttpApiSpec, Key, Kind, Phase
from ephemeral_endpoints.core.serving import SERVING_KINDS
from ephemeral_endpoints.core.steering import Moment, Record, steer

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
API = api_key(CLUSTER, endpoint_class())
OTHERS = {API: Have(API, Phase.READY, HttpApiSpec())}
OLD, NEW = desired(subject(), resolved(DIGEST)), desired(subject(), resolved(OTHER_DIGEST))
ENDPOINT = next(want.key for want in OLD.wants if want.key.kind is Kind.ENDPOINT)
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


def config_of(wanted: Desired) -> str:
    spec = next(want.spec for want in wanted.wants if want.key == ENDPOINT)
    assert isinstance(spec, EndpointSpec)
    return spec.config


def found(state: str, case: Case) -> dict[Key, Have]:
    """What is in AWS: all of the spec before the change, and of the one after it all but the endpoint."""
    made = (*OLD.wants, *(NEW.wants if case is C or state == "UpdateRollbackFailed" else ()))
    own = {want.key: have_of(want.key, replace(want.spec)) for want in made}
    if state == ABSENT:
        del own[ENDPOINT]
        return own
    uses = frozenset(key for key in own if key.kind is Kind.ENDPOINT_CONFIG)
    own[ENDPOINT] = Have(
        ENDPOINT, PHASES[state], EndpointSpec(config_of(OLD)), status=state, version=state, uses=uses, since=NOON
    )
    return own


def have_of(key: Key, spec: object) -> Have:
    uses = (
        {each.key for each in (*OLD.wants, *NEW.wants) if each.key.kind is Kind.MODEL and each.key.name in key.name}
        if key.kind is Kind.ENDPOINT_CONFIG
        else set()
    )
    return Have(key, Phase.READY, spec, uses=frozenset(uses), since=NOON - timedelta(minutes=1))  # type: ignore[arg-type]  # a want's own


def wanted_of(state: str, case: Case) -> Desired:
    if case in (S, D):
        return AS_IT_IS if case is S else NOTHING
    # What was wanted when the way back failed too is the new one; changed since means back to the old one.
    is_new = (case is C and state != "UpdateRollbackFailed") or (case is U and state == "UpdateRollbackFailed")
    return NEW if is_new else OLD


def judged(state: str, case: Case) -> tuple[str, dict[Type, Verdict]]:
    """The steps that are taken right away, and the conditions that follow."""
    own, wanted = found(state, case), wanted_of(state, case)
    record = Record()
    if state == "UpdateRollbackFailed":
        # It entered the state under the new spec.
        record = steer(NEW, own, record, Moment(NOON, generation=1)).record
    concluded = steer(wanted, own, record, Moment(NOON, generation=2 if case is C else 1))
    steps = plan(concluded.desired, own, OTHERS)
    serving = sorted(f"{type(step).__name__} {step.key.kind}" for step in steps if step.key.kind in SERVING_KINDS)
    if case is D:
        verdicts = of_leaving("Deleting", "everything in AWS is being deleted", own.values(), ())
    elif case is S:
        verdicts = of_suspended()
    else:
        endpoints = Endpoints(concluded.given_up, concluded.record.tries)
        image = ImageState(DIGEST)
        verdicts = of_living(Situation(concluded.desired, own, OTHERS, image, answered=True, endpoints=endpoints))
    return ", ".join(serving), {verdict.type: verdict for verdict in verdicts}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.state}, {row.case}: {row.reason}")
def test_what_is_done_and_told(row: Row) -> None:
    steps, told = judged(row.state, row.case)
    assert steps == row.steps, row.reason
    progress = [type_ for type_ in (Type.RECONCILING, Type.STALLED) if told[type_].truth == "True"]
    assert progress == ([row.progress] if row.progress in {"Reconciling", "Stalled"} else []), row.reason
    if row.case is S:
        assert told[Type.RECONCILING].reason == row.ready
        return
    assert told[Type.READY].reason == row.ready, row.reason
    if row.endpoint_ready:
        assert told[Type.ENDPOINT_READY].reason == row.endpoint_ready, row.reason


def test_every_state_is_crossed_with_every_case() -> None:
    assert [(row.state, row.case) for row in ROWS] == list(product([*_ORDER, ABSENT], Case))
    assert set(_ORDER) == set(PHASES)


_ORDER = list(dict.fromkeys(row.state for row in ROWS if row.state != ABSENT))
