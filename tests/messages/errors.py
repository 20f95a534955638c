"""The errors that the operator raises itself; of those of AWS and Kubernetes it repeats their words."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.engine.objects import ACCOUNT, ENDPOINT, subject
from tests.engine.test_drift import NOON, WANT, repaired
from tests.features.capacity.test_policy import refused, waiting

from ephemeral_endpoints.aws.converge import unsettled
from ephemeral_endpoints.aws.errors import gone, not_owned, still_owned, translate, wrong_account
from ephemeral_endpoints.aws.roles import RoleFindings, ServiceRole
from ephemeral_endpoints.controllers.endpoint_class.reasons import InUse
from ephemeral_endpoints.engine.errors import (
    AwsError,
    Denied,
    ReconcileError,
    SecretTaken,
)
from ephemeral_endpoints.engine.plan import Create
from ephemeral_endpoints.engine.resources import Key
from ephemeral_endpoints.features.capacity import policy as capacity
from ephemeral_endpoints.features.monitoring.specs import ALARM
from ephemeral_endpoints.features.routing.specs import HTTP_API, ROUTE
from ephemeral_endpoints.features.serving.environment import variables
from ephemeral_endpoints.features.serving.policy import refusal
from ephemeral_endpoints.features.serving.reasons import EnvironmentUnavailable, EventsUnavailable
from ephemeral_endpoints.kube.client import token_of

_ALARM = Key(ALARM, "eep-c1-pr-42-latency")
_API, _ROUTE = Key(HTTP_API, "eep-c1-default"), Key(ROUTE, "eep-c1-default ANY /nlp/pr-42")
_FORWARDER = ServiceRole("forwarderRoleArn", f"arn:aws:iam::{ACCOUNT}:role/forwarder", "lambda.amazonaws.com")
_DENIED = "User is not authorized to perform: sagemaker:CreateModel"
OF_CLASSES: tuple[ReconcileError, ...] = (
    InUse.by_objects(),
    InUse.by_resources([_API], [_ROUTE]),
    *(
        RoleFindings.of({_FORWARDER: found}).problem or pytest.fail("the role is as it should be")
        for found in (None, {"Arn": _FORWARDER.arn, "AssumeRolePolicyDocument": {}})
    ),
    EventsUnavailable.of("eep-events", Denied(_DENIED, operation="ReceiveMessage", is_quoted=True)),
)

_CODES = {
    "AccessDeniedException": _DENIED,
    "ExpiredToken": "The security token included in the request is expired",
    "ResourceNotFoundException": "Function not found",
    "ConflictException": "Route with key ANY /nlp/pr-42 already exists",
    "ResourceInUse": "The endpoint is in progress",
    "ThrottlingException": "Rate exceeded",
    "InternalFailure": "An internal error occurred",
    "ValidationException": "1 validation error detected",
    "LimitExceededException": "Limit exceeded",
}
"""By what AWS answers with them: codes of its errors, and its words."""


def raised() -> Iterator[tuple[str, str]]:
    for error in (*_ours(), *_secrets(), *map(_translated, _CODES), *_not_allowed(), *environment(), *OF_CLASSES):
        yield f"{type(error).__name__} {error.reason}", error.described
    role = ClientError({"Error": {"Code": "AccessDenied", "Message": "Not authorized"}}, "AssumeRole")
    yield "Denied AccessDenied", str(translate(role, "GetCallerIdentity"))


def _ours() -> Iterator[ReconcileError]:
    yield wrong_account("210987654321", ACCOUNT)
    yield not_owned(_ALARM)
    yield still_owned(_ROUTE)
    yield gone(_API)
    yield unsettled(_ALARM)
    contested = repaired(NOON, NOON).refusal(Create(WANT), NOON + timedelta(seconds=1))
    assert contested
    yield contested
    first, second = waiting(1), waiting(2, uid="v")
    yield capacity.refusal(second, [first, second])
    error = refused(4, 0, 5)
    untried = replace(second, words="", usage=None)
    yield capacity.refusal(untried, [first, untried])
    hopeless = capacity.too_low(first.refused(error, 0.0))
    assert hopeless
    yield hopeless


def _secrets() -> Iterator[ReconcileError]:
    raw = {"metadata": ENDPOINT["metadata"]}
    foreign = {"metadata": {"name": "pr-42-endpoint-token"}}
    owner = {"uid": ENDPOINT["metadata"]["uid"]}
    short = {"metadata": {**foreign["metadata"], "ownerReferences": [owner]}}
    short["data"] = {"token": base64.b64encode(b"short").decode()}
    for secret in (foreign, short):
        with pytest.raises(SecretTaken) as caught:
            token_of(secret, raw)
        yield caught.value


def _translated(code: str) -> AwsError:
    response: Any = {"Error": {"Code": code, "Message": _CODES[code]}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    if code == "InternalFailure":
        response["ResponseMetadata"] = {"HTTPStatusCode": 500}
    return translate(ClientError(response, "CreateModel"), "CreateModel")


_VPC = {"vpc": {"securityGroupIds": ["sg-0000000a"], "subnetIds": ["subnet-0000000a"]}}
_ON_INSTANCES = {"instances": {"type": "ml.m5.large", "count": 4, "volumeSizeGB": 64}}
_REFUSED: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({"serving": _ON_INSTANCES}, {"instances": {"allowedTypes": ["ml.t2.*"]}}),
    ({"serving": _ON_INSTANCES}, {"instances": {"maxCount": 3}}),
    ({"serving": _ON_INSTANCES}, {"instances": {"maxVolumeSizeGB": 32}}),
    ({}, {"network": _VPC}),
    ({}, {"network": {"isolation": True}}),
    ({"serving": {**_ON_INSTANCES, "network": {"subnetIds": ["subnet-0000000b"]}}}, {"network": _VPC}),
    ({"serving": {**_ON_INSTANCES, "network": {"securityGroupIds": ["sg-0000000a"]}}}, {}),
    ({"serving": {"executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/other"}}, {}),
    ({"tags": {"Team": "nlp"}}, {}),
    ({"lifecycle": {"deletionPolicy": "Retain"}}, {}),
    ({"tags": {"Team": "nlp"}}, {"tags": {"allowedKeys": ["cost-*"]}}),
)
"""Specs of objects and of classes that do not allow them."""


def _not_allowed() -> Iterator[ReconcileError]:
    for spec, endpoint_class in _REFUSED:
        refused = refusal(subject(spec, endpoint_class))
        assert refused
        yield refused


def environment() -> Iterator[ReconcileError]:
    """Why a variable whose value is in a ConfigMap is not known."""
    source = {"name": "PROMPT", "configMapKeyRef": {"name": "prompts", "key": "system"}}
    model = subject({"model": {"environmentFrom": [source]}}).endpoint.spec.model
    for data in (None, {}, {"system": "x" * 2000}):
        with pytest.raises(EnvironmentUnavailable) as caught:
            variables(model, {"prompts": data})
        yield caught.value
