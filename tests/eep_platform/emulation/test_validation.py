from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from eep_platform.autoscaling.action_operations import ActionOperations
from eep_platform.autoscaling.policy_operations import PolicyOperations
from eep_platform.autoscaling.target_operations import TargetOperations
from eep_platform.emulation.errors import ServiceError
from eep_platform.emulation.jsonapi import operations_of
from eep_platform.emulation.patterns import compiled
from eep_platform.emulation.validation import input_shape, parsed, serialised, service_model
from eep_platform.sagemaker.configs import ConfigOperations
from eep_platform.sagemaker.endpoint_operations import EndpointOperations
from eep_platform.sagemaker.models import ModelOperations
from eep_platform.sagemaker.pipelines.execution_operations import ExecutionOperations
from eep_platform.sagemaker.pipelines.pipeline_operations import PipelineOperations
from eep_platform.sagemaker.registry.group_operations import GroupOperations
from eep_platform.sagemaker.registry.package_operations import PackageOperations
from eep_platform.sagemaker.tags import TagOperations

GROUPS = {
    "sagemaker": (
        *(ModelOperations, ConfigOperations, EndpointOperations, TagOperations),
        *(GroupOperations, PackageOperations, PipelineOperations, ExecutionOperations),
    ),
    "application-autoscaling": (TargetOperations, PolicyOperations, ActionOperations),
}
OPERATIONS = {
    service: [name for group in groups for name in operations_of(service, group)] for service, groups in GROUPS.items()
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def patterns(shape: Shape, seen: set[str]) -> set[str]:
    if shape.name in seen:
        return set()
    seen.add(shape.name)
    found = {shape.metadata["pattern"]} if isinstance(shape, StringShape) and "pattern" in shape.metadata else set()
    below: list[Shape] = []
    if isinstance(shape, StructureShape):
        below = list(shape.members.values())
    elif isinstance(shape, ListShape):
        below = [shape.member]
    elif isinstance(shape, MapShape):
        below = [shape.key, shape.value]
    return found.union(*(patterns(part, seen) for part in below))


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        *((service, operation) for service, operations in OPERATIONS.items() for operation in operations),
        ("sagemaker-runtime", "InvokeEndpoint"),
        ("sagemaker-runtime", "InvokeEndpointAsync"),
    ],
)
def test_every_pattern_of_the_service_model_is_understood(service: str, operation: str) -> None:
    for pattern in patterns(input_shape(service, operation), set()):
        compiled(pattern)


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        pytest.param(r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)", "Größe 10/π", True, id="letters of any script"),
        pytest.param(r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)", "a#b", False, id="but no other sign"),
        pytest.param(r"([a-z]*)${1,128}", "key", True, id="an anchor that is repeated"),
        pytest.param(r"([a-z]*)${1,128}", "key\n", False, id="and is the very end"),
        pytest.param(r"\p{ASCII}*", "plain", True, id="a category outside a class"),
        pytest.param(r"\p{ASCII}*", "grün", False, id="not ASCII"),
        pytest.param(r"\A\S[\p{Print}]*\z", "id-1", True, id="Java's end of input"),
        pytest.param(r"[\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF]*", "\U0001f642", True, id="a surrogate pair"),
        pytest.param(r"[\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF]*", "a", False, id="and nothing below it"),
        pytest.param(r"[\w-/]*", "a-/", True, id="a hyphen after a class"),
        pytest.param(r"[\w-]*", "a.", False, id="and nothing else"),
        pytest.param(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", "a" * 64, False, id="the whole value counts"),
    ],
)
def test_patterns_mean_what_they_mean_in_java(pattern: str, value: str, matches: bool) -> None:  # noqa: FBT001 - a column of the table
    assert bool(compiled(pattern).fullmatch(value)) == matches


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(
            {}, "Value null at 'resourceArn' failed to satisfy constraint: Member must not be null", id="null"
        ),
        pytest.param(
            {"ResourceArn": "arn:aws:sagemaker:us-east-1:000000000000:x", "Tags": [{"Key": "", "Value": "v"}]},
            "Value '' at 'tags.1.member.key' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
            id="within lists",
        ),
    ],
)
def test_violations_are_worded_as_the_service_does(body: dict[str, Any], message: str) -> None:
    with pytest.raises(ServiceError) as raised:
        parsed(input_shape("sagemaker", "AddTags"), body)
    assert raised.value.code == "ValidationException"
    assert message in raised.value.message


def test_bad_keys_of_a_map_are_reported_with_the_map() -> None:
    body = {"ModelName": "m", "PrimaryContainer": {"Environment": {"no-dash": "x"}}}
    with pytest.raises(
        ServiceError, match=r"at 'primaryContainer\.environment' .* Map keys must satisfy constraint: \["
    ):
        parsed(input_shape("sagemaker", "CreateModel"), body)


@given(
    operation=st.sampled_from(OPERATIONS["sagemaker"]),
    body=st.dictionaries(st.sampled_from(["EndpointName", "Tags", "ModelName", "ResourceArn", "MaxResults"]), JSON),
)
def test_what_is_accepted_botocore_accepts_and_nothing_breaks_the_validator(
    operation: str, body: dict[str, Any]
) -> None:
    shape = input_shape("sagemaker", operation)
    try:
        accepted = parsed(shape, body)
    except ServiceError:
        return
    assert not ParamValidator().validate(accepted, shape).has_errors()


def test_answers_carry_only_known_members_and_times_as_seconds() -> None:
    shape = service_model("sagemaker").operation_model("DescribeModel").output_shape
    answer = {"ModelName": "m", "CreationTime": datetime(2026, 1, 1, tzinfo=UTC), "Secret": 1, "VpcConfig": None}
    assert serialised(shape, answer) == {"ModelName": "m", "CreationTime": 1767225600.0}
