"""The Job that makes an order's image by rootless BuildKit.

The Pod first runs ``source``, which fetches the commit and refuses one that must not be built, then ``credentials``,
which gets passwords for the registries by the role of the ServiceAccount, then ``restore`` and ``build``, for which
BuildKit fetches the same commit by its SHA, and last ``push``. Only ``build`` runs what a commit contains, and it has
no password: ``restore`` has fetched the caches into files, ``push`` pushes the files that it leaves. For an image of
another registry ``credentials`` and ``push`` are all. What follows from the documentation:

- BuildKit's user namespace and mounts are what the usual profiles of seccomp and AppArmor refuse, hence Unconfined for
  ``build`` alone; without ``--oci-worker-no-process-sandbox`` it would have to mount /proc again, which Kubernetes
  allows only in user namespaces of its own. With it a RUN of the Dockerfile sees the processes of its container, and
  may get at the files that they may read: the token, the password to pull and the secrets of this one build.
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
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from ephemeral_endpoints.api import MANAGED_BY_LABEL, MANAGER
from ephemeral_endpoints.api.v1alpha1.ecr import Registry
from ephemeral_endpoints.api.v1alpha1.image_policy import JobBuild
from ephemeral_endpoints.engine.errors import Invalid
from ephemeral_endpoints.engine.names import prefix
from ephemeral_endpoints.features.images.builds.buildctl import (
    ARCHIVE,
    GIT_CREDENTIALS,
    NEW_CACHE,
    SECRETS,
    TOKEN,
    WORK,
    arguments,
    cache_folders,
)
from ephemeral_endpoints.features.images.builds.policy import BuildTarget, Commit, Copy
from ephemeral_endpoints.features.images.builds.skopeo import copying, fetching_cache, pushing, pushing_cache
from ephemeral_endpoints.features.images.builds.source_check import FETCH, check_arguments
from ephemeral_endpoints.kube.manifests import READABLE, RESTRICTED, environment, literal, mount

CLUSTER_LABEL: Final = "ephemeral-endpoints.io/cluster-id"
CLASS_LABEL: Final = "ephemeral-endpoints.io/class"
IMAGE_ANNOTATION: Final = "ephemeral-endpoints.io/image"
SOURCE: Final = "source"
CREDENTIALS: Final = "credentials"
BUILD: Final = "build"
RESTORE: Final = "restore"
PUSH: Final = "push"

DISK: Final = "20Gi"
"""How much of its node's disk a build may use."""

KEPT_SECONDS: Final = 3600
"""So long a Job stays after its end, for people and for the next look."""

CREDENTIALS_SCRIPT: Final = r"""set -euf
umask 077
auths=
for registry in $REGISTRIES; do
  region=${registry#*.dkr[.-]ecr*.}
  password=$(aws ecr get-login-password --region "${region%%.*}")
  auth=$(printf 'AWS:%s' "$password" | base64 | tr -d '\n')
  auths="$auths${auths:+,}\"$registry\":{\"auth\":\"$auth\"}"
done
printf '{"auths":{%s}}' "$auths" >"$DOCKER_CONFIG/config.json"
"""
"""Passwords go from the AWS command line to the file and appear nowhere else."""

_HASH_LENGTH: Final = 32
_USER: Final = 1000
"""The user of BuildKit's image; another one needs another image."""

_REGISTRY_FOLDER: Final = "/run/eep/registry"
_PASSWORDS: Final = f"{_REGISTRY_FOLDER}/config.json"
_SOURCE_FOLDER: Final = "/run/eep/source"
_PULL: Final = "/run/secrets/eep-pull"

_TERMINATION_MESSAGE: Final = "/dev/termination-log"
"""What a container leaves there is in the status of its Pod: of ``push``, the digest of the image.

https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
"""

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names
_SECRET_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


@dataclass(frozen=True, slots=True)
class JobScope:
    """Where the Jobs of a class are made, and how."""

    settings: JobBuild
    cluster_id: str
    class_name: str

    @property
    def labels(self) -> dict[str, str]:
        """The label selector of the class's Jobs and Pods. A class's name is a DNS label, and so fits."""
        return {MANAGED_BY_LABEL: MANAGER, CLUSTER_LABEL: self.cluster_id, CLASS_LABEL: self.class_name}


def job_name(cluster_id: str, image: str, attempt: int) -> str:
    """The one name of an attempt to make an image: a DNS label, with 128 bits of the image's name."""
    digest = hashlib.sha256(image.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{prefix(cluster_id)}build-{digest}-{attempt}"


def job(scope: JobScope, target: BuildTarget, *, attempt: int, timeout_seconds: int) -> dict[str, Any]:
    """The Job that makes an image, once: whether there is another attempt is not Kubernetes' to decide.

    Raises Invalid where a secret is kept under an invalid name of a Secret.
    """
    _check_secrets(target)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(scope.cluster_id, target.image, attempt),
            "namespace": scope.settings.namespace,
            "labels": scope.labels,
            "annotations": {IMAGE_ANNOTATION: target.image},
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": timeout_seconds,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {
                # The webhook of IRSA, and that of EKS Pod Identity, then give the role to ``credentials`` alone:
                # https://github.com/aws/amazon-eks-pod-identity-webhook#eks-walkthrough
                "metadata": {
                    "labels": scope.labels,
                    "annotations": {"eks.amazonaws.com/skip-containers": f"{SOURCE},{RESTORE},{BUILD},{PUSH}"},
                },
                "spec": _pod(scope.settings, target),
            },
        },
    }


def _check_secrets(target: BuildTarget) -> None:
    # The API server takes any name, and the Pod would wait for the Secret until its time is over.
    kept = target.origin.secrets if isinstance(target.origin, Commit) else ()
    for id_, name in kept:
        if not _SECRET_NAME.fullmatch(name):
            message = (
                f"spec.builds.secrets of the class maps {id_} to {name!r}, which is not a valid name of a Secret: ask "
                "the platform team to correct it"
            )
            raise Invalid(message, operation="CreateJob")


def _pod(settings: JobBuild, target: BuildTarget) -> dict[str, Any]:
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
        "affinity": {"nodeAffinity": _preferred_nodes(target.platform)},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": list(_init_containers(settings, target)),
        "containers": [_push(settings, target)],
        "volumes": list(_volumes(settings, target)),
    }


def _init_containers(settings: JobBuild, target: BuildTarget) -> Iterator[dict[str, Any]]:
    """What must end before the push: a commit is fetched and judged before there is any password."""
    commit = target.origin if isinstance(target.origin, Commit) else None
    if commit:
        yield _source(settings, commit)
    yield _credentials(settings, target)
    if commit:
        yield _restore(settings, target)
        yield _build(settings, target, commit)


def _preferred_nodes(platform: str) -> dict[str, Any]:
    # Elsewhere BuildKit emulates the platform, which works but takes many times as long.
    architecture = {"key": "kubernetes.io/arch", "operator": "In", "values": [platform.partition("/")[2]]}
    term = {"weight": 100, "preference": {"matchExpressions": [architecture]}}
    return {"preferredDuringSchedulingIgnoredDuringExecution": [term]}


def _resources(settings: JobBuild) -> dict[str, dict[str, str]]:
    amounts = {"cpu": settings.cpu, "memory": settings.memory, "ephemeral-storage": DISK}
    return {"requests": dict(amounts), "limits": dict(amounts)}


def _source(settings: JobBuild, commit: Commit) -> dict[str, Any]:
    """In BuildKit's image, which has Git too: https://github.com/moby/buildkit/blob/master/Dockerfile."""
    variables = {"SOURCE": _SOURCE_FOLDER, "LOCATION": commit.location, "REVISION": commit.revision}
    mounts = [mount("source", _SOURCE_FOLDER)]
    if settings.git_secret:
        url = urlsplit(commit.location)
        variables |= {"TOKEN": f"{GIT_CREDENTIALS}/{TOKEN}", "HOST": f"{url.scheme}://{url.netloc}"}
        mounts.append(mount("git", GIT_CREDENTIALS, read_only=True))
    return {
        "name": SOURCE,
        "image": settings.image,
        "command": ["sh", "-c", literal(FETCH), SOURCE],
        "args": [literal(argument) for argument in check_arguments(commit)],
        "env": environment(variables),
        "resources": _resources(settings),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": RESTRICTED,
        "volumeMounts": mounts,
    }


def _credentials(settings: JobBuild, target: BuildTarget) -> dict[str, Any]:
    variables = {
        "DOCKER_CONFIG": _REGISTRY_FOLDER,
        "REGISTRIES": " ".join(_registries(target)),
        "HOME": "/tmp",  # noqa: S108 - where the AWS command line keeps the role's credentials, a volume of its own
    }
    mounts = [mount("registry", _REGISTRY_FOLDER), mount("scratch", "/tmp")]  # noqa: S108 - likewise
    return {
        "name": CREDENTIALS,
        "image": settings.credentials_image,
        "command": ["sh", "-c", literal(CREDENTIALS_SCRIPT)],
        "env": environment(variables),
        "resources": _resources(settings),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": RESTRICTED,
        "volumeMounts": mounts,
    }


def _restore(settings: JobBuild, target: BuildTarget) -> dict[str, Any]:
    """Fetches the caches; one that is missing is no failure."""
    fetched = (
        fetching_cache(cache, folder, passwords=_PASSWORDS)
        for cache, folder in zip(target.caches, cache_folders(target), strict=True)
    )
    return _skopeo(RESTORE, settings, [f"{_words(each)} || true" for each in fetched])


def _push(settings: JobBuild, target: BuildTarget) -> dict[str, Any]:
    origin, image, cache = target.origin, target.image, target.cache
    if isinstance(origin, Copy):
        words = copying(origin, image, platform=target.platform, passwords=_PASSWORDS, digest_file=_TERMINATION_MESSAGE)
        return _skopeo(PUSH, settings, [_words(words)])
    kept = pushing_cache(NEW_CACHE, str(cache), passwords=_PASSWORDS)
    words = pushing(ARCHIVE, image, passwords=_PASSWORDS, digest_file=_TERMINATION_MESSAGE)
    return _skopeo(PUSH, settings, [_words(words), f"{_words(kept)} || true"])


def _words(arguments: Sequence[str]) -> str:
    return shlex.join(["skopeo", *arguments])


def _skopeo(name: str, settings: JobBuild, commands: Sequence[str]) -> dict[str, Any]:
    return {
        "name": name,
        "image": settings.copy_image,
        "command": ["sh", "-euc", literal("\n".join(commands))],
        # Layers that must be compressed first are kept in a file.
        "env": environment({"HOME": "/tmp", "TMPDIR": WORK}),  # noqa: S108 - a volume of its own
        "resources": _resources(settings),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": RESTRICTED,
        "volumeMounts": [
            mount("registry", _REGISTRY_FOLDER, read_only=True),
            mount("scratch", "/tmp"),  # noqa: S108 - likewise
            mount("work", WORK),
        ],
    }


def _build(settings: JobBuild, target: BuildTarget, commit: Commit) -> dict[str, Any]:
    variables = {
        "BUILDKITD_FLAGS": "--oci-worker-no-process-sandbox",
        # Two seconds, the default, are too few on a busy node; this is about a minute.
        "BUILDCTL_CONNECT_RETRIES_MAX": "70",
    }
    # On some systems the volume that BuildKit's image declares for itself is one that it cannot use, hence our own: see
    # the page on rootless mode that the module's text names.
    mounts = [
        mount("work", WORK),
        mount("buildkit", "/home/user/.local/share/buildkit"),
    ]
    if commit.secrets:
        mounts.append(mount("secrets", SECRETS, read_only=True))
    if settings.git_secret:
        mounts.append(mount("git", GIT_CREDENTIALS, read_only=True))
    if settings.pull_secret:
        variables["DOCKER_CONFIG"] = _PULL
        mounts.append(mount("pull", _PULL, read_only=True))
    return {
        "name": BUILD,
        "image": settings.image,
        "command": ["buildctl-daemonless.sh"],
        "args": [literal(argument) for argument in arguments(settings, target, commit)],
        "env": environment(variables),
        "resources": _resources(settings),
        # The last lines of the log are then in the Pod's status, at most 80 or 2048 bytes:
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


def _volumes(settings: JobBuild, target: BuildTarget) -> Iterator[dict[str, Any]]:
    yield {"name": "registry", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
    yield {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}}
    yield {"name": "work", "emptyDir": {}}
    if isinstance(target.origin, Copy):
        return
    yield {"name": "source", "emptyDir": {}}
    yield {"name": "buildkit", "emptyDir": {}}
    if target.origin.secrets:
        sources = [
            {"secret": {"name": name, "items": [{"key": "value", "path": id_, "mode": READABLE}]}}
            for id_, name in target.origin.secrets
        ]
        yield {"name": "secrets", "projected": {"sources": sources, "defaultMode": READABLE}}
    if settings.pull_secret:
        # https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets
        items = [{"key": ".dockerconfigjson", "path": "config.json", "mode": READABLE}]
        yield {
            "name": "pull",
            "secret": {"secretName": settings.pull_secret, "items": items, "defaultMode": READABLE},
        }
    if settings.git_secret:
        items = [{"key": TOKEN, "path": TOKEN, "mode": READABLE}]
        yield {
            "name": "git",
            "secret": {"secretName": settings.git_secret, "items": items, "defaultMode": READABLE},
        }


def _registries(target: BuildTarget) -> list[str]:
    """The registries of ECR that the order reads and writes."""
    images = [target.repository, *([target.origin.image] if isinstance(target.origin, Copy) else [])]
    hosts = dict.fromkeys(image.partition("/")[0] for image in images)
    return [host for host in hosts if Registry.named(host)]
