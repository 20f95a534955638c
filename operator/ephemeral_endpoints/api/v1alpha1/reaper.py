"""The reaper of a class: a Lambda function that deletes what expired when no operator does."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.types import AtLeastADay, AtLeastAnHour, Integer, RoleArn, TopicArn


class ReaperPolicy(ApiModel):
    """The reaper of a class, which the operator makes and removes; see docs/leftovers.md."""

    role_arn: RoleArn
    """ARN of the role that the function runs as, in the account of the class's other roles. The operator's role must be
    able to pass it to Lambda."""

    grace: AtLeastAnHour = timedelta(hours=24)
    """How long after its end an object is left to the operator, at least 1h. Default 24h."""

    max_objects: Annotated[Integer, Field(ge=1, le=1000)] = 100
    """Objects that a run deletes at most, 1 to 1000; a run comes every 15 minutes. Default 100."""

    max_share_percent: Annotated[Integer, Field(ge=1, le=100)] = 20
    """If more than this share of all objects is due at once, in percent, 1 to 100, they wait for another grace.
    Default 20."""

    repository_age: AtLeastADay = timedelta(days=30)
    """How long after its last push the repository of a class without objects stays, at least 1d. Default
    720h."""

    topic_arn: TopicArn | None = None
    """SNS topic in the class's region that gets the reports of runs that did something, beside the alarms. The
    function's role must be able to publish to it. Absent: alarms notify alarms.actions, and reports are in the log."""
