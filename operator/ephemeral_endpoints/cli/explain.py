"""Show what the operator does next for an object."""

import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import click

from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Sessions
from ephemeral_endpoints.aws.limits import LIMITS, Limiter
from ephemeral_endpoints.cli.connection import Cluster, Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.installation import URL_VARIABLE
from ephemeral_endpoints.cli.objects import name_argument
from ephemeral_endpoints.cli.output import table
from ephemeral_endpoints.controllers.endpoint.explain import Explainer, ExplainError, ObjectExplanation
from ephemeral_endpoints.engine.errors import ReconcileError, SecretTaken
from ephemeral_endpoints.features.registry import components
from ephemeral_endpoints.kube.cache import Store, endpoint_key
from ephemeral_endpoints.kube.client import KubeClient, secret_name
from ephemeral_endpoints.kube.configmaps import ConfigMaps
from ephemeral_endpoints.kube.errors import KubernetesError
from ephemeral_endpoints.kube.lease import Lease, lease_name
from ephemeral_endpoints.kube.manifests import Raw
from ephemeral_endpoints.kube.rest import Rest
from ephemeral_endpoints.kube.tokens import ApiToken, tokens_of

_CONNECTIONS: Final = 8
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
_READ_ERRORS: Final = (KubernetesError, aiohttp.ClientError, TimeoutError, ValueError)


@dataclass(frozen=True, slots=True)
class Options:
    """What an explanation is asked for beside the cluster."""

    name: str
    cluster_id: str | None
    operator_namespace: str
    operator_url: str | None


@click.command(
    help=__doc__,
    cls=Command,
    examples=["eep explain sentiment-pr-42", "eep explain sentiment-pr-42 --output json"],
)
@name_argument
@on_cluster
@click.option("--cluster-id", envvar="EEP_CLUSTER_ID", help="The operator's EEP_CLUSTER_ID, if it is set.")
@click.option(
    "--operator-namespace",
    default="ephemeral-endpoints",
    show_default=True,
    help="Namespace of the operator, whose leader is asked for retries and holds.",
)
@click.option(
    "--operator-url",
    envvar=URL_VARIABLE,
    help=f"URL of the operator's HTTP port, in place of asking the leader's Pod. Default: the variable {URL_VARIABLE}.",
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(name: str, target: Target, output: str, **options: str | None) -> None:
    """Read the object, its class and AWS, and apply the operator's own rules. Changes nothing.

    AWS is read with the credentials of this shell, as the class's account and role say.
    """
    asked = Options(name, options["cluster_id"], options["operator_namespace"] or "", options["operator_url"])
    try:
        found, running = run(target, lambda cluster: _explain(cluster, asked))
    except (ExplainError, ReconcileError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(as_json(found, running), indent=2) if output == "json" else as_text(found, running))


async def _explain(cluster: Cluster, asked: Options) -> tuple[ObjectExplanation, Mapping[str, Any]]:
    kube, store, key = KubeClient(cluster.api, cluster.now), Store(), endpoint_key(cluster.namespace, asked.name)
    async for raw in kube.objects(()):
        store.put(raw)
    cluster_id = asked.cluster_id or await kube.cluster_id()
    with ThreadPoolExecutor(_CONNECTIONS, "aws") as pool:
        accounts = Accounts(
            cluster_id,
            connector=Sessions(connections=_CONNECTIONS),
            calls=lambda _: Calls(Limiter(time.monotonic, LIMITS), pool, lambda *_: None),
            components=components,
            clock=time.monotonic,
            on_change=lambda _: None,
        )
        token = await _token(cluster.rest, store.raw(key)) if store.endpoint(key) else None
        configmaps = ConfigMaps(cluster.api, (), lambda _: None)
        explainer = Explainer(cluster_id, store, accounts, configmaps, cluster.now, time.monotonic)
        found = await explainer.explain(key, token)
    return found, await _running(cluster, asked)


async def _token(rest: Rest, raw: Raw) -> ApiToken | None:
    """The object's token; None where its Secret does not exist, may not be read, or is none that the operator takes."""
    metadata = raw["metadata"]
    path = f"/api/v1/namespaces/{metadata['namespace']}/secrets/{secret_name(metadata['name'])}"
    try:
        return tokens_of(await rest("GET", path), raw)
    except (*_READ_ERRORS, SecretTaken):
        return None


async def _running(cluster: Cluster, asked: Options) -> Mapping[str, Any]:
    """The running operator's answer about the object; ``unknown`` is the error if it could not be reached."""
    path = f"/inspect/{cluster.namespace}/{asked.name}"
    try:
        if asked.operator_url:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as session,
                session.get(asked.operator_url.rstrip("/") + path) as response,
            ):
                response.raise_for_status()
                answer: Mapping[str, Any] = await response.json()
                return answer
        namespace = asked.operator_namespace
        record, _ = await Lease(cluster.api, namespace, lease_name(())).read()
        if record is None or not record.holder:
            return {"unknown": f"no operator leads in namespace {namespace}: name it with --operator-namespace"}
        pod = record.holder.partition("_")[0]
        return await cluster.rest("GET", f"/api/v1/namespaces/{namespace}/pods/{pod}/proxy{path}")
    except _READ_ERRORS as error:
        return {"unknown": f"the operator could not be asked: {str(error) or type(error).__name__}"}


def as_json(found: ObjectExplanation, running: Mapping[str, Any]) -> dict[str, Any]:
    """The explanation for programs."""
    return {
        "object": f"{found.subject.endpoint.metadata.namespace}/{found.subject.endpoint.metadata.name}",
        "class": found.subject.endpoint_class.metadata.name,
        "terminating": found.is_terminating,
        "resources": [
            {
                "kind": str(each.key.kind),
                "name": each.key.name,
                "desired": each.is_desired,
                "observed": each.observed,
                "next": each.following,
            }
            for each in found.resources
        ],
        "notes": list(found.notes),
        "operator": dict(running),
    }


def as_text(found: ObjectExplanation, running: Mapping[str, Any]) -> str:
    """The explanation for people."""
    metadata, spec = found.subject.endpoint.metadata, found.subject.endpoint_class.spec
    lines = [
        f"EphemeralEndpoint {metadata.namespace}/{metadata.name}, generation {metadata.generation}",
        f"class {found.subject.endpoint_class.metadata.name}: account {spec.account}, region {spec.region}",
        f"expires {at:%Y-%m-%d %H:%M:%S} UTC" if (at := found.subject.expires_at) else "does not expire",
        "",
        *(
            f"{each.type}={each.status} {each.reason}: {each.message}"
            for each in found.subject.endpoint.status.conditions
        ),
        "",
        *_table(found),
    ]
    if found.notes:
        lines += ["", *(f"note: {note}" for note in found.notes)]
    return "\n".join([*lines, "", *_operator_lines(running)])


def _table(found: ObjectExplanation) -> list[str]:
    rows = [("RESOURCE", "DESIRED", "OBSERVED", "NEXT")]
    rows += [
        (str(each.key), "yes" if each.is_desired else "no", each.observed, each.following) for each in found.resources
    ]
    return table(rows, gap="  ")


def _operator_lines(running: Mapping[str, Any]) -> list[str]:
    if why := running.get("unknown"):
        return [f"retries and holds: not known ({why})"]
    retries = [
        f"retry: {what} failed {each['attempts']} times with {each['reason']}, tried again in {each['seconds']:.0f} s"
        for what, each in running["failures"].items()
    ]
    held = [f"held: {what}: {reason}" for what, reason in running["held"].items()]
    return [*retries, *held] or ["retries and holds: none"]
