"""Show what a build would run, and approve it.

Review what is shown, and the commit. If the object or its class changes afterwards, the build needs another approval.
It needs the rights to get the object and list classes, and to approve also `approve` and `patch` on the object.
"""

import json
import shlex
import sys
from dataclasses import dataclass

import click

from ephemeral_endpoints.api import APPROVED_ANNOTATION
from ephemeral_endpoints.api.kinds import ENDPOINT, ENDPOINT_CLASS
from ephemeral_endpoints.api.v1alpha1.image_build import ImageBuild
from ephemeral_endpoints.cli.connection import Cluster, Target, on_cluster, run
from ephemeral_endpoints.cli.help import Command
from ephemeral_endpoints.cli.objects import annotate, name_argument
from ephemeral_endpoints.cli.output import printable
from ephemeral_endpoints.features.images.approvals import approved_parts, build_digest
from ephemeral_endpoints.features.images.policy import commit_of
from ephemeral_endpoints.kube.cache import ObjectKey, Store, endpoint_key
from ephemeral_endpoints.kube.client import listed


@dataclass(frozen=True, slots=True)
class Approval:
    """What would be approved: its parts for people, and the digest of them."""

    key: ObjectKey
    parts: dict[str, object]
    digest: str
    is_given: bool

    def described(self) -> str:
        """The parts, one a line."""
        width = max(map(len, self.parts))
        return "\n".join(f"{name.ljust(width)}  {printable(json.dumps(value))}" for name, value in self.parts.items())

    def by_kubectl(self) -> str:
        """The command that approves exactly this without `eep`."""
        annotation = f"{APPROVED_ANNOTATION}={self.digest}"
        words = ["kubectl", "annotate", ENDPOINT.short_name, self.key.name, "--namespace", str(self.key.namespace)]
        return shlex.join([*words, "--overwrite", annotation])


@click.command(
    help=__doc__,
    cls=Command,
    examples=["eep approve sentiment-pr-42", "eep approve sentiment-pr-42 --dry-run"],
)
@name_argument
@on_cluster
@click.option("--dry-run", is_flag=True, help="Only show it, and the command of kubectl that approves it.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def command(name: str, target: Target, *, dry_run: bool, yes: bool) -> None:
    """Read the object and its class, compute the digest from them, and annotate the object with it.

    The status is not used: a user who may write it could show another build's digest there.
    """
    found = run(target, lambda cluster: _read(cluster, name))
    click.echo(found.described())
    if found.is_given:
        click.echo("\nThis build is approved already.", err=True)
        return
    if dry_run:
        click.echo(
            f"\nReview this and the commit; if both are fine, this command approves exactly that:\n"
            f"  {found.by_kubectl()}"
        )
        return
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on: use --dry-run to see it, and --yes to approve it")
    if not yes:
        click.confirm("\nApprove exactly this build?", abort=True, err=True)
    run(target, lambda cluster: annotate(cluster, name, APPROVED_ANNOTATION, found.digest))
    click.echo(f"Approved. `eep wait {name}` follows the build.", err=True)


async def _read(cluster: Cluster, name: str) -> Approval:
    """The object and the classes, which is all that an approver has to be able to read."""
    store, key = Store(), endpoint_key(cluster.namespace, name)
    store.put(await cluster.rest("GET", key.api_path))
    async for each in listed(cluster.rest, ENDPOINT_CLASS.folder()):
        store.put(each)
    return approval(store, key)


def approval(store: Store, key: ObjectKey) -> Approval:
    """What there is to approve. Raises ClickException where there is nothing."""
    endpoint = store.endpoint(key)
    model = endpoint.spec.model if endpoint else None
    if endpoint is None or model is None or not (model.built or model.training):
        raise click.ClickException(f"{key} is neither built from a commit nor trained, and so needs no approval")
    class_name = store.class_name_of(endpoint)
    endpoint_class = store.named_class(class_name) if class_name else None
    if endpoint_class is None or (model.built and endpoint_class.spec.builds is None):
        raise click.ClickException(f"{key}: its class {class_name or '(none)'} does not exist, or builds no images")
    build = model.built or ImageBuild()
    commit = commit_of(endpoint, build, endpoint_class.spec.builds)
    digest = build_digest(commit, build.platform, model.training)
    is_given = endpoint.metadata.annotations.get(APPROVED_ANNOTATION) == digest
    return Approval(key, approved_parts(commit, build.platform, model.training), digest, is_given)
