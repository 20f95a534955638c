"""The operator waits, retries and reports if SageMaker, a quota or another user blocks an object."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from tests.fixtures.operator import WATCHFUL, Bench
from tests.fixtures.waiting import eventually

from eep_platform.workbench import Object, condition
from ephemeral_endpoints.api import RECONCILE_AT_ANNOTATION

MakeClass = Callable[..., str]
REPAIRED = "the operator repaired drift in AWS: "


@pytest.fixture
def make_class(bench: Bench) -> MakeClass:
    """Makes a class with a policy for endpoints; it must be deleted before the bench checks that nothing is left."""

    def make(**policy: Any) -> str:  # noqa: ANN401 - members of the policy
        name = f"class-{bench.namespace}"
        bench.make_class(name, endpoints=policy)
        return name

    return make


def reported(obj: Object, *types: str) -> dict[str, tuple[str, str]]:
    found = {type_: condition(obj, type_) for type_ in types}
    return {type_: (each["status"], each["reason"]) for type_, each in found.items()}


def test_a_creation_that_fails_is_tried_again_a_few_times_and_then_when_somebody_asks(
    bench: Bench, make_class: MakeClass
) -> None:
    name = make_class(creationAttempts=2, retryAfter="1s")
    bench.control.patch_sagemaker_settings({"behaviour": {"create_failure": "no capacity of this kind"}})
    spec = bench.spec(className=name)
    made = bench.apply("pr", spec)
    failed = bench.version_since(
        made, lambda obj: condition(obj, "EndpointReady").get("reason") == "EndpointFailed", what="failed"
    )
    assert reported(failed, "EndpointReady", "Reconciling", "Stalled") == {
        "EndpointReady": ("False", "EndpointFailed"),
        "Reconciling": ("True", "EndpointFailed"),
        "Stalled": ("False", "NotStalled"),
    }
    message = condition(failed, "EndpointReady")["message"]
    assert "no capacity of this kind" in message
    assert "tried once, next try at " in message

    stalled = bench.wait_condition("pr", "Stalled", reason="EndpointFailed")
    assert "tried 2 times, no further tries" in condition(stalled, "EndpointReady")["message"]
    assert bench.effects()["CreateEndpoint"] == 2
    assert bench.effects()["DeleteEndpoint"] == 1, "what failed stays until the next try, for its reason to be read"

    bench.control.patch_sagemaker_settings({"behaviour": None})
    bench.apply("pr", spec, annotations={RECONCILE_AT_ANNOTATION: "now"})
    bench.wait_ready("pr")
    assert bench.effects()["CreateEndpoint"] == 3
    bench.delete("pr")
    bench.wait_gone("pr")
    bench.delete_class(name)


def test_an_endpoint_that_hangs_is_reported_with_its_cost_and_used_once_it_serves(
    bench: Bench, make_class: MakeClass
) -> None:
    name = make_class(creationTimeout="1s")
    bench.control.patch_sagemaker_settings({"behaviour": {"stuck": True}})
    bench.apply("pr", bench.spec(className=name, serving={"instances": {"type": "ml.m5.large"}}))
    bench.apply("deleted", bench.spec(className=name))
    stuck = bench.wait_condition("pr", "Stalled", reason="Stuck")
    assert reported(stuck, "EndpointReady", "Reconciling")["EndpointReady"] == ("False", "Stuck")
    assert "$0.115 an hour (1 x ml.m5.large)" in condition(stuck, "Stalled")["message"]
    assert stuck["status"]["cost"]["hourlyUSD"] == "0.115"
    assert (
        "costs nothing" in condition(bench.wait_condition("deleted", "Stalled", reason="Stuck"), "Stalled")["message"]
    )

    bench.delete("deleted")
    bench.wait_condition("deleted", "Ready", reason="Deleting")
    bench.control.patch_sagemaker_settings({"behaviour": None})
    assert reported(bench.wait_ready("pr"), "Stalled") == {"Stalled": ("False", "NotStalled")}
    bench.delete("pr")
    bench.wait_gone("pr")
    bench.wait_gone("deleted")
    bench.delete_class(name)


def test_objects_that_wait_for_capacity_get_it_in_turn_and_at_once(bench: Bench) -> None:
    bench.control.patch_sagemaker_settings({"quotas": {"serverless_endpoints": 1}})
    bench.apply("holder", bench.spec())
    holder = bench.wait_ready("holder")["status"]["endpointName"]
    made = [bench.apply(name, bench.spec()) for name in ("b", "a")]
    first, second = sorted(made, key=age)
    for each in made:
        name = each["metadata"]["name"]
        waiting = bench.wait_condition(name, "EndpointReady", reason="QuotaExceeded")
        message = condition(waiting, "EndpointReady")["message"]
        assert "serverless endpoints per account' is 1 Endpoints" in message, "AWS's own words"
        assert "waiting for Maximum number of serverless endpoints per account" in message
        assert reported(waiting, "Stalled") == {"Stalled": ("False", "NotStalled")}
        assert "QuotaExceeded" in {event.reason for event in bench.events(each) if event.type == "Warning"}

    bench.delete("holder")
    eventually(lambda: holder not in endpoints(bench), "room")
    eventually(lambda: endpoints(bench), "the next one's endpoint")
    bench.wait_ready(first["metadata"]["name"])
    waiting = bench.wait_condition(second["metadata"]["name"], "EndpointReady", reason="QuotaExceeded")
    bench.delete(first["metadata"]["name"])
    bench.wait_ready(waiting["metadata"]["name"])


def age(obj: Object) -> tuple[datetime, str]:
    return datetime.fromisoformat(obj["metadata"]["creationTimestamp"]), obj["metadata"]["uid"]


def endpoints(bench: Bench) -> list[str]:
    return bench.left().get("Endpoint", [])


@pytest.mark.settings(WATCHFUL)
def test_a_user_who_reverts_the_operator_is_reported_and_not_overridden_every_second(bench: Bench) -> None:
    obj = bench.apply("pr", bench.spec())
    bench.wait_ready("pr")
    alarm = bench.left()["Alarm"][0]
    for _ in range(2):
        before = repairs(bench, obj)
        bench.aws("cloudwatch").delete_alarms(AlarmNames=[alarm])
        eventually(partial(has_more, bench, obj, before), "repaired and reported")
    assert repairs(bench, obj) == [
        f"{REPAIRED}Alarm {alarm} was deleted",
        f"{REPAIRED}Alarm {alarm} was deleted (repair 2 in a row)",
    ]
    assert alarm in bench.left()["Alarm"]

    bench.aws("cloudwatch").delete_alarms(AlarmNames=[alarm])
    contested = bench.wait_condition("pr", "Monitored", reason="Contested")
    assert f"Alarm {alarm} was deleted again after 2 repairs" in condition(contested, "Monitored")["message"]
    assert reported(contested, "EndpointReady") == {"EndpointReady": ("True", "InService")}
    assert alarm not in bench.left()["Alarm"]


def has_more(bench: Bench, obj: Object, before: list[str]) -> bool:
    return len(repairs(bench, obj)) > len(before)


def repairs(bench: Bench, obj: Object) -> list[str]:
    events = [event for event in bench.events(obj) if event.reason == "DriftRepaired"]
    return [event.message for event in sorted(events, key=lambda event: (event.first_timestamp, len(event.message)))]
