import csv
import io
import json
from collections.abc import Callable

import pytest

from ephemeral_endpoints.cli.feedback_text import Votes, as_csv, as_json, as_json_lines, as_sql, as_table


def vote(**changes: str) -> dict[str, str]:
    first = {
        "id": "r1=",
        "at": "2026-11-30T12:00:00+00:00",
        "vote": "up",
        "variant": "main",
        "revision": "0123456789ab",
    }
    return {**first, **changes}


TWO = Votes(
    [vote(), vote(id="r2", at="2026-11-30T13:00:00+00:00", vote="down", reason="wrong\nlabel")],
    {"main": {"up": 1, "down": 1}},
)


def test_a_table_has_the_counts_and_the_latest_vote_first() -> None:
    counts, votes = as_table(TWO).split("\n\n")
    assert counts.splitlines() == ["VARIANT   UP   DOWN", "main      1    1"]
    assert [line.split()[1] for line in votes.splitlines()] == ["VOTE", "down", "up"]
    assert votes.splitlines()[1].endswith("wrong label")


def test_no_votes_are_said() -> None:
    assert as_table(Votes([], {})) == "no votes\n"


@pytest.mark.parametrize("reason", ["=cmd()", "+1", "-1", "@sum", "\t=1"])
def test_a_spreadsheet_runs_no_reason(reason: str) -> None:
    [_, row] = csv.reader(io.StringIO(as_csv(Votes([vote(reason=reason)], {}))))
    assert row[4] == f"'{reason}"


def test_other_reasons_are_as_they_were_given_in_csv() -> None:
    [_, row] = csv.reader(io.StringIO(as_csv(Votes([vote(reason='a "b", c')], {}))))
    assert row == ["2026-11-30T12:00:00+00:00", "up", "main", "0123456789ab", 'a "b", c', "r1="]


def test_json_has_everything_and_json_lines_a_vote_each() -> None:
    assert json.loads(as_json(TWO)) == {"counts": TWO.counts, "votes": TWO.rows}
    assert [json.loads(line) for line in as_json_lines(TWO).splitlines()] == TWO.rows


@pytest.mark.parametrize("as_text", [as_table, as_csv, as_json, as_json_lines, as_sql])
def test_no_reason_commands_the_terminal(as_text: Callable[[Votes], str]) -> None:
    text = as_text(Votes([vote(reason="\x1b]52;c;cm0gLXJm\x07\x9b2J\r")], {"main": {"up": 1, "down": 0}}))
    assert text.replace("\r\n", "\n").replace("\n", "").isprintable()


def test_no_reason_ends_its_sql_literal() -> None:
    statement = as_sql(Votes([vote(reason="it's'); DROP TABLE eep_feedback; --\0")], {})).splitlines()[1]
    assert "'it''s''); DROP TABLE eep_feedback; --\N{REPLACEMENT CHARACTER}')" in statement
    assert statement.count("'") % 2 == 0


def test_a_vote_without_a_reason_has_none_in_sql() -> None:
    assert ", NULL) ON CONFLICT (id) DO UPDATE SET at = EXCLUDED.at" in as_sql(Votes([vote()], {}))
