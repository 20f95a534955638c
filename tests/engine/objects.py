"""Objects as the API server gives them, and what the core makes of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ephemeral_endpoints.api import API_VERSION
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.model_data import ModelData
from ephemeral_endpoints.features.packages.specs import PackagedModel
from ephemeral_endpoints.features.routing.apis import api_key
from ephemeral_endpoints.features.subject import Resolved, Subject

CLUSTER = "c1"
ACCOUNT = "123456789012"
REGISTRY = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
IMAGE = f"{REGISTRY}/models/sentiment:1f0c2a9"
DIGEST = f"sha256:{'a' * 64}"
OTHER_DIGEST = f"sha256:{'b' * 64}"
TOKEN = "c" * 64
OTHER_TOKEN = "d" * 64

ENDPOINT: Mapping[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": "EphemeralEndpoint",
    "metadata": {
        "name": "pr-42",
        "namespace": "nlp",
        "uid": "3f0c1c5e-0000-4000-8000-000000000042",
        "generation": 1,
        "resourceVersion": "10",
        "creationTimestamp": "2026-11-01T12:00:00Z",
    },
    "spec": {
        "source": {"repository": "acme/sentiment", "pullRequest": 42, "revision": "1f0c2a9"},
        "model": {"image": IMAGE},
    },
}
CLASS: Mapping[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": "EphemeralEndpointClass",
    "metadata": {"name": "default", "uid": "3f0c1c5e-0000-4000-8000-00000000000c", "resourceVersion": "5"},
    "spec": {
        "region": "us-east-1",
        "executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/model",
        "forwarderRoleArn": f"arn:aws:iam::{ACCOUNT}:role/forwarder",
        "invokeRoleArn": f"arn:aws:iam::{ACCOUNT}:role/api",
        "routing": {"auth": {"allowed": ["Token", "JWT", "IAM", "None"]}},
    },
}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes`` in it, mapping by mapping."""
    changed = {
        key: merged(base[key], value) if isinstance(value, Mapping) and isinstance(base.get(key), Mapping) else value
        for key, value in changes.items()
    }
    return {**base, **changed}


def endpoint(changes: Mapping[str, Any] | None = None) -> EphemeralEndpoint:
    return EphemeralEndpoint.model_validate(merged(ENDPOINT, changes or {}))


def make_class(changes: Mapping[str, Any] | None = None) -> EphemeralEndpointClass:
    return EphemeralEndpointClass.model_validate(merged(CLASS, changes or {}))


def subject(spec: Mapping[str, Any] | None = None, endpoint_class: Mapping[str, Any] | None = None) -> Subject:
    """The example object with another spec in parts, of the example class with another spec in parts."""
    return Subject(CLUSTER, endpoint({"spec": spec or {}}), make_class({"spec": endpoint_class or {}}))


def packaged(one: Subject) -> Subject:
    """The same with what the package brings that it names, if any; one of the group `unapproved` is not approved."""
    asked = one.endpoint.spec.model.package
    if asked is None:
        return one
    arn = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model-package/{asked.group}/{asked.version}"
    image = f"{REGISTRY}/packages/{asked.group}-{asked.version}@{DIGEST}"
    data = ModelData(data_url=f"s3://bucket/{asked.group}/{asked.version}.tar.gz")
    is_direct = asked.group == "unapproved"
    return replace(one, packaged=PackagedModel(asked, arn, image, data, (("FROM", "package"),), is_direct=is_direct))


def resolved(
    digest: str | None = DIGEST,
    token: str | None = TOKEN,
    *,
    owns_path: bool = True,
    images: tuple[str, ...] = (IMAGE,),
) -> Resolved:
    """What was found out, in the class's first API; all images have the same digest."""
    digests = dict.fromkeys(images, digest) if digest else {}
    return Resolved(digests, token, api_key(CLUSTER, make_class()), owns_path=owns_path)
