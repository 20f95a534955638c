"""Objects that are compared, on the embedded AWS, with models on loopback behind their URLs."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from tests.controllers.environment import CLUSTER, Environment, Object
from tests.features.checks.comparison.servers import Models, answering, leading_to, refusing, running
from tests.fixtures.aws import QUICK
from tests.fixtures.platform import Aws

from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.api import COMPARE_AT_ANNOTATION
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.engine.names import Names
from ephemeral_endpoints.features.checks.comparison.step import PAUSE_SECONDS, RETRY_SECONDS
from ephemeral_endpoints.kube.cache import ObjectKey, class_key

SAMPLES = [{"name": "praise", "request": '{"text": "lovely"}'}, {"name": "blame", "request": '{"text": "dull"}'}]
HEAD, BASE = "/nlp/pr", "/nlp/main"
BUCKET = "comparisons"
NEXT = "2" * 40
DENIED = FaultError(code="AccessDenied", message="Access Denied", status=403)


@pytest.fixture
async def models() -> AsyncIterator[Models]:
    async with running() as models:
        models.behaviours = {HEAD: answering({"label": "cat"}), BASE: answering({"label": "dog"})}
        yield models


@pytest.fixture
async def env(fresh_aws: Aws, clients: Clients, models: Models) -> AsyncIterator[Environment]:
    assert clients.region
    fresh_aws.control.patch_sagemaker_settings(QUICK)
    fresh_aws.client("s3").create_bucket(Bucket=BUCKET)
    env = Environment(middlewares=[leading_to(models)])
    env.make_class(
        comparisons={"reportsS3Uri": f"s3://{BUCKET}/reports", "recordings": [f"s3://{BUCKET}/rec/{{namespace}}"]}
    )
    yield env
    models.held.clear()
    await env.stop()


def head(env: Environment, **compare: Any) -> ObjectKey:  # noqa: ANN401 - members of a spec
    return env.make("pr", api={"samples": SAMPLES}, compare={"with": {"endpoint": "main"}, **compare})


def status(env: Environment, key: ObjectKey) -> Object:
    found: Object = env.api.kept[key]["status"].get("comparison", {})
    return found


def later(env: Environment, seconds: float) -> None:
    env.clock.advance(seconds)
    env.ahead += timedelta(seconds=seconds)


def revise(env: Environment, key: ObjectKey, revision: str = NEXT) -> None:
    """A new commit, whose image is known already."""
    env.api.change(key, {"spec": {"source": {"revision": revision}}, "status": {"revision": revision}})


def annotate(env: Environment, key: ObjectKey, value: str) -> None:
    env.api.change(key, {"metadata": {"annotations": {COMPARE_AT_ANNOTATION: value}}})


async def compared(env: Environment, key: ObjectKey, **fields: Any) -> Object:  # noqa: ANN401 - fields of a result
    """Wait for a result that has these fields, and that the condition tells of."""
    await env.until(
        lambda: bool(status(env, key)) and fields.items() <= status(env, key).items(), f"{key} compared: {fields}"
    )
    await env.rest()
    return status(env, key)


def report(aws: Aws, key: str) -> Mapping[str, Any]:
    content = aws.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    found: Mapping[str, Any] = json.loads(content)
    return found


async def test_an_object_is_compared_once_both_are_ready_and_then_not_again(
    env: Environment, models: Models, fresh_aws: Aws
) -> None:
    key = head(env)
    await env.reason(key, "BaseNotFound", "Compared", saying="there is no EphemeralEndpoint main")
    await env.ready(key)
    assert env.condition(key, "Compared")["status"] == "False"
    env.make("main")
    message = await env.reason(key, "AnswersChanged", "Compared")
    assert message == "2 of 2 answers changed, compared with main (1f0c2a9); 2 with another label (dog→cat 2)"
    await env.rest()
    found = status(env, key)
    assert (found["requests"], found["changed"], found["flipped"], found["failed"]) == (2, 2, 2, 0)
    assert found["flips"] == [{"base": "dog", "head": "cat", "count": 2}]
    assert found["worst"][0] == {"request": "praise", "pointer": "/label", "base": '"dog"', "head": '"cat"'}
    assert found["latencyRatio"] > 0
    assert (found["hourlyUSD"], found["baseHourlyUSD"]) == ("0.00", "0.00")
    assert {"perThousandUSD", "basePerThousandUSD"} <= found.keys()
    assert found["reportUri"] == f"s3://{BUCKET}/reports/nlp/pr/1f0c2a9.json"
    assert len(report(fresh_aws, "reports/nlp/pr/1f0c2a9.json")["requests"]) == 2
    asked, writes = len(models.asked), env.api.writes
    for each in (key, *(each for each in env.api.kept if each.name == "main")):
        await env.refresh(each)
    await env.restart()
    await env.ready(key)
    assert (len(models.asked), env.api.writes) == (asked, writes), "at rest, and after a restart, nothing is sent"


def code(env: Environment, aws: Aws, key: ObjectKey) -> str:
    """What the forwarder of an object runs."""
    name = Names(CLUSTER, key.name, env.api.kept[key]["metadata"]["uid"]).base
    found: str = aws.client("lambda").get_function_configuration(FunctionName=name)["CodeSha256"]
    return found


async def test_the_forwarder_changes_with_the_base_and_not_with_what_that_serves(
    env: Environment, fresh_aws: Aws
) -> None:
    key = head(env)
    await env.ready(key)
    alone = code(env, fresh_aws, key)
    main = env.make("main")
    await env.ready(main)
    await env.until(lambda: code(env, fresh_aws, key) != alone, "a forwarder that tells of the base")
    await env.rest()
    compared = code(env, fresh_aws, key)
    env.api.change(main, {"spec": {"lifecycle": {"ttl": "2h"}}})
    await env.ready(main)
    assert code(env, fresh_aws, key) == compared, "nothing of it is in the configuration"
    revise(env, main)
    await env.ready(main)
    assert code(env, fresh_aws, key) == compared, "a push to the base changes no other function"
    env.api.remove(main)
    await env.gone(main)
    await env.until(lambda: code(env, fresh_aws, key) == alone, "the forwarder without the base")


async def test_both_get_their_own_tokens_and_readiness_does_not_depend_on_the_answers(
    env: Environment, models: Models
) -> None:
    models.behaviours[HEAD] = refusing(500)
    env.make("main")
    key = head(env)
    message = await env.reason(key, "NothingCompared", "Compared")
    assert message.startswith("no request was answered by both: of 2, 2 failed here and 0 at the base (main (1f0c2a9))")
    await env.ready(key)
    assert (env.condition(key)["status"], env.condition(key, "Compared")["status"]) == ("True", "False")
    assert {token for _, token, _ in models.asked} == {"Bearer a-token"}


async def test_a_new_revision_is_compared_at_once(env: Environment, models: Models) -> None:
    env.make("main")
    key = head(env)
    await compared(env, key, changed=2)
    models.behaviours[HEAD] = answering({"label": "dog"})
    later(env, PAUSE_SECONDS)
    revise(env, key)
    assert (await compared(env, key, revision=NEXT))["changed"] == 0
    assert env.condition(key, "Compared")["reason"] == "NoDifference"


async def test_a_base_that_moves_on_is_compared_with_anew_after_a_while(env: Environment, models: Models) -> None:
    main, key = env.make("main"), head(env)
    await compared(env, key, changed=2)
    before = env.condition(key, "Compared")
    asked = len(models.asked)
    models.behaviours[BASE] = answering({"label": "cat"})
    revise(env, main)
    await env.ready(main)
    await env.rest()
    assert len(models.asked) == asked, "main may change again"
    assert env.condition(key, "Compared") == before, "what was compared stands meanwhile"
    later(env, 61)
    await env.refresh(key)
    found = await compared(env, key, baseRevision=NEXT)
    assert (found["changed"], found["revision"]) == (0, "1f0c2a9")


async def test_a_base_that_is_suspended_or_gone_is_named_with_what_to_do(env: Environment) -> None:
    main = env.make("main", suspend=True)
    key = head(env)
    await env.reason(key, "BaseNotReady", "Compared", saying="Set its spec.suspend to false")
    env.api.change(main, {"spec": {"suspend": False}})
    await compared(env, key, changed=2)
    env.api.remove(main)
    await env.gone(main)
    await env.reason(key, "BaseNotFound", "Compared", saying="there is no")
    assert status(env, key)["changed"] == 2, "what was compared is still known"


async def test_a_restart_in_the_middle_begins_again_and_is_reported_once(env: Environment, models: Models) -> None:
    models.held.update({HEAD, BASE})
    env.make("main")
    key = head(env)
    await env.until(lambda: bool(models.asked), "requests under way")
    assert await env.reason(key, "Comparing", "Compared") == "comparing with main (1f0c2a9)"
    await env.restart()
    models.held.clear()
    await compared(env, key, changed=2)


async def test_it_is_compared_again_on_request_but_not_all_the_time(env: Environment, models: Models) -> None:
    env.make("main")
    key = head(env)
    first = (await compared(env, key, changed=2))["id"]
    asked = len(models.asked)
    annotate(env, key, "1")
    await env.reason(key, "Comparing", "Compared")
    await env.rest()
    assert len(models.asked) == asked
    later(env, PAUSE_SECONDS + 1)
    await env.refresh(key)
    await env.until(lambda: status(env, key)["id"] != first, "another result")
    assert len(models.asked) == 2 * asked


async def test_the_answers_of_each_revision_are_kept_for_the_next(
    env: Environment, models: Models, fresh_aws: Aws
) -> None:
    key = env.make("pr", api={"samples": SAMPLES}, compare={"with": {"previousRevision": True}})
    message = await env.reason(key, "FirstRevision", "Compared")
    assert message == "no answers of an earlier revision are kept; those of 1f0c2a9 are, for the next"
    await env.rest()
    assert len(report(fresh_aws, "reports/nlp/pr/1f0c2a9.json")["answers"]) == 2
    await env.restart()
    asked = len(models.asked)
    await env.ready(key)
    assert len(models.asked) == asked
    models.behaviours[HEAD] = answering({"label": "dog"})
    revise(env, key)
    found = await compared(env, key, revision=NEXT)
    assert (found["base"], found["baseRevision"], found["flips"]) == (
        "previous revision",
        "1f0c2a9",
        [{"base": "cat", "head": "dog", "count": 2}],
    )
    assert models.requests(BASE) == [], "nothing else was asked"


async def test_a_class_without_a_place_for_reports_refuses_previous_revisions_and_writes_none(
    env: Environment, fresh_aws: Aws
) -> None:
    env.api.change(class_key("default"), {"spec": {"comparisons": {"reportsS3Uri": None}}})
    key = env.make("pr", api={"samples": SAMPLES}, compare={"with": {"previousRevision": True}})
    await env.reason(key, "ComparisonRefused", "Compared", saying="comparisons.reportsS3Uri")
    env.make("main")
    env.api.change(key, {"spec": {"compare": {"with": {"previousRevision": None, "endpoint": "main"}}}})
    assert "reportUri" not in await compared(env, key, changed=2)
    assert "Contents" not in fresh_aws.client("s3").list_objects_v2(Bucket=BUCKET)


async def test_recorded_requests_are_sent_where_the_class_allows_them(
    env: Environment, models: Models, fresh_aws: Aws
) -> None:
    recorded = b'{"request": {"text": "one"}}\nnonsense\n{"request": {"text": "two"}}\n'
    for folder in ("nlp", "other"):
        fresh_aws.client("s3").put_object(Bucket=BUCKET, Key=f"rec/{folder}/a.jsonl", Body=recorded)
    env.make("main")
    key = head(env, recorded={"s3Uri": f"s3://{BUCKET}/rec/other"})
    refused = await env.reason(key, "ComparisonRefused", "Compared")
    assert f"(allowed: s3://{BUCKET}/rec/nlp)" in refused
    assert models.asked == []
    env.api.change(key, {"spec": {"compare": {"recorded": {"s3Uri": f"s3://{BUCKET}/rec/nlp"}}}})
    found = await compared(env, key, requests=4)
    assert found["skipped"] == 1
    assert b'{"text": "two"}' in models.requests(BASE)


async def test_recordings_that_cannot_be_read_are_tried_again(env: Environment, models: Models, fresh_aws: Aws) -> None:
    fresh_aws.client("s3").put_object(Bucket=BUCKET, Key="rec/nlp/a.jsonl", Body=b'{"request": "{}"}')
    fresh_aws.control.add_faults(Fault(service="s3", operation="ListObjectsV2", error=DENIED))
    env.make("main")
    key = head(env, recorded={"s3Uri": f"s3://{BUCKET}/rec/nlp"})
    message = await env.reason(key, "RecordingsUnavailable", "Compared")
    assert message.startswith("ListObjectsV2: Access Denied (AccessDenied): a platform engineer must grant the access")
    await env.refresh(key)
    assert fresh_aws.control.faults()[0].fired == 1, "not before it is time"
    assert models.asked == []
    fresh_aws.control.clear_faults()
    later(env, RETRY_SECONDS + 1)
    await env.refresh(key)
    await compared(env, key, requests=3)


async def test_without_its_report_a_comparison_is_reported_with_the_reason(env: Environment, fresh_aws: Aws) -> None:
    fresh_aws.control.add_faults(Fault(service="s3", operation="PutObject", error=DENIED))
    env.make("main")
    key = head(env)
    found = await compared(env, key, changed=2)
    assert "reportUri" not in found
    assert found["reportError"].startswith("PutObject: Access Denied")
    assert "the report could not be written to S3: PutObject" in env.condition(key, "Compared")["message"]


async def test_a_base_whose_token_is_missing_is_not_asked(
    env: Environment, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none(_: object) -> str | None:
        return None

    monkeypatch.setattr(env.api, "known_token", none, raising=False)
    env.make("main")
    key = head(env)
    problem = (
        "the token of main cannot be read: the Secret main-endpoint-token does not exist: the operator makes it for "
        "main"
    )
    assert await env.reason(key, "BaseNotReady", "Compared", saying="the token of main") == problem
    assert models.asked == []


async def test_an_object_that_asks_for_no_comparison_any_more_has_no_result(env: Environment) -> None:
    env.make("main")
    key = head(env)
    await compared(env, key, changed=2)
    env.api.change(key, {"spec": {"compare": None}})
    await env.until(lambda: not status(env, key) and not env.condition(key, "Compared"), "no comparison")
