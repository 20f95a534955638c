"""Registries that an object names for its image to be copied from: a builder with rights in AWS connects to them."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.engine import objects

from ephemeral_endpoints.features.images.policy import refusal
from ephemeral_endpoints.features.images.reasons import ImageProblem

Body = dict[str, Any]

ADDRESSES = [
    pytest.param("169.254.169.254", id="the metadata service"),
    pytest.param("169.254.169.254:80", id="its port"),
    pytest.param("169.254.170.2", id="the credentials of a task"),
    pytest.param("127.0.0.1:5000", id="the machine itself"),
    pytest.param("localhost", id="by its name"),
    pytest.param("a.localhost:5000", id="by another name"),
    pytest.param("2852039166", id="the metadata service as one number"),
    pytest.param("0251.0376.0251.0376", id="in octal"),
    pytest.param("0xa9fea9fe", id="in hexadecimal"),
    pytest.param("0xa9.0xfe.0xa9.0xfe", id="in hexadecimal parts"),
    pytest.param("169.254.43518", id="in three parts"),
    pytest.param("10.0.0.1", id="something of the network"),
]


def _refusal(image: str, *allowed: str) -> ImageProblem | None:
    endpoint = objects.endpoint({"spec": {"model": {"image": None, "copy": {"image": image}}}})
    policy = {
        "builds": {"codeBuild": {"project": "builds"}, "allowTags": True},
        "images": {"allowedSources": list(allowed)},
    }
    state = refusal(endpoint, objects.make_class({"spec": policy}))
    return state.problem if state else None


@pytest.mark.parametrize("registry", ADDRESSES)
def test_a_wildcard_stands_for_no_address(registry: str) -> None:
    image = f"{registry}/acme/model:1"
    assert _refusal(image, "*/acme/*") is ImageProblem.NOT_ALLOWED
    assert _refusal(image, "*/*", "1*/*", "?*/*") is ImageProblem.NOT_ALLOWED
    assert _refusal(image, f"{registry}/acme/*") is None, "who writes it out means it"


@pytest.mark.parametrize("registry", ["quay.io", "public.ecr.aws", "registry.acme.example:5000", "registry.3m.example"])
def test_a_wildcard_stands_for_names(registry: str) -> None:
    assert _refusal(f"{registry}/acme/model:1", "*/acme/*") is None


@pytest.mark.parametrize(
    "image",
    [
        pytest.param("quay.io@169.254.169.254/acme/model:1", id="a user in front of the host"),
        pytest.param("[fd00:ec2::254]/acme/model:1", id="an address of IPv6"),
        pytest.param("http://169.254.169.254/acme/model:1", id="a URL"),
        pytest.param("quay.io/../169.254.169.254/model:1", id="steps"),
        pytest.param("quay.io/acme/model:1?x=169.254.169.254", id="a query"),
        pytest.param("quay.io\\@169.254.169.254/acme/model:1", id="a backslash"),
        pytest.param("\uff11\uff16\uff19.254.169.254/acme/model:1", id="digits that some fold"),
    ],
)
def test_what_names_no_registry_is_no_image(image: str, endpoint: Body, create: Callable[..., Body]) -> None:
    endpoint["spec"]["model"] = {"copy": {"image": image}}
    with pytest.raises(ValueError, match="must be an image with its registry"):
        create(endpoint)
