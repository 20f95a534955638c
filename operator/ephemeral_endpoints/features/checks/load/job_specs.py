"""The Job that puts load on an endpoint: the generator in the operator's image, which may do nothing but send requests.

It has no token for the API server, and of all Secrets the one with the token for the URL. It is made in the object's
namespace, which such a volume cannot leave, and belongs to the object, with which Kubernetes deletes it.
"""

from dataclasses import dataclass
from typing import Any, Final

from ephemeral_endpoints.api import API_VERSION, MANAGED_BY_LABEL, MANAGER
from ephemeral_endpoints.api.kinds import ENDPOINT
from ephemeral_endpoints.engine.names import CONTENT_LENGTH, content_digest, owner_hash, prefix
from ephemeral_endpoints.features.checks.load.plan import MOST_SECONDS_BESIDE, LoadPlan
from ephemeral_endpoints.kube.manifests import READABLE, RESTRICTED, environment, mount

LOAD_LABEL: Final = "ephemeral-endpoints.io/load-of"
RUN_ANNOTATION: Final = "ephemeral-endpoints.io/load-run"
CONTAINER: Final = "load"

PLAN_VARIABLE: Final = "EEP_LOAD_PLAN"
TOKEN_VARIABLE: Final = "EEP_LOAD_TOKEN_FILE"  # noqa: S105 - the name of a variable
RESULT_VARIABLE: Final = "EEP_LOAD_RESULT_FILE"

KEPT_SECONDS: Final = 3600
"""So long a Job stays after its end, for people and for an operator that was restarted."""

START_SECONDS: Final = 300
"""How long it may take until a node has the image and runs the Pod."""

MEMORY: Final = "256Mi"

_RESULT: Final = "/dev/termination-log"
_FOLDER: Final = "/run/eep/token"
_KEY: Final = "token"
_USER: Final = 65532
_PROGRAM: Final = ("python", "-m", __package__)


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """One load check of one run of an object's checks. ``secret`` has the token for the URL, None: it needs none."""

    cluster_id: str
    namespace: str
    endpoint: str
    uid: str
    run_id: str
    check: str
    plan: LoadPlan
    secret: str | None

    @property
    def name(self) -> str:
        """The one name of its Job: a DNS label."""
        content = content_digest(self.run_id, self.check, self.plan.to_json())[:CONTENT_LENGTH]
        return f"{prefix(self.cluster_id)}load-{owner_hash(self.uid)}-{content}"

    @property
    def labels(self) -> dict[str, str]:
        """The labels of all Jobs and Pods that put load on the object."""
        return {MANAGED_BY_LABEL: MANAGER, LOAD_LABEL: owner_hash(self.uid)}

    @property
    def deadline(self) -> int:
        """After so many seconds Kubernetes ends the Job."""
        return round(START_SECONDS + MOST_SECONDS_BESIDE + self.plan.seconds)


def job(order: LoadOrder, image: str) -> dict[str, Any]:
    """The Job, in which the generator runs once, unless the cluster itself ends it before it is done."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": order.name,
            "namespace": order.namespace,
            "labels": order.labels,
            "annotations": {RUN_ANNOTATION: order.run_id},
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": ENDPOINT.name,
                    "name": order.endpoint,
                    "uid": order.uid,
                    "controller": True,
                }
            ],
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": order.deadline,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            # A Pod that its node loses is none of the model's faults:
            # https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                ]
            },
            "template": {"metadata": {"labels": order.labels}, "spec": _pod(order, image)},
        },
    }


def _pod(order: LoadOrder, image: str) -> dict[str, Any]:
    items = [{"key": _KEY, "path": _KEY, "mode": READABLE}]
    secret = {"secretName": order.secret, "items": items, "defaultMode": READABLE}
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # As the first process of its container the generator does not heed SIGTERM, and there is nothing to save.
        "terminationGracePeriodSeconds": 1,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(order, image)],
        "volumes": [{"name": "token", "secret": secret}] if order.secret else [],
    }


def _container(order: LoadOrder, image: str) -> dict[str, Any]:
    values = {PLAN_VARIABLE: order.plan.to_json(), RESULT_VARIABLE: _RESULT}
    if order.secret:
        values[TOKEN_VARIABLE] = f"{_FOLDER}/{_KEY}"
    return {
        "name": CONTAINER,
        "image": image,
        "command": list(_PROGRAM),
        "env": environment(values),
        "resources": {
            "requests": {"cpu": "250m", "memory": MEMORY, "ephemeral-storage": "16Mi"},
            # More than it needs on average: a generator without a processor is late, and proves nothing.
            "limits": {"cpu": "1", "memory": MEMORY, "ephemeral-storage": "16Mi"},
        },
        "terminationMessagePath": _RESULT,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": dict(RESTRICTED),
        "volumeMounts": [mount("token", _FOLDER, read_only=True)] if order.secret else [],
    }
