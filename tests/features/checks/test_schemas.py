"""Schemas in a process of their own."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.features.checks.checking import check
from tests.features.checks.model_server import ModelServer

from ephemeral_endpoints.features.checks.preparation import prepare
from ephemeral_endpoints.features.checks.schemas import Schemas, invalid
from ephemeral_endpoints.features.worker import WorkerError

DOUBLING = 60


def endless() -> str:
    """A schema of which each definition refers to the next one twice: 2^60 steps."""
    definitions: dict[str, Any] = {
        f"d{number}": {"allOf": [{"$ref": f"#/$defs/d{number + 1}"}] * 2} for number in range(DOUBLING)
    }
    definitions[f"d{DOUBLING}"] = {"type": "string"}
    return json.dumps({"$defs": definitions, "$ref": "#/$defs/d0"})


@pytest.fixture
async def schemas() -> AsyncIterator[Schemas]:
    async with Schemas(max_seconds=60) as found:
        yield found


async def test_a_document_that_matches_has_no_failures(schemas: Schemas) -> None:
    schema = json.dumps({"type": "object", "required": ["label"], "properties": {"at": {"format": "date"}}})
    assert await schemas.refusal(schema) is None
    assert await schemas.failures(schema, b'{"label": "a", "at": "2026-11-30"}') == ()


async def test_a_document_that_does_not_match_says_where(schemas: Schemas) -> None:
    schema = json.dumps({"properties": {"a/b": {"items": {"enum": ["x"]}}, "at": {"format": "date"}}})
    found = await schemas.failures(schema, b'{"a/b": ["x", "y"], "at": "tomorrow"}')
    assert [str(each) for each in found] == [
        '/a~1b/1: expected a match of the schema (enum), found "y" is not one of "x"',
        '/at: expected a match of the schema (format), found "tomorrow" is not a "date"',
    ]


async def test_what_a_model_answers_is_shortened_and_masked(schemas: Schemas) -> None:
    document = json.dumps(["AKIAIOSFODNN7EXAMPLE " + "x " * 1000]).encode()
    [failure] = await schemas.failures('{"items": {"type": "number"}}', document)
    assert "AKIA" not in failure.found
    assert len(failure.found) <= 200


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"properties": {"a": {"type": "text"}}}, '/properties/a/type: "text" is not valid'),
        ({"pattern": "("}, '/pattern: "(" is not a "regex"'),
        ({"$ref": "#/$defs/none"}, "Pointer '/$defs/none' does not exist"),
        ({"$ref": "file:///etc/hostname"}, "cannot fetch file:///etc/hostname"),
        ({"minimum": 10**400}, ""),
    ],
    ids=["no type", "no pattern", "nowhere", "a file", "a huge number"],
)
async def test_what_is_no_schema_is_refused_with_its_place(
    schemas: Schemas, schema: dict[str, Any], words: str
) -> None:
    assert words in str(await schemas.refusal(json.dumps(schema)))


async def test_a_reference_to_a_server_is_not_followed(schemas: Schemas, model: ModelServer) -> None:
    assert "cannot fetch" in str(await schemas.refusal(json.dumps({"$ref": model.url})))
    assert model.requests == []


async def test_a_schema_that_takes_for_ever_is_ended_and_the_next_one_is_applied() -> None:
    async with Schemas(max_seconds=0.3) as schemas:
        with pytest.raises(WorkerError, match=r"takes longer than 0\.3 s to apply"):
            await schemas.failures(endless(), b'"x"')
    async with Schemas(max_seconds=60) as schemas:
        assert await schemas.failures('{"type": "string"}', b'"x"') == ()


async def test_the_end_of_the_process_is_no_end_of_the_operator(schemas: Schemas) -> None:
    with pytest.raises(WorkerError, match="the process that does it ended"):
        # A document that is none: evaluation refuses it before.
        await schemas.failures("{}", b"no JSON")
    assert await schemas.failures("{}", b"1") == ()


async def test_a_large_answer_that_does_not_match_anywhere_takes_little_memory(schemas: Schemas) -> None:
    """All of its violations would take more than the container of the operator may have."""
    document = json.dumps([1] * 330_000).encode()
    [failure] = await schemas.failures('{"items": {"type": "object"}}', document)
    assert str(failure) == '/0: expected a match of the schema (type), found 1 is not of type "object"'


async def test_a_schema_that_takes_too_much_memory_is_no_end_of_the_operator(schemas: Schemas) -> None:
    schema = json.dumps({"items": {"allOf": [{"type": "string"}] * 100}})
    with pytest.raises(WorkerError, match="the process that does it ended"):
        await schemas.failures(schema, json.dumps([1] * 20_000).encode())


async def test_schemas_that_take_too_long_together_are_refused() -> None:
    checks = prepare([check("slow", schema={"type": "object"})], [], {})
    assert "check slow: it and those before it" in str(await invalid(checks, max_seconds=0))


async def test_the_first_check_whose_schema_is_none_is_named() -> None:
    good, bad = check("good", schema={"type": "object"}), check("bad", schema={"type": "text"})
    assert await invalid(prepare([check(), good], [], {})) is None
    error = await invalid(prepare([check(), good, bad], [], {}))
    assert str(error).startswith('check bad: the JSON Schema is not valid: /type: "text" is not valid')
