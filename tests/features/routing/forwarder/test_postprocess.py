"""A second model behind the first one, at the handler as deployed, before a real HTTP server in SageMaker's place."""

import base64
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.features.routing.forwarder.deployed import (
    ABOUT,
    FUNCTIONS,
    JSON,
    PATH,
    TOKEN_SHA256,
    Context,
    Reply,
    Runtime,
    Time,
    deployed,
    event,
    refusal,
)

from ephemeral_endpoints.features.routing.forwarder import documents, messages
from ephemeral_endpoints.features.routing.forwarder.config import Base, ForwarderConfig, Postprocess, Variant
from ephemeral_endpoints.features.routing.forwarder.revision import Revision

FIRST, SECOND = "nlp-generator", "nlp-classifier"
CHAIN = Postprocess(
    "classifier", (Variant("main", SECOND, 1),), "eep-second", input="/texts/0", member="text", timeout_seconds=8
)
ALONE = ForwarderConfig(
    (Variant("main", FIRST, 1),),
    TOKEN_SHA256,
    100_000,
    "eu-west-1",
    ABOUT,
    PATH,
    response_schema='{"required": ["texts"]}',
)
CONFIG = replace(ALONE, postprocess=CHAIN, base=Base("main", "ba5e" * 10, (Variant("stable", "nlp-stable", 1),)))
TEXT = Reply(body=b'{"texts": ["a \\u00e9 wine"], "score": 1.50}')
LABEL = Reply(body=b'{"label": "good"}')


def serve(runtime: Runtime, second: Reply) -> None:
    """What the second model answers; its function says what it serves."""
    serving = Reply(body=json.dumps({"headers": {"eep-revision": "c1a5" * 3}}).encode())
    runtime.answer_with(TEXT, replies_of={SECOND: second, "eep-second": serving})


@pytest.fixture(autouse=True)
def answers(runtime: Runtime, forwarder: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(runtime, LABEL)
    unasked = replace(forwarder.POSTPROCESSOR, revision_of=Revision(forwarder.LAMBDA).of)
    monkeypatch.setattr(forwarder, "POSTPROCESSOR", unasked)


def ask(forwarder: ModuleType, *, milliseconds: int = 30_000, **headers: str) -> dict[str, Any]:
    asked = event()
    asked["headers"] |= {name.replace("_", "-"): value for name, value in headers.items()}
    response: dict[str, Any] = forwarder.handle(asked, Context(milliseconds))
    return response


def asked_of_second(runtime: Runtime) -> list[tuple[bytes, str]]:
    return [(each.body, each.headers["Content-Type"]) for each in runtime.requests if each.path.split("/")[2] == SECOND]


def failed(response: dict[str, Any]) -> dict[str, Any]:
    """The problem of the second model beside the whole first answer."""
    assert (response["statusCode"], response["headers"]["eep-postprocess"]) == (200, "failed"), response
    assert response["body"].startswith('{"answer":' + TEXT.body.decode()), "the first answer is as it was"
    problem: dict[str, Any] = json.loads(response["body"])["postprocess"]["problem"]
    assert problem["instance"]
    return {**problem, "kind": problem["type"].rpartition(":")[2]}


def test_callers_get_both_answers_and_are_told_of_both_revisions(forwarder: ModuleType, runtime: Runtime) -> None:
    response = ask(forwarder)
    told = '"postprocess":{"endpoint": "classifier", "variant": "main", "revision": "c1a5c1a5c1a5","answer":'
    assert response["body"] == f'{{"answer":{TEXT.body.decode()},{told}{LABEL.body.decode()}}}}}'
    headers = response["headers"]
    assert headers["content-type"] == "application/json"
    assert (headers["eep-revision"], headers["eep-postprocess-revision"]) == (ABOUT.revision[:12], "c1a5c1a5c1a5")
    assert (headers["eep-variant"], headers["eep-postprocess-variant"]) == ("main", "main")
    assert headers["eep-postprocess"] == "done"
    assert [part.split(";")[0] for part in headers["server-timing"].split(", ")] == ["model", "post", "total"]
    assert asked_of_second(runtime) == [('{"text":"a é wine"}'.encode(), "application/json")]


@pytest.mark.parametrize(
    "function",
    [
        refusal(403, "AccessDeniedException"),
        Reply(hang_up=True),
        Reply(body=b"[" * 100_000),
        Reply(body=b'{"headers":{"eep-revision":"x\\r\\nset-cookie: a=b"}}'),
    ],
    ids=["denied", "nothing", "nested too deeply", "no revision"],
)
def test_both_answers_arrive_although_the_second_object_does_not_say_what_it_serves(
    forwarder: ModuleType, runtime: Runtime, function: Reply
) -> None:
    runtime.answer_with(TEXT, replies_of={SECOND: LABEL, "eep-second": function})
    headers = ask(forwarder)["headers"]
    assert headers["eep-postprocess"] == "done"
    assert "eep-postprocess-revision" not in headers


@pytest.mark.parametrize(
    ("second", "kind", "reason"),
    [
        (refusal(400, "ValidationError", "Endpoint x of account 1 not found."), "endpoint-not-ready", "it is gone"),
        (refusal(424, "ModelError", OriginalStatusCode=500), "model-error", "it fails"),
        (refusal(424, "ModelError", OriginalStatusCode=422, OriginalMessage="no"), "postprocess-refused", "it refuses"),
        (refusal(403, "AccessDeniedException"), "invocation-refused", "the role may not invoke it"),
        (Reply(hang_up=True), "service-unavailable", "nothing comes back"),
        (Reply(headers={"Content-Type": "text/csv"}, body=b"good"), "postprocess-not-json", "a CSV has no place"),
        (Reply(body=b"good"), "postprocess-not-json", "it lies about its type"),
        (Reply(body=b'1},"answer":{"forged":1'), "postprocess-not-json", "it tries to leave its place"),
        (Reply(body=b'{"a":1,"a":2}'), "postprocess-not-json", "programs read it differently"),
        (Reply(body=b"[" * 100_000), "postprocess-not-json", "it is nested too deeply"),
        (Reply(body=b'"' + b"a" * 6_291_500 + b'"'), "answer-too-large", "Lambda would drop both answers"),
    ],
)
def test_whatever_the_second_model_does_the_first_answer_arrives(
    forwarder: ModuleType, runtime: Runtime, second: Reply, kind: str, reason: str
) -> None:
    runtime.answer_with(TEXT, replies_of={SECOND: second})
    problem = failed(ask(forwarder))
    assert (problem["kind"], problem["detail"].startswith("classifier did not answer. ")) == (kind, True), reason


def test_what_the_second_model_says_is_passed_as_data_only(forwarder: ModuleType, runtime: Runtime) -> None:
    hostile = '{"problem": {"type": "x"}, "</script><script>alert(1)</script>": "\\u0000\\r\\nset-cookie: a=b"}'
    runtime.answer_with(TEXT, replies_of={SECOND: Reply(body=hostile.encode())})
    response = ask(forwarder)
    joint = json.loads(response["body"])
    assert set(joint) == {"answer", "postprocess"}
    assert joint["postprocess"]["answer"] == json.loads(hostile), "told from a problem by its place"
    assert "problem" not in joint["postprocess"]
    headers = response["headers"]
    assert headers["eep-postprocess"] == "done"
    assert "set-cookie" not in headers
    assert headers["content-security-policy"] == "default-src 'none'; sandbox"


def test_a_second_model_that_starts_is_asked_again(forwarder: ModuleType, runtime: Runtime, clock: Time) -> None:
    starting = refusal(429, "ModelNotReadyException")
    runtime.answer_with(TEXT, starting, LABEL)
    response = ask(forwarder)
    assert json.loads(response["body"])["postprocess"]["answer"] == {"label": "good"}
    assert response["headers"]["eep-attempts"] == "1", "of the first model"
    assert len(clock.pauses) == 1


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(body=b'{"texts": []}'), "there is nothing at the pointer"),
        (Reply(body=b'{"texts": "abc"}'), "a text has no items"),
        (Reply(body=b'{"texts": {"1": 1}}'), "there is another member"),
    ],
)
def test_without_its_input_the_second_model_is_not_asked(
    forwarder: ModuleType, runtime: Runtime, reply: Reply, reason: str
) -> None:
    runtime.answer_with(reply)
    response = ask(forwarder)
    joint = json.loads(response["body"])
    assert joint["answer"] == json.loads(reply.body)
    assert joint["postprocess"]["problem"]["type"].endswith(":postprocess-no-input"), reason
    assert not asked_of_second(runtime)


def test_a_first_model_that_took_all_the_time_keeps_its_answer(forwarder: ModuleType, runtime: Runtime) -> None:
    # Of Lambda's time, so much is left that the first answer would be lost with a second one that does not come.
    assert failed(ask(forwarder, milliseconds=3_500))["kind"] == "model-timeout"
    assert not asked_of_second(runtime)


def test_the_time_that_callers_are_ready_to_wait_counts_for_both(
    forwarder: ModuleType, runtime: Runtime, clock: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoke = forwarder.invoke
    clock.stand_still()

    def slowly(*arguments: object, **options: object) -> Any:  # noqa: ANN401 - as typed as what it wraps
        clock.pauses.append(4.8)
        return invoke(*arguments, **options)

    monkeypatch.setattr(forwarder, "invoke", slowly)
    assert failed(ask(forwarder, prefer="wait=5"))["kind"] == "model-timeout"
    assert not asked_of_second(runtime)
    clock.pauses.clear()
    assert json.loads(ask(forwarder, prefer="wait=9")["body"])["postprocess"]["answer"] == {"label": "good"}


def test_a_first_model_that_fails_refuses_or_breaks_its_promise_has_no_second_answer(
    forwarder: ModuleType, runtime: Runtime
) -> None:
    for reply, status in (
        (refusal(424, "ModelError", OriginalStatusCode=422, OriginalMessage="too short"), 422),
        (refusal(424, "ModelError", OriginalStatusCode=500), 502),
        (Reply(body=b"{}"), 502),
    ):
        runtime.answer_with(reply)
        response = ask(forwarder)
        assert (response["statusCode"], "eep-postprocess" in response["headers"]) == (status, False)
    assert not asked_of_second(runtime)


def test_the_answers_of_the_base_are_passed_on_alike(forwarder: ModuleType, runtime: Runtime) -> None:
    response = ask(forwarder, eep_target="base")
    assert json.loads(response["body"])["postprocess"]["answer"] == {"label": "good"}
    models = [each.path.split("/")[2] for each in runtime.requests if not each.path.startswith(FUNCTIONS)]
    assert models == ["nlp-stable", SECOND]


def test_the_log_tells_what_became_of_it(
    forwarder: ModuleType, runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(forwarder)
    record = json.loads(capsys.readouterr().out)
    assert (record["postprocess"], record["postMilliseconds"] > 0) == ("done", True)
    runtime.answer_with(TEXT, replies_of={SECOND: Reply(body=b"secret words")})
    ask(forwarder)
    line = capsys.readouterr().out
    assert json.loads(line)["postprocess"] == "postprocess-not-json"
    assert "secret" not in line


@pytest.mark.parametrize(
    ("reply", "sent", "told"),
    [
        (
            Reply(headers={"Content-Type": "text/csv"}, body=b'a,"b"\n'),
            (b'a,"b"\n', "text/csv"),
            {"answer": 'a,"b"\n', "answerContentType": "text/csv"},
        ),
        (
            Reply(headers={"Content-Type": "image/png"}, body=b"\x89PNG"),
            (b"\x89PNG", "image/png"),
            {
                "answer": base64.b64encode(b"\x89PNG").decode(),
                "answerContentType": "image/png",
                "answerEncoding": "base64",
            },
        ),
        (
            Reply(headers=JSON, body=b'{"a": NaN}'),
            (b'{"a": NaN}', "application/json"),
            {"answer": '{"a": NaN}', "answerContentType": "application/json"},
        ),
        (Reply(body=b' {"n": 1e400000}'), (b' {"n": 1e400000}', "application/json"), None),
    ],
)
def test_without_a_pointer_the_second_model_gets_the_answer_as_it_is(
    runtime: Runtime, tmp_path: Path, reply: Reply, sent: tuple[bytes, str], told: dict[str, str] | None
) -> None:
    url = f"http://127.0.0.1:{runtime.server_address[1]}"
    config = replace(ALONE, response_schema=None, postprocess=replace(CHAIN, input=None, member=None))
    runtime.answer_with(reply, replies_of={SECOND: LABEL})
    with deployed(config, tmp_path, {"SAGEMAKER_RUNTIME": url}) as module:
        joint = json.loads(ask(module)["body"])
    assert asked_of_second(runtime) == [sent]
    assert joint["postprocess"]["answer"] == {"label": "good"}
    if told:
        assert {name: value for name, value in joint.items() if name != "postprocess"} == told


@pytest.mark.parametrize(
    ("chain", "kind"),
    [
        (Postprocess("classifier", refusal="The endpoint classifier does not exist."), "postprocess-unavailable"),
        (Postprocess("shared", refusal=None), None),
    ],
    ids=["none to ask", "an endpoint of SageMaker"],
)
def test_a_target_without_variants(runtime: Runtime, tmp_path: Path, chain: Postprocess, kind: str | None) -> None:
    url = f"http://127.0.0.1:{runtime.server_address[1]}"
    named = Reply(headers={**JSON, "x-Amzn-Invoked-Production-Variant": "blue"}, body=LABEL.body)
    runtime.answer_with(TEXT, replies_of={"shared": named})
    with deployed(replace(ALONE, postprocess=chain), tmp_path, {"SAGEMAKER_RUNTIME": url}) as module:
        response = ask(module)
    second = json.loads(response["body"])["postprocess"]
    assert "revision" not in second
    if kind:
        assert second["problem"]["type"].endswith(f":{kind}")
        assert second["problem"]["detail"] == chain.refusal
        assert len(runtime.requests) == 1
    else:
        assert (second["variant"], second["answer"]) == ("blue", {"label": "good"})


def test_the_variants_of_the_second_model_get_their_shares(runtime: Runtime, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{runtime.server_address[1]}"
    chain = replace(CHAIN, variants=(Variant("old", SECOND, 0), Variant("new", "nlp-other", 1)))
    runtime.answer_with(TEXT, replies_of={"nlp-other": LABEL})
    with deployed(replace(ALONE, postprocess=chain), tmp_path, {"SAGEMAKER_RUNTIME": url}) as module:
        assert {ask(module)["headers"]["eep-postprocess-variant"] for _ in range(5)} == {"new"}


def test_the_description_shows_both_answers() -> None:
    made = documents.openapi(CONFIG, "sentiment")
    assert made["info"]["x-ephemeral-endpoint"]["postprocess"] == "classifier"
    answered = made["paths"]["/invocations"]["post"]["responses"]["200"]
    [schema] = [each["schema"] for each in answered["content"].values()]
    assert schema["properties"]["answer"] == {"required": ["texts"]}
    assert schema["required"] == ["answer", "postprocess"]
    assert "eep-postprocess" in answered["headers"]
    alone = documents.openapi(ALONE, "sentiment")["paths"]["/invocations"]["post"]["responses"]["200"]
    assert "eep-postprocess" not in alone["headers"]


def test_an_answer_that_only_fits_alone_is_the_first_models(forwarder: ModuleType, runtime: Runtime) -> None:
    long = b'{"texts":["' + b"a" * (messages.MAX_RESPONSE_BYTES - 2_000) + b'"]}'
    runtime.answer_with(Reply(body=long), replies_of={SECOND: Reply(body=b'"' + b"b" * 3_000 + b'"')})
    response = ask(forwarder)
    assert response["statusCode"] == 200
    assert json.loads(response["body"])["postprocess"]["problem"]["type"].endswith(":answer-too-large")
