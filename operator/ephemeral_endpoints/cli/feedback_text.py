"""Votes as text: a table for people, and formats for programs. Reasons are written by callers, who may be anybody."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ephemeral_endpoints.cli.output import no_formula, printable, printable_lines, table

FIELDS: Final = ("at", "vote", "variant", "revision", "reason", "id")
_TABLE: Final = "eep_feedback"
_LONGEST_REASON: Final = 60


@dataclass(frozen=True, slots=True)
class Votes:
    """The votes on the answers of an endpoint. ``counts`` are by variant and direction."""

    rows: Sequence[Mapping[str, str]]
    counts: Mapping[str, Mapping[str, int]]


def as_table(votes: Votes) -> str:
    """The counts of each variant, then the votes, the latest first."""
    counts = [(name, str(each["up"]), str(each["down"])) for name, each in sorted(votes.counts.items())]
    if not counts:
        return "no votes\n"
    latest = sorted(votes.rows, key=lambda each: each["at"], reverse=True)
    rows = [
        (each["at"], each["vote"], each["variant"], each["revision"], _shortened(each.get("reason", "")))
        for each in latest
    ]
    blocks = [
        table([("VARIANT", "UP", "DOWN"), *counts]),
        table([("AT", "VOTE", "VARIANT", "REVISION", "REASON"), *rows]),
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def as_csv(votes: Votes) -> str:
    """RFC 4180. What a spreadsheet would take for a formula begins with an apostrophe."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(FIELDS)
    for each in votes.rows:
        writer.writerow(no_formula(printable_lines(each.get(name, ""))) for name in FIELDS)
    return buffer.getvalue()


def as_json(votes: Votes) -> str:
    """One document with the counts and the votes."""
    return json.dumps({"counts": votes.counts, "votes": [*votes.rows]}, indent=2) + "\n"


def as_json_lines(votes: Votes) -> str:
    """A vote a line."""
    return "".join(json.dumps(dict(each)) + "\n" for each in votes.rows)


def as_sql(votes: Votes) -> str:
    """Statements for PostgreSQL: the table unless it exists, and the votes; those that it has are replaced."""
    create = (
        f"CREATE TABLE IF NOT EXISTS {_TABLE} (id text PRIMARY KEY, at timestamptz NOT NULL, vote text NOT NULL, "
        "variant text NOT NULL, revision text NOT NULL, reason text);\n"
    )
    columns = ("id", "at", "vote", "variant", "revision", "reason")
    replaced = ", ".join(f"{name} = EXCLUDED.{name}" for name in columns[1:])
    values = (", ".join(_literal(each.get(name)) for name in columns) for each in votes.rows)
    inserts = (
        f"INSERT INTO {_TABLE} ({', '.join(columns)}) VALUES ({row}) "  # noqa: S608 - of literals
        f"ON CONFLICT (id) DO UPDATE SET {replaced};\n"
        for row in values
    )
    return create + "".join(inserts)


FORMATS: Final[Mapping[str, Callable[[Votes], str]]] = MappingProxyType(
    {"table": as_table, "csv": as_csv, "json": as_json, "jsonl": as_json_lines, "sql": as_sql}
)


def _literal(text: str | None) -> str:
    """A text of SQL. PostgreSQL's has no NUL, and takes backslashes as they are in the E-less form."""
    return "NULL" if text is None else "'" + printable_lines(text).replace("'", "''") + "'"


def _shortened(reason: str) -> str:
    line = printable(reason)
    return line if len(line) <= _LONGEST_REASON else line[: _LONGEST_REASON - 1] + "…"
