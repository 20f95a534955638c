"""A lane: an AWS account, an operator, a class and a namespace of its own, on a control plane that all lanes share.

A fault in one lane does not affect another, so that many cases run in parallel.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kubernetes import client
from kubernetes.client.exceptions import ApiException

import ephemeral_endpoints
from eep_platform import bootstrap, operator
from eep_platform.aws import ministack, services
from eep_platform.aws.contents import Contents, contents
from eep_platform.aws.ledger import Call, Outcome
from eep_platform.aws.services import Ports
from eep_platform.bench import front
from eep_platform.bootstrap import EXAMPLE_REPOSITORY, Roles
from eep_platform.chaos.points import is_mutating
from eep_platform.containers.image import EMPTY_MANIFEST
from eep_platform.paths import private_dir
from eep_platform.platform import Platform
from eep_platform.processes import find, free_port, spawn, wait_until
from eep_platform.workbench import Workbench
from ephemeral_endpoints.api import API_VERSION, GROUP, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT, ENDPOINT_CLASS

RARE_SNAPSHOTS: Final = {"EEP_POLL_SECONDS": "0.05", "EEP_SNAPSHOT_SECONDS": "600", "EEP_SWEEP": "off"}
"""Settings of an operator that learns of changes in AWS by events and its own calls only."""
FREQUENT_SNAPSHOTS: Final = {**RARE_SNAPSHOTS, "EEP_SNAPSHOT_SECONDS": "2"}
"""Settings of an operator that takes a snapshot of AWS every two seconds; more of them would take the whole machine."""

_TAG: Final = "chaos"
_INSTANCE_TYPES: Final = ("ml.m5.large", "ml.m5.xlarge")
_NIGHT: Final = {"name": "night", "schedule": "cron(0 20 ? * * *)", "minCount": 1, "maxCount": 1}
_NOT_FOUND: Final = 404
_READY_SECONDS: Final = 120
_DONE_SECONDS: Final = 60
_LISTENS: Final = "ReceiveMessage"
_FIRST_OF_A_SNAPSHOT: Final = "ListFunctions"
_SAGEMAKER: Final = {
    "containers": "off",
    "side_channel_seconds": 0.05,
    "behaviour": {"create_seconds": 0.1, "update_seconds": 0.1, "delete_seconds": 0.1},
}


@dataclass
class Lane:
    """A lane whose account is running. All methods block and may raise PlatformError."""

    bench: Workbench
    direct_endpoint: str
    """The URL of the account that bypasses the operator's meter: its calls are not counted and get no faults."""
    settings: Mapping[str, str] | None = None
    """The settings of the running operator; None: no operator runs."""
    _clients: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def start(cls, name: str, state: Path, kubeconfig: Path) -> "Lane":
        """Start the account. The front answers for every endpoint: models are not under test."""
        ports = Ports.free()
        private_dir(state)
        services.start(state, ports)
        endpoint = f"http://127.0.0.1:{_start_meter(state, ports)}"
        variables = {**services.client_environment(ports), "AWS_ENDPOINT_URL": endpoint, "KUBECONFIG": str(kubeconfig)}
        platform = Platform(
            state=state.resolve(),
            kubeconfig=kubeconfig,
            aws_endpoint=endpoint,
            region=ministack.REGION,
            account=ministack.ACCOUNT,
            git_url=ports.git_url,
            github_url=ports.github_url,
            environment=variables,
        )
        return cls(Workbench(platform, namespace=name), ports.endpoint)

    @property
    def name(self) -> str:
        """The name of its namespace and of its class, and the cluster id of its operator."""
        return self.bench.namespace

    def provision(self) -> Roles:
        """Create what the account needs before the first object; returns its roles, which are equal in every lane."""
        platform = self.bench.platform
        roles = bootstrap.aws(
            self.bench.session, self.direct_endpoint, account=platform.account, region=platform.region
        )
        bootstrap.event_queue(self.aws("sqs"), self.aws("events"))
        manifest = json.dumps(EMPTY_MANIFEST)
        self.aws("ecr").put_image(repositoryName=EXAMPLE_REPOSITORY, imageManifest=manifest, imageTag=_TAG)
        self.bench.control.patch_sagemaker_settings(_SAGEMAKER)
        return roles

    def create_class(self) -> None:
        """Create the namespace, and a class like the default one that receives events."""
        self.bench.core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=self.name)))
        objects = self.bench.objects
        default: Any = objects.get_cluster_custom_object(GROUP, VERSION, ENDPOINT_CLASS.plural, bootstrap.DEFAULT_CLASS)
        body = {
            "apiVersion": API_VERSION,
            "kind": default["kind"],
            "metadata": {"name": self.name},
            "spec": default["spec"] | {"events": {"queueName": bootstrap.EVENT_QUEUE}},
        }
        objects.create_cluster_custom_object(GROUP, VERSION, ENDPOINT_CLASS.plural, body)

    def run_operator(self, settings: Mapping[str, str] | None = None) -> None:
        """Run an operator with these settings, by default with those of the last one."""
        settings = settings or self.settings or RARE_SNAPSHOTS
        if self.settings not in (None, settings):
            self.end_operator()
        self.settings = settings
        own = {"EEP_NAMESPACES": self.name, "EEP_CLUSTER_ID": self.name}
        operator.start(self.bench.platform, {**own, **settings})

    def has_operator(self, settings: Mapping[str, str]) -> bool:
        """Whether an operator with these settings is running."""
        return self.settings == settings and find(operator.NAME, self.bench.platform.state) is not None

    def wait_connected(self) -> None:
        """Wait until a new operator has made its first lists and receives events."""
        log = self.bench.control.log
        wait_until(
            lambda: any(call.operation == _LISTENS for call in log()),
            seconds=_READY_SECONDS,
            what="the operator's connection to AWS",
        )

    def end_operator(self) -> None:
        """Stop the operator as Kubernetes does, and wait until it is gone."""
        operator.end(self.bench.platform)

    def ask_operator_to_end(self) -> None:
        """Send the operator SIGTERM and return at once."""
        if process := find(operator.NAME, self.bench.platform.state):
            os.kill(process.pid, signal.SIGTERM)

    def wait_operator_ended(self) -> None:
        """Wait until the operator that was asked to has ended by itself. Raises PlatformError if it does not."""
        wait_until(
            lambda: find(operator.NAME, self.bench.platform.state) is None,
            seconds=_DONE_SECONDS,
            what="the end of the operator",
        )

    def kill_operator(self) -> None:
        """Kill the operator whatever it is doing, and wait until it is gone."""
        operator.end(self.bench.platform, grace_seconds=0)

    def has_fired(self) -> bool:
        """Whether the last of the active faults has fired."""
        return self.bench.control.faults()[-1].fired > 0

    def release_calls(self) -> None:
        """Remove all faults and wait until held calls have finished, so that no later operator sees them finish."""
        control = self.bench.control
        control.clear_faults()
        wait_until(
            lambda: all(call.status is not None for call in control.log() if _changes(call)),
            seconds=_DONE_SECONDS,
            what="the end of held calls",
        )

    def snapshots(self) -> int:
        """The number of snapshots of AWS that have begun since the meter's reset, one after the other."""
        return sum(call.operation == _FIRST_OF_A_SNAPSHOT for call in self.bench.control.log())

    def get_class(self) -> Any:  # noqa: ANN401 - as the API server gives it
        """The lane's class in its current version."""
        return self.bench.objects.get_cluster_custom_object(GROUP, VERSION, ENDPOINT_CLASS.plural, self.name)

    def reset(self) -> None:
        """Delete everything by force after a failed case, so that the next one begins like the first."""
        self.kill_operator()
        listing: Any = self.bench.objects.list_namespaced_custom_object(GROUP, VERSION, self.name, ENDPOINT.plural)
        for each in listing["items"]:
            self._force_delete(each["metadata"]["name"])
        self.bench.control.reset()
        self.provision()

    def contents(self) -> Contents:
        """The contents of the account."""
        return contents(self.aws)

    def aws(self, service: str) -> Any:  # noqa: ANN401 - one type per service name
        """A client that bypasses the meter, as another user of the account does."""
        if service not in self._clients:
            made: Any = self.bench.session.client
            self._clients[service] = made(service, endpoint_url=self.direct_endpoint)
        return self._clients[service]

    def spec(self, revision: int) -> dict[str, Any]:
        """The spec of an object at a revision; revisions differ in environment and instance type."""
        scaling = {"maxCount": 2, "invocationsPerInstance": 100, "schedule": [_NIGHT]}
        return {
            "className": self.name,
            "source": {"repository": "acme/chaos", "pullRequest": 7, "revision": f"{revision:07x}"},
            "model": {"image": self.bench.image_uri(_TAG), "environment": {"REVISION": str(revision)}},
            # Whether a revision moves the end, and with it the tags, would depend on the second in which it comes.
            "lifecycle": {"ttlFrom": "Created"},
            "serving": {"instances": {"type": _INSTANCE_TYPES[revision], "autoscaling": scaling}},
        }

    def _force_delete(self, name: str) -> None:
        patch = {"metadata": {"finalizers": None}}
        try:
            self.bench.delete(name)
            self.bench.objects.patch_namespaced_custom_object(
                *(GROUP, VERSION, self.name, ENDPOINT.plural, name, patch), _content_type="application/merge-patch+json"
            )
        except ApiException as error:
            if error.status != _NOT_FOUND:
                raise


def _changes(call: Call) -> bool:
    """Whether the call was to change something."""
    return call.outcome is Outcome.FORWARDED and is_mutating(call.operation)


def _start_meter(state: Path, ports: Ports) -> int:
    port = free_port()
    argv = ["--port", str(port), *services.upstreams(ports)]
    package_root = str(Path(ephemeral_endpoints.__file__).parents[1])
    environment = {**ministack.without_aws(os.environ), **ministack.credentials(), "PYTHONPATH": package_root}
    process = spawn("meter", [sys.executable, "-m", front.__name__, *argv], state=state, env=environment)
    health = f"http://127.0.0.1:{port}/_meter/health"
    wait_until(lambda: ministack.answers(health), seconds=_READY_SECONDS, what="the meter", process=process)
    return port
