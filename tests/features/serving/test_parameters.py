"""Every parameter of SageMaker's hosting API is a field, a setting of the class, or has the reason why it is not."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.model import ListShape, Shape, StructureShape
from tests.engine.objects import ACCOUNT, IMAGE, merged, packaged, resolved, subject

from eep_platform.emulation.validation import input_shape
from ephemeral_endpoints.api.kinds import ENDPOINT, ENDPOINT_CLASS
from ephemeral_endpoints.api.schema.crds import crd
from ephemeral_endpoints.engine.resources import DesiredResource
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.images.policy import images_of
from ephemeral_endpoints.features.serving import deployment
from ephemeral_endpoints.features.serving.parameters import OPERATIONS, PARAMETERS, HostingParameter
from ephemeral_endpoints.features.serving.specs import EndpointConfigSpec, EndpointSpec, ModelSpec

NAMED = {
    "CreateModel": {"ModelName", "Tags[].Key", "Tags[].Value"},
    "CreateEndpointConfig": {"EndpointConfigName", "Tags[].Key", "Tags[].Value"},
    "UpdateEndpoint": {"EndpointName", "EndpointConfigName"},
}
"""What the components add to every request."""


def leaves(shape: Shape, path: str = "") -> Iterator[str]:
    """The paths of all parameters without parts."""
    if isinstance(shape, StructureShape) and shape.members:
        for name, part in shape.members.items():
            yield from leaves(part, f"{path}.{name}" if path else name)
    elif isinstance(shape, ListShape):
        yield from leaves(shape.member, f"{path}[]")
    else:
        yield path


PARAMETERS_OF_AWS = [
    (operation, path) for operation in OPERATIONS for path in leaves(input_shape("sagemaker", operation))
]


def test_the_walk_sees_the_whole_api() -> None:
    assert len(PARAMETERS_OF_AWS) > 190
    assert ("CreateEndpointConfig", "ProductionVariants[].InstancePools[].Priority") in PARAMETERS_OF_AWS


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_parameter_has_exactly_one_row(operation: str) -> None:
    counts = {
        path: sum(row.covers(operation, path) for row in PARAMETERS)
        for of, path in PARAMETERS_OF_AWS
        if of == operation
    }
    assert {path: count for path, count in counts.items() if count != 1} == {}


def test_every_row_is_of_a_parameter_that_exists() -> None:
    idle = [row for row in PARAMETERS if not any(row.covers(*parameter) for parameter in PARAMETERS_OF_AWS)]
    assert idle == []


def test_a_row_names_a_field_or_a_reason() -> None:
    assert [row for row in PARAMETERS if bool(row.fields or row.class_fields) is bool(row.reason)] == []
    assert [row for row in PARAMETERS if row.reason and not row.reason.endswith(".")] == []
    assert [row for row in PARAMETERS if (row.fields or row.class_fields) and not row.is_sent] == []


def fields(schema: Mapping[str, Any], path: str = "spec") -> Iterator[str]:
    yield path
    inner, prefix = (schema["items"], f"{path}[].") if "items" in schema else (schema, f"{path}.")
    for name, part in inner.get("properties", {}).items():
        yield from fields(part, f"{prefix}{name}")


def test_the_fields_of_the_rows_exist() -> None:
    for kind, named in (
        (ENDPOINT, {each for row in PARAMETERS for each in row.fields}),
        (ENDPOINT_CLASS, {each for row in PARAMETERS for each in row.class_fields}),
    ):
        schema = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        assert named - set(fields(schema)) == set(), kind


KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:t"
CLASS: Mapping[str, Any] = {
    "network": {"vpc": {"securityGroupIds": ["sg-0000000a"], "subnetIds": ["subnet-0000000a"]}, "isolation": True},
    "encryption": {"volumeKeyArn": KEY, "captureKeyArn": KEY, "resultKeyArn": KEY},
}
INSTANCES: Mapping[str, Any] = {
    "type": "ml.m5.large",
    "autoscaling": {"maxCount": 2, "invocationsPerInstance": 1},
    "startupTimeout": "10m",
    "modelDownloadTimeout": "10m",
    "capacityTimeout": "10m",
    "volumeSizeGB": 64,
    "amiVersion": "al2-ami-sagemaker-inference-gpu-2",
    "routingStrategy": "Random",
}
FULL: Mapping[str, Any] = {
    "model": {
        "s3Prefix": "s3://bucket/m/",
        "acceptEula": True,
        "environment": {"A": "b"},
        "additionalData": [{"name": "a", "dataUrl": "s3://bucket/a.tar.gz", "acceptEula": True}],
    },
    "serving": {
        "instances": INSTANCES,
        "asynchronous": {
            "s3Uri": "s3://bucket/q",
            "maxConcurrencyPerInstance": 1,
            "successTopicArn": TOPIC,
            "errorTopicArn": TOPIC,
        },
    },
    "capture": {"s3Uri": "s3://bucket/c"},
}
OBJECTS: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
    (FULL, CLASS),
    *(
        (merged(FULL, {"serving": {"rollout": {"strategy": strategy}}}), CLASS)
        for strategy in ("Canary", "Linear", "Rolling")
    ),
    (merged(FULL, {"serving": {"instances": {"fallbackTypes": ["ml.m6i.large"]}}}), CLASS),
    ({"model": {"image": None, "package": {"group": "wine", "version": 1}}}, {}),
    ({"model": {"dataUrl": "s3://bucket/m.tar.gz"}, "serving": {"serverless": {"provisionedConcurrency": 1}}}, {}),
]
"""Objects that together use every field."""


def request(resource: DesiredResource) -> tuple[str, Mapping[str, Any]] | None:
    match resource.spec:
        case ModelSpec() as spec:
            return "CreateModel", deployment.model(spec)
        case EndpointConfigSpec() as spec:
            return "CreateEndpointConfig", deployment.config(spec)
        case EndpointSpec() as spec:
            return "UpdateEndpoint", deployment.update(spec)
        case _:
            return None


def sent(shape: Shape, value: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - a request
    """The paths of the parameters that a request has."""
    if isinstance(shape, StructureShape):
        for name, part in value.items():
            yield from sent(shape.members[name], part, f"{path}.{name}" if path else name)
    elif isinstance(shape, ListShape):
        for part in value:
            yield from sent(shape.member, part, f"{path}[]")
    else:
        yield path


def test_what_is_sent_is_what_the_rows_say_is_sent() -> None:
    found = {(operation, path) for operation, paths in NAMED.items() for path in paths}
    for spec, endpoint_class in OBJECTS:
        asked = packaged(subject(spec, endpoint_class))
        found_out = resolved(images=(IMAGE, *images_of(asked)))
        for resource in desired(asked, found_out).resources:
            if made := request(resource):
                operation, members = made
                found |= {(operation, path) for path in sent(input_shape("sagemaker", operation), members)}
    said = {each for each in PARAMETERS_OF_AWS if any(row.is_sent and row.covers(*each) for row in PARAMETERS)}
    assert found == said


@pytest.mark.parametrize(
    ("path", "parameter", "covered"),
    [("A", "A", True), ("A", "A.B", True), ("A", "A[].B", True), ("A", "AB", False), ("A.B", "A", False)],
)
def test_a_row_covers_what_is_below_it(path: str, parameter: str, covered: bool) -> None:  # noqa: FBT001 - a table's column
    assert HostingParameter("O", path).covers("O", parameter) is covered
    assert not HostingParameter("O", path).covers("P", parameter)
