"""Limits of a class on the objects of a namespace and of a repository: who waits, and who is woken."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from tests.controllers.environment import REVISION, Environment

from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.kube.cache import ObjectKey, class_key

CLASS = class_key("default")


_AGES = count()


def made(env: Environment, name: str, namespace: str = "nlp", repository: str = "acme/sentiment") -> ObjectKey:
    """An object that is a second younger than the one before it."""
    source = {"repository": repository, "pullRequest": 42, "revision": REVISION}
    key = env.make(name, namespace, source=source)
    created_at = datetime.now(UTC) - timedelta(hours=1) + timedelta(seconds=next(_AGES))
    env.api.kept[key]["metadata"]["creationTimestamp"] = timestamp(created_at)
    return key


def limit(env: Environment, **limits: int | None) -> None:
    env.api.change(CLASS, {"spec": {"limits": limits}})


async def test_an_object_over_the_limit_waits_without_a_call_and_goes_on_by_itself(env: Environment) -> None:
    limit(env, objectsPerNamespace=1)
    first = made(env, "first")
    await env.ready(first)
    second, third = made(env, "second"), made(env, "third")
    await env.reason(second, "LimitReached", saying="this object is the first that waits")
    await env.reason(third, "LimitReached", saying="this object is 2nd of those that wait, after second")
    assert env.api.kept[second]["status"].get("resources", []) == []
    await env.until(lambda: env.api.kept[CLASS]["status"].get("limitsSummary") == "nlp 1/1, 2 waiting", "it is shown")
    env.api.remove(first)
    await env.ready(second)
    await env.until(lambda: "the first that waits" in env.condition(third)["message"], "its new position")
    await env.until(lambda: env.api.kept[CLASS]["status"].get("limitsSummary") == "nlp 1/1, 1 waiting", "it is shown")
    limit(env, objectsPerNamespace=2)
    await env.ready(third)


async def test_other_namespaces_and_other_repositories_do_not_wait(env: Environment) -> None:
    limit(env, objectsPerRepository=1)
    await env.ready(made(env, "first"))
    waits = made(env, "waits", repository="ACME/Sentiment")
    await env.reason(waits, "LimitReached", saying="of repository acme/sentiment")
    await env.ready(made(env, "another", repository="acme/wine"))
    await env.ready(made(env, "elsewhere", "vision"))
    assert env.condition(waits)["reason"] == "LimitReached"


async def test_with_a_limit_of_0_nothing_starts_and_nobody_waits_for_it(env: Environment) -> None:
    runs = made(env, "runs")
    await env.ready(runs)
    limit(env, objectsPerNamespace=0)
    never = made(env, "never")
    await env.reason(never, "NoneAllowed", saying="allows no objects in a namespace")
    assert env.condition(never, "Stalled")["status"] == "True"
    assert env.condition(runs)["status"] == "True", "what runs goes on"
    limit(env, objectsPerNamespace=None)
    await env.ready(never)


async def test_the_next_operator_knows_who_runs_by_what_is_in_aws(env: Environment) -> None:
    limit(env, objectsPerNamespace=1)
    made(env, "a-waits")
    runs = made(env, "runs")
    env.api.change(ObjectKey("EphemeralEndpoint", "nlp", "a-waits"), {"spec": {"suspend": True}})
    await env.ready(runs)
    waits = ObjectKey("EphemeralEndpoint", "nlp", "a-waits")
    env.api.change(waits, {"spec": {"suspend": None}})
    await env.reason(waits, "LimitReached")
    await env.restart()
    await env.rest()
    assert env.condition(runs)["status"] == "True", "an older object does not displace it"
    assert env.condition(waits)["reason"] == "LimitReached"


@pytest.mark.parametrize("how", ["deleted", "suspended", "stripped of its finalizer"])
async def test_those_behind_one_that_stops_waiting_move_up(env: Environment, how: str) -> None:
    limit(env, objectsPerNamespace=1)
    await env.ready(made(env, "first"))
    second, third = made(env, "second"), made(env, "third")
    await env.reason(second, "LimitReached")
    await env.reason(third, "LimitReached")
    if how == "suspended":
        env.api.change(second, {"spec": {"suspend": True}})
    else:
        env.api.remove(second)
    if how == "stripped of its finalizer" and second in env.api.kept:
        env.api.vanish(second)
    await env.until(lambda: "the first that waits" in env.condition(third)["message"], "its new position")


async def test_who_waits_writes_nothing_more(env: Environment) -> None:
    limit(env, objectsPerNamespace=1)
    await env.ready(made(env, "first"))
    waits = made(env, "waits")
    await env.reason(waits, "LimitReached")
    await env.rest()
    before = env.api.writes
    for _ in range(3):
        await env.refresh(waits)
    assert env.api.writes == before


async def test_a_place_is_not_kept_by_deleting_and_creating_again(env: Environment) -> None:
    limit(env, objectsPerNamespace=1)
    first = made(env, "first")
    await env.ready(first)
    waits = made(env, "waits")
    await env.reason(waits, "LimitReached")
    env.api.remove(first)
    await env.gone(first)
    again = made(env, "first")
    await env.ready(waits)
    await env.reason(again, "LimitReached")


async def test_a_forged_status_gives_no_place(env: Environment) -> None:
    limit(env, objectsPerNamespace=1)
    await env.ready(made(env, "first"))
    liar = made(env, "liar")
    await env.reason(liar, "LimitReached")
    env.api.change(liar, {"status": {"resources": [{"kind": "Endpoint", "name": "e"}], "conditions": []}})
    await env.refresh(liar)
    await env.restart()
    await env.reason(liar, "LimitReached")
    assert env.api.kept[liar]["status"].get("resources", []) == []
