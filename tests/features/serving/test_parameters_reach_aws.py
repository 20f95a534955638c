"""Every field of a row of the table of parameters changes that parameter in the request that is sent to SageMaker.

Requests are those of the real client, taken from it where it would send them.
"""

import asyncio
import io
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from tests.engine.objects import ACCOUNT, CLUSTER, DIGEST, REGISTRY, TOKEN, make_class, merged, packaged, subject

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Sessions
from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.aws.limits import Limiter
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.images.policy import images_of
from ephemeral_endpoints.features.routing.apis import api_key
from ephemeral_endpoints.features.serving.components import EndpointComponent, EndpointConfigComponent, ModelComponent
from ephemeral_endpoints.features.serving.environment import variables
from ephemeral_endpoints.features.serving.parameters import PARAMETERS
from ephemeral_endpoints.features.serving.specs import ENDPOINT_CONFIG, EndpointSpec
from ephemeral_endpoints.features.subject import Resolved

Spec = Mapping[str, Any]
Requests = Mapping[str, list[Any]]
"""Bodies by operation."""

REGION = "us-east-1"
COMPONENTS = (ModelComponent, EndpointConfigComponent, EndpointComponent)
CONFIG_MAPS = {"prompts": {"system": "Answer briefly."}}
ANSWER = {"ModelArn": "arn", "EndpointConfigArn": "arn", "EndpointArn": "arn", "ProductionVariants": []}


@dataclass(frozen=True)
class Pair:
    """Two objects with their classes, which differ in one field."""

    one: tuple[Spec, Spec]
    other: tuple[Spec, Spec]


def serving(**members: object) -> Spec:
    return {"serving": members}


def model(**members: object) -> Spec:
    return {"model": members}


def instances(**members: object) -> Spec:
    return serving(instances={"type": "ml.m5.large", **members})


def variants(**members: object) -> Spec:
    return merged(instances(), serving(variants=[{"name": "a"}, {"name": "b", **members}]))


def rollout(strategy: str, **members: object) -> Spec:
    return merged(instances(), serving(rollout={"strategy": strategy, **members}))


def queued(**members: object) -> Spec:
    return merged(instances(), serving(asynchronous={"s3Uri": "s3://bucket/q", **members}))


def captured(**members: object) -> Spec:
    return merged(instances(), {"capture": {"s3Uri": "s3://bucket/c", **members}})


def of_object(one: Spec, other: Spec, endpoint_class: Spec | None = None) -> Pair:
    return Pair((one, endpoint_class or {}), (other, endpoint_class or {}))


def of_class(one: Spec, other: Spec | None = None, spec: Spec | None = None) -> Pair:
    return Pair((spec or instances(), one), (spec or instances(), other or {}))


def data(**members: object) -> Spec:
    return merged(instances(), model(**members))


def additional(**members: object) -> Spec:
    return data(additionalData=[{"name": "a", **members}])


OTHER_IMAGE = f"{REGISTRY}/models/other:1"
FOLDER, ARCHIVE = "s3://bucket/m/", "s3://bucket/m.tar.gz"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/gated"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:t"
AMI = "al2-ami-sagemaker-inference-gpu-2"
OTHERS = ["ml.m6i.large"]
SCALING = {"maxCount": 2, "invocationsPerInstance": 9}
GROUPS, SUBNETS = ["sg-0000000a", "sg-0000000b"], ["subnet-0000000a", "subnet-0000000b"]
IN_VPC: Spec = {"network": {"vpc": {"securityGroupIds": GROUPS, "subnetIds": SUBNETS}}}
BUILDS: Spec = {"builds": {"codeBuild": {"project": "previews"}}, "images": {"allowedSources": ["quay.io/acme/*"]}}
SETTINGS: Spec = {
    "startupTimeout": "10m",
    "modelDownloadTimeout": "10m",
    "capacityTimeout": "10m",
    "volumeSizeGB": 64,
    "amiVersion": AMI,
    "routingStrategy": "Random",
}

OBJECT_FIELDS: Mapping[str, tuple[Pair, ...]] = {
    "spec.model.image": (of_object(model(image=OTHER_IMAGE), {}),),
    "spec.model.build": (
        of_object({"source": {"revision": "a" * 40}, "model": {"image": None, "build": {}}}, {}, BUILDS),
    ),
    "spec.model.copy": (of_object(model(image=None, copy={"image": "quay.io/acme/m:1"}), {}, BUILDS),),
    "spec.model.package": (
        of_object(
            model(image=None, package={"group": "wine", "version": 1}),
            model(image=None, package={"group": "wine", "version": 2}),
        ),
        of_object(model(image=None, package={"group": "unapproved", "version": 1}), {}),
    ),
    "spec.model.dataUrl": (
        of_object(model(dataUrl=ARCHIVE), {}),
        of_object(data(dataUrl=ARCHIVE, acceptEula=True), data()),
    ),
    "spec.model.s3Prefix": (of_object(data(s3Prefix=FOLDER), data()),),
    "spec.model.acceptEula": (of_object(data(s3Prefix=FOLDER, acceptEula=True), data(s3Prefix=FOLDER)),),
    "spec.model.additionalData[].name": (
        of_object(additional(s3Prefix=FOLDER), additional(s3Prefix=FOLDER, name="b")),
    ),
    "spec.model.additionalData[].s3Prefix": (of_object(additional(s3Prefix=FOLDER), additional(dataUrl=ARCHIVE)),),
    "spec.model.additionalData[].dataUrl": (of_object(additional(dataUrl=ARCHIVE), additional(s3Prefix=FOLDER)),),
    "spec.model.additionalData[].acceptEula": (
        of_object(additional(s3Prefix=FOLDER, acceptEula=True), additional(s3Prefix=FOLDER)),
    ),
    "spec.model.environment": (of_object(model(environment={"A": "b"}), {}),),
    "spec.model.environmentFrom": (
        of_object(model(environmentFrom=[{"name": "P", "configMapKeyRef": {"name": "prompts", "key": "system"}}]), {}),
    ),
    "spec.serving.variants[].model.image": (of_object(variants(model={"image": OTHER_IMAGE}), variants()),),
    "spec.serving.variants[].model.dataUrl": (of_object(variants(model={"dataUrl": ARCHIVE}), variants()),),
    "spec.serving.variants[].model.s3Prefix": (of_object(variants(model={"s3Prefix": FOLDER}), variants()),),
    "spec.serving.variants[].model.acceptEula": (
        of_object(variants(model={"s3Prefix": FOLDER, "acceptEula": True}), variants(model={"s3Prefix": FOLDER})),
    ),
    "spec.serving.variants[].model.environment": (of_object(variants(model={"environment": {"A": "b"}}), variants()),),
    "spec.serving.variants[].name": (of_object(variants(), variants(name="c")),),
    "spec.serving.variants[].weight": (of_object(variants(weight=3), variants()),),
    "spec.serving.executionRoleArn": (
        of_object(serving(executionRoleArn=ROLE), {}, {"allowedExecutionRoleArns": [ROLE]}),
    ),
    "spec.serving.network.securityGroupIds": (
        of_object(merged(instances(), serving(network={"securityGroupIds": GROUPS[:1]})), instances(), IN_VPC),
    ),
    "spec.serving.network.subnetIds": (
        of_object(merged(instances(), serving(network={"subnetIds": SUBNETS[:1]})), instances(), IN_VPC),
    ),
    "spec.serving.network.isolation": (
        of_object(merged(instances(), serving(network={"isolation": True})), instances()),
    ),
    "spec.tags": (of_object({"tags": {"Team": "nlp"}}, {}, {"tags": {"allowedKeys": ["Team"]}}),),
    "spec.serving.instances.type": (
        of_object(instances(), instances(type="ml.m5.xlarge")),
        of_object(instances(fallbackTypes=OTHERS), instances(type="ml.c5.large", fallbackTypes=OTHERS)),
    ),
    "spec.serving.instances.fallbackTypes": (of_object(instances(fallbackTypes=OTHERS), instances()),),
    "spec.serving.instances.count": (of_object(instances(count=2), instances()),),
    "spec.serving.instances.autoscaling": (of_object(instances(autoscaling=SCALING), instances()),),
    **{
        f"spec.serving.instances.{name}": (of_object(instances(**{name: value}), instances()),)
        for name, value in SETTINGS.items()
    },
    "spec.serving.serverless.memorySizeMB": (of_object(serving(serverless={"memorySizeMB": 4096}), {}),),
    "spec.serving.serverless.maxConcurrency": (of_object(serving(serverless={"maxConcurrency": 7}), {}),),
    "spec.serving.serverless.provisionedConcurrency": (
        of_object(serving(serverless={"provisionedConcurrency": 1}), {}),
    ),
    "spec.capture": (of_object(captured(), instances()),),
    "spec.capture.samplingPercent": (of_object(captured(samplingPercent=7), captured()),),
    "spec.capture.s3Uri": (of_object(captured(s3Uri="s3://bucket/d"), captured()),),
    "spec.serving.asynchronous.s3Uri": (of_object(queued(s3Uri="s3://bucket/r"), queued()),),
    "spec.serving.asynchronous.maxConcurrencyPerInstance": (of_object(queued(maxConcurrencyPerInstance=3), queued()),),
    "spec.serving.asynchronous.successTopicArn": (of_object(queued(successTopicArn=TOPIC), queued()),),
    "spec.serving.asynchronous.errorTopicArn": (of_object(queued(errorTopicArn=TOPIC), queued()),),
    "spec.serving.rollout.strategy": (of_object(rollout("Canary"), rollout("Linear")),),
    "spec.serving.rollout.interval": tuple(
        of_object(rollout(strategy, interval="2m"), rollout(strategy)) for strategy in ("Canary", "Rolling")
    ),
    "spec.serving.rollout.stepPercent": tuple(
        of_object(rollout(strategy, stepPercent=20), rollout(strategy)) for strategy in ("Canary", "Linear", "Rolling")
    ),
    "spec.serving.rollout.autoRollback": (of_object(rollout("Canary", autoRollback=False), rollout("Canary")),),
    "spec.monitoring.alarms.enabled": (
        of_object(merged(instances(), {"monitoring": {"alarms": {"enabled": False}}}), instances()),
    ),
}
CLASS_FIELDS: Mapping[str, tuple[Pair, ...]] = {
    "spec.executionRoleArn": (of_class({"executionRoleArn": ROLE}),),
    "spec.allowedExecutionRoleArns": (
        of_class({"allowedExecutionRoleArns": [ROLE]}, spec=serving(executionRoleArn=ROLE)),
    ),
    "spec.network.vpc.securityGroupIds": (
        of_class(IN_VPC, merged(IN_VPC, {"network": {"vpc": {"securityGroupIds": GROUPS[:1]}}})),
    ),
    "spec.network.vpc.subnetIds": (of_class(IN_VPC, merged(IN_VPC, {"network": {"vpc": {"subnetIds": SUBNETS[:1]}}})),),
    "spec.network.isolation": (of_class({"network": {"isolation": True}}),),
    "spec.tags.values": (of_class({"tags": {"values": {"CostCenter": "{namespace}"}}}),),
    "spec.instances.maxCount": (of_class({"instances": {"maxCount": 3}}, spec=instances(count=4)),),
    "spec.instances.allowedTypes": (
        of_class({"instances": {"allowedTypes": ["ml.t2.*"]}}),
        of_class({"instances": {"allowedTypes": ["ml.m5.*"]}}, spec=instances(fallbackTypes=OTHERS)),
    ),
    "spec.instances.maxVolumeSizeGB": (
        of_class({"instances": {"maxVolumeSizeGB": 32}}, spec=instances(volumeSizeGB=64)),
    ),
    **{
        f"spec.instances.defaults.{name}": (of_class({"instances": {"defaults": {name: value}}}),)
        for name, value in SETTINGS.items()
    },
    "spec.encryption.volumeKeyArn": (of_class({"encryption": {"volumeKeyArn": KEY}}),),
    "spec.encryption.captureKeyArn": (of_class({"encryption": {"captureKeyArn": KEY}}, spec=captured()),),
    "spec.encryption.resultKeyArn": (of_class({"encryption": {"resultKeyArn": KEY}}, spec=queued()),),
}
"""Limits are among them: what they do not allow is not sent."""

ROWS = [
    *((row, field, OBJECT_FIELDS) for row in PARAMETERS for field in row.fields),
    *((row, field, CLASS_FIELDS) for row in PARAMETERS for field in row.class_fields),
]


class Body(io.BytesIO):
    def stream(self) -> Iterator[bytes]:
        yield self.read()


class Recorder:
    """Applies resources by a client whose requests go nowhere."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.clients = Sessions(connections=1).connect(REGION)
        self.clients.sagemaker.meta.events.register("before-send.sagemaker", self._answer)  # type: ignore[arg-type]  # whose answer is the answer
        self._calls = Calls(Limiter(monotonic, {}), pool, lambda *_: None)
        self._sent: dict[str, list[Any]] = {}

    def of(self, spec: Spec, endpoint_class: Spec) -> Requests:
        """The requests that an object in a class leads to: everything is created, and its endpoints updated."""
        self._sent = {}
        asyncio.run(self._apply(spec, endpoint_class))
        return self._sent

    async def _apply(self, spec: Spec, endpoint_class: Spec) -> None:
        asked = packaged(subject(spec, endpoint_class))
        found = Resolved(
            dict.fromkeys(images_of(asked), DIGEST),
            TOKEN,
            api_key(CLUSTER, make_class()),
            owns_path=True,
            environment=variables(asked.endpoint.spec.model, CONFIG_MAPS),
        )
        components = [each(self.clients, Scope(CLUSTER, ACCOUNT, REGION)) for each in COMPONENTS]
        for resource in desired(asked, found).resources:
            for component in components:
                if component.kind is resource.key.kind:
                    await component.apply(self._calls, resource, _before(resource.key, resource.spec), {})

    def _answer(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        operation = request.headers["X-Amz-Target"]
        name = (operation if isinstance(operation, str) else operation.decode()).partition(".")[2]
        assert isinstance(request.body, bytes)
        self._sent.setdefault(name, []).append(json.loads(request.body))
        return AWSResponse(request.url, 200, HTTPHeaders(), Body(json.dumps(ANSWER).encode()))


def _before(key: Key, spec: object) -> ObservedResource | None:
    if not isinstance(spec, EndpointSpec):
        return None
    config = Key(ENDPOINT_CONFIG, "before")
    return ObservedResource(key, Phase.READY, EndpointSpec(config.name), uses=frozenset({config}))


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as pool:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "none")
        yield Recorder(pool)


def values(body: Any, path: list[str]) -> Iterator[Any]:  # noqa: ANN401 - JSON
    """What a request has at the path of a parameter."""
    if not path:
        yield body
    elif (name := path[0].removesuffix("[]")) in body:
        for part in body[name] if path[0].endswith("[]") else [body[name]]:
            yield from values(part, path[1:])


def found(recorder: Recorder, asked: tuple[Spec, Spec], operation: str, path: str) -> list[Any]:
    return [value for body in recorder.of(*asked).get(operation, []) for value in values(body, path.split("."))]


@pytest.mark.parametrize(
    ("operation", "path", "pairs"),
    [pytest.param(row.operation, row.path, of[field], id=f"{field} {row.path}") for row, field, of in ROWS],
)
def test_a_field_changes_every_parameter_that_it_is_said_to_set(
    recorder: Recorder, operation: str, path: str, pairs: tuple[Pair, ...]
) -> None:
    assert any(
        found(recorder, pair.one, operation, path) != found(recorder, pair.other, operation, path) for pair in pairs
    )


def test_every_field_of_the_tables_is_one_of_a_parameter() -> None:
    assert {field for _, field, of in ROWS if of is OBJECT_FIELDS} == OBJECT_FIELDS.keys()
    assert {field for _, field, of in ROWS if of is CLASS_FIELDS} == CLASS_FIELDS.keys()
