import pytest

from ephemeral_endpoints.features.routing.forwarder import negotiation
from ephemeral_endpoints.features.routing.forwarder.messages import Problem


@pytest.mark.parametrize(
    ("accept", "taken"),
    [
        ("", True),
        ("*/*", True),
        ("application/*", True),
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("text/html", False),
        ("text/html, */*;q=0.8", True),
        ("*/*, application/json;q=0", False),
        ("application/json;q=nonsense", False),
        ("application/json;q=0.0", False),
        ("text/*", False),
    ],
)
def test_what_a_caller_takes(accept: str, *, taken: bool) -> None:
    assert negotiation.accepts({"accept": accept}, "application/json") is taken
    assert negotiation.accepts({}, "application/json")


@pytest.mark.parametrize(
    ("sent", "allowed", "header"),
    [
        ({}, (), None),
        ({"content-type": "image/png"}, (), None),
        ({"content-encoding": "Identity"}, (), None),
        ({"content-encoding": "gzip"}, (), ("accept-encoding", "identity")),
        ({"content-type": "Text/CSV; header=present"}, ("application/json", "text/csv"), None),
        ({"content-type": "image/png"}, ("application/json", "text/csv"), ("accept", "application/json, text/csv")),
        ({}, ("application/json",), ("accept", "application/json")),
    ],
)
def test_what_a_body_may_be(sent: dict[str, str], allowed: tuple[str, ...], header: tuple[str, str] | None) -> None:
    if header is None:
        negotiation.check_content(sent, allowed)
        return
    with pytest.raises(Problem) as refusal:
        negotiation.check_content(sent, allowed)
    assert (refusal.value.status, refusal.value.headers) == (415, dict([header]))


@pytest.mark.parametrize("streams", [True, False])
def test_who_asks_for_a_stream_is_told_where_there_is_one(*, streams: bool) -> None:
    with pytest.raises(Problem) as refusal:
        negotiation.refuse_streaming(b'{"stream": true}', "application/json", streams=streams)
    assert (refusal.value.status, refusal.value.kind) == (400, "streaming-unsupported")
    assert ("status.openAIBaseUrl" in refusal.value.detail) is streams
    assert ("spec.serving.instances" in refusal.value.detail) is not streams


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"stream": false}', "application/json"),
        (b'{"stream": "true"}', "application/json"),
        (b'{"text": "\\"stream\\": true"}', "application/json"),
        (b'{"deep": {"stream": true}}', "application/json"),
        (b'[{"stream": true}]', "application/json"),
        (b'{"stream": true}', "text/plain"),
        (b'"stream" broken', "application/json"),
        (b'{"stream":' + b"[" * 100_000, "application/json"),
        (b'{"stream": true, "x": "\xff"}', "application/json"),
    ],
)
def test_what_does_not_ask_for_a_stream_passes(body: bytes, content_type: str) -> None:
    negotiation.refuse_streaming(body, content_type, streams=True)


def test_json_has_several_names() -> None:
    assert negotiation.is_json("application/problem+json; charset=utf-8")
    assert not negotiation.is_json("application/jsonlines")
