"""A lane: an AWS account, an operator, a class and a namespace of its own, on a control plane that lanes share.

What goes wrong in one lane is not seen in another, so that many cases run side by side and each is alone.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kubernetes import client
from kubernetes.client.exceptions import ApiException

import ephemeral_endpoints
from ephemeral_endpoints.api import API_VERSION, GROUP, VERSION
from ephemeral_endpoints.kube.client import CLASSES, ENDPOINTS
from ephemeral_endpoints.local import bootstrap, operator
from ephemeral_endpoints.local.aws import ministack, services
from ephemeral_endpoints.local.aws.contents import Contents, contents
from ephemeral_endpoints.local.aws.services import Ports
from ephemeral_endpoints.local.bench import front
from ephemeral_endpoints.local.bootstrap import EXAMPLE_REPOSITORY, Roles
from ephemeral_endpoints.local.paths import private_dir
from ephemeral_endpoints.local.platform import Platform
from ephemeral_endpoints.local.processes import find, free_port, spawn, wait_until
from ephemeral_endpoints.local.workbench import Workbench

QUIET: Final = {"EEP_POLL_SECONDS": "0.05", "EEP_SNAPSHOT_SECONDS": "600", "EEP_SWEEP": "off"}
"""Looks at AWS only where something makes it."""
WATCHFUL: Final = {**QUIET, "EEP_SNAPSHOT_SECONDS": "1"}
"""Takes a snapshot of AWS every second."""

_TAG: Final = "chaos"
_INSTANCE_TYPES: Final = ("ml.m5.large", "ml.m5.xlarge")
_NIGHT: Final = {"name": "night", "schedule": "cron(0 20 ? * * *)", "minCount": 1, "maxCount": 1}
_NOT_FOUND: Final = 404
_READY_SECONDS: Final = 60
_LISTENS: Final = "ReceiveMessage"
_MANIFEST: Final = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": 2,
        "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    },
    "layers": [],
}
_SAGEMAKER: Final = {
    "containers": "off",
    "side_channel_seconds": 0.05,
    "behaviour": {"create_seconds": 0.1, "update_seconds": 0.1, "delete_seconds": 0.1},
}


@dataclass
class Lane:
    """A lane whose account runs. Everything blocks and may raise PlatformError."""

    bench: Workbench
    side_door: str
    """The URL of the account past the operator's meter: what is done there is neither counted nor struck."""
    settings: Mapping[str, str] | None = None
    """Those of the operator that runs; None: none does."""
    _clients: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def start(cls, name: str, state: Path, kubeconfig: Path) -> "Lane":
        """Start the account. The operator's front answers for every endpoint: models are not what is tried here."""
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
            environment=variables,
        )
        return cls(Workbench(platform, namespace=name), ports.endpoint)

    @property
    def name(self) -> str:
        """The name of its namespace and of its class, and its operator's cluster id."""
        return self.bench.namespace

    def furnish(self) -> Roles:
        """Make what the account is to have before the first object; returns its roles, the same in every lane."""
        platform = self.bench.platform
        roles = bootstrap.aws(self.bench.session, self.side_door, account=platform.account, region=platform.region)
        bootstrap.event_queue(self.aws("sqs"), self.aws("events"))
        manifest = json.dumps(_MANIFEST)
        self.aws("ecr").put_image(repositoryName=EXAMPLE_REPOSITORY, imageManifest=manifest, imageTag=_TAG)
        self.bench.control.patch_sagemaker_settings(_SAGEMAKER)
        return roles

    def settle_in(self) -> None:
        """Make the namespace, and a class like the default one that listens to events."""
        self.bench.core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=self.name)))
        objects = self.bench.objects
        default: Any = objects.get_cluster_custom_object(GROUP, VERSION, CLASSES, bootstrap.DEFAULT_CLASS)
        body = {
            "apiVersion": API_VERSION,
            "kind": default["kind"],
            "metadata": {"name": self.name},
            "spec": default["spec"] | {"events": {"queueName": bootstrap.EVENT_QUEUE}},
        }
        objects.create_cluster_custom_object(GROUP, VERSION, CLASSES, body)

    def run_operator(self, settings: Mapping[str, str] | None = None) -> None:
        """Have an operator with these settings, by default with those of the last one."""
        settings = settings or self.settings or QUIET
        if self.settings not in (None, settings):
            self.end_operator()
        self.settings = settings
        own = {"EEP_NAMESPACES": self.name, "EEP_CLUSTER_ID": self.name}
        operator.start(self.bench.platform, {**own, **settings})

    def has_operator(self, settings: Mapping[str, str]) -> bool:
        """Whether an operator with these settings runs."""
        return self.settings == settings and find(operator.NAME, self.bench.platform.state) is not None

    def wait_connected(self) -> None:
        """Wait until a new operator has made its first lists and hears events: from then on it does nothing unasked."""
        log = self.bench.control.log
        wait_until(
            lambda: any(call.operation == _LISTENS for call in log()),
            seconds=_READY_SECONDS,
            what="the operator's connection to AWS",
        )

    def end_operator(self) -> None:
        """End the operator as Kubernetes does, and wait until it is gone."""
        operator.end(self.bench.platform)

    def kill_operator(self) -> float:
        """Kill the operator in the midst of whatever it does; returns when (monotonic), and only once it is gone."""
        if process := find(operator.NAME, self.bench.platform.state):
            os.kill(process.pid, signal.SIGKILL)
        at = time.monotonic()
        operator.end(self.bench.platform, grace_seconds=0)
        return at

    def renew(self) -> None:
        """After a case that went wrong: take everything away by force, so that the next one begins like the first."""
        self.kill_operator()
        listing: Any = self.bench.objects.list_namespaced_custom_object(GROUP, VERSION, self.name, ENDPOINTS)
        for each in listing["items"]:
            self._tear_off(each["metadata"]["name"])
        self.bench.control.reset()
        self.furnish()

    def contents(self) -> Contents:
        """Everything that is in the account."""
        return contents(self.bench.session, self.side_door)

    def aws(self, service: str) -> Any:  # noqa: ANN401 - one type per service name
        """A client that comes by the side door, as somebody else does who works in the account."""
        if service not in self._clients:
            made: Any = self.bench.session.client
            self._clients[service] = made(service, endpoint_url=self.side_door)
        return self._clients[service]

    def spec(self, revision: int) -> dict[str, Any]:
        """The spec of an object at one of its revisions, which differ in all that has an order of its own."""
        scaling = {"maxCount": 2, "invocationsPerInstance": 100, "schedule": [_NIGHT]}
        return {
            "className": self.name,
            "source": {"repository": "acme/chaos", "pullRequest": 7, "revision": f"{revision:07x}"},
            "model": {"image": self.bench.image_uri(_TAG), "environment": {"REVISION": str(revision)}},
            "serving": {"instances": {"type": _INSTANCE_TYPES[revision], "autoscaling": scaling}},
        }

    def _tear_off(self, name: str) -> None:
        patch = {"metadata": {"finalizers": None}}
        try:
            self.bench.delete(name)
            self.bench.objects.patch_namespaced_custom_object(
                *(GROUP, VERSION, self.name, ENDPOINTS, name, patch), _content_type="application/merge-patch+json"
            )
        except ApiException as error:
            if error.status != _NOT_FOUND:
                raise


def _start_meter(state: Path, ports: Ports) -> int:
    port = free_port()
    argv = ["--port", str(port), *services.upstreams(ports)]
    package_root = str(Path(ephemeral_endpoints.__file__).parents[1])
    environment = {**ministack.without_aws(os.environ), **ministack.credentials(), "PYTHONPATH": package_root}
    process = spawn("meter", [sys.executable, "-m", front.__name__, *argv], state=state, env=environment)
    health = f"http://127.0.0.1:{port}/_meter/health"
    wait_until(lambda: ministack.answers(health), seconds=_READY_SECONDS, what="the meter", process=process)
    return port
