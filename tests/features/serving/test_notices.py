import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.features.serving.notices import LONGEST_BODY, Notice, notice_in

NOTICE: dict[str, Any] = {"notice": "used", "uid": "0f1e", "at": 1_800_000_000}


def test_a_notice_is_what_the_forwarder_sends() -> None:
    assert notice_in(json.dumps(NOTICE)) == Notice("used", "0f1e", datetime(2027, 1, 15, 8, tzinfo=UTC))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (json.dumps({**NOTICE, "notice": "x" * 33}), "no kind is that long"),
        (json.dumps({**NOTICE, "uid": ""}), "without an object"),
        (json.dumps({**NOTICE, "uid": "x" * 65}), "no UID is that long"),
        (json.dumps({**NOTICE, "at": -1}), "before all time"),
        (json.dumps({**NOTICE, "at": 10**18}), "after all time"),
        (json.dumps({**NOTICE, "at": "soon"}), "no time"),
        (json.dumps({**NOTICE, "x": "x" * LONGEST_BODY}), "longer than any notice"),
        (json.dumps({"source": "aws.sagemaker"}), "an event"),
        ("[]", "no object"),
        ("", "nothing"),
    ],
)
def test_any_other_message_is_none(body: str, reason: str) -> None:
    assert notice_in(body) is None, reason


@given(st.text() | st.dictionaries(st.sampled_from(["notice", "uid", "at"]), st.text() | st.floats()).map(json.dumps))
def test_no_message_breaks_it(body: str) -> None:
    assert notice_in(body) is None or isinstance(notice_in(body), Notice)
