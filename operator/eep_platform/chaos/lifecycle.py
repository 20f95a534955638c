"""The phases of an object's lifecycle: what starts each, and when it has finished."""

import io
import json
import re
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from eep_platform.chaos.lane import FREQUENT_SNAPSHOTS, RARE_SNAPSHOTS, Lane
from eep_platform.chaos.points import Phase
from eep_platform.workbench import condition, is_ready
from ephemeral_endpoints.engine.names import ENDPOINT_LOG_PREFIX, LAMBDA_LOG_PREFIX

State = Mapping[str, Any]
"""The contents of an account."""

Phases = tuple[Phase, ...]

LIFECYCLES: Final[Mapping[Phases, Mapping[str, str]]] = {
    (Phase.CREATE, Phase.START, Phase.DRIFT, Phase.DELETE): FREQUENT_SNAPSHOTS,
    (Phase.CREATE, Phase.UPDATE, Phase.DELETE): RARE_SNAPSHOTS,
}
"""The phases of each lifecycle in their order, and the settings of its operator."""

_EXPIRES_IN_SECONDS: Final = 1
_FOREIGN_DAYS: Final = 365
_FOREIGN_MEMORY_MB: Final = 192
_OURS: Final = "eep-"
_OF_SAGEMAKER: Final = {"ServiceNamespace": "sagemaker"}
_NAMES_OF_A_POLICY: Final = ("PolicyName", "ServiceNamespace", "ResourceId", "ScalableDimension")
_OWNER: Final = re.compile(r"-[a-z2-7]{10}(?![a-z0-9])")
_IMMUTABLE: Final = re.compile(r"-[a-z0-9-]{1,5}-owner(-[a-z2-7]{6})-[a-z2-7]{26}(?![0-9a-z])")
"""The end of the name of a model or configuration: a hash of the models is equal in every lifecycle."""


@dataclass
class Lifecycle:
    """One object on a lane; ``reference`` is the final state of each phase, see ``normal``."""

    lane: Lane
    name: str
    settings: Mapping[str, str]
    """The settings of its operator."""
    reference: Mapping[Phase, str] = field(default_factory=dict)
    expires: bool = False
    """Whether the object ends by its time to live instead of a deletion."""
    _before: State = field(default_factory=dict)

    def prepare(self, phase: Phase) -> None:
        """Prepare the phase before a fault is injected."""
        if phase is Phase.CREATE:
            self.lane.bench.control.hold_tag_index(is_held=False)
        if phase is Phase.CREATE and not self.lane.has_operator(self.settings):
            # The last calls of the previous operator must not count as the first of this one.
            self.lane.end_operator()
            self.lane.bench.control.reset_meter()
            self.lane.run_operator(self.settings)
            self.lane.wait_connected()
        if phase is Phase.START:
            # An index of tags that lags has the operator read those of each resource as well.
            self.lane.bench.control.hold_tag_index()
            self.lane.end_operator()
            self._apply(1)
        if phase is Phase.DRIFT:
            self._before = self.state()

    def act(self, phase: Phase) -> None:
        """Start the phase."""
        match phase:
            case Phase.CREATE:
                self._apply(0)
            case Phase.UPDATE:
                self._apply(1)
            case Phase.START:
                self.lane.run_operator(self.settings)
            case Phase.DRIFT:
                self._change_by_hand()
            case Phase.DELETE if self.expires:
                self._expire()
            case Phase.DELETE:
                self.lane.bench.delete(self.name)

    def has_finished(self, phase: Phase) -> bool:
        """Whether the object is gone, or ready and exactly its resources are in AWS.

        No error is reported any more, either: it would be attributed to the next phase.
        """
        # A listed resource may be gone before it is described.
        with suppress(ClientError):
            return self._has_finished(phase)
        return False

    def _has_finished(self, phase: Phase) -> bool:
        found = self.lane.bench.get(self.name)
        if phase is Phase.DELETE:
            return found is None and not self.lane.contents()
        if found is None or not is_ready(found) or condition(found, "Reconciling").get("status") != "False":
            return False
        now = self.state()
        return now == self._before if phase is Phase.DRIFT else self._matches_reference(phase, now)

    def describe(self) -> str:
        """The conditions of the object and the contents of the account, for people."""
        found = self.lane.bench.get(self.name)
        conditions = (found or {}).get("status", {}).get("conditions", [])
        reported = [f"{each['type']}={each['status']} {each['reason']}: {each['message']}" for each in conditions]
        return f"{'; '.join(reported) if found else 'the object is gone'}; in AWS: {self.lane.contents()}"

    def state(self) -> State:
        """The contents and settings of the account, without random identifiers of AWS."""
        there = self.lane.contents()
        gateway = self.lane.aws("apigatewayv2")
        groups = self.lane.aws("logs").describe_log_groups()["logGroups"]
        functions = self.lane.aws("lambda").list_functions()["Functions"]
        # Application Auto Scaling creates alarms of its own with random names.
        alarms = self.lane.aws("cloudwatch").describe_alarms(AlarmNamePrefix=_OURS)["MetricAlarms"]
        scaling = self.lane.aws("application-autoscaling")
        policies = scaling.describe_scaling_policies(**_OF_SAGEMAKER)["ScalingPolicies"]
        actions = scaling.describe_scheduled_actions(**_OF_SAGEMAKER)["ScheduledActions"]
        endpoints = [
            self.lane.aws("sagemaker").describe_endpoint(EndpointName=name) for name in there.get("Endpoint", [])
        ]
        stages = [gateway.get_stages(ApiId=api["ApiId"])["Items"] for api in gateway.get_apis()["Items"]]
        return {
            **there,
            "Alarm": [each["AlarmName"] for each in alarms],
            "Scaling": [each["PolicyName"] for each in policies] + [each["ScheduledActionName"] for each in actions],
            "Integration": [each.rpartition(" ")[0] for each in there.get("Integration", [])],
            "Serving": [(each["EndpointConfigName"], each["EndpointStatus"]) for each in endpoints],
            "Stage": [each["StageName"] for items in stages for each in items],
            "Retention": {each["logGroupName"]: each.get("retentionInDays") for each in groups},
            "Memory": {each["FunctionName"]: each["MemorySize"] for each in functions},
            "Code": {each["FunctionName"]: each["CodeSha256"] for each in functions},
            "Threshold": {each["AlarmName"]: each["Threshold"] for each in alarms},
        }

    def normal(self, state: State) -> str:
        """A state in a form that is equal for different objects on different lanes."""
        text = json.dumps({kind: value for kind, value in state.items() if kind != "Code"}, sort_keys=True)
        text = _IMMUTABLE.sub(r"-object-owner\1-content", _OWNER.sub("-owner", text))
        return text.replace(self.name, "object").replace(self.lane.name, "lane")

    def _matches_reference(self, phase: Phase, now: State) -> bool:
        expected = self.reference.get(phase)
        return expected is None or expected == self.normal(now)

    def _apply(self, revision: int, **members: object) -> None:
        self.lane.bench.apply(self.name, {**self.lane.spec(revision), **members})

    def _expire(self) -> None:
        found = self.lane.bench.get(self.name) or {}
        age = datetime.now(UTC) - datetime.fromisoformat(found["metadata"]["creationTimestamp"])
        ttl = f"{int(age.total_seconds()) + _EXPIRES_IN_SECONDS}s"
        self._apply(1, lifecycle={"ttl": ttl, "ttlFrom": "Created"})

    def _change_by_hand(self) -> None:
        """Change or delete a resource of every kind that can be changed without breaking those that refer to it."""
        there, aws = self._before, self.lane.aws
        gateway, logs, functions = aws("apigatewayv2"), aws("logs"), aws("lambda")
        api, function = gateway.get_apis()["Items"][0]["ApiId"], there["Function"][0]
        groups = {each[: each.index("eep-")]: each for each in there["LogGroup"]}
        aws("cloudwatch").delete_alarms(AlarmNames=there["Alarm"][:1])
        logs.put_retention_policy(logGroupName=groups[ENDPOINT_LOG_PREFIX], retentionInDays=_FOREIGN_DAYS)
        logs.delete_log_group(logGroupName=groups[LAMBDA_LOG_PREFIX])
        [policy] = aws("application-autoscaling").describe_scaling_policies(**_OF_SAGEMAKER)["ScalingPolicies"]
        aws("application-autoscaling").delete_scaling_policy(**{name: policy[name] for name in _NAMES_OF_A_POLICY})
        gateway.delete_route(ApiId=api, RouteId=gateway.get_routes(ApiId=api)["Items"][0]["RouteId"])
        gateway.delete_stage(ApiId=api, StageName="$default")
        functions.update_function_code(FunctionName=function, ZipFile=_zipped("handler.py", "changed"))
        functions.update_function_configuration(FunctionName=function, MemorySize=_FOREIGN_MEMORY_MB)
        aws("sagemaker").delete_endpoint(EndpointName=there["Endpoint"][0])


def _zipped(name: str, text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, text)
    return buffer.getvalue()
