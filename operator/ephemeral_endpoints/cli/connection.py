"""How commands reach the cluster: as kubectl does, by a kubeconfig, or from within a Pod."""

import asyncio
import functools
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import click
import yaml
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient

from ephemeral_endpoints.cli.output import printable, utc_now
from ephemeral_endpoints.engine.clocks import Clocks, Source
from ephemeral_endpoints.kube.connection import configuration
from ephemeral_endpoints.kube.errors import Denied, Gone, KubernetesError, Throttled, Unauthenticated, Unavailable
from ephemeral_endpoints.kube.lease import own_namespace
from ephemeral_endpoints.kube.rest import TLS_CLOSE_SECONDS, Rest

_DEFAULT_FILE: Final = "~/.kube/config"
_UNKNOWN_PATH: Final = "HTTP 404"
"""The API server's answer for a kind that it does not have, which is no object with a message."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Target:
    """What the options of a command say about the cluster; None: as the kubeconfig has it."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that is connected to, and the namespace that a command is about.

    ``now`` is the API server's time once it has answered: by that the operator judges too, whatever this machine says.
    """

    api: ApiClient
    rest: Rest
    namespace: str
    now: Callable[[], datetime]


def on_cluster(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of kubectl for the cluster, and its function the argument ``target``."""

    @click.option("-n", "--namespace", help="Namespace of the object. Default: that of the kubeconfig's context.")
    @click.option("--context", help="Context of the kubeconfig. Default: the current one.")
    @click.option("--kubeconfig", type=click.Path(dir_okay=False), help="Kubeconfig file. Default: as kubectl.")
    @functools.wraps(function)
    def with_target(namespace: str | None, context: str | None, kubeconfig: str | None, **options: object) -> None:
        function(target=Target(kubeconfig, context, namespace), **options)

    return with_target


@asynccontextmanager
async def connected(target: Target) -> AsyncIterator[Cluster]:
    """Connect with credentials that are read anew. Sends nothing yet; raises ConfigException."""
    namespace, clocks = await _load(target), Clocks(utc_now, time.monotonic)
    connection = configuration(lambda: None, note_date=functools.partial(clocks.note, Source.API_SERVER))
    try:
        async with ApiClient(connection) as api:
            yield Cluster(api, Rest(api), target.namespace or namespace, clocks.now)
    finally:
        await asyncio.sleep(TLS_CLOSE_SECONDS)


def run(target: Target, work: Callable[[Cluster], Awaitable[T]]) -> T:
    """Do a command's work with a cluster. Raises ClickException, whose message is one line, for all that can fail."""

    async def with_cluster() -> T:
        async with connected(target) as cluster:
            return await work(cluster)

    return reported(with_cluster())


def reported(work: Awaitable[T]) -> T:
    """Run it, with what the cluster or the kubeconfig refuses as a ClickException of one line.

    Raises TimeoutError if the work does.
    """

    async def awaited() -> T:
        return await work

    try:
        return asyncio.run(awaited())
    except KubernetesError as error:
        raise click.ClickException(printable(explained(error))) from error
    except TimeoutError:  # the command's own: those of requests are KubernetesErrors
        raise
    except (config.ConfigException, yaml.YAMLError, OSError) as error:
        raise click.ClickException(
            printable(f"no cluster: {error}. Name a kubeconfig with --kubeconfig or the variable KUBECONFIG")
        ) from error


def explained(error: KubernetesError) -> str:
    """What a failed request means for the user of a command."""
    match error:
        case Throttled():
            return f"the cluster is busy: {error.message}"
        case Unavailable():
            return f"no cluster: {error.message}. Is it running, and does this machine reach it?"
        case Unauthenticated():
            return f"the cluster refuses the credentials of the kubeconfig: {error.message}. Log in again"
        case Denied():
            return f"you lack a right in this cluster: {error.message}"
        case Gone() if error.message == _UNKNOWN_PATH:
            return "this cluster has no EphemeralEndpoints: install the operator with its CRDs"
        case _:
            return error.message


async def _load(target: Target) -> str:
    """Make the kubeconfig's context the client's default configuration; returns its namespace."""
    file = _kubeconfig(target)
    if file is None:
        config.load_incluster_config()  # type: ignore[no-untyped-call]  # shipped without annotations
        return own_namespace()
    try:
        loader = await config.load_kube_config(file, target.context, persist_config=False)  # type: ignore[no-untyped-call]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise config.ConfigException(f"{file} is not a kubeconfig") from error
    return loader.current_context["context"].get("namespace") or "default"


def _kubeconfig(target: Target) -> str | None:
    """The file, or several as kubectl merges them; None in a Pod that has none. Raises ConfigException."""
    named = target.kubeconfig or os.environ.get("KUBECONFIG")
    files = named or _DEFAULT_FILE
    if any(Path(each).expanduser().exists() for each in files.split(os.pathsep)):
        return files
    if named is None and "KUBERNETES_SERVICE_HOST" in os.environ:
        return None
    raise config.ConfigException(f"there is no kubeconfig {files}")
