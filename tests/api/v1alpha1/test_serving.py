"""What an endpoint can run on: each rule with an input that both sides refuse, and the message that a person reads."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.serving import Instances, Serverless, Serving

Body = dict[str, Any]

ON_INSTANCES: Body = {"instances": {"type": "ml.m5.large"}}
ASYNCHRONOUS: Body = {"s3Uri": "s3://bucket/prefix"}
TWO: list[Body] = [{"name": "a"}, {"name": "b"}]


def scaled(**members: object) -> Body:
    return {"instances": {"type": "ml.m5.large", "autoscaling": {"maxCount": 2, **members}}}


def at_night(**members: object) -> list[Body]:
    return [{"name": "night", "schedule": "cron(0 20 ? * * *)", "minCount": 1, "maxCount": 1, **members}]


REFUSED: list[tuple[Body, str, str]] = [
    ({"serving": {"serverless": {}, **ON_INSTANCES}}, "both", "set only one of serverless and instances"),
    (
        {"serving": {"serverless": {"provisionedConcurrency": 2}}},
        "more is kept warm than may ever be used",
        "provisionedConcurrency must not be greater than maxConcurrency",
    ),
    ({"serving": {"instances": {"type": "m5.large"}}}, "an EC2 type", "must be a SageMaker instance type"),
    ({"serving": {"instances": {"type": "ml.m5.large", "count": 0}}}, "nobody would answer", "count"),
    ({"serving": {"asynchronous": ASYNCHRONOUS}}, "serverless", "asynchronous needs instances"),
    (
        {"serving": {**ON_INSTANCES, "asynchronous": ASYNCHRONOUS, "variants": TWO}},
        "SageMaker's queue knows no variants",
        "asynchronous supports only one variant",
    ),
    (
        {"serving": {**ON_INSTANCES, "asynchronous": {"s3Uri": "bucket/prefix"}}},
        "no URL",
        "must be the S3 URL of a folder",
    ),
    (
        {"serving": {**ON_INSTANCES, "asynchronous": {**ASYNCHRONOUS, "errorTopicArn": "topic"}}},
        "no ARN",
        "must be the ARN of a standard SNS topic",
    ),
    (
        {"serving": {"rollout": {"strategy": "Canary"}}},
        "serverless has no guardrails",
        "the rollout strategy of a serverless endpoint must be AllAtOnce",
    ),
    (
        {"serving": {**ON_INSTANCES, "rollout": {"strategy": "Rolling"}, "variants": TWO}},
        "rolling with two variants",
        "the rollout strategy Rolling supports only one variant",
    ),
    (
        {"serving": {**ON_INSTANCES, "rollout": {"stepPercent": 10}}},
        "steps of what has none",
        "AllAtOnce and Recreate have no steps",
    ),
    (
        {"serving": {**ON_INSTANCES, "rollout": {"strategy": "Recreate", "interval": "1m"}}},
        "nothing serves between steps",
        "AllAtOnce and Recreate have no steps",
    ),
    (
        {"serving": {"rollout": {"strategy": "Recreate"}}},
        "an update of a serverless endpoint needs no room",
        "the rollout strategy of a serverless endpoint must be AllAtOnce",
    ),
    (
        {"serving": {**ON_INSTANCES, "rollout": {"strategy": "Linear", "stepPercent": 9}}},
        "smaller than SageMaker's smallest",
        "stepPercent must be between 10 and 50 for Linear",
    ),
    (
        {"serving": {**ON_INSTANCES, "rollout": {"strategy": "Rolling", "stepPercent": 4}}},
        "smaller than SageMaker's smallest",
        "stepPercent must be between 5 and 50 for Rolling",
    ),
    (
        {"serving": {**ON_INSTANCES, "rollout": {"strategy": "Canary", "stepPercent": 51}}},
        "no canary any more",
        "stepPercent",
    ),
    (
        {"serving": {**ON_INSTANCES, "rollout": {"strategy": "Canary", "interval": "61m"}}},
        "longer than SageMaker waits",
        "must be at most 1h",
    ),
    (
        {"serving": {**ON_INSTANCES, "rollout": {"strategy": "Linear", "stepPercent": 10, "interval": "1h"}}},
        "longer than SageMaker works at it",
        "all steps together must take at most 8h",
    ),
    (
        {"serving": {"instances": {**scaled(invocationsPerInstance=1)["instances"], "type": "ml.t2.medium"}}},
        "burstable",
        "autoscaling does not support burstable instances",
    ),
    ({"serving": {**ON_INSTANCES, "rollout": {"strategy": "BlueGreen"}}}, "unknown", "strategy"),
    (
        {"serving": {"variants": [{"name": "a", "weight": 0}]}},
        "nobody would answer",
        "at least one variant must have a weight above 0",
    ),
    ({"serving": {"variants": [{"name": "A"}]}}, "no label", "must be a DNS label"),
    ({"serving": {"variants": [{"name": f"v{number}"} for number in range(6)]}}, "too many", "variants"),
    (
        {"serving": {"variants": [{"name": "a", "model": {"image": "nginx"}}]}},
        "no ECR",
        "must be an image in Amazon ECR",
    ),
    (
        {"serving": scaled(minCount=3, invocationsPerInstance=1)},
        "an empty range",
        "minCount must not be greater than maxCount",
    ),
    ({"serving": scaled()}, "nothing scales", "set at least one of invocationsPerInstance"),
    (
        {"serving": scaled(invocationsPerInstance=1, backlogPerInstance=1)},
        "two that pull",
        "set only one of invocationsPerInstance and backlogPerInstance",
    ),
    (
        {"serving": scaled(minCount=0, invocationsPerInstance=1)},
        "nobody would answer",
        "minCount 0 needs asynchronous",
    ),
    ({"serving": scaled(schedule=at_night(minCount=0))}, "nobody at night", "minCount 0 needs asynchronous"),
    ({"serving": scaled(backlogPerInstance=1)}, "there is no queue", "backlogPerInstance needs asynchronous"),
    (
        {"serving": scaled(schedule=at_night(minCount=2))},
        "an empty range at night",
        "minCount must not be greater than maxCount",
    ),
    (
        {"serving": scaled(schedule=at_night(schedule="0 20 * * *"))},
        "a crontab's line",
        "must be cron(<minutes> <hours> <day of month> <month> <day of week> <year>)",
    ),
    ({"serving": scaled(schedule=at_night(timezone="CEST +2"))}, "no name", "must be the name of a time zone"),
    ({"serving": scaled(invocationsPerInstance=1, scaleInCooldown="2h")}, "too long", "must be at most 1h"),
    (
        {"serving": {"instances": {**scaled(invocationsPerInstance=1)["instances"], "count": 3}}},
        "it would begin outside",
        "count, with which autoscaling starts, must be between its minCount and its maxCount",
    ),
    ({"capture": {"s3Uri": "s3://bucket/x"}}, "serverless", "capture.s3Uri needs serving.instances"),
    (
        {"capture": {"s3Uri": "s3://bucket/x", "samplingPercent": 0}, "serving": ON_INSTANCES},
        "nothing would be recorded",
        "samplingPercent",
    ),
    (
        {"results": {}, "serving": {**ON_INSTANCES, "asynchronous": ASYNCHRONOUS}},
        "the URL does not see them",
        "results of an asynchronous endpoint are not published by its URL",
    ),
    (
        {"api": {"maxBodyBytes": 4194305}},
        "more than a serverless endpoint takes",
        "api.maxBodyBytes must be at most 4194304 (4 MiB) on a serverless endpoint",
    ),
    ({"api": {"maxBodyBytes": 6291457}, "serving": ON_INSTANCES}, "more than a function takes", "maxBodyBytes"),
]
ACCEPTED: list[tuple[Body, str]] = [
    ({"serving": {"serverless": {"maxConcurrency": 2, "provisionedConcurrency": 2}}}, "all that is there is kept warm"),
    ({"serving": {"variants": TWO}}, "an endpoint each"),
    ({"serving": {**ON_INSTANCES, "variants": [{"name": "a", "weight": 0}, {"name": "b"}]}}, "only by its name"),
    ({"serving": {**ON_INSTANCES, "rollout": {"strategy": "Canary", "stepPercent": 1, "interval": "1h"}}}, "a drop"),
    ({"serving": {**ON_INSTANCES, "rollout": {"strategy": "Rolling"}, "variants": TWO[:1]}}, "one variant"),
    ({"serving": {**ON_INSTANCES, "rollout": {"strategy": "Linear", "stepPercent": 20, "interval": "1h"}}}, "6h"),
    ({"serving": {**scaled(minCount=0, backlogPerInstance=5), "asynchronous": ASYNCHRONOUS}}, "none while none waits"),
    ({"serving": scaled(schedule=at_night(schedule="at(2026-12-24T18:00:00)", timezone="Europe/Berlin"))}, "once"),
    ({"serving": scaled(schedule=at_night(schedule="rate(1 day)"))}, "every day"),
    ({"results": {"includeRequest": True}}, "published on serverless"),
    ({"serving": ON_INSTANCES, "capture": {"s3Uri": "s3://bucket"}, "api": {"maxBodyBytes": 6291456}}, "the most"),
]
KEPT: list[tuple[Body, Body, str]] = [
    (ON_INSTANCES, {"instances": None}, "an endpoint on instances cannot become serverless"),
    (
        {**ON_INSTANCES, "asynchronous": ASYNCHRONOUS},
        {"asynchronous": None},
        "asynchronous cannot be set or removed after creation",
    ),
    (ON_INSTANCES, {"asynchronous": ASYNCHRONOUS}, "asynchronous cannot be set or removed after creation"),
    (
        {**ON_INSTANCES, "rollout": {"strategy": "Canary"}},
        {"variants": TWO},
        "the names of variants can change only with the rollout strategies AllAtOnce and Recreate",
    ),
]
CHANGED: list[tuple[Body, Body, str]] = [
    ({}, ON_INSTANCES, "serverless to instances"),
    ({"variants": TWO}, {"variants": TWO[:1]}, "fewer variants, each an endpoint"),
    ({**ON_INSTANCES, "variants": TWO}, {"variants": None}, "one variant again, all at once"),
    ({**ON_INSTANCES, "rollout": {"strategy": "Recreate"}}, {"variants": TWO}, "a new endpoint has any variants"),
    (
        {**ON_INSTANCES, "variants": TWO, "rollout": {"strategy": "Canary"}},
        {"variants": [{"name": "a", "weight": 9}, {"name": "b"}]},
        "the same variants in other shares",
    ),
]


def merged(endpoint: Body, spec: Body) -> Body:
    return {**endpoint, "spec": {**endpoint["spec"], **spec}}


@pytest.mark.parametrize(("spec", "reason", "message"), REFUSED)
def test_both_refuse(spec: Body, reason: str, message: str, endpoint: Body, create: Callable[..., Body]) -> None:
    body = merged(endpoint, spec)
    assert reason
    with pytest.raises(ValueError, match=re.escape(message)):
        EphemeralEndpoint.model_validate(body)
    with pytest.raises(ValueError, match=re.escape(message)):
        create(body)


@pytest.mark.parametrize(("spec", "reason"), ACCEPTED)
def test_both_accept(spec: Body, reason: str, endpoint: Body, create: Callable[..., Body]) -> None:
    body = merged(endpoint, spec)
    accepted = EphemeralEndpoint.model_validate(create(body)).spec
    assert accepted == EphemeralEndpoint.model_validate(body).spec, reason


@pytest.mark.parametrize(("before", "change", "message"), KEPT)
def test_what_cannot_change_is_refused_with_the_way_out(  # noqa: PLR0917 - a table and two fixtures
    before: Body,
    change: Body,
    message: str,
    endpoint: Body,
    stored: Callable[[Body], Body],
    patch: Callable[[Body, Body], Body],
) -> None:
    body = stored(merged(endpoint, {"serving": before}))
    with pytest.raises(ValueError, match=re.escape(message)):
        patch(body, {"spec": {"serving": change}})


@pytest.mark.parametrize(("before", "change", "reason"), CHANGED)
def test_what_can_change_does(  # noqa: PLR0917 - a table and two fixtures
    before: Body,
    change: Body,
    reason: str,
    endpoint: Body,
    stored: Callable[[Body], Body],
    patch: Callable[[Body, Body], Body],
) -> None:
    body = stored(merged(endpoint, {"serving": before}))
    assert patch(body, {"spec": {"serving": change}})["metadata"]["generation"] == 2, reason


def test_what_names_no_capacity_is_serverless() -> None:
    assert Serving().capacity == Serverless()
    assert Serving(instances=Instances(type="ml.m5.large")).capacity == Instances(type="ml.m5.large")
