import json
import re
from asyncio import gather, sleep
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.engine.objects import subject

from ephemeral_endpoints.api.v1alpha1.public_api import Api
from ephemeral_endpoints.engine.resources import Key
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.routing.forwarder.schema import compile_schema
from ephemeral_endpoints.features.routing.schemas import PAUSES, Judge, read
from ephemeral_endpoints.features.routing.specs import FUNCTION, HTTP_API, FunctionSpec
from ephemeral_endpoints.features.routing.stage import SampleInvalid, SchemaInvalid, SchemaUnavailable
from ephemeral_endpoints.features.serving.specs import ENDPOINT
from ephemeral_endpoints.features.subject import ApiSchemas, Resolved
from ephemeral_endpoints.features.worker import Worker, WorkerError

REFERENCE = {"configMapKeyRef": {"name": "schemas", "key": "request.json"}}


def api(**fields: Any) -> Api:  # noqa: ANN401 - of the API
    return subject({"api": fields}).endpoint.spec.api


def test_an_object_without_schemas_has_none() -> None:
    assert read(api(), {}) == ApiSchemas()


def test_schemas_are_text_without_white_space_in_their_own_order() -> None:
    data = {"schemas": {"request.json": '{ "type" : "object",\n "properties": {"b": {}, "a": {}} }'}}
    found = read(api(requestSchema=REFERENCE, responseSchema={"inline": {"type": "string"}}), data)
    assert found == ApiSchemas('{"type":"object","properties":{"b":{},"a":{}}}', '{"type":"string"}')


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({"schemas": None}, SchemaUnavailable, "the ConfigMap schemas does not exist: create it"),
        ({"schemas": {"x": "{}"}}, SchemaUnavailable, "the ConfigMap schemas has no key request.json: add it"),
        ({"schemas": {"request.json": "type: object"}}, SchemaInvalid, "is not JSON: Expecting value"),
        ({"schemas": {"request.json": "[]"}}, SchemaInvalid, "is not a JSON object"),
        ({"schemas": {"request.json": '{"a":1,"a":2}'}}, SchemaInvalid, "has a name twice in an object"),
        ({"schemas": {"request.json": "[" * 50_000}}, SchemaInvalid, "is nested too deeply"),
        (
            {"schemas": {"request.json": json.dumps({"title": "x" * 65_530})}},
            SchemaInvalid,
            "(the key request.json of the ConfigMap schemas) is longer than 64 KiB",
        ),
    ],
    ids=["no ConfigMap", "no key", "YAML", "a list", "twice", "deep", "long"],
)
def test_what_cannot_be_a_schema_says_why(
    data: Mapping[str, Mapping[str, str] | None], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        read(api(requestSchema=REFERENCE), data)


async def test_schemas_and_samples_are_judged_and_the_verdict_names_the_place() -> None:
    judge = Judge(lambda: 0.0, max_seconds=60)
    given = api(samples=[{"name": "good", "request": '"x"'}, {"name": "bad", "request": "1"}])
    assert await judge.verdict("nlp", ApiSchemas("{}", "{}"), given) is None
    refusal = await judge.verdict("nlp", ApiSchemas("{}", '{"items":{"type":"text"}}'), given)
    assert isinstance(refusal, SchemaInvalid)
    assert refusal.terminal
    assert str(refusal).startswith("spec.api.responseSchema: /items/type: must be one or several of array")
    broken = await judge.verdict("nlp", ApiSchemas('{"type":"string"}'), given)
    assert isinstance(broken, SampleInvalid)
    assert "the sample bad breaks spec.api.requestSchema, because it does not match it: the body must be" in str(broken)


async def test_what_is_judged_to_be_a_schema_is_one_further_down_the_stack_too() -> None:
    """A forwarder compiles it while Lambda starts it."""

    def chain(length: int) -> str:
        links = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(length)}
        return json.dumps({"$ref": "#/$defs/d0", "$defs": {**links, f"d{length}": True}})

    def compiled_below(frames: int) -> object:
        return compiled_below(frames - 1) if frames else compile_schema(json.loads(chain(140)))

    judge = Judge(lambda: 0.0, max_seconds=60)
    good, deep = await gather(*(judge.verdict("nlp", ApiSchemas(chain(length)), api()) for length in (140, 190)))
    assert good is None
    assert "is nested too deeply" in str(deep)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(compiled_below, 100).result()


async def test_a_schema_that_takes_for_ever_is_no_end_of_the_operator() -> None:
    """Each of many definitions applies the next one twice."""
    schemas: dict[str, Any] = {
        f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]} for n in range(40)
    }
    text = json.dumps({"$ref": "#/$defs/d0", "$defs": {**schemas, "d40": {"type": "string"}}})
    judge, given = Judge(lambda: 0.0, max_seconds=0.5), api(samples=[{"name": "a", "request": '"x"'}])
    with pytest.raises(WorkerError, match="takes longer than"):
        await judge.verdict("nlp", ApiSchemas(text), given)
    assert await Judge(lambda: 0.0, max_seconds=60).verdict("nlp", ApiSchemas("{}"), given) is None


async def test_what_has_no_verdict_is_judged_once_for_all_objects_and_again_after_growing_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    async def ask(_: Worker, request: object) -> dict[str, Any]:
        asked.append(request)
        await sleep(0)
        raise WorkerError("takes longer than 5 s to apply")

    monkeypatch.setattr(Worker, "ask", ask)
    now = [0.0]
    judge = Judge(lambda: now[0])

    async def attempts() -> int:
        found = await gather(*(judge.verdict("nlp", ApiSchemas("{}"), api()) for _ in "ab"), return_exceptions=True)
        assert all(isinstance(each, WorkerError) and "takes longer" in str(each) for each in found)
        return len(asked)

    assert [await attempts(), await attempts()] == [1, 1]
    for pause, expected in ((PAUSES[0], 2), (PAUSES[0], 2), (PAUSES[0], 3), (PAUSES[1], 4)):
        now[0] += pause
        assert await attempts() == expected


def test_schemas_go_into_the_forwarder_and_without_them_everything_stays_as_it_is() -> None:
    object_ = subject({"api": {"auth": {"type": "None"}}})
    image = object_.endpoint.spec.model.image or ""
    resolved = Resolved({image: "sha256:" + "a" * 64}, None, Key(HTTP_API, "api"), owns_path=True)
    known = desired(object_, Resolved(resolved.digests, None, resolved.api, owns_path=True, schemas=ApiSchemas("{}")))
    [function] = [each.spec for each in known.resources if each.key.kind is FUNCTION]
    assert isinstance(function, FunctionSpec)
    assert function.forwarder
    assert (function.forwarder.request_schema, function.forwarder.response_schema) == ("{}", None)
    unknown = desired(object_, Resolved(resolved.digests, None, resolved.api, owns_path=True, schemas=None))
    assert not [each for each in unknown.resources if each.key.kind in {FUNCTION, ENDPOINT}]
    assert unknown.keeps(FUNCTION)
    assert unknown.keeps(ENDPOINT)
