"""The operations on scaling policies."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from eep_platform.autoscaling.alarms import PREDEFINED, PolicyAlarms
from eep_platform.autoscaling.errors import failed_resource_access, object_not_found
from eep_platform.autoscaling.requests import parts_page, target_of
from eep_platform.autoscaling.targets import DIMENSION, NAMESPACE, Policy, Target, Targets
from eep_platform.emulation.errors import validation_exception
from eep_platform.sagemaker.store import Store

_TYPE = "TargetTrackingScaling"
_CONFIG = "TargetTrackingScalingPolicyConfiguration"
_WHOLE_METRIC = ("MetricName", "Namespace", "Statistic")


class PolicyOperations:
    """The operations on scaling policies."""

    def __init__(self, store: Store, targets: Targets, alarms: PolicyAlarms) -> None:
        self._store = store
        self._targets = targets
        self._alarms = alarms

    async def put_scaling_policy(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """PutScalingPolicy: creates or updates a policy and its alarms."""
        target = target_of(self._targets, request)
        present = target.policies.get(request["PolicyName"])
        if request.get("PolicyType", _TYPE if present else None) != _TYPE:
            raise validation_exception(f"Only policies of type {_TYPE} are served here.")
        config = request.get(_CONFIG)
        _refuse_config(config)
        policy = present or self._new(target, request["PolicyName"])
        try:
            alarms = await self._alarms.put(target.resource_id, policy.arn, config or {}, policy.alarms)
        except (BotoCoreError, ClientError) as error:
            raise failed_resource_access(f"The alarms of the policy cannot be made: {error}") from error
        policy.config, policy.alarms = config or {}, alarms
        if self._targets.find(target.resource_id) is not target:
            await self._alarms.delete_if_possible(list(alarms))
            self._targets.get(target.resource_id)
        target.policies[policy.name] = policy
        return {"PolicyARN": policy.arn, "Alarms": _shown_alarms(policy)}

    async def describe_scaling_policies(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeScalingPolicies."""
        policies, token = parts_page(
            self._targets, request, lambda target: target.policies.values(), request.get("PolicyNames")
        )
        return {"ScalingPolicies": [_shown(*pair) for pair in policies], "NextToken": token}

    async def delete_scaling_policy(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteScalingPolicy: deletes the alarms first, then the policy."""
        target, name = target_of(self._targets, request), request["PolicyName"]
        policy = target.policies.get(name)
        if policy is None:
            raise object_not_found("scaling policy", target.identity, {"policy name": name})
        try:
            await self._alarms.delete(list(policy.alarms))
        except (BotoCoreError, ClientError) as error:
            raise failed_resource_access(f"The alarms of the policy cannot be deleted: {error}") from error
        target.policies.pop(name, None)
        return {}

    def _new(self, target: Target, name: str) -> Policy:
        resource = f"scalingPolicy:{uuid4()}:resource/{NAMESPACE}/{target.resource_id}:policyName/{name}"
        return Policy(name, self._store.account.arn("autoscaling", resource), self._store.clock(), {}, {})


def _refuse_config(config: Mapping[str, Any] | None) -> None:
    if config is None:
        raise validation_exception(f"{_CONFIG} is needed for a policy of type {_TYPE}.")
    predefined, customized = config.get("PredefinedMetricSpecification"), config.get("CustomizedMetricSpecification")
    if (predefined is None) == (customized is None):
        raise validation_exception("Specify one of PredefinedMetricSpecification and CustomizedMetricSpecification.")
    if predefined and predefined["PredefinedMetricType"] != PREDEFINED:
        raise validation_exception(f"{predefined['PredefinedMetricType']} is not supported for {DIMENSION}.")
    if customized and any(member not in customized for member in _WHOLE_METRIC):
        raise validation_exception(
            f"A customized metric needs {', '.join(_WHOLE_METRIC)}: metric math is not served here."
        )
    if config["TargetValue"] <= 0:
        raise validation_exception("TargetValue must be greater than 0.")


def _shown_alarms(policy: Policy) -> list[dict[str, str]]:
    return [{"AlarmName": name, "AlarmARN": arn} for name, arn in policy.alarms.items()]


def _shown(target: Target, policy: Policy) -> dict[str, Any]:
    return {
        "PolicyARN": policy.arn,
        "PolicyName": policy.name,
        **target.identity,
        "PolicyType": _TYPE,
        _CONFIG: policy.config,
        "Alarms": _shown_alarms(policy),
        "CreationTime": policy.created,
    }
