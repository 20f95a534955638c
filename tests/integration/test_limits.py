"""The limit of a class on the objects of a namespace, on a real API server."""

from tests.fixtures.operator import Bench, OperatorProcess, wait_reconciled
from tests.fixtures.waiting import eventually
from tests.integration.test_explain import explain

from eep_platform.workbench import condition


def test_objects_over_the_limit_wait_for_their_turn_also_across_a_restart(
    bench: Bench, operator_process: OperatorProcess
) -> None:
    name = f"class-{bench.namespace}"
    bench.make_class(name, limits={"objectsPerNamespace": 1}, budgets={"namespaceUSD": "100"})
    bench.apply("a", bench.spec(className=name))
    bench.wait_ready("a")
    bench.apply("b", bench.spec(className=name))
    waits = bench.wait_condition("b", "Ready", reason="LimitReached")
    assert "this object is the first that waits" in condition(waits, "Ready")["message"]
    assert condition(waits, "Reconciling")["status"] == "True"
    eventually(lambda: _summary(bench, name) == f"{bench.namespace} 1/1, 1 waiting", "the use is shown")
    made = bench.effects()["CreateEndpoint"]
    assert "note: class " + name + " allows 1 objects in a namespace" in explain(bench, "b")
    assert f"namespace {bench.namespace}, $100.00 a month: $0.00 is spent (0 %)" in explain(bench, "a")
    wait_reconciled(operator_process.restart(), objects=2)
    bench.wait_condition("b", "Ready", reason="LimitReached")
    assert bench.effects()["CreateEndpoint"] == made == 1
    bench.delete("a")
    bench.wait_ready("b")
    bench.wait_gone("a")
    eventually(lambda: _summary(bench, name) == f"{bench.namespace} 1/1", "the use is shown")
    bench.delete("b")
    bench.wait_gone("b")
    bench.delete_class(name)
    bench.wait_class_gone(name)


def _summary(bench: Bench, name: str) -> object:
    return (bench.get_class(name) or {}).get("status", {}).get("limitsSummary")
