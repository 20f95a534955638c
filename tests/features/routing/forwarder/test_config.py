from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.features.routing.forwarder.config import (
    MAX_BODY_BYTES,
    About,
    AnswerPointers,
    AsyncConfig,
    Base,
    Cors,
    FeedbackConfig,
    Former,
    ForwarderConfig,
    Playground,
    Sample,
    Variant,
)

ABOUT = About("nlp", "a", "0" * 40, "acme/a")
MAIN = Variant("main", "nlp-sentiment", 1)
OTHER = Variant("other", "nlp-sentiment", 0)
FOLDERS = AsyncConfig("s3://bucket/in/", "s3://bucket/out/")
CONFIG = ForwarderConfig(
    (MAIN,), token_sha256="0a" * 32, max_body_bytes=1000, region="us-gov-west-1", about=ABOUT, path="/nlp/a"
)

names = st.text("abYZ09", min_size=1, max_size=63)
folders = st.text("aZ0!_.*'()-", min_size=1, max_size=9).map(lambda name: f"s3://a-bucket/{name}/")
variants = st.lists(
    st.builds(Variant, names, names, st.integers(1, 1000)), min_size=1, max_size=5, unique_by=lambda each: each.name
)


@st.composite
def configs(draw: st.DrawFn) -> ForwarderConfig:
    split = draw(variants)
    shared = draw(st.booleans())
    return ForwarderConfig(
        variants=tuple(
            replace(variant, endpoint_name="shared" if shared else f"own{number}")
            for number, variant in enumerate(split)
        ),
        token_sha256=draw(st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex)),
        max_body_bytes=draw(st.integers(1, MAX_BODY_BYTES)),
        region=draw(st.sampled_from(["us-east-1", "cn-northwest-1", "ap-southeast-2"])),
        feedback=draw(st.none() | st.builds(FeedbackConfig, names, st.text(), st.booleans())),
        base=draw(st.none() | st.builds(Base, st.text(), st.text(), st.just((MAIN, OTHER)))),
        former_token=draw(st.none() | st.builds(Former, st.just("0b" * 32), st.integers(0, 2**40))),
        playground=draw(st.none() | st.builds(Playground, st.none() | st.text(), st.builds(AnswerPointers, st.text()))),
        about=draw(st.builds(About, *[st.text()] * 4, st.none() | st.integers(1, 9), st.none() | st.text())),
        path=draw(st.sampled_from(["/p", "/nlp/pr-42"])),
        samples=draw(st.lists(st.builds(Sample, *[st.text()] * 3, st.none() | st.text()), max_size=2).map(tuple)),
        timeout_seconds=draw(st.integers(1, 27)),
        content_types=draw(st.sampled_from([(), ("application/json", "text/csv")])),
        sticky_header=draw(st.none() | st.just("x-user-id")),
        cors=draw(st.none() | st.builds(Cors, st.just(("*",)), st.just(("x-a",)), st.integers(0, 9))),
        streams=draw(st.booleans()),
        request_schema=draw(st.none() | st.text()),
        response_schema=draw(st.none() | st.text()),
        asynchronous=draw(st.none() | st.builds(AsyncConfig, folders, folders, st.none() | folders))
        if len(split) == 1
        else None,
    )


@given(configs())
def test_what_is_written_is_what_is_read(config: ForwarderConfig) -> None:
    read = ForwarderConfig.from_json(config.to_json())
    assert read == config
    assert hash(read) == hash(config)


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"token_sha256": ""}, "token_sha256", "an empty hash must not read as no authentication"),
        ({"token_sha256": "0A" * 32}, "token_sha256", "digests are compared as lower-case text"),
        ({"token_sha256": "hunter2"}, "token_sha256", "a token is not its hash"),
        ({"max_body_bytes": 0}, "max_body_bytes", "no request would pass"),
        ({"max_body_bytes": MAX_BODY_BYTES + 1}, "max_body_bytes", "Lambda would refuse it before"),
        ({"region": "mars"}, "region", "it becomes part of a host name"),
        ({"timeout_seconds": 28}, "timeout_seconds", "API Gateway would answer before"),
        ({"readiness": "a"}, "readiness", "no sample has the name"),
        ({"variants": ()}, "variants", "nothing to invoke"),
        ({"variants": (OTHER,)}, "variants", "nobody would answer those who ask for none"),
        ({"variants": (MAIN, MAIN)}, "variants", "a name must lead to one variant"),
        (
            {"variants": (MAIN, OTHER, Variant("third", "else", 1))},
            "variants",
            "half split by SageMaker, half by us: the weights would mean nothing",
        ),
        (
            {"variants": (MAIN, OTHER), "asynchronous": FOLDERS},
            "asynchronous",
            "the answering variant would be unknown",
        ),
    ],
)
def test_a_config_that_could_not_serve_is_refused_at_once(changes: dict[str, str], field: str, reason: str) -> None:
    with pytest.raises(ValueError, match=field) as refusal:
        replace(CONFIG, **changes)  # type: ignore[arg-type] # wrong values are the point
    assert "hunter2" not in str(refusal.value), reason


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"name": ""}, "name", "nothing to ask for"),
        ({"name": "a,b"}, "name", "two headers are joined by a comma"),
        ({"name": "under_score"}, "name", "CreateEndpointConfig refuses it as VariantName"),
        ({"endpoint_name": ""}, "endpoint_name", "nothing to invoke"),
        ({"endpoint_name": "-a"}, "endpoint_name", "CreateEndpoint refuses a leading hyphen"),
        ({"endpoint_name": "a" * 64}, "endpoint_name", "CreateEndpoint takes 63 characters"),
        ({"endpoint_name": "a/../b"}, "endpoint_name", "it becomes part of a URL"),
        ({"endpoint_name": "a\n"}, "endpoint_name", "a trailing newline must not slip past the pattern"),
        ({"weight": -1}, "weight", "no share"),
    ],
)
def test_a_variant_that_could_not_answer_is_refused_at_once(changes: dict[str, str], field: str, reason: str) -> None:
    with pytest.raises(ValueError, match=field):
        pytest.fail(f"{reason}: {replace(MAIN, **changes)}")  # type: ignore[arg-type] # wrong values are the point


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("", "no place"),
        ("bucket/in/", "not a URL"),
        ("https://bucket/in/", "of another scheme"),
        ("s3://bucket/in", "names would be glued to the folder's"),
        ("s3://bucket", "likewise"),
        ("s3://b/in/", "no bucket has so short a name"),
        ("s3://bucket//", "an empty folder"),
        ("s3://bucket/in/\n", "a trailing newline must not slip past the pattern"),
    ],
)
@pytest.mark.parametrize("field", ["input_s3_uri", "output_s3_uri", "failure_s3_uri"])
def test_a_folder_that_is_none_is_refused_at_once(field: str, uri: str, reason: str) -> None:
    with pytest.raises(ValueError, match=field):
        pytest.fail(f"{reason}: {replace(FOLDERS, **{field: uri})}")


def test_a_base_has_variants_of_the_same_kind() -> None:
    with pytest.raises(ValueError, match="weight is above 0"):
        Base("main", "eep-main", (OTHER,))


def test_the_longest_endpoint_name_is_accepted() -> None:
    assert replace(MAIN, endpoint_name="a" * 63).endpoint_name == "a" * 63


def test_failures_are_beside_the_results_unless_they_have_their_own_folder() -> None:
    assert FOLDERS.failures == "s3://bucket/out/"
    assert replace(FOLDERS, failure_s3_uri="s3://bucket/bad/").failures == "s3://bucket/bad/"


def test_the_former_token_is_accepted_until_its_time() -> None:
    config = replace(CONFIG, former_token=Former("0b" * 32, until=1000))
    assert config.accepted_tokens(999.9) == ("0a" * 32, "0b" * 32)
    assert config.accepted_tokens(1000) == ("0a" * 32,)
    assert replace(config, token_sha256=None).accepted_tokens(0) == ()


def test_a_former_token_is_never_taken_for_its_hash() -> None:
    with pytest.raises(ValueError, match="64 lower-case hexadecimal digits") as refused:
        Former("hunter2", until=0)
    assert "hunter2" not in str(refused.value)
