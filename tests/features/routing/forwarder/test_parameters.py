import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eep_platform.emulation.validation import input_shape, violations
from ephemeral_endpoints.features.routing.forwarder.messages import Problem
from ephemeral_endpoints.features.routing.forwarder.parameters import (
    ASYNCHRONOUS,
    PREFIX,
    SYNCHRONOUS,
    Parameter,
    read,
    variant,
)

OURS = {"EndpointName", "Body", "TargetVariant", "InputLocation"}
"""What the forwarder gives itself."""

ROUTES = [
    pytest.param("InvokeEndpoint", SYNCHRONOUS, id="synchronous"),
    pytest.param("InvokeEndpointAsync", ASYNCHRONOUS, id="asynchronous"),
]


@pytest.mark.parametrize(("operation", "known"), ROUTES)
def test_every_parameter_of_sagemaker_is_taken_or_refused_by_name(operation: str, known: dict[str, Parameter]) -> None:
    shape = input_shape("sagemaker-runtime", operation)
    for member, part in shape.members.items():
        header = str(part.serialization.get("name", "")).lower()
        if member in OURS - {"InputLocation"}:
            continue
        if header in known:
            assert known[header].member == member
            continue
        with pytest.raises(Problem) as refused:
            read({header: "x"}, known)
        assert (refused.value.status, refused.value.kind) == (400, "unsupported-header")
        assert header in refused.value.detail
        assert "no such parameter" not in refused.value.detail, "the reason is our own"


values = st.text(max_size=300) | st.from_regex(r"[0-9]{1,6}|[a-zA-Z0-9-]{1,300}|NEW_SESSION", fullmatch=True)


@pytest.mark.parametrize(("operation", "known"), ROUTES)
@given(text=values)
def test_what_is_taken_satisfies_sagemakers_own_constraints(
    operation: str, known: dict[str, Parameter], text: str
) -> None:
    shape = input_shape("sagemaker-runtime", operation)
    for header in known:
        taken: dict[str, str | int] = {}
        with suppress(Problem):
            taken = read({header: text}, known)
        for member, value in taken.items():
            assert list(violations(shape.members[member], value)) == []
            assert str(value).isprintable()


@pytest.mark.parametrize(
    ("sent", "known", "taken"),
    [
        pytest.param({}, SYNCHRONOUS, {}, id="SageMaker's own defaults"),
        pytest.param({"content-type": "", "accept": ""}, SYNCHRONOUS, {}, id="an empty header is none"),
        pytest.param({"x-custom": "1"}, SYNCHRONOUS, {}, id="other headers are not for the model"),
        pytest.param(
            {f"{PREFIX}session-id": "NEW_SESSION", f"{PREFIX}inference-id": "i 1"},
            SYNCHRONOUS,
            {"SessionId": "NEW_SESSION", "InferenceId": "i 1"},
            id="a session",
        ),
        pytest.param(
            {f"{PREFIX}custom-attributes": "a=1,b=2"},
            SYNCHRONOUS,
            {"CustomAttributes": "a=1,b=2"},
            id="two headers, joined by API Gateway",
        ),
        pytest.param(
            {"content-type": "text/csv", f"{PREFIX}content-type": "application/json"},
            ASYNCHRONOUS,
            {"ContentType": "application/json"},
            id="what InvokeEndpointAsync calls the type",
        ),
        pytest.param(
            {f"{PREFIX}requestttlseconds": "060", f"{PREFIX}invocationtimeoutseconds": "3600"},
            ASYNCHRONOUS,
            {"RequestTTLSeconds": 60, "InvocationTimeoutSeconds": 3600},
            id="numbers",
        ),
    ],
)
def test_what_headers_become(sent: dict[str, str], known: dict[str, Parameter], taken: dict[str, str | int]) -> None:
    assert read(sent, known) == taken


@pytest.mark.parametrize(
    ("header", "value", "known"),
    [
        pytest.param("accept", "a\r\nb", SYNCHRONOUS, id="would start another header"),
        pytest.param("accept", "ü", SYNCHRONOUS, id="not ASCII"),
        pytest.param(f"{PREFIX}custom-attributes", "x" * 1025, SYNCHRONOUS, id="too long"),
        pytest.param(f"{PREFIX}inference-id", "x" * 65, SYNCHRONOUS, id="an id that is too long"),
        pytest.param(f"{PREFIX}inference-id", " x", SYNCHRONOUS, id="an id that begins with a blank"),
        pytest.param(f"{PREFIX}session-id", "a,b", SYNCHRONOUS, id="two sessions"),
        pytest.param(f"{PREFIX}session-id", "a-" * 128 + "a", SYNCHRONOUS, id="a session that is too long"),
        pytest.param(f"{PREFIX}requestttlseconds", "59", ASYNCHRONOUS, id="too soon"),
        pytest.param(f"{PREFIX}requestttlseconds", "1e3", ASYNCHRONOUS, id="no number"),
        pytest.param(f"{PREFIX}invocationtimeoutseconds", "\u0661", ASYNCHRONOUS, id="a digit of another script"),
    ],
)
def test_a_value_that_sagemaker_does_not_take_is_refused_with_its_header(
    header: str, value: str, known: dict[str, Parameter]
) -> None:
    with pytest.raises(Problem, match="malformed-request") as refused:
        read({header: value}, known)
    assert refused.value.status == 400
    assert refused.value.detail.startswith(f"The {header} header must be ")


def test_a_parameter_that_sagemaker_does_not_have_yet_is_refused() -> None:
    with pytest.raises(Problem, match="unsupported-header") as refused:
        read({f"{PREFIX}priority": "1"}, SYNCHRONOUS)
    assert re.search(r"x-amzn-sagemaker-priority header: SageMaker has no such parameter", refused.value.detail)


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        ({}, None),
        ({"eep-variant": ""}, ""),
        ({"eep-variant": "a"}, "a"),
        ({f"{PREFIX}target-variant": "a"}, "a"),
        ({"eep-variant": "a", f"{PREFIX}target-variant": "a"}, "a"),
    ],
)
def test_a_variant_is_named_by_either_header(sent: dict[str, str], named: str | None) -> None:
    assert variant(sent) == named
    assert read(sent, SYNCHRONOUS) == {}


def test_two_variants_are_one_too_many() -> None:
    with pytest.raises(Problem, match="malformed-request"):
        variant({"eep-variant": "a", f"{PREFIX}target-variant": "b"})
