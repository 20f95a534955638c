from datetime import UTC, datetime

import pytest

from ephemeral_endpoints.core.creation import Goal, Tries
from ephemeral_endpoints.core.failures import Endpoints, Failure, worst
from ephemeral_endpoints.core.resources import EndpointSpec, Have, Key, Kind, Phase, Want

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
A, B = Key(Kind.ENDPOINT, "a"), Key(Kind.ENDPOINT, "b")
WANTS = [Want(key, EndpointSpec("c")) for key in (A, B)]
AGAIN, OVER = Tries(Goal("c", 1), 1, "v", "no", NOON), Tries(Goal("c", 1), 5, "v", "no", None)


def there(a: Phase, b: Phase) -> dict[Key, Have]:
    return {key: Have(key, phase, EndpointSpec("c"), detail="no") for key, phase in ((A, a), (B, b))}


def found(endpoints: Endpoints, own: dict[Key, Have]) -> tuple[str, bool] | None:
    failure: Failure | None = worst(endpoints, WANTS, own)
    return (failure.reason, failure.final) if failure else None


@pytest.mark.parametrize(
    ("endpoints", "own", "expected", "reason"),
    [
        (Endpoints(), there(Phase.READY, Phase.READY), None, "all serve"),
        (Endpoints(), {}, None, "nothing was made yet"),
        (Endpoints(tries={B: AGAIN}), there(Phase.READY, Phase.FAILED), ("EndpointFailed", False), "one is enough"),
        (
            Endpoints(tries={A: AGAIN, B: OVER}),
            there(Phase.FAILED, Phase.FAILED),
            ("EndpointFailed", True),
            "what is not tried again matters more than what is",
        ),
        (
            Endpoints(tries={A: AGAIN}, stuck="long"),
            there(Phase.FAILED, Phase.BUSY),
            ("Stuck", True),
            "so does what nobody can end",
        ),
        (
            Endpoints(given_up=frozenset({A}), stuck="long"),
            there(Phase.READY, Phase.BUSY),
            ("RolledBack", True),
            "a revision that failed comes first",
        ),
        (Endpoints(tries={A: AGAIN}), there(Phase.READY, Phase.READY), None, "what serves has no failure"),
    ],
)
def test_the_failure_that_matters_most(
    endpoints: Endpoints, own: dict[Key, Have], expected: tuple[str, bool] | None, reason: str
) -> None:
    assert found(endpoints, own) == expected, reason
