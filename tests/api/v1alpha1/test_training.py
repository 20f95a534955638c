"""Trainings: inputs that both sides refuse, with the message, and inputs that both accept."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tests.engine.objects import merged
from tests.features.training.examples import POLICY, SHA, TRAINING

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass

Body = dict[str, Any]

NO_NAME = "names must be at most 64 letters"

REFUSED: list[tuple[Mapping[str, Any], str, str]] = [
    ({"image": {"build": {}}}, "two origins of the image", "set exactly one of build"),
    ({"data": {"s3Uri": "s3://acme/wine"}}, "the beginning of a name", "must end with '/'"),
    ({"data": {"s3Uri": "https://acme/wine/"}}, "no URL of S3", "must be the S3 URL of a folder"),
    ({"data": {"revision": ""}}, "no revision", "must be letters, digits"),
    ({"data": {"revision": "a b"}}, "a space", "must be letters, digits"),
    ({"hyperparameters": {"a b": "1"}}, "no name of a parameter", NO_NAME),
    ({"hyperparameters": {"1": "1"}}, "a digit at the beginning", NO_NAME),
    ({"hyperparameters": {"a" * 65: "1"}}, "longer than a parameter's name", NO_NAME),
    ({"hyperparameters": {"RoleArn": "1"}}, "a parameter of ours", "the operator gives these parameters"),
    ({"hyperparameters": {"seed": ""}}, "empty", "values must not be empty"),
    ({"hyperparameters": {"seed": "1" * 1025}}, "longer than a parameter's value", "1024"),
    ({"hyperparameters": {f"h{number}": "1" for number in range(101)}}, "more than SageMaker takes", "100"),
    ({"resources": {"instanceType": "m5.large"}}, "an EC2 type", "must be a SageMaker instance type"),
    ({"resources": {"count": 21}}, "more than SageMaker takes", "20"),
    ({"resources": {"volumeGiB": 0}}, "no volume", "1"),
    ({"resources": {"maxRuntime": "59s"}}, "too short", "must be between 1m and 5d"),
    ({"resources": {"maxRuntime": "6d"}}, "longer than SageMaker allows", "must be between 1m and 5d"),
    ({"resources": {"maxRuntime": "2h", "spot": {"maxWait": "1h"}}}, "a wait without a run", "spot.maxWait must not"),
    ({"gate": {"metric": "a..b"}}, "no path", "must be the path of a number"),
    ({"gate": {"metric": "a['b']"}}, "JSONPath", "must be the path of a number"),
    ({"gate": {"atLeast": "NaN"}}, "no number", "must be a decimal number"),
    ({"gate": {"atLeast": "1e3"}}, "an exponent", "must be a decimal number"),
    ({"register": {"group": "w" * 55}}, "no room for -previews", "must be at most 54 characters"),
    ({"register": {"group": "wine_red"}}, "an underscore", "must be the name of a model package group"),
    ({"register": {"approval": "Rejected"}}, "nobody trains for that", "approval"),
    ({"onGateFailure": "Ignore"}, "nothing of ours", "onGateFailure"),
    ({"pipeline": {}}, "no ConfigMap", "configMapRef"),
]

ACCEPTED: list[tuple[Mapping[str, Any], str]] = [
    ({}, "the least"),
    ({"hyperparameters": {"seed": "'\"$(rm -rf /){}\\"}}, "metacharacters, which nothing interprets"),
    ({"resources": {"maxRuntime": "5d", "spot": {"maxWait": "5d"}, "volumeGiB": 16_384, "count": 20}}, "the most"),
    ({"gate": {"atLeast": "-0.5"}, "onGateFailure": "Fail"}, "a negative bound"),
    ({"pipeline": {"configMapRef": {"name": "mine", "key": "pipeline.json"}}}, "a pipeline of one's own"),
]


def training(change: Mapping[str, Any], **model: object) -> Body:
    return {"source": {"revision": SHA}, "model": {"image": None, "training": merged(TRAINING, change), **model}}


def changed(body: Body, members: Mapping[str, Any]) -> Body:
    found = merged(body, {"spec": members})
    found["spec"]["model"] = {key: value for key, value in found["spec"]["model"].items() if value is not None}
    return found


def refuse(body: Body, message: str, create: Callable[..., Body]) -> None:
    for accept in (create, EphemeralEndpoint.model_validate):
        with pytest.raises(ValueError, match=re.escape(message)):
            accept(body)


@pytest.mark.parametrize(("change", "reason", "message"), REFUSED, ids=[reason for _, reason, _ in REFUSED])
def test_both_refuse_a_training(
    change: Mapping[str, Any], reason: str, message: str, endpoint: Body, create: Callable[..., Body]
) -> None:
    assert reason
    refuse(changed(endpoint, training(change)), message, create)


def test_both_refuse_data_beside_a_training(endpoint: Body, create: Callable[..., Body]) -> None:
    refuse(changed(endpoint, training({}, dataUrl="s3://acme/model.tar.gz")), "must not be set with training", create)


def test_both_refuse_an_abbreviated_commit(endpoint: Body, create: Callable[..., Body]) -> None:
    refuse(changed(endpoint, {**training({}), "source": {"revision": "1f0c2a9"}}), "need the full SHA", create)


@pytest.mark.parametrize(("change", "reason"), ACCEPTED, ids=[reason for _, reason in ACCEPTED])
def test_both_accept_a_training(
    change: Mapping[str, Any], reason: str, endpoint: Body, create: Callable[..., Body]
) -> None:
    assert reason
    body = changed(endpoint, training(change))
    assert EphemeralEndpoint.model_validate(create(body)).spec == EphemeralEndpoint.model_validate(body).spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"packages": None}, "training needs packages"),
        ({"training": {"executionRoleArn": "arn:aws:iam::210987654321:role/training"}}, "must be a role of the same"),
        ({"training": {"instanceTypes": []}}, "instanceTypes"),
        ({"training": {"data": []}}, "data"),
        ({"training": {"maxRuntime": "30s"}}, "must be between 1m and 5d"),
    ],
)
def test_both_refuse_a_class_that_trains(
    change: Mapping[str, Any], message: str, endpoint_class: Body, create: Callable[..., Body]
) -> None:
    account = re.findall("[0-9]{12}", endpoint_class["spec"]["executionRoleArn"])[0]
    own = {"training": {"executionRoleArn": f"arn:aws:iam::{account}:role/training"}}
    spec = merged(endpoint_class["spec"], merged(merged(POLICY, own), change))
    body = {**endpoint_class, "spec": {key: value for key, value in spec.items() if value is not None}}
    for accept in (create, EphemeralEndpointClass.model_validate):
        with pytest.raises(ValueError, match=re.escape(message)):
            accept(body)
