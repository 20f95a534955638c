"""Sleep: inputs that both sides refuse, with the message that a person reads, and inputs that both accept."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass

Body = dict[str, Any]

ON_INSTANCES: Body = {"instances": {"type": "ml.m5.large"}}
HOURS = "must be days and hours, such as Mon-Fri 08:00-19:00"
ORDER = "must begin before it ends"


def awake(*hours: str, **members: object) -> Body:
    return {"schedule": {"awake": list(hours), **members}}


REFUSED: list[tuple[Body, str, str]] = [
    ({"idleTimeout": "14m"}, "use is known to within minutes only", "must be at least 15m"),
    (awake(), "never awake", "at least 1"),
    (awake("08:00-19:00"), "no days", HOURS),
    (awake("Mon-Fri"), "no hours", HOURS),
    (awake("mon-fri 08:00-19:00"), "other words for days", HOURS),
    (awake("Mon-Fri 8:00-19:00"), "other digits", HOURS),
    (awake("Mon-Fri 08:00-25:00"), "no such hour", HOURS),
    (awake("Mon-Fri 24:00-24:00"), "nothing begins at 24:00", HOURS),
    (awake("Mon-Fri 08:00-08:00"), "never awake", ORDER),
    (awake("Mon 22:00-06:00"), "over midnight", ORDER),
    (awake("Mon 08:00-09:00", timeZone="Europe/../x"), "a path", "must be the name of a time zone"),
]

ACCEPTED: list[tuple[Body, str]] = [
    ({}, "never by itself"),
    ({"idleTimeout": "15m", **awake("Fri-Mon,Wed 00:00-24:00", timeZone="Asia/Kolkata"), "wakeOn": "Command"}, "all"),
    (awake(*["Mon-Sun 00:00-00:01"] * 14), "the most"),
]

CLASS_REFUSED: list[tuple[Body, str, str]] = [
    ({"sleep": {}}, "no queue", "sleep.wakeOn Request needs events"),
    ({"sleep": {"wakeOn": "Command", "idleTimeout": "2h"}}, "use is not known", "sleep.idleTimeout needs events"),
]

CLASS_ACCEPTED: list[tuple[Body, str]] = [
    ({"sleep": {"wakeOn": "Command", **awake("Mon-Fri 08:00-19:00")}}, "hours need no queue"),
    ({"sleep": {"idleTimeout": "2h"}, "events": {"queueName": "eep-events"}}, "with a queue"),
]


def changed(body: Body, **members: object) -> Body:
    return {**body, "spec": {**body["spec"], **members}}


@pytest.mark.parametrize(("sleep", "reason", "message"), REFUSED)
def test_both_refuse_sleep(sleep: Body, reason: str, message: str, endpoint: Body, create: Callable[..., Body]) -> None:
    assert reason
    body = changed(endpoint, serving=ON_INSTANCES, sleep=sleep)
    with pytest.raises(ValueError, match="sleep"):
        EphemeralEndpoint.model_validate(body)
    with pytest.raises(ValueError, match=re.escape(message)):
        create(body)


@pytest.mark.parametrize(("sleep", "reason"), ACCEPTED)
def test_both_accept_sleep(sleep: Body, reason: str, endpoint: Body, create: Callable[..., Body]) -> None:
    assert reason
    body = changed(endpoint, serving=ON_INSTANCES, sleep=sleep)
    EphemeralEndpoint.model_validate(body)
    EphemeralEndpoint.model_validate(create(body))


def test_both_accept_sleep_of_provisioned_concurrency(endpoint: Body, create: Callable[..., Body]) -> None:
    body = changed(endpoint, serving={"serverless": {"provisionedConcurrency": 1}}, sleep={"idleTimeout": "2h"})
    EphemeralEndpoint.model_validate(body)
    create(body)


@pytest.mark.parametrize(
    "serving",
    [{}, {"serverless": {"maxConcurrency": 2}}, {**ON_INSTANCES, "asynchronous": {"s3Uri": "s3://bucket/x/"}}],
)
def test_both_refuse_what_cannot_sleep(serving: Body, endpoint: Body, create: Callable[..., Body]) -> None:
    body = changed(endpoint, serving=serving, sleep={})
    for refuse in (EphemeralEndpoint.model_validate, create):
        with pytest.raises(ValueError, match=r"sleep needs serving\.instances without"):
            refuse(body)


@pytest.mark.parametrize(("spec", "reason", "message"), CLASS_REFUSED)
def test_both_refuse_a_class(
    spec: Body, reason: str, message: str, endpoint_class: Body, create: Callable[..., Body]
) -> None:
    assert reason
    body = changed(endpoint_class, **spec)
    for refuse in (EphemeralEndpointClass.model_validate, create):
        with pytest.raises(ValueError, match=re.escape(message)):
            refuse(body)


@pytest.mark.parametrize(("spec", "reason"), CLASS_ACCEPTED)
def test_both_accept_a_class(spec: Body, reason: str, endpoint_class: Body, create: Callable[..., Body]) -> None:
    assert reason
    body = changed(endpoint_class, **spec)
    EphemeralEndpointClass.model_validate(body)
    create(body)
