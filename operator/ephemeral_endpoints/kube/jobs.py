"""The builder that makes images by Jobs of the cluster."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.exceptions import ApiException

from ephemeral_endpoints.core import errors
from ephemeral_endpoints.core.buildjob import (
    CLASS_LABEL,
    CLUSTER_LABEL,
    IMAGE_ANNOTATION,
    MANAGED_BY_LABEL,
    MANAGER,
    Place,
    job,
)
from ephemeral_endpoints.core.buildjob_outcome import build_of, speaking_container, told_lines
from ephemeral_endpoints.core.builds import Build, Order, Result
from ephemeral_endpoints.kube.rest import Conflict, Gone, Raw, Rest

RULES: Final[tuple[Mapping[str, Sequence[str]], ...]] = (
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list", "create", "delete"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
)
"""What the operator needs in the namespace of the Jobs, as rules of a Role."""

_PAGE: Final = 100
_LOG_BYTES: Final = 256 * 1024
"""So much of the asked lines of a log is read at most: a build may print a line of any length."""

_KINDS: Final[Mapping[int, type[errors.AwsError]]] = {
    HTTPStatus.UNAUTHORIZED: errors.Unauthenticated,
    HTTPStatus.FORBIDDEN: errors.Denied,
    HTTPStatus.REQUEST_TIMEOUT: errors.Transient,
    # A list took so long that the place in it where it would go on is forgotten.
    HTTPStatus.GONE: errors.Transient,
    HTTPStatus.TOO_MANY_REQUESTS: errors.Throttled,
}


class JobBuilder:
    """Makes the images of one class by Jobs. Every method raises problems of ``core.errors`` and nothing else."""

    def __init__(self, api: ApiClient, place: Place, now: Callable[[], datetime]) -> None:
        self._api = api
        self._rest = Rest(api)
        self._place = place
        self._now = now
        namespace = place.settings.namespace
        self._jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._pods = f"/api/v1/namespaces/{namespace}/pods"

    async def all(self) -> list[Build]:
        """The builds of this cluster id and class, ended ones included for as long as their Jobs are kept."""
        return await self._list(f"{self._of_cluster()},{CLASS_LABEL}={self._place.class_name}")

    async def refresh(self, builds: Sequence[Build]) -> list[Build]:
        """These builds as they are now; what is gone comes back as stopped."""
        if not builds:
            return []
        # Of any class: where two push to the same repository, one may have taken the other's Job for its own.
        found = {build.id: build for build in await self._list(self._of_cluster())}
        return [found.get(build.id) or self._gone(build) for build in builds]

    async def begin(self, order: Order, *, attempt: int, timeout_seconds: int) -> Build:
        """Begin to make an image. Where this attempt has begun already, that is the answer.

        Raises InProgress while the Job of an earlier attempt of the same number is being deleted, and NameConflict
        where something else has the Job's name.
        """
        body = job(self._place, order, attempt=attempt, timeout_seconds=timeout_seconds)
        name = body["metadata"]["name"]
        with _problems("CreateJob"):
            try:
                return build_of(await self._rest("POST", self._jobs, body), None)
            except Conflict:
                found = await self._rest("GET", f"{self._jobs}/{name}")
        _check_same(found, body)
        return build_of(found, await self._pod_of(name, found["metadata"]["uid"]))

    async def stop(self, build: Build) -> None:
        """End a build and take its Job away; what is gone is fine.

        The Job, and with it the name, stays until its Pods have ended: no other attempt pushes beside them.
        """
        name, _, uid = build.id.partition("/")
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Foreground",
            "preconditions": {"uid": uid},
        }
        # A Conflict tells of another Job with the name of the one that is gone.
        with _problems("DeleteJob"), suppress(Gone, Conflict):
            await self._rest("DELETE", f"{self._jobs}/{name}", options)

    async def last_lines(self, build: Build, *, count: int) -> tuple[str, ...]:
        """The newest lines of a build's log, oldest first; none where nothing was logged or its Pod is gone."""
        name, _, uid = build.id.partition("/")
        pod = await self._pod_of(name, uid)
        if pod is None or count <= 0:
            return ()
        lines = told_lines(pod) or await self._log(pod, count)
        return lines[-count:]

    def _of_cluster(self) -> str:
        return f"{MANAGED_BY_LABEL}={MANAGER},{CLUSTER_LABEL}={self._place.cluster_id}"

    def _gone(self, build: Build) -> Build:
        ended_at = build.ended_at or self._now()
        return replace(build, result=Result.STOPPED, ended_at=ended_at, message="its Job is gone")

    async def _list(self, selector: str) -> list[Build]:
        with _problems("ListJobs"):
            jobs = [each async for each in self._pages(self._jobs, selector)]
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
            pods = [each async for each in self._pages(self._pods, selector)]
        for pod in sorted(pods, key=lambda each: str(each["metadata"]["creationTimestamp"])):
            for owner in pod["metadata"].get("ownerReferences", []):
                newest[owner["uid"]] = pod
        return newest

    async def _pages(self, path: str, selector: str) -> AsyncIterator[Raw]:
        following = ""
        while True:
            query = {"labelSelector": selector, "limit": _PAGE, **({"continue": following} if following else {})}
            page = await self._rest("GET", f"{path}?{urlencode(query)}")
            for item in page["items"]:
                yield item
            following = page["metadata"].get("continue", "")
            if not following:
                return

    async def _log(self, pod: Raw, count: int) -> tuple[str, ...]:
        query = urlencode({"container": speaking_container(pod), "tailLines": count, "limitBytes": _LOG_BYTES})
        with _problems("GetPodLog"):
            status, content = await self._text(f"{self._pods}/{pod['metadata']['name']}/log?{query}")
            if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND):
                return ()  # the container has not started, or its Pod has just gone
            if status >= HTTPStatus.BAD_REQUEST:
                raise ApiException(status=status, reason=f"the log cannot be read (HTTP {status})")
        return tuple(content.decode(errors="replace").splitlines())

    async def _text(self, path: str) -> tuple[int, bytes]:
        prepared = await self._api.param_serialize(
            "GET", path, header_params={"Accept": "text/plain, */*"}, auth_settings=["BearerToken"]
        )
        answer = await self._api.call_api(*prepared)
        content: bytes = await answer.read()  # type: ignore[no-untyped-call]
        return answer.status, content


def _check_same(found: Raw, wanted: Raw) -> None:
    name = wanted["metadata"]["name"]
    if _whose(found) != _whose(wanted):
        raise errors.NameConflict(f"the Job {name} is not ours: delete or rename it", operation="CreateJob")
    if "deletionTimestamp" in found["metadata"]:
        raise errors.InProgress(f"the Job {name} is still being deleted", operation="CreateJob")


def _whose(found: Raw) -> tuple[str | None, str | None]:
    metadata = found["metadata"]
    return metadata.get("labels", {}).get(CLUSTER_LABEL), metadata.get("annotations", {}).get(IMAGE_ANNOTATION)


@contextmanager
def _problems(operation: str) -> Iterator[None]:
    """Let nothing but problems out."""
    try:
        yield
    except Gone as error:
        raise errors.NotFound("there is no such namespace or object", operation=operation) from error
    except Conflict as error:
        raise errors.Transient("somebody else wrote at the same time", operation=operation) from error
    except ApiException as error:
        raise _kind(error)(_told(error), operation=operation) from error
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        told = str(error) or type(error).__name__
        raise errors.Transient(f"the API server did not answer: {told}", operation=operation) from error


def _kind(error: ApiException) -> type[errors.AwsError]:
    status: Any = error.status
    if status == HTTPStatus.FORBIDDEN and "exceeded quota" in _told(error):
        return errors.QuotaExceeded  # https://kubernetes.io/docs/concepts/policy/resource-quotas/
    refused = HTTPStatus.BAD_REQUEST <= (status or 0) < HTTPStatus.INTERNAL_SERVER_ERROR
    return _KINDS.get(status, errors.Invalid if refused else errors.Transient)


def _told(error: ApiException) -> str:
    return str(error.reason or f"HTTP {error.status}")
