"""The operations on scalable targets and their tags."""

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from eep_platform.autoscaling.errors import failed_resource_access, resource_not_found, too_many_tags
from eep_platform.autoscaling.requests import asked_targets, paged, refuse_unserved, target_of
from eep_platform.autoscaling.targets import Target, Targets, parse_resource, refuse_below_least
from eep_platform.emulation.errors import validation_exception
from eep_platform.emulation.tags import MOST_TAGS, refuse_reserved
from eep_platform.sagemaker.endpoints import Deployment
from eep_platform.sagemaker.store import Store

_BURSTABLE = re.compile(r"ml\.t\d")
_FAR_FUTURE = 9_999_999_999
_SERVICE_ROLE = (
    "role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)
_SUSPENSIONS = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")


class TargetOperations:
    """The operations on scalable targets."""

    def __init__(self, store: Store, targets: Targets) -> None:
        self._store = store
        self._targets = targets

    async def register_scalable_target(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """RegisterScalableTarget: creates a target, or changes the members in the request."""
        refuse_unserved(request)
        endpoint, variant = parse_resource(request["ResourceId"])
        shown = self._store.endpoints.get(endpoint).value.shown
        _refuse_variant(shown, variant)
        target = self._targets.find(request["ResourceId"])
        least = request.get("MinCapacity", target.minimum if target else None)
        most = request.get("MaxCapacity", target.maximum if target else None)
        refuse_below_least(shown, least, most)
        _refuse_bounds(least, most)
        if target is None:
            target = self._new(request, endpoint, variant)
            self._targets.add(target)
        target.minimum, target.maximum = least, most
        target.suspended = {**target.suspended, **request.get("SuspendedState", {})}
        target.out_of_bounds = True
        return {"ScalableTargetARN": target.arn}

    async def deregister_scalable_target(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeregisterScalableTarget."""
        try:
            await self._targets.remove(target_of(self._targets, request))
        except (BotoCoreError, ClientError) as error:
            raise failed_resource_access(f"The alarms of the target's policies cannot be deleted: {error}") from error
        return {}

    async def describe_scalable_targets(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeScalableTargets."""
        found = asked_targets(self._targets, request)
        if "ResourceIds" in request:
            wanted = [self._targets.find(resource_id) for resource_id in request["ResourceIds"]]
            found = [target for target in found if target in wanted]
        given, token = paged(found, lambda target: target.resource_id, request)
        return {"ScalableTargets": [self._shown(target) for target in given], "NextToken": token}

    async def describe_scaling_activities(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeScalingActivities: the latest activities of all registered targets."""
        targets = asked_targets(self._targets, request)
        activities = [activity for target in targets for activity in target.activities]
        given, token = paged(activities, _newest_first, request)
        return {"ScalingActivities": given, "NextToken": token}

    async def list_tags_for_resource(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListTagsForResource."""
        return {"Tags": dict(self._by_arn(request["ResourceARN"]).tags)}

    async def tag_resource(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """TagResource."""
        target = self._by_arn(request["ResourceARN"])
        target.tags = _tags(target.arn, target.tags | request["Tags"])
        return {}

    async def untag_resource(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """UntagResource."""
        target = self._by_arn(request["ResourceARN"])
        target.tags = {key: value for key, value in target.tags.items() if key not in request["TagKeys"]}
        return {}

    def _new(self, request: Mapping[str, Any], endpoint: str, variant: str) -> Target:
        arn = self._store.account.arn("application-autoscaling", f"scalable-target/{uuid4().hex}")
        return Target(
            resource_id=request["ResourceId"],
            endpoint_name=endpoint,
            variant_name=variant,
            arn=arn,
            created=self._store.clock(),
            minimum=0,
            maximum=0,
            suspended=dict.fromkeys(_SUSPENSIONS, False),
            tags=_tags(arn, request.get("Tags", {})),
        )

    def _by_arn(self, arn: str) -> Target:
        for target in self._targets:
            if target.arn == arn:
                return target
        raise resource_not_found(arn)

    def _shown(self, target: Target) -> dict[str, Any]:
        account = self._store.account
        return {
            **target.identity,
            "MinCapacity": target.minimum,
            "MaxCapacity": target.maximum,
            "RoleARN": f"arn:{account.partition}:iam::{account.id}:{_SERVICE_ROLE}",
            "CreationTime": target.created,
            "SuspendedState": dict(target.suspended),
            "ScalableTargetARN": target.arn,
        }


def _newest_first(activity: Mapping[str, Any]) -> str:
    """The sort key of activities."""
    return f"{_FAR_FUTURE - activity['StartTime'].timestamp():017.6f} {activity['ActivityId']}"


def _refuse_variant(shown: Deployment, name: str) -> None:
    """Raise `ValidationException` for a variant whose instances cannot scale.

    Source: "Configure model auto scaling" in the SageMaker developer guide, for burstable instances.
    """
    variant = shown.variant(name)
    if variant is None:
        raise validation_exception(f'Could not find variant "{name}".')
    if variant.serverless:
        raise validation_exception(f"Variant {name} is serverless and has no instance count to scale.")
    for instance_type in filter(_BURSTABLE.match, variant.instance_types):
        raise validation_exception(
            f"Automatic scaling is not supported for burstable instances such as {instance_type}."
        )


def _refuse_bounds(least: int | None, most: int | None) -> None:
    if least is None or most is None:
        raise validation_exception("MinCapacity and MaxCapacity are needed to register a new scalable target.")
    if most < least:
        raise validation_exception(f"MaxCapacity ({most}) must not be less than MinCapacity ({least}).")


def _tags(arn: str, tags: Mapping[str, str]) -> dict[str, str]:
    if len(tags) > MOST_TAGS:
        raise too_many_tags(arn, MOST_TAGS)
    refuse_reserved(tags)
    return dict(tags)
