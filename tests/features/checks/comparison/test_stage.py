from datetime import UTC, datetime
from typing import Any

import pytest

from ephemeral_endpoints.api.v1alpha1.comparison import ComparisonResult, LabelFlip
from ephemeral_endpoints.engine.conditions import Cause
from ephemeral_endpoints.engine.reasons import Reason
from ephemeral_endpoints.features.checks.comparison import stage
from ephemeral_endpoints.features.checks.comparison.reasons import (
    ANSWERS_CHANGED,
    BASE_NOT_FOUND,
    BASE_NOT_READY,
    COMPARING,
    COMPARISON_REFUSED,
    FIRST_REVISION,
    NO_DIFFERENCE,
    NOTHING_COMPARED,
    RECORDINGS_UNAVAILABLE,
)

FLIPS = tuple(LabelFlip(base="cat", head=head, count=1) for head in ("dog", "cow", "hen", "pig"))
PREVIOUS = {"base": "previous revision"}


@pytest.mark.parametrize(
    ("fields", "status", "reason", "message"),
    [
        ({"requests": 1}, "True", NO_DIFFERENCE, "all 1 answer are those of main (bbbbbbb)"),
        ({"requests": 40}, "True", NO_DIFFERENCE, "all 40 answers are those of main (bbbbbbb)"),
        (
            {"requests": 40, "changed": 3, "flipped": 1, "flips": FLIPS[:1]},
            "True",
            ANSWERS_CHANGED,
            "3 of 40 answers changed, compared with main (bbbbbbb); 1 with another label (cat→dog 1)",
        ),
        (
            {"requests": 40, "changed": 4, "flipped": 4, "flips": FLIPS, "skipped": 2},
            "True",
            ANSWERS_CHANGED,
            (
                "4 of 40 answers changed, compared with main (bbbbbbb); 4 with another label (cat→dog 1, cat→cow 1, "
                "cat→hen 1, …); 2 skipped"
            ),
        ),
        (
            {"requests": 3, "failed": 2, "errors": 2},
            "True",
            ANSWERS_CHANGED,
            "0 of 3 answers changed, compared with main (bbbbbbb); 2 failed here and 0 at the base",
        ),
        (
            {"failed": 5, "errors": 5},
            "False",
            NOTHING_COMPARED,
            (
                "no request was answered by both: of 5, 5 failed here and 0 at the base (main (bbbbbbb)). See `eep "
                "logs` of the one that fails; a new revision is compared by itself"
            ),
        ),
        (
            {"skipped": 5},
            "False",
            NOTHING_COMPARED,
            "no request could be sent (5 skipped): see spec.compare.samples and spec.compare.recorded",
        ),
        (
            {**PREVIOUS, "base_revision": None},
            "Unknown",
            FIRST_REVISION,
            "no answers of an earlier revision are kept; those of 1f0c2a9 are, for the next",
        ),
        (
            {**PREVIOUS, "skipped": 2},
            "Unknown",
            FIRST_REVISION,
            "no answers of bbbbbbb are kept; those of 1f0c2a9 are, for the next; 2 skipped",
        ),
        (
            {"requests": 1, "report_error": "PutObject: Access Denied"},
            "True",
            NO_DIFFERENCE,
            "all 1 answer are those of main (bbbbbbb); the report could not be written to S3: PutObject: Access Denied",
        ),
    ],
)
def test_the_condition_has_the_figures(fields: dict[str, Any], status: str, reason: Reason, message: str) -> None:
    given = {"id": "a-b", "revision": "1f0c2a9ff", "base": "main", "base_revision": "b" * 40}
    result = ComparisonResult(**{**given, "finished_at": datetime(2026, 11, 30, tzinfo=UTC), **fields})
    found = stage.of_result(result)
    assert (found.type, found.status, found.reason, found.message) == ("Compared", status, reason, message)


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (COMPARING, "Unknown"),
        (BASE_NOT_READY, "Unknown"),
        (BASE_NOT_FOUND, "False"),
        (COMPARISON_REFUSED, "False"),
        (RECORDINGS_UNAVAILABLE, "False"),
    ],
)
def test_the_condition_is_false_where_somebody_must_act(reason: Reason, status: str) -> None:
    assert stage.of_cause(Cause(reason, "why")).status == status
