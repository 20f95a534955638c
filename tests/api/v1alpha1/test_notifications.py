from typing import Any

import pytest
from pydantic import ValidationError
from tests.engine.objects import make_class

from ephemeral_endpoints.api.v1alpha1.notifications import NotificationEvent, NotificationPolicy

TOPIC = "arn:aws:sns:us-east-1:123456789012:previews"
ONE: dict[str, Any] = {"name": "ml-team", "topic": {"arn": TOPIC}}


def test_a_target_is_told_of_everything_by_default() -> None:
    policy = NotificationPolicy.model_validate({"targets": [{"name": "slack", "webhook": {"secretName": "slack"}}]})
    assert policy.events == set(NotificationEvent)
    assert policy.targets[0].webhook is not None
    assert policy.targets[0].webhook.key == "url"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param({"targets": []}, "at least 1 item", id="nobody"),
        pytest.param({"targets": [{**ONE, "name": f"t{n}"} for n in range(6)]}, "at most 5 items", id="too many"),
        pytest.param({"targets": [{"name": "x"}]}, "either a webhook or a topic", id="neither"),
        pytest.param({"targets": [{**ONE, "webhook": {"secretName": "s"}}]}, "either a webhook or a topic", id="both"),
        pytest.param({"targets": [ONE, ONE]}, "the names of targets must differ", id="the same name twice"),
        pytest.param({"targets": [{**ONE, "events": []}]}, "at least 1 item", id="no event"),
        pytest.param({"targets": [{**ONE, "events": ["Bored"]}]}, "Input should be", id="no such event"),
        pytest.param({"targets": [{**ONE, "name": "ML team"}]}, "must be a DNS label", id="no name"),
        pytest.param({"targets": [{"name": "x", "topic": {"arn": "previews"}}]}, "must be the ARN", id="no ARN"),
        pytest.param({"targets": [{"name": "x", "topic": {"arn": f"{TOPIC}.fifo"}}]}, "must be the ARN", id="FIFO"),
        pytest.param({"targets": [ONE], "expiringBefore": "4m"}, "between 5m and 30d", id="too late to act"),
        pytest.param({"targets": [ONE], "expiringBefore": "31d"}, "between 5m and 30d", id="too early"),
    ],
)
def test_bad_input_is_refused_with_what_to_do(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        NotificationPolicy.model_validate(given)


def test_a_topic_is_in_the_classs_region() -> None:
    assert make_class({"spec": {"notifications": {"targets": [ONE]}}}).spec.notifications is not None
    elsewhere = {"name": "x", "topic": {"arn": TOPIC.replace("us-east-1", "eu-central-1")}}
    with pytest.raises(ValidationError, match="must be an SNS topic in the class's region"):
        make_class({"spec": {"notifications": {"targets": [elsewhere]}}})
