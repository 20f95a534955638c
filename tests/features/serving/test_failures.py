from datetime import UTC, datetime

import pytest

from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, Phase
from ephemeral_endpoints.features.serving.attempts import AttemptState, AttemptTarget
from ephemeral_endpoints.features.serving.failures import Endpoints, Failure, worst
from ephemeral_endpoints.features.serving.specs import ENDPOINT, EndpointSpec

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
A, B = Key(ENDPOINT, "a"), Key(ENDPOINT, "b")
WANTS = [DesiredResource(key, EndpointSpec("c")) for key in (A, B)]
AGAIN, OVER = (
    AttemptState(AttemptTarget("c", 1), 1, "v", "no", NOON),
    AttemptState(AttemptTarget("c", 1), 5, "v", "no", None),
)


def there(a: Phase, b: Phase) -> dict[Key, ObservedResource]:
    return {key: ObservedResource(key, phase, EndpointSpec("c"), detail="no") for key, phase in ((A, a), (B, b))}


def found(endpoints: Endpoints, own: dict[Key, ObservedResource]) -> tuple[str, bool] | None:
    failure: Failure | None = worst(endpoints, WANTS, own)
    return (failure.reason.name, failure.terminal) if failure else None


@pytest.mark.parametrize(
    ("endpoints", "own", "expected", "reason"),
    [
        (Endpoints(), there(Phase.READY, Phase.READY), None, "all serve"),
        (Endpoints(), {}, None, "nothing was made yet"),
        (Endpoints(attempts={B: AGAIN}), there(Phase.READY, Phase.FAILED), ("EndpointFailed", False), "one is enough"),
        (
            Endpoints(attempts={A: AGAIN, B: OVER}),
            there(Phase.FAILED, Phase.FAILED),
            ("EndpointFailed", True),
            "what is not tried again matters more than what is",
        ),
        (
            Endpoints(attempts={A: AGAIN}, stuck="long"),
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
        (Endpoints(attempts={A: AGAIN}), there(Phase.READY, Phase.READY), None, "what serves has no failure"),
    ],
)
def test_the_failure_that_matters_most(
    endpoints: Endpoints, own: dict[Key, ObservedResource], expected: tuple[str, bool] | None, reason: str
) -> None:
    assert found(endpoints, own) == expected, reason


CAPACITY = "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error."
POLICY = "The role 'r' does not have BatchGetImage permission for the image: 'i'."


def failing(detail: str, *, is_rolled_back: bool, is_over: bool = False, status: str = "") -> Failure:
    phase, config = (Phase.READY, "old") if is_rolled_back else (Phase.FAILED, "c")
    phase = Phase.IMPAIRED if status else phase
    own = {A: ObservedResource(A, phase, EndpointSpec(config), detail=detail, status=status)}
    attempts = AttemptState(
        AttemptTarget("c", 1), 3, "v", detail, None if is_over else NOON, is_rollback=is_rolled_back
    )
    given_up = frozenset({A} if is_rolled_back else ())
    failure = worst(Endpoints(given_up=given_up, attempts={A: attempts}), WANTS[:1], own)
    assert failure
    return failure


@pytest.mark.parametrize(
    ("failure", "reason", "terminal", "words"),
    [
        (
            failing(CAPACITY, is_rolled_back=True),
            "InsufficientCapacity",
            False,
            ["AWS has no capacity", "the previous revision keeps serving", "next try at 12:00:00 UTC", "keeps trying"],
        ),
        (
            failing(CAPACITY, is_rolled_back=False),
            "InsufficientCapacity",
            False,
            ["AWS has no capacity", "tried 3 times", "choose another instance type"],
        ),
        (failing(POLICY, is_rolled_back=False), "AccessDenied", False, ["denies SageMaker access", "platform team"]),
        (
            failing("The account-level service limit 'x' is 0", is_rolled_back=False),
            "QuotaExceeded",
            False,
            ["a quota of the account is used up", "raise the quota"],
        ),
        (failing("Request to service failed.", is_rolled_back=False), "AwsUnavailable", False, ["AWS Support"]),
        (
            failing("Image size 2 is greater than supported size 1", is_rolled_back=False, is_over=True),
            "EndpointFailed",
            True,
            ["no further tries: change the spec"],
        ),
        (
            failing("ping", is_rolled_back=False, is_over=True),
            "EndpointFailed",
            True,
            ["no further tries: push another commit"],
        ),
        (
            failing("ping", is_rolled_back=True, is_over=True),
            "RolledBack",
            True,
            [
                (
                    "the new revision failed; the previous revision keeps serving: ping (no further tries: push "
                    "another commit, or change the annotation ephemeral-endpoints.io/reconcile-at to try again)"
                )
            ],
        ),
        (
            failing("ping", is_rolled_back=True, is_over=True, status="UpdateRollbackFailed"),
            "UpdateRollbackFailed",
            True,
            [
                "the endpoint is serving both revisions: ping (no further tries: push another commit",
                "delete the object",
            ],
        ),
        (
            failing("CannotStartContainerError.", is_rolled_back=False),
            "EndpointFailed",
            False,
            ["if it fails again, have the image's ENTRYPOINT", "docker run <image> serve", "push another commit"],
        ),
        (
            failing("ping", is_rolled_back=False),
            "EndpointFailed",
            False,
            ["next try at 12:00:00 UTC; if it fails again, push another commit"],
        ),
        (failing("", is_rolled_back=True), "RolledBack", False, ["SageMaker gave no reason", "next try at"]),
    ],
)
def test_each_kind_of_failure_has_its_own_words(
    failure: Failure,
    reason: str,
    terminal: bool,  # noqa: FBT001 - a table's column
    words: list[str],
) -> None:
    assert (failure.reason.name, failure.terminal) == (reason, terminal)
    assert [each for each in words if each not in failure.message] == [], failure.message
