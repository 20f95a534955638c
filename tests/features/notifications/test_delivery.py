"""Notifications of an operator at work on an embedded AWS: an object, its class, a topic, and who subscribed to it."""

import json
from datetime import datetime, timedelta
from typing import Any

from tests.controllers.environment import Environment
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from ephemeral_endpoints.kube.cache import class_key


def subscribed(aws: Aws, name: str) -> tuple[str, str]:
    """A topic, and the URL of a queue that gets what is published to it."""
    sns, sqs = aws.client("sns"), aws.client("sqs")
    topic: str = sns.create_topic(Name=name)["TopicArn"]
    url: str = sqs.create_queue(QueueName=name)["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    return topic, url


async def test_a_topic_is_told_that_an_object_is_ready_and_that_it_is_gone(env: Environment, fresh_aws: Aws) -> None:
    topic, url = subscribed(fresh_aws, "ephemeral-endpoints-previews")
    told: list[dict[str, Any]] = []

    def has(count: int) -> bool:
        sqs = fresh_aws.client("sqs")
        for each in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            told.append(json.loads(each["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
        return len(told) >= count

    name = env.make_class("told", notifications={"targets": [{"name": "ml-team", "topic": {"arn": topic}}]})
    key = env.make(className="told")
    await env.ready(key)
    await env.until(lambda: has(1), "the first notification")
    env.api.remove(key)
    await env.gone(key)
    await env.until(lambda: has(2), "the last one")
    assert [each["Subject"] for each in told] == ["nlp/pr is ready", "nlp/pr is gone"]
    assert "acme/sentiment#42, revision 1f0c2a9" in told[0]["Message"]
    is_said = "NotificationsDelivered of the class"
    await env.until(lambda: env.condition(name, "NotificationsDelivered").get("status") == "True", is_said)


async def test_a_topic_that_does_not_exist_is_said_by_the_class_and_holds_up_nothing(env: Environment) -> None:
    missing = f"arn:aws:sns:{ministack.REGION}:{ministack.ACCOUNT}:nowhere"
    env.make_class("told", notifications={"targets": [{"name": "ml-team", "topic": {"arn": missing}}]})
    await env.ready(env.make(className="told"))
    message = await env.reason(class_key("told"), "TargetMisconfigured", "NotificationsDelivered")
    assert message.startswith("target ml-team: Publish: ")
    assert env.condition(class_key("told"), "Ready")["status"] == "True"


async def test_an_object_that_ends_soon_says_so_until_its_life_is_extended(env: Environment, fresh_aws: Aws) -> None:
    topic, _ = subscribed(fresh_aws, "ephemeral-endpoints-ends")
    target = {"name": "ml-team", "topic": {"arn": topic}, "events": ["Expiring"]}
    env.make_class("told", notifications={"targets": [target], "expiringBefore": "2h"})
    key = env.make(className="told", lifecycle={"ttl": "1h"})
    await env.ready(key)
    assert env.condition(key, "Expiring")["reason"] == "ExpiresSoon"
    env.api.change(key, {"metadata": {"annotations": {"ephemeral-endpoints.io/extend-until": "2999-01-01T00:00:00Z"}}})
    await env.until(lambda: not env.condition(key, "Expiring"), "a longer life")
    found = env.api.kept[key]
    ends, begins = found["status"]["expiresAt"], found["metadata"]["creationTimestamp"]
    assert datetime.fromisoformat(ends) - datetime.fromisoformat(begins) == timedelta(hours=336)
    assert "extend-until asks for is longer than the class allows" in env.condition(key)["message"]
