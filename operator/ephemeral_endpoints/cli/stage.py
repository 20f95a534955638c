"""Show stages, approve versions for them, promote versions, and go back."""

from collections.abc import Mapping, Sequence
from typing import Final

import click

from ephemeral_endpoints.api import API_VERSION, APPROVED_BY_ANNOTATION, APPROVED_VERSION_ANNOTATION
from ephemeral_endpoints.api.kinds import PROMOTION, STAGE
from ephemeral_endpoints.api.v1alpha1.model_promotion import PromotionKind
from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStage
from ephemeral_endpoints.cli.connection import Cluster, Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command, Commands
from ephemeral_endpoints.cli.list import TABLE, rows
from ephemeral_endpoints.cli.output import printable, table
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.kube.rest import MERGE_PATCH

_REVIEWS: Final = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
"""https://kubernetes.io/docs/reference/access-authn-authz/authentication/#self-subject-review"""


@click.group(
    help=__doc__,
    name="stage",
    cls=Commands,
    examples=["eep stage list", "eep stage approve production wine/7", "eep stage rollback production"],
)
def command() -> None:
    """Is followed by what to do."""


@command.command("list", cls=Command, examples=["eep stage list"])
@on_cluster
def list_stages(target: Target) -> None:
    """List stages, with the columns of kubectl."""
    answer = run(target, lambda cluster: cluster.rest("GET", STAGE.folder(cluster.namespace), accept=TABLE))
    if answer["rows"]:
        click.echo("\n".join(rows(answer, wide=False, namespaces=False)))
    else:
        click.echo("There are no stages in the namespace.", err=True)


@command.command(cls=Command, examples=["eep stage history production"])
@click.argument("stage")
@on_cluster
def history(stage: str, target: Target) -> None:
    """Show the last promotions of a stage: what, when, by whom, and why."""
    found = run(target, lambda cluster: _read(cluster, stage))
    if not found.status.history:
        click.echo(f"Nothing was promoted to {stage} yet.", err=True)
        return
    click.echo("\n".join(told(found)))


@command.command(cls=Command, examples=["eep stage approve production wine/7"])
@click.argument("stage")
@click.argument("version")
@on_cluster
def approve(stage: str, version: str, target: Target) -> None:
    """Approve a version for a stage, in your name. It needs the verb approve on the stage."""
    run(target, lambda cluster: _approve(cluster, stage, version))
    click.echo(f"Approved. `eep stage list` shows when {version} serves in {stage}.", err=True)


@command.command(cls=Command, examples=["eep stage promote staging wine/7 --message 'release 12'"])
@click.argument("stage")
@click.argument("version")
@click.option("--message", help="Why, for the history.")
@click.option("--bypass-approval", is_flag=True, help="Do not wait for an approval; needs a verb of its own.")
@on_cluster
def promote(stage: str, version: str, target: Target, *, message: str | None, bypass_approval: bool) -> None:
    """Promote a version to a stage, once it is approved and nothing is frozen."""
    spec = {"stage": stage, "version": version, "bypassApproval": bypass_approval}
    _ask(target, spec | ({"message": message} if message else {}))


@command.command(cls=Command, examples=["eep stage rollback production", "eep stage rollback production --to wine/5"])
@click.argument("stage")
@click.option("--to", "version", help="A version that served there before. Default: the one before.")
@click.option("--message", help="Why, for the history.")
@on_cluster
def rollback(stage: str, target: Target, *, version: str | None, message: str | None) -> None:
    """Have a stage go back at once, whatever runs or is frozen. Nothing is promoted by itself afterwards."""
    spec = {"stage": stage, "kind": str(PromotionKind.ROLLBACK)}
    _ask(target, spec | ({"version": version} if version else {}) | ({"message": message} if message else {}))


def told(stage: ModelStage) -> Sequence[str]:
    """The history of a stage as a table, the newest promotion first."""
    titles = ["FINISHED", "VERSION", "REPLACED", "KIND", "OUTCOME", "BY", "MESSAGE"]
    lines = [
        [timestamp(each.finished_at), each.version, each.replaced or "", each.kind, each.outcome, each.by, each.message]
        for each in stage.status.history
    ]
    return table([titles, *([printable(str(cell)) for cell in line] for line in lines)])


def _ask(target: Target, spec: Mapping[str, object]) -> None:
    """Create a promotion in the name of the user."""

    async def create(cluster: Cluster) -> str:
        body = {
            "apiVersion": API_VERSION,
            "kind": PROMOTION.name,
            "metadata": {"generateName": f"{spec['stage']}-"},
            "spec": {**spec, "requestedBy": await _user(cluster)},
        }
        made = await cluster.rest("POST", PROMOTION.folder(cluster.namespace), body)
        return str(made["metadata"]["name"])

    name = run(target, create)
    click.echo(f"Created ModelPromotion {name}: `kubectl get mpromo {name}` tells how it ends.", err=True)


async def _approve(cluster: Cluster, stage: str, version: str) -> None:
    given = {APPROVED_VERSION_ANNOTATION: version, APPROVED_BY_ANNOTATION: await _user(cluster)}
    path = f"{STAGE.folder(cluster.namespace)}/{stage}"
    await cluster.rest("PATCH", path, {"metadata": {"annotations": given}}, content_type=MERGE_PATCH)


async def _read(cluster: Cluster, stage: str) -> ModelStage:
    return ModelStage.model_validate(await cluster.rest("GET", f"{STAGE.folder(cluster.namespace)}/{stage}"))


async def _user(cluster: Cluster) -> str:
    """The name by which the API server knows the user."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = await cluster.rest("POST", _REVIEWS, review)
    return str(answer["status"]["userInfo"]["username"])
