from dataclasses import dataclass

import pytest
from tests.features.test_stages import reported

from ephemeral_endpoints.engine.conditions import ConditionStatus, ConditionType
from ephemeral_endpoints.engine.errors import Denied, Invalid, ReconcileError
from ephemeral_endpoints.engine.reasons import Reason
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.features.expiry.policy import EndCause
from ephemeral_endpoints.features.expiry.stage import RETAINED, RETAINING, of_retained
from ephemeral_endpoints.features.monitoring.specs import ALARM
from ephemeral_endpoints.features.serving.specs import MODEL

KEPT = (ObservedResource(Key(MODEL, "m"), Phase.READY), ObservedResource(Key(ALARM, "a"), Phase.READY))


@dataclass(frozen=True, kw_only=True)
class Case:
    problem: ReconcileError | None
    reason: Reason
    reconciling: bool
    stalled: bool
    parts: tuple[str, ...]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            Case(
                problem=None,
                reason=RETAINED,
                reconciling=False,
                stalled=False,
                parts=("the time to live is over", "resources stay", "Alarm a, Model m"),
            ),
            id="all is marked",
        ),
        pytest.param(
            Case(
                problem=Denied("no"),
                reason=RETAINING,
                reconciling=True,
                stalled=False,
                parts=("is tagging", "no", "Model m"),
            ),
            id="marking is refused for now",
        ),
        pytest.param(
            Case(problem=Invalid("never"), reason=RETAINING, reconciling=False, stalled=True, parts=("never",)),
            id="marking can never succeed",
        ),
    ],
)
def test_retention_is_reported_with_the_errors_that_prevent_tagging(case: Case) -> None:
    found = reported(of_retained(KEPT, EndCause.EXPIRED, is_tagged=case.problem is None, problem=case.problem))
    assert (found[ConditionType.READY].status, found[ConditionType.READY].reason) == (
        ConditionStatus.FALSE,
        case.reason,
    )
    assert (found[ConditionType.RECONCILING].status is ConditionStatus.TRUE) is case.reconciling
    assert (found[ConditionType.STALLED].status is ConditionStatus.TRUE) is case.stalled
    assert all(part in found[ConditionType.READY].message for part in case.parts)
