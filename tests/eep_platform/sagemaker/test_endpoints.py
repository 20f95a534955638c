from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eep_platform.emulation.errors import ServiceError
from eep_platform.sagemaker.endpoints import (
    IN_PROGRESS,
    SERVING,
    Deployment,
    Endpoint,
    EndpointStatus,
    creating,
    deployment,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
ARN = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/e"


def a_deployment(config: str, now: datetime = START) -> Deployment:
    return deployment(config, {"ProductionVariants": [{"VariantName": "V", "ModelName": "m"}]}, now)


# Every transition with the states that it may begin in: by the caller, or by the service itself.
TRANSITIONS: dict[str, tuple[frozenset[EndpointStatus], Callable[[Endpoint, datetime], Endpoint]]] = {
    "update": (
        frozenset({EndpointStatus.IN_SERVICE, EndpointStatus.OUT_OF_SERVICE, EndpointStatus.UPDATE_ROLLBACK_FAILED}),
        lambda endpoint, now: endpoint.update(a_deployment(f"c-{now.timestamp()}", now), {}, now),
    ),
    "delete": (frozenset(EndpointStatus) - IN_PROGRESS, lambda endpoint, now: endpoint.delete(now)),
    "system update": (
        frozenset({EndpointStatus.IN_SERVICE, EndpointStatus.OUT_OF_SERVICE, EndpointStatus.UPDATE_ROLLBACK_FAILED}),
        lambda endpoint, now: endpoint.system_update(now),
    ),
    "deployed": (
        frozenset({EndpointStatus.CREATING, EndpointStatus.UPDATING, EndpointStatus.SYSTEM_UPDATING}),
        lambda endpoint, now: endpoint.deployed(now),
    ),
    "failed": (
        frozenset({EndpointStatus.CREATING, EndpointStatus.DELETING}),
        lambda endpoint, now: endpoint.failed("reason", now),
    ),
    "roll back": (frozenset({EndpointStatus.UPDATING}), lambda endpoint, now: endpoint.roll_back("reason", now)),
    "rolled back": (frozenset({EndpointStatus.ROLLING_BACK}), lambda endpoint, now: endpoint.rolled_back(now)),
    "rollback failed": (frozenset({EndpointStatus.ROLLING_BACK}), lambda endpoint, now: endpoint.rollback_failed(now)),
}
REFUSABLE = ("update", "delete", "system update")


@given(st.lists(st.sampled_from(sorted(TRANSITIONS)), max_size=12))
def test_any_walk_keeps_what_serves_and_moves_time_on(steps: list[str]) -> None:
    endpoint = creating("e", ARN, a_deployment("first"), {})
    for number, step in enumerate(steps, start=1):
        now = START + timedelta(seconds=number)
        allowed, apply = TRANSITIONS[step]
        if endpoint.status not in allowed:
            if step in REFUSABLE:
                with pytest.raises(ServiceError):
                    apply(endpoint, now)
            continue
        before, endpoint = endpoint, apply(endpoint, now)
        assert endpoint.modified == now
        assert (endpoint.name, endpoint.arn, endpoint.created) == (before.name, before.arn, before.created)
        if endpoint.status in SERVING:
            assert endpoint.current is not None
        if step != "deployed":
            assert endpoint.current == before.current
        assert (endpoint.pending is not None) >= (endpoint.status in {EndpointStatus.CREATING, EndpointStatus.UPDATING})


@pytest.mark.parametrize("status", sorted(IN_PROGRESS))
def test_what_is_in_progress_refuses_in_the_services_words(status: EndpointStatus) -> None:
    endpoint = Endpoint("e", ARN, status, START, START, a_deployment("c"), a_deployment("c"))
    for change in (endpoint.refuse_change, lambda: endpoint.delete(START)):
        with pytest.raises(ServiceError) as raised:
            change()
        assert raised.value.message == f'Cannot update in-progress endpoint "{ARN}".'


def test_a_failed_update_ends_on_the_old_configuration_with_its_reason() -> None:
    endpoint = creating("e", ARN, a_deployment("old"), {}).deployed(START)
    endpoint = endpoint.update(a_deployment("new"), {}, START).roll_back("why", START).rolled_back(START)
    assert (endpoint.status, endpoint.shown.config_name, endpoint.failure_reason) == (
        EndpointStatus.IN_SERVICE,
        "old",
        "why",
    )
