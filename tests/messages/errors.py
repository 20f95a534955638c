"""The errors that the operator raises itself; of those of AWS and Kubernetes it repeats their words."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.engine.objects import ACCOUNT, ENDPOINT, subject
from tests.engine.test_drift import NOON, WANT, repaired
from tests.features.capacity.test_policy import refused, waiting
from tests.features.checks.checking import check
from tests.features.training.examples import parts, trained

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
from ephemeral_endpoints.features.checks.preparation import ConfigMapData, prepare
from ephemeral_endpoints.features.checks.reasons import CheckInvalid, CheckUnavailable
from ephemeral_endpoints.features.monitoring.specs import ALARM
from ephemeral_endpoints.features.routing.callers import admission, refused_auth
from ephemeral_endpoints.features.routing.feedback.desired import refused_feedback
from ephemeral_endpoints.features.routing.placements import no_room
from ephemeral_endpoints.features.routing.schema_worker import answer
from ephemeral_endpoints.features.routing.schemas import read, refusal_of
from ephemeral_endpoints.features.routing.specs import HTTP_API, ROUTE
from ephemeral_endpoints.features.routing.stage import SchemaInvalid, SchemaUnavailable
from ephemeral_endpoints.features.serving.environment import variables
from ephemeral_endpoints.features.serving.policy import refusal
from ephemeral_endpoints.features.serving.reasons import EnvironmentUnavailable, EventsUnavailable
from ephemeral_endpoints.features.training.custom import parsed
from ephemeral_endpoints.features.training.reasons import DefinitionInvalid
from ephemeral_endpoints.kube.tokens import token_of

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
    for error in (
        *_ours(),
        *_secrets(),
        *map(_translated, _CODES),
        *_not_allowed(),
        *environment(),
        *definitions(),
        *callers(),
        *schemas(),
        *checks(),
        *OF_CLASSES,
    ):
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
    ({"feedback": {"deletionPolicy": "Retain"}}, {}),
    ({"tags": {"Team": "nlp"}}, {"tags": {"allowedKeys": ["cost-*"]}}),
)
"""Specs of objects and of classes that do not allow them."""


def _not_allowed() -> Iterator[ReconcileError]:
    for spec, endpoint_class in _REFUSED:
        given = subject(spec, endpoint_class)
        refused = refusal(given) or refused_feedback(given)
        assert refused
        yield refused


def definitions() -> Iterator[ReconcileError]:
    """Why the pipeline of a training cannot be used."""
    for text in ("", "{}"):
        with pytest.raises(DefinitionInvalid) as caught:
            parsed(text, parts(trained())[1])
        yield caught.value


def environment() -> Iterator[ReconcileError]:
    """Why a variable whose value is in a ConfigMap is not known."""
    source = {"name": "PROMPT", "configMapKeyRef": {"name": "prompts", "key": "system"}}
    model = subject({"model": {"environmentFrom": [source]}}).endpoint.spec.model
    for data in (None, {}, {"system": "x" * 2000}):
        with pytest.raises(EnvironmentUnavailable) as caught:
            variables(model, {"prompts": data})
        yield caught.value


_ISSUER: dict[str, Any] = {"issuer": "https://issuer.example.com", "audiences": ["https://previews.example.com"]}


def admissions() -> Iterator[str]:
    """How callers authenticate."""
    for type_ in ("Token", "JWT", "IAM"):
        given = subject({"api": {"auth": {"type": type_}}}, {"routing": {"auth": {"jwt": _ISSUER}}})
        yield admission(given, "pr-42-endpoint-token")


def callers() -> Iterator[ReconcileError]:
    """Why callers cannot authenticate as an object asks."""
    for type_, allowed in (("None", ["Token"]), ("IAM", ["Token", "JWT"]), ("JWT", ["JWT"])):
        given = subject({"api": {"auth": {"type": type_}}}, {"routing": {"auth": {"allowed": allowed}}})
        refused = refused_auth(given)
        assert refused
        yield refused
    yield no_room(subject({"api": {"auth": {"type": "JWT"}}}, {"routing": {"auth": {"jwt": _ISSUER}}}))


def schemas() -> Iterator[ReconcileError]:
    """Why the schemas of an API cannot be used."""
    source = {"configMapKeyRef": {"name": "schemas", "key": "request.json"}}
    api = subject({"api": {"requestSchema": source}}).endpoint.spec.api
    for data in (None, {}, {"request.json": "no JSON"}, {"request.json": "[]"}, {"request.json": '{"a":1,"a":2}'}):
        with pytest.raises((SchemaInvalid, SchemaUnavailable)) as caught:
            read(api, {"schemas": data})
        yield caught.value
    texts: tuple[dict[str, Any], ...] = (
        {"properties": {"text": {"type": "text"}}},
        {"$ref": "https://example.com/request.json"},
        {"$schema": "http://json-schema.org/draft-07/schema#"},
        {"properties": {"text": {"items": [{}]}}},
        {"allOf": [{"$ref": "#"}]},
        {"pattern": "^(a+)+$"},
        {"pattern": "[a-z]+$"},
        {"type": "object"},
    )
    for each in texts:
        asked = {"requestSchema": json.dumps(each), "responseSchema": None, "samples": [["a", "1", "application/json"]]}
        refused = refusal_of(answer(asked))
        assert refused
        yield refused


def checks() -> Iterator[ReconcileError]:
    """Why the checks of an object cannot be run."""
    reference = {"configMapKeyRef": {"name": "cases", "key": "schema.json"}}
    expected: tuple[dict[str, Any], ...] = (
        {"schemaFrom": reference},
        {"schema": {"$schema": "http://json-schema.org/draft-07/schema#"}},
        {"schema": {"const": "x" * 70_000}},
        {"values": [{"pointer": "/a", "min": 0, "tolerance": 1}]},
    )
    data: tuple[ConfigMapData, ...] = (
        {"cases": None},
        {"cases": {}},
        {"cases": {"schema.json": "no JSON"}},
        {"cases": {"schema.json": "[]"}},
    )
    for expect in expected:
        for each in data if "schemaFrom" in expect else data[:1]:
            with pytest.raises((CheckInvalid, CheckUnavailable)) as caught:
                prepare([check(**expect)], (), each)
            yield caught.value
