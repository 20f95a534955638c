"""Budgets: who is told, who sleeps, who ends, and what gives them room again."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.controllers.endpoint.test_controls import changes
from tests.controllers.endpoint.test_pull_requests import put_image
from tests.controllers.endpoint.test_sleep import annotate, kinds, tell
from tests.controllers.environment import Environment
from tests.fixtures.platform import Aws

from ephemeral_endpoints.api import EXTEND_UNTIL_ANNOTATION, OVER_BUDGET_ANNOTATION, PIN_ANNOTATION, WAKE_ANNOTATION
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.kube.cache import ObjectKey, class_key

CLASS = class_key("default")
ON_INSTANCES: Any = {"serving": {"instances": {"type": "ml.m5.large"}}}
PUSHED = "2f0c2a9"


def budget(env: Environment, **budgets: str) -> None:
    env.api.change(CLASS, {"spec": {"budgets": budgets}})


def in_the_midst_of_a_month(env: Environment, months: int = 1) -> None:
    """From now on no month ends during the test, and no life does."""
    now = datetime.now(UTC)
    day = now.replace(day=15)
    for _ in range(months):
        day = (day + timedelta(days=31)).replace(day=15)
    env.ahead = day - now
    env.api.change(CLASS, {"spec": {"lifecycle": {"defaultTtl": "365d", "maxTtl": "365d", "ttlFrom": "Created"}}})


async def spend(env: Environment, key: ObjectKey, usd: str) -> None:
    """As if the object had cost so much since the month began, and cost nothing for the next hour."""
    since = timestamp(datetime.now(UTC) + env.ahead + timedelta(hours=1))
    env.api.change(key, {"status": {"cost": {"accruedUSD": usd, "monthStartUSD": "0.00", "since": since}}})
    await env.rest()
    env.operator.budgets.look()
    await env.rest()


async def asleep(env: Environment, key: ObjectKey) -> None:
    await env.reason(key, "Asleep", "Active")
    await env.until(lambda: "Endpoint" not in kinds(env, key), "the endpoint gone")
    await env.rest()


async def test_an_object_is_told_of_its_budget_then_sleeps_and_wakes_only_when_that_is_raised(
    env: Environment, fresh_aws: Aws
) -> None:
    budget(env, objectUSD="10")
    env.api.change(CLASS, {"spec": {"events": {"queueName": "eep-events"}}})
    key = env.make(**ON_INSTANCES)
    await env.ready(key)
    assert env.condition(key, "WithinBudget")["reason"] == "BudgetHasRoom"
    await spend(env, key, "8.00")
    await env.reason(key, "BudgetNearlySpent", "WithinBudget", saying="$10.00, is spent to 80 %; at 100 %")
    assert ("Warning", "BudgetNearlySpent") in {(each.kind, each.reason) for each in env.api.events}
    assert env.condition(key)["reason"] == "Serving", "nothing else happens"
    fresh_aws.control.reset_meter()

    await spend(env, key, "10.00")
    await asleep(env, key)
    slept = changes(fresh_aws)
    assert sorted(slept) == ["DeleteEndpoint", "UpdateFunctionCode"], "callers are told that no request wakes it"
    assert env.condition(key)["status"] == "True"
    assert "it wakes once spec.budgets.objectUSD of class default is raised" in env.condition(key)["message"]
    assert env.condition(key, "WithinBudget")["reason"] == "BudgetSpent"

    tell(env, key, "wake")
    await env.rest()
    writes = env.api.written[key]
    await env.restart()
    env.operator.budgets.look()
    await env.refresh(key)
    assert (changes(fresh_aws), env.api.written[key]) == (slept, writes), "neither a request nor a restart"
    annotate(env, key, WAKE_ANNOTATION)
    env.api.change(key, {"spec": {"monitoring": {"alarms": {"latencyMs": 3000}}}})
    await env.rest()
    assert "CreateEndpoint" not in changes(fresh_aws), "neither a command nor a change"

    budget(env, objectUSD="20")
    await env.reason(key, "Serving")
    await env.reason(key, "BudgetHasRoom", "WithinBudget")


async def test_all_of_a_namespace_sleep_until_the_next_month(env: Environment) -> None:
    in_the_midst_of_a_month(env)
    budget(env, namespaceUSD="100")
    first, second, elsewhere = env.make("first", **ON_INSTANCES), env.make("second", **ON_INSTANCES), "vision"
    other = env.make("other", elsewhere, **ON_INSTANCES)
    for key in (first, second, other):
        await env.ready(key)
    await spend(env, first, "60.00")
    await spend(env, second, "40.00")
    for key in (first, second):
        await asleep(env, key)
    assert env.condition(other)["reason"] == "Serving"
    in_the_midst_of_a_month(env, months=2)
    env.operator.budgets.look()
    for key in (first, second):
        await env.reason(key, "Serving")


async def test_a_new_object_of_a_namespace_without_room_gets_no_endpoint_and_is_not_ready(
    env: Environment, fresh_aws: Aws
) -> None:
    in_the_midst_of_a_month(env)
    budget(env, namespaceUSD="100")
    spender = env.make("spender", **ON_INSTANCES)
    await env.ready(spender)
    await spend(env, spender, "100.00")
    await asleep(env, spender)
    fresh_aws.control.reset_meter()
    put_image(fresh_aws)
    late = env.make("late", **ON_INSTANCES)
    env.api.change(late, {"status": {"revision": None}})
    await asleep(env, late)
    assert (env.condition(late)["status"], env.condition(late)["reason"]) == ("False", "Asleep")
    assert "CreateEndpoint" not in changes(fresh_aws)
    budget(env, namespaceUSD="1000")
    await env.ready(late)


async def test_what_an_object_has_spent_stays_spent_when_it_is_deleted(env: Environment) -> None:
    in_the_midst_of_a_month(env)
    budget(env, repositoryUSD="100")
    spender, other = env.make("spender", **ON_INSTANCES), env.make("other", **ON_INSTANCES)
    await env.ready(spender)
    await env.ready(other)
    await spend(env, spender, "100.00")
    await asleep(env, other)
    env.api.remove(spender)
    await env.gone(spender)
    [ended] = env.api.kept[CLASS]["status"]["endedCosts"]["costs"]
    assert (ended["namespace"], ended["repository"], ended["usd"]) == ("nlp", "acme/sentiment", "100.00")
    await env.restart()
    env.operator.budgets.look()
    await env.refresh(other)
    assert env.condition(other, "Active")["status"] == "False", "another operator knows it too"


async def test_objects_that_end_together_are_counted_by_few_writes_each_once(env: Environment) -> None:
    in_the_midst_of_a_month(env)
    budget(env, classUSD="1000")
    objects = [env.make(f"pr-{number}", **ON_INSTANCES) for number in range(3)]
    for key in objects:
        await env.ready(key)
        await spend(env, key, "1.00")
    for key in objects:
        env.api.remove(key)
    for key in objects:
        await env.gone(key)
    ended = env.api.kept[CLASS]["status"]["endedCosts"]
    assert [each["usd"] for each in ended["costs"]] == ["3.00"]
    assert {each["namespace"] for each in ended["counted"]} == {"nlp"}


async def test_an_object_far_over_its_budget_ends(env: Environment) -> None:
    budget(env, objectUSD="10")
    key = env.make(**ON_INSTANCES)
    await env.ready(key)
    await spend(env, key, "12.00")
    await env.gone(key)
    [told] = [each for each in env.api.events if each.reason == "OverBudget"]
    assert told.message == "the budget of the object, $10.00, is spent to 120 %; the object expires"


async def test_a_tombstone_lives_again_by_a_push_or_an_extension_once_its_budget_has_room(
    env: Environment, fresh_aws: Aws
) -> None:
    budget(env, objectUSD="10")
    key = env.make(**ON_INSTANCES, lifecycle={"onExpiry": "Retire"})
    await env.ready(key)
    await spend(env, key, "12.00")
    await env.reason(key, "OverBudget", saying="push a new commit or extend its life")
    await env.until(lambda: env.condition(key, "Stalled")["status"] == "True", "nothing left in AWS")
    await env.rest()
    [told] = [each for each in env.api.events if each.reason == "OverBudget"]
    assert told.message == "the budget of the object, $10.00, is spent to 120 %; the object expires"
    fresh_aws.control.reset_meter()
    first = env.api.kept[key]["metadata"]["annotations"][OVER_BUDGET_ANNOTATION]
    annotate(env, key, EXTEND_UNTIL_ANNOTATION, datetime.now(UTC) + timedelta(days=4))
    await env.rest()
    assert env.api.kept[key]["metadata"]["annotations"][OVER_BUDGET_ANNOTATION] != first, "it has ended once more"
    assert changes(fresh_aws) == [], "an extension makes no room"

    budget(env, objectUSD="100")
    await env.refresh(key)
    assert env.condition(key)["reason"] == "OverBudget", "room alone does not revive it"
    put_image(fresh_aws)
    env.api.change(key, {"spec": {"source": {"revision": PUSHED}}})
    await env.reason(key, "Serving")


async def test_what_is_pinned_is_told_and_goes_on(env: Environment) -> None:
    budget(env, objectUSD="10")
    key = env.make(**ON_INSTANCES)
    await env.ready(key)
    env.api.change(key, {"metadata": {"annotations": {PIN_ANNOTATION: "true"}}})
    await spend(env, key, "12.00")
    await env.reason(key, "BudgetSpent", "WithinBudget", saying="the object is pinned, and goes on")
    assert env.condition(key)["reason"] == "Serving"
    env.api.change(key, {"metadata": {"annotations": {PIN_ANNOTATION: None}}})
    await env.gone(key)


async def test_by_an_unknown_price_nothing_happens(env: Environment) -> None:
    budget(env, objectUSD="0.01")
    key = env.make(serving={"instances": {"type": "ml.c5.large"}})
    await env.ready(key)
    await env.reason(key, "SpendingUnknown", "WithinBudget")
    env.ahead = timedelta(hours=5)
    env.operator.budgets.look()
    await env.refresh(key)
    assert env.condition(key)["reason"] == "Serving"
    assert env.condition(key, "WithinBudget")["status"] == "Unknown"


async def test_what_cannot_sleep_goes_on_unless_the_class_has_it_expire(env: Environment) -> None:
    budget(env, objectUSD="10")
    key = env.make()
    await env.ready(key)
    await spend(env, key, "10.00")
    await env.reason(key, "BudgetSpent", "WithinBudget")
    assert env.condition(key)["reason"] == "Serving"
    budget(env, objectUSD="10", withoutSleep="Expire")
    await env.gone(key)


async def test_at_rest_a_look_writes_nothing_and_enqueues_nobody(env: Environment, fresh_aws: Aws) -> None:
    in_the_midst_of_a_month(env)
    budget(env, objectUSD="1000", repositoryUSD="1000", namespaceUSD="1000", classUSD="1000")
    key = env.make(**ON_INSTANCES)
    await env.ready(key)
    fresh_aws.control.reset_meter()
    writes = env.api.writes
    for hours in range(1, 30):
        env.ahead += timedelta(hours=1) if hours % 2 else timedelta()
        env.operator.budgets.look()
        assert env.operator.is_idle, "nobody is enqueued"
    assert (changes(fresh_aws), env.api.writes) == ([], writes)
