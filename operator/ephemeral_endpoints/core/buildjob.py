"""The Job that makes an order's image by rootless BuildKit.

The Pod first runs ``credentials``, which gets passwords for the registries by the role of the ServiceAccount, then
``build``. What follows from the documentation:

- BuildKit's user namespace and mounts are what the usual profiles of seccomp and AppArmor refuse, hence Unconfined for
  ``build`` alone; without ``--oci-worker-no-process-sandbox`` it would have to mount /proc anew, which Kubernetes
  allows only in user namespaces of its own. With it a RUN of the Dockerfile sees the processes of its container, and
  may get at what they may read: the password to push, the token and the secrets of this one build.
  https://github.com/moby/buildkit/blob/master/docs/rootless.md#containerized-deployment
  https://github.com/moby/buildkit/blob/master/examples/kubernetes/job.rootless.yaml
- Namespaces that enforce the Pod Security Standard "baseline" refuse Unconfined: the Jobs' namespace must not.
  https://kubernetes.io/docs/concepts/security/pod-security-standards/
- A Dockerfile can mount every secret that the build is given, by its id, the git token included; the token should
  permit reading and nothing else. https://docs.docker.com/build/building/secrets/
- Kubernetes replaces ``$(NAME)`` in commands, arguments and variables, and ``$$`` by ``$``: all are escaped.
  https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from ephemeral_endpoints.api.image_policy import JobBuild
from ephemeral_endpoints.core.builds import REVISION_ARGUMENT, Commit, Copy, Order
from ephemeral_endpoints.core.errors import Invalid
from ephemeral_endpoints.core.names import prefix

MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGER: Final = "ephemeral-endpoints"
CLUSTER_LABEL: Final = "ephemeral-endpoints.io/cluster-id"
CLASS_LABEL: Final = "ephemeral-endpoints.io/class"
IMAGE_ANNOTATION: Final = "ephemeral-endpoints.io/image"
CREDENTIALS: Final = "credentials"
BUILD: Final = "build"

DISK: Final = "20Gi"
"""What a build may fill of its node's disk."""

KEPT_SECONDS: Final = 3600
"""So long a Job stays after its end, for people and for the next look."""

CREDENTIALS_SCRIPT: Final = r"""set -euf
umask 077
auths=
for registry in $REGISTRIES; do
  region=${registry#*.dkr.ecr.}
  password=$(aws ecr get-login-password --region "${region%%.*}")
  auth=$(printf 'AWS:%s' "$password" | base64 | tr -d '\n')
  auths="$auths${auths:+,}\"$registry\":{\"auth\":\"$auth\"}"
done
printf '{"auths":{%s}}' "$auths" >"$DOCKER_CONFIG/config.json"
if [ -n "${SOURCE:-}" ]; then printf 'FROM %s\n' "$SOURCE" >"$WORKSPACE/Dockerfile"; fi
"""
"""Passwords go from the AWS command line to the file and appear nowhere else."""

_HASH_LENGTH: Final = 16
_USER: Final = 1000
"""The user of BuildKit's image; another one needs another image."""

_REGISTRY_FOLDER: Final = "/run/eep/registry"
_WORKSPACE: Final = "/run/eep/workspace"
_SECRETS: Final = "/run/secrets/eep"
_GIT: Final = "/run/secrets/eep-git"
_TOKEN: Final = "token"  # noqa: S105 - the key of a Secret, not its value
_READABLE: Final = 0o400
"""The kubelet lets the fsGroup read too: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/."""

_ECR: Final = re.compile(r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?")

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names
_SECRET_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the Jobs of a class are made, and how."""

    settings: JobBuild
    cluster_id: str
    class_name: str

    @property
    def labels(self) -> dict[str, str]:
        """What the class's Jobs and Pods are listed by. A class's name is a DNS label, and so fits."""
        return {MANAGED_BY_LABEL: MANAGER, CLUSTER_LABEL: self.cluster_id, CLASS_LABEL: self.class_name}


def job_name(cluster_id: str, image: str, attempt: int) -> str:
    """The one name of an attempt to make an image: a DNS label."""
    digest = hashlib.sha256(image.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{prefix(cluster_id)}build-{digest}-{attempt}"


def job(place: Place, order: Order, *, attempt: int, timeout_seconds: int) -> dict[str, Any]:
    """The Job that makes an image, once: whether there is another attempt is not Kubernetes' to decide.

    A copy is an image of its own made ``FROM`` the other: its layers are the same, but not its manifest, and so its
    digest differs from the source's. Raises Invalid where a secret is kept under what is no name of a Secret.
    """
    _check_secrets(order)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(place.cluster_id, order.image, attempt),
            "namespace": place.settings.namespace,
            "labels": place.labels,
            "annotations": {IMAGE_ANNOTATION: order.image},
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": timeout_seconds,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {
                # The webhook of IRSA, and that of EKS Pod Identity, then give the role to ``credentials`` alone:
                # https://github.com/aws/amazon-eks-pod-identity-webhook#eks-walkthrough
                "metadata": {"labels": place.labels, "annotations": {"eks.amazonaws.com/skip-containers": BUILD}},
                "spec": _pod(place.settings, order),
            },
        },
    }


def _check_secrets(order: Order) -> None:
    # The API server takes any name, and the Pod would wait for the Secret until its time is over.
    kept = order.origin.secrets if isinstance(order.origin, Commit) else ()
    for id_, name in kept:
        if not _SECRET_NAME.fullmatch(name):
            message = f"spec.builds.secrets of the class keeps {id_} under {name!r}: that is no name of a Secret"
            raise Invalid(message, operation="CreateJob")


def _pod(settings: JobBuild, order: Order) -> dict[str, Any]:
    return {
        "restartPolicy": "Never",
        "serviceAccountName": settings.service_account_name,
        # The token that this would mount is one for the API server. IRSA's webhook mounts its own, for AWS, all the
        # same: https://docs.aws.amazon.com/eks/latest/userguide/pod-configuration.html
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # The shell that runs BuildKit does not heed SIGTERM, and there is nothing to save.
        "terminationGracePeriodSeconds": 5,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "affinity": {"nodeAffinity": _preferred_nodes(order.platform)},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [_credentials(settings, order)],
        "containers": [_build(settings, order)],
        "volumes": list(_volumes(settings, order)),
    }


def _preferred_nodes(platform: str) -> dict[str, Any]:
    # Elsewhere BuildKit emulates the platform, which works but takes many times as long.
    architecture = {"key": "kubernetes.io/arch", "operator": "In", "values": [platform.partition("/")[2]]}
    term = {"weight": 100, "preference": {"matchExpressions": [architecture]}}
    return {"preferredDuringSchedulingIgnoredDuringExecution": [term]}


def _resources(settings: JobBuild) -> dict[str, dict[str, str]]:
    amounts = {"cpu": settings.cpu, "memory": settings.memory, "ephemeral-storage": DISK}
    return {"requests": dict(amounts), "limits": dict(amounts)}


def _credentials(settings: JobBuild, order: Order) -> dict[str, Any]:
    variables = {
        "DOCKER_CONFIG": _REGISTRY_FOLDER,
        "REGISTRIES": " ".join(_registries(order)),
        "HOME": "/tmp",  # noqa: S108 - where the AWS command line keeps the role's credentials, a volume of its own
    }
    mounts = [_mount("registry", _REGISTRY_FOLDER), _mount("scratch", "/tmp")]  # noqa: S108 - likewise
    if isinstance(order.origin, Copy):
        variables |= {"SOURCE": order.origin.image, "WORKSPACE": _WORKSPACE}
        mounts.append(_mount("workspace", _WORKSPACE))
    return {
        "name": CREDENTIALS,
        "image": settings.credentials_image,
        "command": ["sh", "-c", _literal(CREDENTIALS_SCRIPT)],
        "env": _variables(variables),
        "resources": _resources(settings),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


def _build(settings: JobBuild, order: Order) -> dict[str, Any]:
    variables = {
        "BUILDKITD_FLAGS": "--oci-worker-no-process-sandbox",
        # Two seconds, the default, are too few on a busy node; this is about a minute.
        "BUILDCTL_CONNECT_RETRIES_MAX": "70",
        "DOCKER_CONFIG": _REGISTRY_FOLDER,
    }
    # On some systems the volume that BuildKit's image declares for itself is one that it cannot use, hence our own: see
    # the page on rootless mode that the module's text names.
    mounts = [
        _mount("registry", _REGISTRY_FOLDER, read_only=True),
        _mount("buildkit", "/home/user/.local/share/buildkit"),
    ]
    if isinstance(order.origin, Copy):
        mounts.append(_mount("workspace", _WORKSPACE, read_only=True))
    elif order.origin.secrets:
        mounts.append(_mount("secrets", _SECRETS, read_only=True))
    if _sends_token(settings, order):
        mounts.append(_mount("git", _GIT, read_only=True))
    return {
        "name": BUILD,
        "image": settings.image,
        "command": ["buildctl-daemonless.sh"],
        "args": [_literal(argument) for argument in arguments(settings, order)],
        "env": _variables(variables),
        "resources": _resources(settings),
        # The last lines of the log then stand in the Pod's status, at most 80 or 2048 bytes:
        # https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            # newuidmap and newgidmap get their capability by running, and need it in the bounding set.
            "allowPrivilegeEscalation": True,
            "capabilities": {"drop": ["ALL"], "add": ["SETUID", "SETGID"]},
            "seccompProfile": {"type": "Unconfined"},
            "appArmorProfile": {"type": "Unconfined"},
        },
        "volumeMounts": mounts,
    }


def _volumes(settings: JobBuild, order: Order) -> Iterator[dict[str, Any]]:
    yield {"name": "registry", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
    yield {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}
    yield {"name": "buildkit", "emptyDir": {}}
    if isinstance(order.origin, Copy):
        yield {"name": "workspace", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
    elif order.origin.secrets:
        sources = [
            {"secret": {"name": name, "items": [{"key": "value", "path": id_, "mode": _READABLE}]}}
            for id_, name in order.origin.secrets
        ]
        yield {"name": "secrets", "projected": {"sources": sources, "defaultMode": _READABLE}}
    if _sends_token(settings, order):
        items = [{"key": _TOKEN, "path": _TOKEN, "mode": _READABLE}]
        yield {
            "name": "git",
            "secret": {"secretName": settings.git_secret, "items": items, "defaultMode": _READABLE},
        }


def arguments(settings: JobBuild, order: Order) -> list[str]:
    """The arguments of buildctl as its process gets them: buildctl-daemonless.sh hands them on as ``"$@"``.

    What the order says always stands behind a name and ``=``, and so cannot become an option of its own.
    """
    output = f"type=image,name={order.image},push=true"
    common = ["build", "--progress", "plain", "--frontend", "dockerfile.v0", "--opt", f"platform={order.platform}"]
    origin = order.origin
    if isinstance(origin, Copy):
        local = ("--local", f"context={_WORKSPACE}", "--local", f"dockerfile={_WORKSPACE}")
        return [*common, *local, "--output", output]
    cache = [
        *("--import-cache", f"type=registry,ref={order.cache}"),
        "--export-cache",
        f"type=registry,ref={order.cache},mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true",
    ]
    options = (part for option in _options(origin) for part in ("--opt", option))
    secrets = (part for secret in _secrets(settings, order, origin) for part in ("--secret", secret))
    return [*common, *options, *secrets, *cache, "--output", f"{output},rewrite-timestamp=true"]


def _options(commit: Commit) -> Iterator[str]:
    folder = "" if commit.context == "." else f":{commit.context}"
    yield f"context={commit.location}#{commit.revision}{folder}"
    yield f"filename={commit.dockerfile}"
    if commit.target:
        yield f"target={commit.target}"
    for name, value in commit.arguments:
        yield f"build-arg:{name}={value}"
    # What is always given comes last, and so is what counts.
    yield f"build-arg:{REVISION_ARGUMENT}={commit.revision}"
    yield "build-arg:SOURCE_DATE_EPOCH=0"


def _secrets(settings: JobBuild, order: Order, commit: Commit) -> Iterator[str]:
    if _sends_token(settings, order):
        # With its host the token is sent nowhere else, whatever the Dockerfile adds from other Git servers.
        yield f"id=GIT_AUTH_TOKEN.{urlsplit(commit.location).netloc},src={_GIT}/{_TOKEN}"
    for id_, _ in commit.secrets:
        yield f"id={id_},src={_SECRETS}/{id_}"


def _sends_token(settings: JobBuild, order: Order) -> bool:
    return settings.git_secret is not None and isinstance(order.origin, Commit)


def _registries(order: Order) -> list[str]:
    """The registries of ECR that the order reads and writes."""
    images = [order.repository, *([order.origin.image] if isinstance(order.origin, Copy) else [])]
    hosts = dict.fromkeys(image.partition("/")[0] for image in images)
    return [host for host in hosts if _ECR.fullmatch(host)]


def _literal(text: str) -> str:
    return text.replace("$", "$$")


def _variables(variables: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": _literal(value)} for name, value in variables.items()]


def _mount(volume: str, path: str, *, read_only: bool = False) -> dict[str, Any]:
    return {"name": volume, "mountPath": path, **({"readOnly": True} if read_only else {})}
