"""The builder that makes images by Jobs of the cluster."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from kubernetes.aio.client import ApiClient

from ephemeral_endpoints.api import MANAGED_BY_LABEL, MANAGER
from ephemeral_endpoints.engine import errors
from ephemeral_endpoints.features.images.builds.job_outcome import build_of, speaking_container, told_lines
from ephemeral_endpoints.features.images.builds.job_specs import (
    CLASS_LABEL,
    CLUSTER_LABEL,
    IMAGE_ANNOTATION,
    JobScope,
    job,
)
from ephemeral_endpoints.features.images.builds.policy import Build, BuildTarget, Result, telling_lines
from ephemeral_endpoints.kube.errors import Conflict, Gone, Invalid, KubernetesError
from ephemeral_endpoints.kube.rest import Raw, Rest

RULES: Final[tuple[Mapping[str, Sequence[str]], ...]] = (
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list", "create", "delete"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
)
"""The operator's permissions in the namespace of the Jobs, as rules of a Role."""

_PAGE: Final = 100
_LINES_BESIDE: Final = 20
"""So many lines more are read than requested: some tell nothing."""
_LOG_BYTES: Final = 256 * 1024
"""So much of the requested lines of a log is read at most: a build may print a line of any length."""


class JobBuilder:
    """Makes the images of one class by Jobs. Every method raises errors of ``engine.errors`` and no others."""

    def __init__(self, api: ApiClient, scope: JobScope, now: Callable[[], datetime]) -> None:
        self._rest = Rest(api)
        self._place = scope
        self._now = now
        namespace = scope.settings.namespace
        self._jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._pods = f"/api/v1/namespaces/{namespace}/pods"

    async def all(self) -> list[Build]:
        """The builds of this cluster id and class, ended ones included for as long as their Jobs are kept."""
        return await self._list(f"{self._of_cluster()},{CLASS_LABEL}={self._place.class_name}")

    async def refresh(self, builds: Sequence[Build]) -> list[Build]:
        """These builds as they are now; one that is gone is returned as stopped."""
        if not builds:
            return []
        # Of any class: where two push to the same repository, one may have taken the other's Job for its own.
        found = {build.id: build for build in await self._list(self._of_cluster())}
        return [found.get(build.id) or self._stopped(build) for build in builds]

    async def begin(self, target: BuildTarget, *, attempt: int, timeout_seconds: int) -> Build:
        """Start to build an image; returns the existing build if this attempt was started already.

        Raises InProgress while the Job of an earlier attempt of the same number is being deleted, and NameConflict
        where something else has the Job's name.
        """
        body = job(self._place, target, attempt=attempt, timeout_seconds=timeout_seconds)
        name = body["metadata"]["name"]
        with _problems("CreateJob"):
            try:
                return build_of(await self._rest("POST", self._jobs, body), None)
            except Conflict:
                found = await self._rest("GET", f"{self._jobs}/{name}")
        _check_same(found, body)
        return build_of(found, await self._pod_of(name, found["metadata"]["uid"]))

    async def stop(self, build: Build) -> None:
        """End a build and delete its Job; succeeds if it is gone.

        The Job, and with it the name, stays until its Pods have ended: no other attempt pushes beside them.
        """
        name, _, uid = build.id.partition("/")
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Foreground",
            "preconditions": {"uid": uid},
        }
        # A Conflict means another Job with the name of the one that is gone.
        with _problems("DeleteJob"), suppress(Gone, Conflict):
            await self._rest("DELETE", f"{self._jobs}/{name}", options)

    async def last_lines(self, build: Build, *, count: int) -> tuple[str, ...]:
        """The newest lines of a build's log, oldest first; none where nothing was logged or its Pod is gone."""
        name, _, uid = build.id.partition("/")
        pod = await self._pod_of(name, uid)
        if pod is None or count <= 0:
            return ()
        lines = told_lines(pod) or await self._log(pod, count)
        return telling_lines(lines, count=count)

    def _of_cluster(self) -> str:
        return f"{MANAGED_BY_LABEL}={MANAGER},{CLUSTER_LABEL}={self._place.cluster_id}"

    def _stopped(self, build: Build) -> Build:
        ended_at = build.ended_at or self._now()
        return replace(build, result=Result.STOPPED, ended_at=ended_at, message="the Job is gone")

    async def _list(self, selector: str) -> list[Build]:
        with _problems("ListJobs"):
            jobs = await self._labelled(self._jobs, selector)
        # Pods are listed after their Jobs, so that a Job that has failed is not found without its Pod.
        pods = await self._pods_by_job(selector) if jobs else {}
        return [build_of(each, pods.get(each["metadata"]["uid"])) for each in jobs]

    async def _pod_of(self, name: str, uid: str) -> Raw | None:
        # https://kubernetes.io/docs/reference/labels-annotations-taints/#batchkubernetesio-job-name
        return (await self._pods_by_job(f"batch.kubernetes.io/job-name={name}")).get(uid)

    async def _pods_by_job(self, selector: str) -> dict[str, Raw]:
        """The newest Pod of each Job, by the Job's UID."""
        newest: dict[str, Raw] = {}
        with _problems("ListPods"):
            pods = await self._labelled(self._pods, selector)
        for pod in sorted(pods, key=lambda each: str(each["metadata"]["creationTimestamp"])):
            for owner in pod["metadata"].get("ownerReferences", []):
                newest[owner["uid"]] = pod
        return newest

    async def _labelled(self, folder: str, selector: str) -> list[Raw]:
        return [
            each async for page in self._rest.pages(folder, limit=_PAGE, selector=selector) for each in page["items"]
        ]

    async def _log(self, pod: Raw, count: int) -> tuple[str, ...]:
        query = urlencode(
            {"container": speaking_container(pod), "tailLines": count + _LINES_BESIDE, "limitBytes": _LOG_BYTES}
        )
        # Invalid: the container has not started. Gone: its Pod has just been deleted.
        with _problems("GetPodLog"), suppress(Invalid, Gone):
            log = await self._rest.text(f"{self._pods}/{pod['metadata']['name']}/log?{query}")
            return tuple(log.splitlines())
        return ()


def _check_same(found: Raw, wanted: Raw) -> None:
    name = wanted["metadata"]["name"]
    if _origin(found) != _origin(wanted):
        raise errors.NameConflict(
            f"the Job {name} belongs to something else: delete or rename it", operation="CreateJob"
        )
    if "deletionTimestamp" in found["metadata"]:
        raise errors.InProgress(f"the Job {name} is still being deleted", operation="CreateJob")


def _origin(found: Raw) -> tuple[str | None, str | None]:
    metadata = found["metadata"]
    return metadata.get("labels", {}).get(CLUSTER_LABEL), metadata.get("annotations", {}).get(IMAGE_ANNOTATION)


@contextmanager
def _problems(operation: str) -> Iterator[None]:
    """Raise only errors that a build can fail with."""
    try:
        yield
    except KubernetesError as error:
        raise error.problem(operation) from error
