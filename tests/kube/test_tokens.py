"""The Secret of an object's token, without an API server."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from ephemeral_endpoints.api import ROTATE_TOKEN_ANNOTATION
from ephemeral_endpoints.kube.tokens import ApiToken, FormerToken, must_rotate, new_secret, rotation, tokens_of

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
OWNER = {"apiVersion": "v1", "kind": "EphemeralEndpoint", "name": "pr-42", "uid": "u"}
TOKEN = "correct-horse-battery-staple"  # noqa: S105 - a test's
FORMER = {"former-token-sha256": "0" * 64}
UNTIL = "ephemeral-endpoints.io/former-token-until"


def raw(**annotations: str) -> dict[str, Any]:
    """An object; ``rotate`` is its annotation."""
    wanted = {ROTATE_TOKEN_ANNOTATION: annotations["rotate"]} if annotations else None
    return {"metadata": {"name": "pr-42", "namespace": "nlp", "uid": "u", "annotations": wanted}}


def secret(data: Mapping[str, str] | None = None, **annotations: str) -> dict[str, Any]:
    """Its Secret."""
    encoded = {key: base64.b64encode(each.encode()).decode() for key, each in {"token": TOKEN, **(data or {})}.items()}
    metadata = {
        "name": "s",
        "uid": "su",
        "resourceVersion": "7",
        "ownerReferences": [OWNER],
        "annotations": annotations,
    }
    return {"metadata": metadata, "data": encoded}


@pytest.mark.parametrize(
    ("wanted", "seen", "rotates"),
    [
        pytest.param({}, {}, False, id="nobody asked"),
        pytest.param({"rotate": "1"}, {}, True, id="asked for the first time"),
        pytest.param({"rotate": "1"}, {ROTATE_TOKEN_ANNOTATION: "1"}, False, id="done already"),
        pytest.param({"rotate": "2"}, {ROTATE_TOKEN_ANNOTATION: "1"}, True, id="asked again"),
        pytest.param({}, {ROTATE_TOKEN_ANNOTATION: "1"}, False, id="the annotation was removed"),
    ],
)
def test_a_token_is_rotated_once_for_each_value(
    wanted: dict[str, str],
    seen: dict[str, str],
    rotates: bool,  # noqa: FBT001 - a table's column
) -> None:
    assert must_rotate(secret(None, **seen), raw(**wanted)) is rotates


def test_a_rotation_keeps_the_hash_of_the_token_before_for_an_hour_and_nothing_else_of_it() -> None:
    patch = rotation(secret(), raw(rotate="1"), NOW)
    assert patch["metadata"]["resourceVersion"] == "7"
    assert patch["metadata"]["annotations"] == {ROTATE_TOKEN_ANNOTATION: "1", UNTIL: "2026-11-30T13:00:00Z"}
    assert patch["stringData"]["former-token-sha256"] == hashlib.sha256(TOKEN.encode()).hexdigest()
    assert patch["stringData"]["token"].startswith("eep_")
    assert TOKEN not in str(patch)


def test_a_new_secret_needs_no_rotation() -> None:
    wanted = raw(rotate="1")
    made = new_secret("s", wanted, OWNER)
    assert not must_rotate(made, wanted)


@pytest.mark.parametrize(
    ("data", "until", "former"),
    [
        pytest.param(FORMER, "2026-11-30T13:00:00Z", FormerToken("0" * 64, NOW.replace(hour=13)), id="as rotated"),
        pytest.param({}, "2026-11-30T13:00:00Z", None, id="no hash"),
        pytest.param({"former-token-sha256": "x"}, "2026-11-30T13:00:00Z", None, id="something else than a hash"),
        pytest.param(FORMER, "soon", None, id="no time"),
        pytest.param(FORMER, "2026-11-30T13:00:00", None, id="a time of no zone"),
    ],
)
def test_what_others_write_into_the_secret_opens_nothing(
    data: dict[str, str], until: str, former: FormerToken | None
) -> None:
    assert tokens_of(secret(data, **{UNTIL: until}), raw()) == ApiToken(TOKEN, former)
