"""Writes the generated tables of pages in docs/: of reasons, metrics, resources, parameters of hosting and commands.

    python -m ephemeral_endpoints.deploy.pages [--check] DIR

puts each table between its two markers in a page of DIR, whose rest is written by hand; with --check it writes nothing
and fails if a table differs.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from prometheus_client import Metric

from ephemeral_endpoints.api.commands import COMMANDS
from ephemeral_endpoints.api.v1alpha1.feedback import VariantVotes
from ephemeral_endpoints.controllers.reasons import CATALOGUE
from ephemeral_endpoints.deploy import annotations, write_access
from ephemeral_endpoints.engine.clocks import Source
from ephemeral_endpoints.features.registry import FEATURES
from ephemeral_endpoints.features.serving.parameters import OPERATIONS, PARAMETERS, HostingParameter
from ephemeral_endpoints.telemetry.metrics import Metrics
from ephemeral_endpoints.telemetry.summary import Summary

_COMMAND: Final = "python -m ephemeral_endpoints.deploy.pages"


def reasons() -> str:
    """A table of the reasons for each place where they are reported."""
    scopes = dict.fromkeys(scope for reason in CATALOGUE for scope in reason.scopes)
    return "\n\n".join(f"### {scope}\n\n{_table_of(scope)}" for scope in scopes)


def _table_of(scope: str) -> str:
    rows = [
        f"| `{each}` | {each.meaning} | {each.audience} | {each.remedy} | {each.finality} |"
        for each in CATALOGUE
        if scope in each.scopes
    ]
    head = "| reason | meaning | who acts | remedy | resolves by itself |"
    return "\n".join([head, "|---|---|---|---|---|", *rows])


def resources() -> str:
    """A table of the kinds of AWS resources."""
    rows = (
        f"| `{kind}` | `{feature.policy}` | {f'`{kind.stage}`' if kind.stage else ''} | "
        f"{'yes' if kind.taggable else 'no'} |"
        for feature in FEATURES
        for kind in feature.kinds
    )
    return "\n".join(["| kind | policy | condition | has tags |", "|---|---|---|---|", *rows])


def hosting() -> str:
    """A table of the parameters of each operation of SageMaker that describes how a model is hosted."""
    return "\n\n".join(f"## {operation}\n\n{_hosting_of(operation)}" for operation in OPERATIONS)


def _hosting_of(operation: str) -> str:
    rows = (
        f"| `{row.path}` | {_origin(row)} | {row.reason} |"
        for row in sorted(PARAMETERS, key=lambda row: row.path)
        if row.operation == operation
    )
    return "\n".join(["| parameter | set by | why |", "|---|---|---|", *rows])


def _origin(row: HostingParameter) -> str:
    fields = [f"`{each}`" for each in row.fields] + [f"class: `{each}`" for each in row.class_fields]
    return "<br>".join(fields) or ("the operator" if row.is_sent else "not used")


def metrics() -> str:
    """A table of the metrics that the operator exports."""
    rows = (
        f"| `{_name(family)}` | {family.type} | {_labels(family)} | {family.documentation} |" for family in _exported()
    )
    return "\n".join(["| metric | type | labels | meaning |", "|---|---|---|---|", *rows])


def _exported() -> Iterator[Metric]:
    """All metrics, each with a sample, without which it has no labels."""
    metrics = Metrics()
    metrics.watch_ages(lambda: {("", "", ""): 0.0})
    metrics.watch_clocks(lambda: {Source.AWS: timedelta()}, lambda: {"": 0})
    metrics.watch_summary(lambda: Summary({"": 0}, 0.0, {"": 0.0}, {"": True}))
    metrics.watch_pull_requests(lambda: {"": 0}, lambda: {("", "", "", ""): 0})
    metrics.count_objects(lambda _: 0, lambda: 0)
    metrics.aws_call("", "", "", 0.0)
    metrics.reconciled("", "", 0.0)
    metrics.waited("", 0.0)
    metrics.watch_objects(lambda: [("", "", True)], lambda: [("", "", VariantVotes(variant="", up=0, down=0))])
    metrics.swept("", "")
    metrics.build_ended("", "", 0.0, 0.0)
    metrics.notified("", "", "")
    metrics.webhook("")
    metrics.forge_request("", "", "", "")
    return iter(sorted(metrics.registry.collect(), key=lambda family: family.name))


def _name(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def _labels(family: Metric) -> str:
    names = dict.fromkeys(label for sample in family.samples for label in sample.labels if label != "le")
    return ", ".join(f"`{name}`" for name in names)


def commands() -> str:
    """A table of the annotations that are commands."""
    rows = (
        f"| `{each.annotation}` | {each.kind.name} | `{each.verb}` | {each.effect} |"
        for each in sorted(COMMANDS, key=lambda each: each.annotation)
    )
    return "\n".join(["| annotation | on | RBAC verb | effect |", "|---|---|---|---|", *rows])


TABLES: Final[tuple[tuple[str, str, Callable[[], str]], ...]] = (
    ("reasons", "troubleshoot.md", reasons),
    ("metrics", "operate.md", metrics),
    ("resources", "operate.md", resources),
    ("hosting", "hosting.md", hosting),
    ("commands", "write-access.md", commands),
    ("commands", "annotations.md", commands),
    ("marks", "annotations.md", annotations.marks),
    ("tags", "annotations.md", annotations.tag_table),
    ("write-access", "write-access.md", write_access.table),
)
"""Each table: the name in its markers, the page and the generator."""


def filled(page: str, name: str, table: str) -> str:
    """The page with the table between its markers. Raises ValueError for a page without them."""
    begin, end = f"<!-- {name}: generated by `make generate` -->", f"<!-- end of {name} -->"
    between = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not between.search(page):
        raise ValueError(f"the page has no {begin} … {end}")
    return between.sub(lambda _: f"{begin}\n\n{table}\n\n{end}", page, count=1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the tables; return the exit status."""
    parser = argparse.ArgumentParser(prog=_COMMAND, description="Write the tables that the code knows best.")
    parser.add_argument("directory", type=Path, metavar="DIR", help="folder of the pages")
    parser.add_argument("--check", action="store_true", help="write nothing, fail where a table is stale")
    options = parser.parse_args(arguments)
    is_stale = False
    for name, file, make in TABLES:
        path = options.directory / file
        before = path.read_text(encoding="utf-8")
        after = filled(before, name, make())
        if after == before:
            continue
        is_stale = True
        if options.check:
            sys.stderr.write(f"{path} is stale: run `make generate`\n")
        else:
            path.write_text(after, encoding="utf-8")
    return 1 if is_stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
