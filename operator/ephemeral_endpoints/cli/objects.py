"""The objects that commands are about: how they are named, completed and read."""

import asyncio
from collections.abc import Callable
from typing import Final

import click
from kubernetes.aio import config

from ephemeral_endpoints.api.kinds import ENDPOINT
from ephemeral_endpoints.api.v1alpha1.authentication import AuthType
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.cli.connection import Cluster, Target, connected
from ephemeral_endpoints.cli.output import printable
from ephemeral_endpoints.engine.errors import SecretTaken
from ephemeral_endpoints.kube.client import listed, secret_name
from ephemeral_endpoints.kube.errors import Denied, Gone, KubernetesError
from ephemeral_endpoints.kube.rest import MERGE_PATCH, Raw
from ephemeral_endpoints.kube.tokens import token_of

_COMPLETION_SECONDS: Final = 3


def path(cluster: Cluster, name: str) -> str:
    """Where the API server has the object."""
    return f"{ENDPOINT.folder(cluster.namespace)}/{name}"


async def read(cluster: Cluster, name: str) -> tuple[Raw, EphemeralEndpoint]:
    """The object as the API server gives it, and as its model. Raises KubernetesError."""
    raw = await cluster.rest("GET", path(cluster, name))
    return raw, EphemeralEndpoint.model_validate(raw)


def name_argument(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the argument NAME, which shells complete with the names of the namespace's objects."""
    return click.argument("name", shell_complete=names, callback=as_name)(function)


def as_name(ctx: click.Context | None, param: click.Parameter | None, value: str) -> str:
    """The name alone of an object that is given as kubectl prints it, such as eep/sentiment-pr-42.

    Raises BadParameter for what is no name.
    """
    kind, slash, name = value.rpartition("/")
    if slash and kind.partition(".")[0] not in {ENDPOINT.short_name, ENDPOINT.plural, ENDPOINT.name.lower()}:
        raise click.BadParameter(f"{value} is no EphemeralEndpoint", ctx, param)
    if not name or name != name.strip() or set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789-."):
        raise click.BadParameter(f"{value!r} is not the name of an object", ctx, param)
    return name


def names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The names of the namespace's objects that begin so, for a shell."""
    target = Target(ctx.params.get("kubeconfig"), ctx.params.get("context"), ctx.params.get("namespace"))

    async def found() -> list[str]:
        async with asyncio.timeout(_COMPLETION_SECONDS), connected(target) as cluster:
            folder = ENDPOINT.folder(cluster.namespace)
            return [each["metadata"]["name"] async for each in listed(cluster.rest, folder)]

    try:
        return [each for each in asyncio.run(found()) if each.startswith(incomplete)]
    except (KubernetesError, config.ConfigException, OSError):
        return []  # TimeoutError is an OSError; a shell would print a message amid the command line


async def read_token(cluster: Cluster, name: str) -> str | None:
    """The token of the object's Secret; None if the object asks for none.

    Raises KubernetesError, and ClickException where the Secret is missing, is not the object's, or may not be read.
    """
    raw, endpoint = await read(cluster, name)
    return await token_for(cluster, raw, endpoint)


async def token_for(cluster: Cluster, raw: Raw, endpoint: EphemeralEndpoint) -> str | None:
    """The same for an object that was read. It admits below ``callers.entrance``."""
    if endpoint.served_auth is AuthType.NONE:
        return None
    secret = secret_name(endpoint.metadata.name)
    try:
        found = await cluster.rest("GET", f"/api/v1/namespaces/{cluster.namespace}/secrets/{secret}")
        return token_of(found, raw)
    except Denied as error:
        raise click.ClickException(
            f"the token is in the Secret {secret}, which you may not read: ask for the verb get on it in the namespace "
            f"{cluster.namespace}"
        ) from error
    except Gone as error:
        raise click.ClickException(f"the Secret {secret} does not exist yet: the operator makes it") from error
    except SecretTaken as error:
        raise click.ClickException(printable(str(error))) from error


async def annotate(cluster: Cluster, name: str, annotation: str, value: str | None) -> None:
    """Set an annotation of the object, or take it off where there is no value.

    Raises KubernetesError, and ClickException for an object that is being deleted: nothing brings it back.
    """
    patch = {"metadata": {"annotations": {annotation: value}}}
    raw = await cluster.rest("PATCH", path(cluster, name), patch, content_type=MERGE_PATCH)
    if raw["metadata"].get("deletionTimestamp"):
        raise click.ClickException(f"{name} is being deleted, and nothing stops that: once it is gone, create it again")
