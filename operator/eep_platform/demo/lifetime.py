"""The ends of previews: asleep, awake, extended, expired, and what remains when the cluster is gone."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import requests
from typing_extensions import override

from eep_platform import bootstrap, controlplane, operator
from eep_platform.aws.contents import Contents
from eep_platform.demo.story import Story, counted
from eep_platform.errors import PlatformError
from eep_platform.git import files_of
from eep_platform.workbench import Object, condition, is_ready
from ephemeral_endpoints.api import GROUP, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT_CLASS
from ephemeral_endpoints.deploy import reaper_stack

REPOSITORY: Final = bootstrap.REVIEWED_REPOSITORY
IDLE: Final = "wine-pr-7"
SHORT: Final = "wine-pr-8"
FORSAKEN: Final = "wine-pr-9"
STACK: Final = "reaper"
_ASLEEP: Final = 503
_BUILD_SECONDS: Final = 600
_GONE_SECONDS: Final = 120
_SHORT: Final = "20s"
_EXTENSION: Final = "5d"
_LATER: Final = timedelta(days=10)
"""The ends of all, a weekend and the reaper's grace."""
_ON_INSTANCES: Final = {"instances": {"type": "ml.m5.large"}}


@dataclass
class Lifetime(Story):
    """An idle preview, a short one, and one whose cluster is destroyed."""

    @override
    def run(self) -> None:
        self._connect_queue()
        with self.stage("a preview on an instance is served, which costs by the hour"):
            files = files_of(self.model, below="model")
            revision = self.bench.platform.git.push(REPOSITORY, "main", files, message="Tell wines apart")
            self.bench.apply(IDLE, self._opened(revision, 7, _ON_INSTANCES))
            ready = self.bench.wait_ready(IDLE, seconds=_BUILD_SECONDS)
            self.quote(self.eep("cost", IDLE))
        with self.stage("nobody uses it: it is sent to sleep"):
            self._sleep()
        with self.stage("a request wakes it, and it serves at the same URL"):
            self._wake(ready)
        with self.stage("a reviewer needs it for longer"):
            self._extend(ready)
        with self.stage(f"another one lives for {_SHORT} only, and expires"):
            self.bench.apply(SHORT, {**self._opened(revision, 8), "lifecycle": {"ttl": _SHORT}})
            self.detail(f"ready, until {self.bench.wait_ready(SHORT)['status']['expiresAt']}")
            self.bench.wait_gone(SHORT, seconds=_GONE_SECONDS)
        with self.stage("what there is, what it costs, and what it has saved"):
            self.quote(self.eep("cost"))
        with self.stage("a third one is served, when the cluster is destroyed, and the operator with it"):
            self.bench.apply(FORSAKEN, self._opened(revision, 9))
            served = self.bench.wait_ready(FORSAKEN)
            reaper = self._install_reaper(cluster=served["status"]["endpointName"].split("-")[1])
            self.destroy_cluster(reaper)
        with self.stage("the reaper, a function in the account, reads in the tags what is past its end"):
            self.reap(reaper)
            self._uninstall_reaper()
        with self.stage("nothing is left"):
            self.prove_empty()

    def _opened(self, revision: str, number: int, serving: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Open a pull request; returns the spec of its preview."""
        branch = f"change-{number}"
        self.bench.platform.github.open(REPOSITORY, revision, number=number, branch=branch, title=f"Change {number}")
        return {
            "source": {"repository": REPOSITORY, "pullRequest": number, "revision": revision},
            "model": {"build": {"context": "model"}},
            "serving": dict(serving or {}),
        }

    def _connect_queue(self) -> None:
        """Let what forwarders tell reach the operator."""
        bootstrap.event_queue(self.bench.aws("sqs"), self.bench.aws("events"))
        events = {"spec": {"events": {"queueName": bootstrap.EVENT_QUEUE}}}
        self.bench.objects.patch_cluster_custom_object(
            GROUP,
            VERSION,
            ENDPOINT_CLASS.plural,
            bootstrap.DEFAULT_CLASS,
            events,
            _content_type="application/merge-patch+json",
        )

    def _sleep(self) -> None:
        def is_free(obj: Object) -> bool:
            return bool(obj["status"].get("cost", {}).get("hourlyUSD") == "0.00")

        self.eep("sleep", IDLE)
        self.bench.wait(IDLE, lambda obj: condition(obj, "Active").get("reason") == "Asleep", what="asleep")
        self.bench.wait(IDLE, is_free, what="free of charge")
        if left := self.bench.contents().get("Endpoint"):
            raise PlatformError(f"the endpoint {left} is still there")
        self.detail("its endpoint is gone from SageMaker, and it costs 0 USD an hour")

    def _wake(self, ready: Object) -> None:
        refused = self.ask(IDLE, ready)
        if refused.status_code != _ASLEEP:
            raise PlatformError(f"a sleeping preview answered {refused.status_code} {refused.text}")
        self.detail(f"{refused.status_code}, retry after {refused.headers['retry-after']} s: {_detail(refused)}")
        self.bench.wait(IDLE, _is_awake, what="awake")
        self.predict(IDLE, ready)

    def _extend(self, ready: Object) -> None:
        def is_extended(obj: Object) -> bool:
            return str(obj["status"]["expiresAt"]) > before

        before = str(ready["status"]["expiresAt"])
        self.eep("extend", IDLE, _EXTENSION)
        after = self.bench.wait(IDLE, is_extended, what="extended")["status"]["expiresAt"]
        self.detail(f"eep extend {IDLE} {_EXTENSION}: it was to end at {before}, and ends at {after}")

    def _install_reaper(self, cluster: str) -> str:
        """Create the class's stack; returns the name of the function."""
        stacks = self.bench.aws("cloudformation")
        stacks.create_stack(
            StackName=STACK,
            TemplateBody=reaper_stack.stack(),
            Parameters=[{"ParameterKey": "ClusterId", "ParameterValue": cluster}],
            Capabilities=["CAPABILITY_IAM"],
        )
        stacks.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        [stack] = stacks.describe_stacks(StackName=STACK)["Stacks"]
        return str(stack["Outputs"][0]["OutputValue"])

    def destroy_cluster(self, reaper: str) -> None:
        """End operator and API server for good; nobody but the function ``reaper`` is left to act."""
        operator.end(self.bench.platform, grace_seconds=0)
        controlplane.stop(self.bench.platform.state, report=lambda _: None)
        self.detail(
            f"left in AWS: {counted(Counter({kind: len(names) for kind, names in self.left().items()}))}; and {reaper}"
        )

    def reap(self, reaper: str) -> None:
        """Run the reaper as its rule does, today and days later."""
        self.detail(f"run today: {self.run_reaper(reaper)}")
        self.bench.control.set_ahead(_LATER.total_seconds())
        deadline = time.monotonic() + _GONE_SECONDS
        while True:
            self.detail(f"run {_LATER.days} days later: {self.run_reaper(reaper)}")
            if not self.left():
                return
            if time.monotonic() > deadline:
                raise PlatformError(f"the reaper leaves {self.left()}")

    def run_reaper(self, reaper: str) -> str:
        """What the function reports. Raises PlatformError if it fails."""
        self.bench.control.flush_sagemaker()
        answer = self.bench.aws("lambda").invoke(FunctionName=reaper, Payload=b"{}")
        report = str(answer["Payload"].read(), "utf-8")
        if "FunctionError" in answer:
            raise PlatformError(f"the reaper failed: {report}")
        return report

    @override
    def left(self) -> Contents:
        """What is in the account but for the reaper's own."""
        found = {
            kind: [name for name in names if not any(own in name for own in ("Reaper", STACK))]
            for kind, names in super().left().items()
        }
        return {kind: names for kind, names in found.items() if names}

    def _uninstall_reaper(self) -> None:
        stacks = self.bench.aws("cloudformation")
        stacks.delete_stack(StackName=STACK)
        stacks.get_waiter("stack_delete_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def _is_awake(obj: Object) -> bool:
    return condition(obj, "Active").get("reason") == "Awake" and is_ready(obj)


def _detail(problem: requests.Response) -> str:
    return str(problem.json()["detail"])
