"""The table of what the author of an object reaches is complete."""

import pytest

from ephemeral_endpoints.deploy.write_access import REACHES, fields, rows_of, table, unused_paths


@pytest.mark.parametrize("field", list(fields()))
def test_every_field_is_reviewed_once(field: str) -> None:
    assert len(rows_of(field)) == 1, "add it to REACHES: what it reaches at worst, and what stops it"


def test_every_row_is_about_a_field_that_exists() -> None:
    assert unused_paths() == []
    assert all(each.worst and each.stopped_by for each in REACHES)


def test_the_table_shows_a_field_that_nobody_has_reviewed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not reviewed" not in table()
    monkeypatch.setattr("ephemeral_endpoints.deploy.write_access.REACHES", REACHES[1:])
    assert "| `spec.className` | **not reviewed** | |" in table()
