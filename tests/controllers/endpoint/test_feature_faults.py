"""Every change that the features of an object and its class make in AWS fails in every way: all is made, none stays."""

from typing import Any, Final

import pytest
from tests.controllers.endpoint import test_deletion as deletion
from tests.controllers.endpoint.test_deletion import CLASS, SCALED, Home
from tests.features.training.test_step import ROLE
from tests.fixtures.faults import Trouble

forge, reaper, home = deletion.forge, deletion.reaper, deletion.home

MADE: Final = (
    ("apigatewayv2", "CreateApiMapping"),
    ("apigatewayv2", "CreateAuthorizer"),
    ("apigatewayv2", "UpdateStage"),
    ("dynamodb", "CreateTable"),
    ("events", "PutRule"),
    ("events", "PutTargets"),
    ("firehose", "CreateDeliveryStream"),
    ("lambda", "AddPermission"),
    ("lambda", "PutFunctionConcurrency"),
    ("s3", "PutObject"),
    ("ssm", "PutParameter"),
)
CHANGED: Final = (
    ("apigatewayv2", "DeleteRouteSettings"),
    ("application-autoscaling", "DeleteScalingPolicy"),
    ("application-autoscaling", "DeleteScheduledAction"),
    ("cloudwatch", "TagResource"),
    ("dynamodb", "TagResource"),
    ("firehose", "UpdateDestination"),
    ("lambda", "DeleteFunctionConcurrency"),
    ("lambda", "TagResource"),
    ("logs", "TagResource"),
    ("sagemaker", "AddTags"),
    ("ssm", "AddTagsToResource"),
)
DELETED: Final = (
    ("apigatewayv2", "DeleteApiMapping"),
    ("apigatewayv2", "DeleteAuthorizer"),
    ("dynamodb", "DeleteTable"),
    ("events", "DeleteRule"),
    ("events", "RemoveTargets"),
    ("firehose", "DeleteDeliveryStream"),
    ("ssm", "DeleteParameter"),
)

INSTANCES: Final = {"instances": SCALED["instances"]}
EVENING: Final = {"name": "evening", "schedule": "cron(0 18 ? * * *)", "minCount": 1, "maxCount": 1}
CHANGE: Final[dict[str, Any]] = {
    "api": {"throttle": None},
    "lifecycle": {"ttl": "90h", "ttlFrom": "Created"},
    "serving": {"instances": {"autoscaling": {"invocationsPerInstance": None, "schedule": [EVENING]}}},
}
"""Another end, which tags tell, no limits any more, and other bounds at other times."""
CHANGE_OF_CLASS: Final = {
    "capture": {"s3Uri": "s3://captures/others"},
    "routing": {"reservedConcurrency": None},
}


def is_made(home: Home) -> bool:
    """Whether all is there of which a change or its end is to fail, also what an object is ready without."""
    return home.there().keys() >= {
        *("ApiMapping", "Authorizer", "DeliveryStream", "EventRule", "FeedbackTable", "FunctionConcurrency"),
        *("Parameter", "RouteThrottle", "ScalingPolicy", "ScheduledAction"),
    }


def is_changed(home: Home) -> bool:
    there = home.there()
    return there.get("ScheduledAction") == ["ml.m5.large_evening"] and there.keys().isdisjoint(
        {"FunctionConcurrency", "RouteThrottle", "ScalingPolicy"}
    )


@pytest.mark.chaos
async def test_whatever_change_fails_all_is_made_and_changed_and_nothing_stays(home: Home, trouble: Trouble) -> None:
    trouble.begin(MADE)
    async with trouble.at_work():
        home.env.api.change(CLASS, {"spec": {"reaper": {"roleArn": ROLE}}})
        key = home.make(serving=INSTANCES)
        await trouble.all_hit()
        await home.env.until(lambda: home.env.is_up_to_date(key) and is_made(home), lambda: f"{home.there()}")
    trouble.begin(CHANGED)
    async with trouble.at_work():
        home.env.api.change(CLASS, {"spec": CHANGE_OF_CLASS})
        home.env.api.change(key, {"spec": CHANGE})
        await trouble.all_hit()
        await home.env.until(lambda: home.env.is_up_to_date(key) and is_changed(home), lambda: f"{home.there()}")
    trouble.begin(DELETED)
    async with trouble.at_work():
        home.env.api.remove(key)
        home.env.api.remove(CLASS)
        await trouble.all_hit()
        await home.env.until(lambda: not home.env.api.kept, "object and class gone")
    assert home.there() == {}
    assert trouble.stalled == set()
