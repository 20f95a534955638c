"""What a person does with a platform: apply an object, wait for it, call it, look at what is in AWS."""

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import boto3
import requests
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from ephemeral_endpoints.api import API_VERSION, GROUP, VERSION
from ephemeral_endpoints.kube.client import ENDPOINTS, secret_name
from ephemeral_endpoints.local.aws import services
from ephemeral_endpoints.local.aws.client import ControlClient
from ephemeral_endpoints.local.aws.contents import Contents, contents
from ephemeral_endpoints.local.bootstrap import EXAMPLE_REPOSITORY
from ephemeral_endpoints.local.errors import PlatformError
from ephemeral_endpoints.local.platform import Platform

_APPLY: Final = "application/apply-patch+yaml"
_CALL_SECONDS: Final = 35
_POLL_SECONDS: Final = 0.1
_NOT_FOUND: Final = 404

Object = dict[str, Any]


def condition(obj: Mapping[str, Any], type_: str) -> Mapping[str, Any]:
    """A condition of an object; empty if it has none of that type."""
    conditions: list[dict[str, Any]] = obj.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == type_), {})


def is_ready(obj: Mapping[str, Any]) -> bool:
    """What `kubectl wait --for=condition=Ready` waits for, of the spec as it is now."""
    ready = condition(obj, "Ready")
    return ready.get("status") == "True" and ready.get("observedGeneration") == obj["metadata"]["generation"]


def manifest(name: str, spec: Mapping[str, Any], **metadata: Any) -> Object:  # noqa: ANN401 - members of ObjectMeta
    """An object as a file holds it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "EphemeralEndpoint",
        "metadata": {"name": name, **metadata},
        "spec": spec,
    }


@dataclass(frozen=True)
class Workbench:
    """A platform to work on, in one namespace. Everything blocks."""

    platform: Platform
    namespace: str = "default"

    def image_uri(self, tag: str) -> str:
        """The URI of an image in the example's repository."""
        return f"{self.platform.account}.dkr.ecr.{self.platform.region}.amazonaws.com/{EXAMPLE_REPOSITORY}:{tag}"

    def apply(self, name: str, spec: Mapping[str, Any], **metadata: Any) -> Object:  # noqa: ANN401 - members of ObjectMeta
        """Apply an object as `kubectl apply --server-side` does. Raises ApiException if it is refused."""
        body = manifest(name, spec, namespace=self.namespace, **metadata)
        self.objects.patch_namespaced_custom_object(
            GROUP,
            VERSION,
            self.namespace,
            ENDPOINTS,
            name,
            body,
            field_manager="workbench",
            force=True,
            _content_type=_APPLY,
        )
        # The client gives back nothing of what the API server answers to an apply that creates.
        applied = self.get(name)
        if applied is None:
            raise PlatformError(f"{name} was deleted right after it was applied")
        return applied

    def get(self, name: str) -> Object | None:
        """The object as it is, None if there is none of that name."""
        try:
            answer: Any = self.objects.get_namespaced_custom_object(GROUP, VERSION, self.namespace, ENDPOINTS, name)
        except ApiException as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        return dict(answer)

    def delete(self, name: str) -> None:
        """Delete the object; returns while its finalizer still holds it."""
        self.objects.delete_namespaced_custom_object(GROUP, VERSION, self.namespace, ENDPOINTS, name)

    def wait(self, name: str, until: Callable[[Object], bool], *, seconds: float, what: str) -> Object:
        """Wait until the object is as ``until`` wants it. Raises PlatformError with its conditions if time runs out."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.get(name)
            if found is not None and until(found):
                return found
            if time.monotonic() > deadline:
                raise PlatformError(f"{name} is not {what} after {seconds:g} s: {_told(found)}")
            time.sleep(_POLL_SECONDS)

    def wait_ready(self, name: str, *, seconds: float = 120) -> Object:
        """Wait until the object's present spec is ready."""
        return self.wait(name, is_ready, seconds=seconds, what="ready")

    def wait_gone(self, name: str, *, seconds: float = 60) -> None:
        """Wait until the object does not exist any more. Raises PlatformError if time runs out."""
        deadline = time.monotonic() + seconds
        while (found := self.get(name)) is not None:
            if time.monotonic() > deadline:
                raise PlatformError(f"{name} is still there after {seconds:g} s: {_told(found)}")
            time.sleep(_POLL_SECONDS)

    def token(self, name: str) -> str:
        """The object's API token, from its Secret."""
        secret = self.core.read_namespaced_secret(secret_name(name), self.namespace)
        return base64.b64decode((secret.data or {})["token"]).decode()

    def call(
        self, url: str, body: bytes, *, token: str | None, content_type: str = "application/json"
    ) -> requests.Response:
        """Send a request as a caller of the endpoint does."""
        headers = {"Content-Type": content_type, **({"Authorization": f"Bearer {token}"} if token else {})}
        return requests.post(url, data=body, headers=headers, timeout=_CALL_SECONDS)

    def contents(self) -> Contents:
        """Everything of the operator's kinds that exists in the embedded AWS, whoever made it."""
        return contents(self.session, self.platform.aws_endpoint)

    def left(self) -> Contents:
        """What exists there beside the repositories of classes, which stay for as long as their classes do."""
        return {kind: names for kind, names in self.contents().items() if kind != "Repository"}

    @cached_property
    def control(self) -> ControlClient:
        """Control of the embedded AWS: counts, faults, delays."""
        return ControlClient(self.platform.aws_endpoint)

    @cached_property
    def session(self) -> boto3.Session:
        """A boto3 session of the embedded AWS."""
        return services.session()

    @cached_property
    def objects(self) -> client.CustomObjectsApi:
        """The API server's custom objects."""
        return client.CustomObjectsApi(self._api)

    @cached_property
    def core(self) -> client.CoreV1Api:
        """The API server's core objects."""
        return client.CoreV1Api(self._api)

    @cached_property
    def _api(self) -> client.ApiClient:
        configuration = client.Configuration()
        config.load_kube_config(str(self.platform.kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]
        return client.ApiClient(configuration)


def _told(obj: Object | None) -> str:
    if obj is None:
        return "it does not exist"
    told = (
        f"{each['type']}={each['status']} {each['reason']}: {each['message']}"
        for each in obj.get("status", {}).get("conditions", [])
    )
    return "; ".join(told) or "it has no conditions"
