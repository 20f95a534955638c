from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.fixtures.operator import (
    NEEDED_CREATIONS,
    NEEDED_DELETIONS,
    NEEDED_SHARED,
    NEEDED_SHARED_DELETIONS,
    Bench,
    OperatorProcess,
    wait_reconciled,
)

from eep_platform.aws.faults import Fault


@contextmanager
def killed_in(bench: Bench, operator_process: OperatorProcess, service: str, operation: str) -> Iterator[None]:
    """The operator is killed while the call is under way that the context leads to; the next one begins after it.

    The call reaches AWS when the operator is dead: nobody hears of what it made.
    """
    bench.control.add_faults(Fault(service=service, operation=operation, times=1, held=True))
    yield
    bench.wait_called(operation)
    operator_process.kill()
    bench.control.clear_faults()
    bench.wait_done()
    operator_process.run()


@pytest.mark.parametrize(
    ("creation", "deletion"),
    [
        pytest.param(("sagemaker", "CreateModel"), ("sagemaker", "DeleteEndpoint"), id="first steps"),
        pytest.param(("lambda", "CreateFunction"), ("apigatewayv2", "DeleteRoute"), id="the way in"),
        pytest.param(("sagemaker", "CreateEndpoint"), ("lambda", "DeleteFunction"), id="the endpoint itself"),
        pytest.param(("apigatewayv2", "CreateApi"), ("apigatewayv2", "DeleteApi"), id="what is shared and has no name"),
        pytest.param(("apigatewayv2", "CreateIntegration"), ("sagemaker", "DeleteModel"), id="first and last"),
    ],
)
def test_killed_with_a_call_in_flight_the_next_operator_ends_the_same_and_makes_nothing_twice(
    bench: Bench, operator_process: OperatorProcess, creation: tuple[str, str], deletion: tuple[str, str]
) -> None:
    with killed_in(bench, operator_process, *creation):
        bench.apply("pr", bench.spec())
    url = bench.wait_ready("pr")["status"]["url"]
    assert bench.call(url, b"", token=bench.token("pr")).status_code == 200
    bench.wait_effects({**NEEDED_CREATIONS, **NEEDED_SHARED})

    with killed_in(bench, operator_process, *deletion):
        bench.delete("pr")
    bench.wait_gone("pr")
    bench.wait_empty()
    needed = Counter({**NEEDED_CREATIONS, **NEEDED_SHARED, **NEEDED_DELETIONS, **NEEDED_SHARED_DELETIONS})
    effects = bench.effects()
    assert needed - effects == {}
    # Both alarms go in one call, unless the proof of their owner parts them. A model server that ends may write one
    # more line, which makes its log group anew, as on AWS.
    assert effects - needed <= Counter(DeleteAlarms=1, DeleteLogGroup=1)


def test_an_object_deleted_at_once_leaves_nothing(bench: Bench) -> None:
    for number in range(3):
        bench.apply(f"pr-{number}", bench.spec())
        bench.delete(f"pr-{number}")
    for number in range(3):
        bench.wait_gone(f"pr-{number}")
    bench.wait_empty()


def test_an_object_deleted_while_no_operator_runs_is_cleaned_up_by_the_next(
    bench: Bench, operator_process: OperatorProcess
) -> None:
    bench.apply("pr", bench.spec())
    bench.wait_ready("pr")
    operator_process.stop()
    bench.delete("pr")
    assert bench.get("pr") is not None, "the finalizer holds it"
    operator_process.run()
    bench.wait_gone("pr")
    bench.wait_empty()


def test_an_operator_restarted_over_ready_objects_changes_nothing(
    bench: Bench, operator_process: OperatorProcess
) -> None:
    names = [f"pr-{number}" for number in range(3)]
    for name in names:
        bench.apply(name, bench.spec())
    for name in names:
        bench.wait_ready(name)
    bench.wait_throttle()
    operator_process.stop()
    before = [bench.get(name) for name in names]
    events = [len(bench.events(obj)) for obj in before if obj]
    bench.control.reset_meter()

    wait_reconciled(operator_process.run(), objects=len(names))
    assert not bench.mutations()
    assert [bench.get(name) for name in names] == before, "not even a status is written"
    assert [len(bench.events(obj)) for obj in before if obj] == events
