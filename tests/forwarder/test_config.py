from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.forwarder.config import SERVERLESS_PAYLOAD_BYTES, ForwarderConfig

CONFIG = ForwarderConfig(
    endpoint_name="nlp-sentiment", token_sha256="0a" * 32, max_body_bytes=1000, region="us-gov-west-1"
)


@given(
    st.builds(
        ForwarderConfig,
        endpoint_name=st.text("abYZ09", min_size=1, max_size=63),
        token_sha256=st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex),
        max_body_bytes=st.integers(1, SERVERLESS_PAYLOAD_BYTES),
        region=st.sampled_from(["us-east-1", "cn-northwest-1", "ap-southeast-2"]),
    )
)
def test_what_is_written_is_what_is_read(config: ForwarderConfig) -> None:
    assert ForwarderConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"endpoint_name": ""}, "endpoint_name", "nothing to invoke"),
        ({"endpoint_name": "-a"}, "endpoint_name", "CreateEndpoint refuses a leading hyphen"),
        ({"endpoint_name": "a" * 64}, "endpoint_name", "CreateEndpoint takes 63 characters"),
        ({"endpoint_name": "a/../b"}, "endpoint_name", "it becomes part of a URL"),
        ({"endpoint_name": "a\n"}, "endpoint_name", "a trailing newline must not slip past the pattern"),
        ({"token_sha256": ""}, "token_sha256", "an empty hash must not read as no authentication"),
        ({"token_sha256": "0A" * 32}, "token_sha256", "digests are compared as lower-case text"),
        ({"token_sha256": "hunter2"}, "token_sha256", "a token is not its hash"),
        ({"max_body_bytes": 0}, "max_body_bytes", "no request would pass"),
        ({"max_body_bytes": SERVERLESS_PAYLOAD_BYTES + 1}, "max_body_bytes", "SageMaker would refuse it later"),
        ({"region": "mars"}, "region", "it becomes part of a host name"),
    ],
)
def test_a_config_that_could_not_serve_is_refused_at_once(changes: dict[str, str], field: str, reason: str) -> None:
    with pytest.raises(ValueError, match=field) as refusal:
        replace(CONFIG, **changes)  # type: ignore[arg-type] # wrong values are the point
    assert "hunter2" not in str(refusal.value), reason


def test_the_longest_endpoint_name_is_accepted() -> None:
    assert replace(CONFIG, endpoint_name="a" * 63).endpoint_name == "a" * 63
