"""List endpoints, with the columns of kubectl."""

import json
from collections.abc import Sequence
from typing import Any, Final

import click
import yaml

from ephemeral_endpoints.api import GROUP
from ephemeral_endpoints.api.kinds import ENDPOINT
from ephemeral_endpoints.cli.connection import Cluster, Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.output import printable, table
from ephemeral_endpoints.kube.client import listed
from ephemeral_endpoints.kube.rest import Raw

TABLE: Final = "application/json;as=Table;v=v1;g=meta.k8s.io"
"""https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables"""


@click.command(
    help=__doc__,
    cls=Command,
    examples=["eep list", "eep list --all-namespaces --output wide", "eep list --output name | xargs -n 1 eep status"],
)
@on_cluster
@click.option("-A", "--all-namespaces", is_flag=True, help="List the endpoints of all namespaces.")
@click.option(
    "-o", "--output", type=click.Choice(["table", "wide", "json", "yaml", "name"]), default="table", show_default=True
)
def command(target: Target, output: str, *, all_namespaces: bool) -> None:
    """List what the API server has. Changes nothing."""

    async def found(cluster: Cluster) -> tuple[Raw | list[Raw], str]:
        folder = ENDPOINT.folder(None if all_namespaces else cluster.namespace)
        if output in {"table", "wide"}:
            return await cluster.rest("GET", folder, accept=TABLE), cluster.namespace
        return [each async for each in listed(cluster.rest, folder)], cluster.namespace

    answer, namespace = run(target, found)
    if isinstance(answer, list):
        click.echo(documents(answer, output), nl=bool(answer) or output != "name")
    elif answer["rows"]:
        click.echo("\n".join(rows(answer, wide=output == "wide", namespaces=all_namespaces)))
    else:
        where = "in any namespace" if all_namespaces else f"in the namespace {namespace}"
        click.echo(f"There are no endpoints {where}.", err=True)


def rows(answer: Raw, *, wide: bool, namespaces: bool) -> list[str]:
    """The lines of a Table of the API server, as kubectl prints it."""
    columns = answer["columnDefinitions"]
    shown = [index for index, column in enumerate(columns) if wide or not column.get("priority")]
    titles = [str(columns[index]["name"]).upper() for index in shown]
    lines = [[_cell(row["cells"][index]) for index in shown] for row in answer["rows"]]
    if namespaces:
        titles = ["NAMESPACE", *titles]
        where = (str(row["object"]["metadata"]["namespace"]) for row in answer["rows"])
        lines = [[namespace, *line] for namespace, line in zip(where, lines, strict=True)]
    return table([titles, *lines])


def documents(objects: Sequence[Raw], output: str) -> str:
    """The objects for programs, in one of the formats ``json``, ``yaml`` and ``name``."""
    if output == "name":
        return "\n".join(f"{ENDPOINT.name.lower()}.{GROUP}/{each['metadata']['name']}" for each in objects)
    of_all = {"apiVersion": "v1", "kind": "List", "items": [_without_managers(each) for each in objects]}
    return yaml.safe_dump(of_all, sort_keys=False).rstrip() if output == "yaml" else json.dumps(of_all, indent=2)


def _cell(value: Any) -> str:  # noqa: ANN401 - any JSON
    return "" if value is None else printable(str(value))


def _without_managers(raw: Raw) -> Raw:
    metadata = {name: value for name, value in raw["metadata"].items() if name != "managedFields"}
    return {**raw, "metadata": metadata}
