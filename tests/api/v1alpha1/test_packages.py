"""Packages of the model registry: inputs that both sides refuse, with the message, and inputs that both accept."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass

Body = dict[str, Any]

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/models/sentiment:1f0c2a9"
ARN = "arn:aws:sagemaker:us-east-1:210987654321:model-package/wine/7"
ONE = "set exactly one of group"
NO_ARN = "must be the ARN of a version"
NO_GROUP = "must be the name of a model package group"
OWN_DATA = "package, which brings its own data"
WINE: Body = {"group": "wine"}


def model(package: Body, **members: object) -> Body:
    return {"model": {"package": package, **members}}


def varied(**difference: object) -> Body:
    return {"serving": {"variants": [{"name": "a"}, {"name": "b", "model": difference}]}}


REFUSED: list[tuple[Body, str, str]] = [
    (model({}), "no version at all", ONE),
    (model({"group": "wine", "arn": ARN}), "two", ONE),
    (model({"arn": ARN, "version": 7}), "the ARN names one", "version needs group"),
    (model({"group": "wine_red"}), "an underscore", NO_GROUP),
    (model({"group": "-wine"}), "an option", NO_GROUP),
    (model({"group": "w" * 64}), "longer than SageMaker takes", "group"),
    (model({"group": "wine", "version": 0}), "versions begin with 1", "version"),
    (model({"group": "wine", "version": True}), "no number", "version"),
    (model({"arn": ARN.removesuffix("/7")}), "no version", NO_ARN),
    (model({"arn": ARN.replace("wine/7", "wine/07")}), "another spelling of a version", NO_ARN),
    (model({"arn": ARN.replace(":model-package/", ":model-package-group/")}), "a group", NO_ARN),
    (model({"arn": ARN.replace("us-east-1", "*")}), "a pattern", NO_ARN),
    (model(WINE, image=IMAGE), "two origins", "set exactly one of image"),
    (model(WINE, dataUrl="s3://acme/model.tar.gz"), "other data", OWN_DATA),
    (model(WINE, additionalData=[{"name": "a", "dataUrl": "s3://acme/model.tar.gz"}]), "further data", OWN_DATA),
    ({**model(WINE), **varied(image=IMAGE)}, "another image", "must differ in environment only"),
    ({**model(WINE), **varied(dataUrl="s3://acme/model.tar.gz")}, "other data", "must differ in environment only"),
]

ACCEPTED: list[tuple[Body, str]] = [
    (model(WINE), "the latest that is approved"),
    (model({"group": "Wine--Red-7", "version": 999_999_999}, environment={"A": "b"}), "a version, with variables"),
    (model({"arn": ARN}), "another account's"),
    ({**model(WINE), **varied(environment={"A": "b"})}, "variants of one package"),
]

CLASS_REFUSED: list[tuple[Body, str, str]] = [
    ({"groups": []}, "no group", "groups"),
    ({"groups": ["wine/*"]}, "a version", NO_GROUP),
    ({"groups": ["*/wine"]}, "any account", NO_GROUP),
    ({"groups": ["model-package/wine"]}, "a part of an ARN", NO_GROUP),
]

CLASS_ACCEPTED: list[tuple[Body, str]] = [
    ({"groups": ["*", "wine-?", "210987654321/wine"], "allowUnapproved": False}, "patterns, and an account"),
]


def changed(body: Body, **members: object) -> Body:
    return {**body, "spec": {**body["spec"], **members}}


@pytest.mark.parametrize(("change", "reason", "message"), REFUSED)
def test_both_refuse_a_package(
    change: Body, reason: str, message: str, endpoint: Body, create: Callable[..., Body]
) -> None:
    assert reason
    for accept in (create, EphemeralEndpoint.model_validate):
        with pytest.raises(ValueError, match=re.escape(message)):
            accept(changed(endpoint, **change))


@pytest.mark.parametrize(("change", "reason"), ACCEPTED)
def test_both_accept_a_package(change: Body, reason: str, endpoint: Body, create: Callable[..., Body]) -> None:
    assert reason
    body = changed(endpoint, **change)
    assert EphemeralEndpoint.model_validate(create(body)).spec == EphemeralEndpoint.model_validate(body).spec


@pytest.mark.parametrize(("packages", "reason", "message"), CLASS_REFUSED)
def test_both_refuse_groups_of_a_class(
    packages: Body, reason: str, message: str, endpoint_class: Body, create: Callable[..., Body]
) -> None:
    assert reason
    for accept in (create, EphemeralEndpointClass.model_validate):
        with pytest.raises(ValueError, match=re.escape(message)):
            accept(changed(endpoint_class, packages=packages))


@pytest.mark.parametrize(("packages", "reason"), CLASS_ACCEPTED)
def test_both_accept_groups_of_a_class(
    packages: Body, reason: str, endpoint_class: Body, create: Callable[..., Body]
) -> None:
    assert reason
    body = changed(endpoint_class, packages=packages)
    assert EphemeralEndpointClass.model_validate(create(body)).spec == EphemeralEndpointClass.model_validate(body).spec
