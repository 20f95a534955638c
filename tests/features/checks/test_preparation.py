import re
from typing import Any

import pytest
from tests.features.checks.checking import check

from ephemeral_endpoints.api.v1alpha1.checks import Check
from ephemeral_endpoints.api.v1alpha1.samples import Sample
from ephemeral_endpoints.features.checks.preparation import (
    ConfigMapData,
    PreparedCheck,
    configmaps_of,
    digest,
    prepare,
    run_id,
)
from ephemeral_endpoints.features.checks.reasons import CheckInvalid, CheckUnavailable
from ephemeral_endpoints.features.checks.requests import ModelRequest

SAMPLE = Sample(name="praise", request='{"text": "lovely"}', content_type="application/x-text")
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def referring(key: str = "request.json", **expect: Any) -> Check:  # noqa: ANN401 - members of an expectation
    source = {"configMapKeyRef": {"name": "requests", "key": key}, "contentType": "text/csv"}
    return Check.model_validate({"name": "greeting", "requestFrom": source, "expect": expect})


def with_schema_from(key: str = "schema.json") -> Check:
    return check(schemaFrom={"configMapKeyRef": {"name": "schemas", "key": key}})


def prepared(each: Check, data: ConfigMapData | None = None) -> PreparedCheck:
    [made] = prepare([each], [SAMPLE], data or {})
    return made


def nested(depth: int) -> list[Any]:
    document: list[Any] = []
    for _ in range(depth):
        document = [document]
    return document


def test_a_request_comes_from_the_check_a_sample_or_a_configmap() -> None:
    assert prepared(check(body="ü")).request == ModelRequest("ü".encode())
    sampled = Check(name="greeting", sample="praise")
    assert prepared(sampled).request == ModelRequest(b'{"text": "lovely"}', "application/x-text")
    assert prepared(referring(), {"requests": {"request.json": "1,2"}}).request == ModelRequest(b"1,2", "text/csv")


def test_a_schema_comes_from_the_check_or_a_configmap() -> None:
    assert prepared(check(schema={"type": "object"})).schema == '{"type": "object"}'
    assert (
        prepared(with_schema_from(), {"schemas": {"schema.json": '{"type":"object"}'}}).schema == '{"type": "object"}'
    )
    assert prepared(check()).schema is None


def test_the_configmaps_of_checks_are_those_of_requests_and_schemas() -> None:
    assert configmaps_of([check(), referring(), with_schema_from()]) == {"requests", "schemas"}


@pytest.mark.parametrize(
    ("each", "data", "message"),
    [
        pytest.param(
            referring(),
            {"requests": None},
            "check greeting: the ConfigMap requests does not exist: create it",
            id="none",
        ),
        pytest.param(
            referring(),
            {"requests": {}},
            "check greeting: the ConfigMap requests has no key request.json: add it to its data",
            id="another key",
        ),
        pytest.param(with_schema_from(), {"schemas": None}, "the ConfigMap schemas does not exist", id="no schema"),
    ],
)
def test_what_a_configmap_does_not_have_is_waited_for(each: Check, data: ConfigMapData, message: str) -> None:
    with pytest.raises(CheckUnavailable, match=re.escape(message)):
        prepared(each, data)


@pytest.mark.parametrize(
    ("each", "data", "message"),
    [
        pytest.param(
            check(values=[{"pointer": "/a", "min": 1, "tolerance": 1}]),
            {},
            "check greeting: expect.values[0]: tolerance needs equals or oneOf",
            id="a tolerance of nothing",
        ),
        pytest.param(
            check(values=[{"pointer": "/a", "equals": nested(100)}]),
            {},
            "check greeting: expect.values[0] is nested in more than 64 levels",
            id="deep",
        ),
        pytest.param(
            check(values=[{"pointer": "/a", "oneOf": [nested(100_000)]}]), {}, "more than 64 levels", id="very deep"
        ),
        pytest.param(
            check(values=[{"pointer": "/a", "equals": "x" * 70_000}]),
            {},
            "check greeting: expect.values is longer than 64 KiB",
            id="a long value",
        ),
        pytest.param(check(schema={"not": {"items": nested(100)}}), {}, "more than 64 levels", id="a deep schema"),
        pytest.param(
            check(schema={"enum": ["x" * 70_000]}), {}, "expect.schema is longer than 64 KiB", id="a long schema"
        ),
        pytest.param(
            check(schema={"$schema": DRAFT_7}),
            {},
            "check greeting: expect.schema/$schema must be https://json-schema.org/draft/2020-12/schema, or absent",
            id="another draft",
        ),
        pytest.param(
            with_schema_from(),
            {"schemas": {"schema.json": "type: object"}},
            "the key schema.json of the ConfigMap schemas is not JSON: Expecting value",
            id="YAML",
        ),
        pytest.param(
            with_schema_from(),
            {"schemas": {"schema.json": "[]"}},
            "the key schema.json of the ConfigMap schemas is not a JSON object",
            id="a list",
        ),
        pytest.param(
            with_schema_from(), {"schemas": {"schema.json": " " * 70_000}}, "is longer than 64 KiB", id="a long text"
        ),
        pytest.param(
            referring(),
            {"requests": {"request.json": "ä" * 33_000}},
            "check greeting: the key request.json of the ConfigMap requests is longer than 64 KiB",
            id="66,000 bytes",
        ),
        pytest.param(Check(name="greeting", sample="other"), {}, "there is no sample other", id="no sample"),
    ],
)
def test_what_cannot_be_checked_is_refused(each: Check, data: ConfigMapData, message: str) -> None:
    with pytest.raises(CheckInvalid, match=re.escape(message)):
        prepared(each, data)


def test_schemas_are_bounded_together() -> None:
    checks = [check(f"c{number}", schema={"const": "x" * 60_000}) for number in range(9)]
    with pytest.raises(CheckInvalid, match="all checks together are longer than 512 KiB"):
        prepare(checks, [], {})


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(check("farewell"), id="name"),
        pytest.param(check(body="[]"), id="body"),
        pytest.param(check(status=422), id="status"),
        pytest.param(check(schema={}), id="schema"),
        pytest.param(check(values=[{"pointer": "/a", "equals": None}]), id="null is expected"),
    ],
)
def test_whatever_is_checked_changes_the_digest(other: Check) -> None:
    assert digest(prepare([check()], [], {})) == digest(prepare([check()], [], {}))
    assert digest(prepare([check()], [], {})) != digest(prepare([other], [], {}))


def test_the_id_of_a_run_is_of_everything_that_it_is_about() -> None:
    assert run_id("a", ["b"]) == run_id("a", ["b"])
    assert len({run_id("a", ["b"]), run_id("ab", []), run_id("a", "b"), run_id(["a", "b"])}) == 4
