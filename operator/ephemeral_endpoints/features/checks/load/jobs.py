"""The Jobs of load checks, in the namespaces of their objects."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final
from urllib.parse import urlencode

from kubernetes.aio.client import ApiClient

from ephemeral_endpoints.features.checks.load.job_outcome import Ended, Running, outcome
from ephemeral_endpoints.features.checks.load.job_specs import RUN_ANNOTATION, LoadOrder, job
from ephemeral_endpoints.kube.errors import Conflict, Gone
from ephemeral_endpoints.kube.rest import Raw, Rest

RULES: Final[tuple[Mapping[str, Sequence[str]], ...]] = (
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list", "create", "delete"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
)
"""The operator's permissions in the namespaces of objects with load checks, as rules of a Role."""

_PAGE: Final = 100


class LoadJobs:
    """Makes and reads them. ``image`` is the operator's own. Methods raise KubernetesError and no other."""

    def __init__(self, api: ApiClient, image: str) -> None:
        self._rest = Rest(api)
        self._image = image

    async def begin(self, order: LoadOrder) -> Running | Ended:
        """Have the load begun, unless it was already; returns how far it is."""
        body = job(order, self._image)
        try:
            return outcome(await self._rest("POST", _folder(order), body), None)
        except Conflict:
            return await self.look(order)

    async def look(self, order: LoadOrder) -> Running | Ended:
        """How far the load is that has begun."""
        try:
            found = await self._rest("GET", f"{_folder(order)}/{order.name}")
        except Gone:
            return Ended(trouble=f"the Job {order.name} was deleted")
        if not _is_same(found, order):
            return Ended(trouble=f"the Job {order.name} belongs to something else: delete or rename it")
        # The Pod is read after its Job, so that a Job that is complete is not found without its result.
        return outcome(found, await self._pod(order, found["metadata"]["uid"]))

    async def end_others(self, order: LoadOrder) -> None:
        """Delete what other runs of the object's checks have left, which would put load on it beside this one."""
        selector = ",".join(f"{key}={value}" for key, value in order.labels.items())
        async for page in self._rest.pages(_folder(order), limit=_PAGE, selector=selector):
            for found in page["items"]:
                if found["metadata"].get("annotations", {}).get(RUN_ANNOTATION) != order.run_id:
                    await self._delete(order, found)

    async def _delete(self, order: LoadOrder, found: Raw) -> None:
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": found["metadata"]["uid"]},
        }
        with suppress(Gone, Conflict):
            await self._rest("DELETE", f"{_folder(order)}/{found['metadata']['name']}", options)

    async def _pod(self, order: LoadOrder, uid: str) -> Raw | None:
        """The newest Pod of the Job."""
        # https://kubernetes.io/docs/reference/labels-annotations-taints/#batchkubernetesio-job-name
        query = urlencode({"labelSelector": f"batch.kubernetes.io/job-name={order.name}", "limit": _PAGE})
        listed = await self._rest("GET", f"/api/v1/namespaces/{order.namespace}/pods?{query}")
        owned = [each for each in listed["items"] or [] if _is_owned(each, uid)]
        return max(owned, key=lambda each: str(each["metadata"]["creationTimestamp"]), default=None)


def _folder(order: LoadOrder) -> str:
    return f"/apis/batch/v1/namespaces/{order.namespace}/jobs"


def _is_owned(raw: Raw, uid: str) -> bool:
    return any(each["uid"] == uid for each in raw["metadata"].get("ownerReferences", []))


def _is_same(found: Raw, order: LoadOrder) -> bool:
    return _is_owned(found, order.uid) and found["metadata"].get("annotations", {}).get(RUN_ANNOTATION) == order.run_id
