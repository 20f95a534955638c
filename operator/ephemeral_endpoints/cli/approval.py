"""Show what an approval covers, and how to give it."""

import asyncio
import json
import shlex

import click
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient

from ephemeral_endpoints.api import APPROVED_ANNOTATION
from ephemeral_endpoints.api.kinds import ENDPOINT, ENDPOINT_CLASS
from ephemeral_endpoints.features.images.approvals import approved_parts, build_digest
from ephemeral_endpoints.features.images.policy import commit_of
from ephemeral_endpoints.kube.cache import ObjectKey, Store, endpoint_key
from ephemeral_endpoints.kube.client import listed
from ephemeral_endpoints.kube.errors import KubernetesError
from ephemeral_endpoints.kube.rest import Rest


@click.command(help=__doc__)
@click.argument("name")
@click.option("-n", "--namespace", default="default", show_default=True, help="Namespace of the object.")
@click.option("--context", help="Context of the kubeconfig. Default: the current one.")
def command(name: str, namespace: str, context: str | None) -> None:
    """Read the object and its class, and compute the digest from them. Changes nothing.

    The status is not used: a user who may write it could show another build's digest there.
    """
    key = endpoint_key(namespace, name)
    try:
        store = asyncio.run(_read(key, context))
    except KubernetesError as error:
        raise click.ClickException(str(error)) from error
    except config.ConfigException as error:
        raise click.ClickException(f"no API server can be reached: {error}") from error
    click.echo(approval(store, key))


async def _read(key: ObjectKey, context: str | None) -> Store:
    """The object and the classes, which is all that an approver has to be able to read."""
    await config.load_kube_config(context=context)  # type: ignore[no-untyped-call]  # shipped without annotations
    store = Store()
    async with ApiClient() as api:
        rest = Rest(api)
        store.put(await rest("GET", f"{ENDPOINT.folder(key.namespace)}/{key.name}"))
        async for each in listed(rest, ENDPOINT_CLASS.folder()):
            store.put(each)
    return store


def approval(store: Store, key: ObjectKey) -> str:
    """The text for approvers. Raises ClickException where there is nothing to approve."""
    endpoint = store.endpoint(key)
    build = endpoint.spec.model.build if endpoint else None
    if endpoint is None or build is None:
        raise click.ClickException(f"{key} is not built from a commit, and so needs no approval")
    class_name = store.class_name_of(endpoint)
    endpoint_class = store.named_class(class_name) if class_name else None
    if endpoint_class is None or endpoint_class.spec.builds is None:
        raise click.ClickException(f"{key}: its class {class_name or '(none)'} does not exist, or builds no images")
    commit = commit_of(endpoint, build, endpoint_class.spec.builds)
    parts = approved_parts(commit, build.platform)
    width = max(map(len, parts))
    annotation = f"{APPROVED_ANNOTATION}={build_digest(commit, build.platform)}"
    words = ["kubectl", "annotate", "eep", key.name, "--namespace", str(key.namespace), "--overwrite", annotation]
    return "\n".join(
        [
            *(f"{name.ljust(width)}  {json.dumps(value)}" for name, value in parts.items()),
            "",
            "Review this and the commit; if both are fine, this command approves exactly that:",
            f"  {shlex.join(words)}",
        ]
    )
