"""What a time to live counts from: revisions and use, told by the status and by tags."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.controllers.endpoint.test_controls import DENIED, changes
from tests.controllers.endpoint.test_expiry import api_server_says
from tests.controllers.endpoint.test_finalize import TAGGING, tags
from tests.controllers.environment import REVISION, Environment
from tests.fixtures.platform import Aws

from eep_platform.aws.faults import Fault
from ephemeral_endpoints.api import PIN_ANNOTATION
from ephemeral_endpoints.engine.tags import EXPIRES_AT, timestamp
from ephemeral_endpoints.features.serving.notices import Notice
from ephemeral_endpoints.kube.cache import ObjectKey

PUSHED = "2f0c2a9"
TTL = timedelta(hours=72)
ARGO = {"metadata": {"labels": {"argocd.argoproj.io/instance": "previews"}}}


def time_is(env: Environment, moment: datetime) -> None:
    """By the clocks of the operator and the API server, which outvote that of the embedded AWS."""
    env.ahead = moment - datetime.now(UTC)
    api_server_says(env, moment)


def status(env: Environment, key: ObjectKey) -> dict[str, Any]:
    found: dict[str, Any] = env.api.kept[key]["status"]
    return found


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def push(env: Environment, key: ObjectKey, revision: str = PUSHED) -> None:
    env.api.change(key, {"spec": {"source": {"revision": revision}}})


async def pushed(env: Environment, key: ObjectKey, revision: str = PUSHED) -> datetime:
    """Since when the object has another revision, whose image does not exist yet."""
    push(env, key, revision)
    await env.until(lambda: status(env, key)["latestRevision"]["revision"] == revision, "the push is noticed")
    await env.rest()
    return moment(status(env, key)["latestRevision"]["since"])


async def use(
    env: Environment, key: ObjectKey, at: datetime, uid: str | None = None, of: str = "default", *, kind: str = "used"
) -> None:
    """Have a forwarder of a class tell that an object was used."""
    notice = Notice(kind, uid or env.api.kept[key]["metadata"]["uid"], at)
    env.operator.calls.noticed(of, notice)
    await env.rest()


async def ends(env: Environment) -> set[datetime]:
    """The ends of life that the tags tell."""
    return {moment(each[EXPIRES_AT]) for each in (await tags(env)).values()}


async def test_a_push_starts_the_time_to_live_anew_and_the_tags_tell_so(env: Environment) -> None:
    env.make_class()
    key = env.make()
    created = moment((await env.ready(key))["metadata"]["creationTimestamp"])
    assert status(env, key)["latestRevision"] == {"revision": REVISION, "since": created.isoformat()[:19] + "Z"}
    assert moment(status(env, key)["expiresAt"]) == created + TTL
    time_is(env, datetime.now(UTC) + timedelta(hours=5))
    since = await pushed(env, key)
    assert timedelta(hours=4) < since - created < timedelta(hours=6)
    assert moment(status(env, key)["expiresAt"]) == since + TTL
    assert await ends(env) == {since + TTL}


async def test_a_push_costs_no_write_of_its_own_and_a_restart_changes_nothing(env: Environment, fresh_aws: Aws) -> None:
    env.make_class()
    key = env.make()
    await env.ready(key)
    patches: list[Any] = []
    write = env.api.write_status

    async def recording(raw: Any, patch: Any) -> Any:  # noqa: ANN401 - JSON
        patches.append(patch)
        return await write(raw, patch)

    env.api.write_status = recording  # type: ignore[method-assign]
    await pushed(env, key)
    [told] = [patch for patch in patches if "latestRevision" in patch]
    assert told["observedGeneration"] == 2, "it is part of a write that is made anyway"
    before = status(env, key)
    await env.restart()
    time_is(env, datetime.now(UTC) + timedelta(hours=5))
    fresh_aws.control.reset_meter()
    patches.clear()
    await env.refresh(key)
    assert status(env, key) == before
    assert patches == []
    assert changes(fresh_aws) == []


async def test_nobody_is_told_of_a_later_end_that_the_tags_do_not_tell(env: Environment, fresh_aws: Aws) -> None:
    """The reaper goes by the tags, and so does a process that starts anew."""
    env.make_class()
    key = env.make()
    await env.ready(key)
    before, earlier = status(env, key)["expiresAt"], await ends(env)
    fresh_aws.control.add_faults(Fault(service="lambda", operation="TagResource", error=DENIED))
    time_is(env, datetime.now(UTC) + timedelta(hours=5))
    since = await pushed(env, key)
    assert status(env, key)["expiresAt"] == before
    await env.restart()
    await env.refresh(key)
    assert status(env, key)["expiresAt"] == before
    fresh_aws.control.clear_faults()
    env.clock.advance(3600)
    await env.refresh(key)
    await env.until(lambda: moment(status(env, key)["expiresAt"]) == since + TTL, "the new end is told")
    assert await ends(env) == {since + TTL} != earlier


async def test_a_push_revives_a_tombstone(env: Environment) -> None:
    env.make_class()
    key = env.make(lifecycle={"ttl": "1h"})
    env.api.change(key, ARGO)
    await env.ready(key)
    long_ago = timestamp(datetime.now(UTC) - timedelta(hours=3))
    told = {"latestRevision": {"revision": REVISION, "since": long_ago}}
    env.api.change(key, {"metadata": {"creationTimestamp": long_ago}, "status": told})
    env.operator.enqueue(key)
    await env.reason(key, "Expired")
    await env.until(lambda: not status(env, key).get("resources"), "everything is deleted")
    since = await pushed(env, key)
    assert moment(status(env, key)["expiresAt"]) == since + timedelta(hours=1)
    assert env.condition(key)["reason"] != "Expired"


async def test_a_longer_time_to_live_revives_a_tombstone_and_a_shorter_one_changes_nothing(env: Environment) -> None:
    env.make_class()
    key = env.make(lifecycle={"ttl": "1h"})
    env.api.change(key, ARGO)
    await env.ready(key)
    long_ago = timestamp(datetime.now(UTC) - timedelta(hours=3))
    told = {"latestRevision": {"revision": REVISION, "since": long_ago}}
    env.api.change(key, {"metadata": {"creationTimestamp": long_ago}, "status": told})
    env.operator.enqueue(key)
    await env.reason(key, "Expired")
    await env.until(lambda: not status(env, key).get("resources"), "everything is deleted")
    env.api.change(key, {"spec": {"lifecycle": {"ttl": "30m"}}})
    await env.rest()
    assert env.condition(key)["reason"] == "Expired"
    env.api.change(key, {"spec": {"lifecycle": {"ttl": "5h"}}})
    await env.ready(key)
    assert moment(status(env, key)["expiresAt"]) == moment(long_ago) + timedelta(hours=5)


async def test_no_push_carries_an_object_beyond_the_classs_maximum(env: Environment) -> None:
    env.make_class(lifecycle={"maxTtl": "73h"})
    key = env.make()
    created = moment((await env.ready(key))["metadata"]["creationTimestamp"])
    time_is(env, datetime.now(UTC) + timedelta(hours=5))
    await pushed(env, key)
    assert moment(status(env, key)["expiresAt"]) == created + timedelta(hours=73)


async def test_a_pinned_object_lives_until_the_classs_maximum_and_the_tags_tell_so(env: Environment) -> None:
    env.make_class(lifecycle={"maxTtl": "200h"})
    key = env.make()
    created = moment((await env.ready(key))["metadata"]["creationTimestamp"])
    env.api.change(key, {"metadata": {"annotations": {PIN_ANNOTATION: "true"}}})
    await env.until(lambda: status(env, key).get("pinned") is True, "it is pinned")
    await env.until(lambda: moment(status(env, key)["expiresAt"]) == created + timedelta(hours=200), "the end is told")
    assert await ends(env) == {created + timedelta(hours=200)}
    env.api.change(key, {"metadata": {"annotations": {PIN_ANNOTATION: None}}})
    await env.until(lambda: moment(status(env, key)["expiresAt"]) == created + TTL, "the time to live counts again")
    assert "pinned" not in status(env, key)
    assert await ends(env) == {created + TTL}


async def test_use_moves_the_end_of_an_object_that_asks_for_it(env: Environment, fresh_aws: Aws) -> None:
    """No listener is needed: the class has no queue, and is told of for it, but what is told counts."""
    env.make_class()
    key = env.make()
    created = moment((await env.ready(key))["metadata"]["creationTimestamp"])
    env.api.change(key, {"spec": {"lifecycle": {"ttl": "24h", "ttlFrom": "LastUse"}}})
    await env.reason(key, "NotAllowed", "Stalled", saying="ask the platform team for spec.events in the class")
    await env.rest()
    assert "lastUsedAt" not in status(env, key)
    hours = timedelta(hours=1)
    time_is(env, created + 10 * hours)
    fresh_aws.control.reset_meter()
    before = env.api.writes
    for minutes in range(0, 50, 5):
        await use(env, key, created + 9 * hours + timedelta(minutes=minutes))
    assert moment(status(env, key)["lastUsedAt"]) == created + 9 * hours
    assert moment(status(env, key)["expiresAt"]) == created + 34 * hours
    assert await ends(env) == {created + 34 * hours}
    assert env.api.writes - before == 1, "not one for each minute of use"
    made = changes(fresh_aws)
    assert set(made) == TAGGING, "only the tags tell it in AWS"
    assert len(made) <= len(await tags(env)), "once for each resource"


@pytest.mark.parametrize(
    ("of", "uid", "kind", "later", "told"),
    [
        pytest.param("default", None, "used", timedelta(), True, id="its own class"),
        pytest.param("other", None, "used", timedelta(), False, id="a class with another queue"),
        pytest.param("default", "uid-404", "used", timedelta(), False, id="an object that is not there"),
        pytest.param("default", None, "dance", timedelta(), False, id="a kind that only a later version knows"),
        pytest.param("default", None, "used", timedelta(days=9), True, id="a clock that is ahead: used now, no later"),
    ],
)
async def test_a_notice_can_do_no_more_than_a_call(
    env: Environment, of: str, uid: str | None, kind: str, later: timedelta, *, told: bool
) -> None:
    env.make_class()
    key = env.make()
    await env.ready(key)
    now = datetime.now(UTC)
    await use(env, key, now + later, uid, of, kind=kind)
    found = status(env, key).get("lastUsedAt")
    assert (found is not None) is told
    assert found is None or abs(moment(found) - now) < timedelta(minutes=5)
