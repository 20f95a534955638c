"""Uses a platform as a person would: applies objects, waits for them, calls endpoints, and inspects AWS."""

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

import boto3
import requests
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from eep_platform.aws import services
from eep_platform.aws.client import ControlClient
from eep_platform.aws.contents import LASTING, Contents, contents, holds
from eep_platform.bootstrap import EXAMPLE_REPOSITORY
from eep_platform.controlplane.access import client_of
from eep_platform.errors import PlatformError
from eep_platform.platform import Platform
from ephemeral_endpoints.api import API_VERSION, GROUP, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT
from ephemeral_endpoints.kube.client import secret_name

_APPLY: Final = "application/apply-patch+yaml"
_CALL_SECONDS: Final = 35
_TIMEOUT_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.1
_NOT_FOUND: Final = 404

Object = dict[str, Any]


def condition(obj: Mapping[str, Any], type_: str) -> Mapping[str, Any]:
    """A condition of an object; empty if it has no such condition."""
    conditions: list[dict[str, Any]] = obj.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == type_), {})


def is_ready(obj: Mapping[str, Any]) -> bool:
    """Whether the object is Ready at its present generation."""
    ready = condition(obj, "Ready")
    return ready.get("status") == "True" and ready.get("observedGeneration") == obj["metadata"]["generation"]


def manifest(name: str, spec: Mapping[str, Any], **metadata: Any) -> Object:  # noqa: ANN401 - members of ObjectMeta
    """The manifest of an object."""
    return {
        "apiVersion": API_VERSION,
        "kind": "EphemeralEndpoint",
        "metadata": {"name": name, **metadata},
        "spec": spec,
    }


@dataclass(frozen=True)
class Workbench:
    """A platform and a namespace to work in. All methods block."""

    platform: Platform
    namespace: str = "default"

    def image_uri(self, tag: str) -> str:
        """The URI of a tag in the example's repository."""
        return f"{self.platform.account}.dkr.ecr.{self.platform.region}.amazonaws.com/{EXAMPLE_REPOSITORY}:{tag}"

    def apply(self, name: str, spec: Mapping[str, Any], **metadata: Any) -> Object:  # noqa: ANN401 - members of ObjectMeta
        """Apply an object as `kubectl apply --server-side` does. Raises ApiException if the API server rejects it."""
        body = manifest(name, spec, namespace=self.namespace, **metadata)
        # Read, the client gives back nothing of what the API server answers to an apply that creates.
        answer: Any = self.objects.patch_namespaced_custom_object(
            GROUP,
            VERSION,
            self.namespace,
            ENDPOINT.plural,
            name,
            body,
            field_manager="workbench",
            force=True,
            _content_type=_APPLY,
            _preload_content=False,
        )
        return dict(answer.json())

    def get(self, name: str) -> Object | None:
        """The object; None if there is none of this name."""
        try:
            answer: Any = self.objects.get_namespaced_custom_object(
                GROUP, VERSION, self.namespace, ENDPOINT.plural, name
            )
        except ApiException as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        return dict(answer)

    def delete(self, name: str) -> None:
        """Delete the object; returns while its finalizer still holds it."""
        self.objects.delete_namespaced_custom_object(GROUP, VERSION, self.namespace, ENDPOINT.plural, name)

    def wait(
        self, name: str, until: Callable[[Object], bool], *, what: str, seconds: float = _TIMEOUT_SECONDS
    ) -> Object:
        """Wait until ``until`` is true for the object. Raises PlatformError with its conditions if time runs out."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.get(name)
            if found is not None and until(found):
                return found
            if time.monotonic() > deadline:
                raise PlatformError(f"{name} is not {what} after {seconds:g} s: {_conditions(found)}")
            time.sleep(_POLL_SECONDS)

    def wait_ready(self, name: str, *, seconds: float = _TIMEOUT_SECONDS) -> Object:
        """Wait until the object is Ready at its present generation."""
        return self.wait(name, is_ready, seconds=seconds, what="ready")

    def wait_gone(self, name: str, *, seconds: float = _TIMEOUT_SECONDS) -> None:
        """Wait until the object does not exist any more. Raises PlatformError if the time runs out."""
        deadline = time.monotonic() + seconds
        while (found := self.get(name)) is not None:
            if time.monotonic() > deadline:
                raise PlatformError(f"{name} still exists after {seconds:g} s: {_conditions(found)}")
            time.sleep(_POLL_SECONDS)

    def token(self, name: str) -> str:
        """The object's API token, from its Secret."""
        secret = self.core.read_namespaced_secret(secret_name(name), self.namespace)
        return base64.b64decode((secret.data or {})["token"]).decode()

    def call(
        self, url: str, body: bytes, *, token: str | None, content_type: str = "application/json"
    ) -> requests.Response:
        """Send a request to an endpoint."""
        headers = {"Content-Type": content_type, **({"Authorization": f"Bearer {token}"} if token else {})}
        return requests.post(url, data=body, headers=headers, timeout=_CALL_SECONDS)

    def contents(self) -> Contents:
        """All resources of the operator's kinds in the embedded AWS, whoever created them."""
        return contents(self.aws)

    def left(self) -> Contents:
        """The same without what outlives objects, such as the repositories of classes."""
        return {kind: names for kind, names in self.contents().items() if kind not in LASTING}

    def holds(self, expected: Contents) -> bool:
        """Whether that is all that is ``left``; far quicker than a whole list if it is not."""
        return holds(self.aws, expected)

    def aws(self, service: str) -> Any:  # noqa: ANN401 - one type per service name
        """The client of a service of the embedded AWS, which is created once in a process."""
        return _client(self.platform.aws_endpoint, service)

    @cached_property
    def control(self) -> ControlClient:
        """The control APIs of the embedded AWS: counts, faults, delays."""
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
        return client_of(self.platform.kubeconfig)


@cache
def _client(endpoint: str, service: str) -> Any:  # noqa: ANN401 - one type per service name
    # Of a session of its own: threads may make clients of different services, but not of one session.
    make: Callable[..., Any] = services.session().client
    return make(service, endpoint_url=endpoint)


def _conditions(obj: Object | None) -> str:
    if obj is None:
        return "it does not exist"
    shown = (
        f"{each['type']}={each['status']} {each['reason']}: {each['message']}"
        for each in obj.get("status", {}).get("conditions", [])
    )
    return "; ".join(shown) or "it has no conditions"
