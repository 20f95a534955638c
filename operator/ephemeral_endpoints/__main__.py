"""The composition root: settings, clients, leadership, and the operator."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, NoReturn, TypeVar
from uuid import uuid4

gc.disable()  # until everything is imported, nothing of which is garbage: a sixth of a start's processor time

import aiohttp
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config

from ephemeral_endpoints import check, uninstall
from ephemeral_endpoints.aws.threads import DaemonThreads
from ephemeral_endpoints.engine.clocks import Clocks, Source
from ephemeral_endpoints.features.reviews.webhooks.server import Webhooks, webhook_app
from ephemeral_endpoints.features.routing.probe import HttpProbe
from ephemeral_endpoints.kube.client import KubeClient
from ephemeral_endpoints.kube.connection import configuration
from ephemeral_endpoints.kube.elector import Elector, LeaseLost, leadership
from ephemeral_endpoints.kube.errors import KubernetesError
from ephemeral_endpoints.kube.lease import Lease, lease_name, own_namespace
from ephemeral_endpoints.settings import Settings, SettingsError
from ephemeral_endpoints.telemetry.logs import configure_logging
from ephemeral_endpoints.telemetry.metrics import Metrics
from ephemeral_endpoints.telemetry.server import Inspect, http_app, serve
from ephemeral_endpoints.wiring.clocks import elapsed, now
from ephemeral_endpoints.wiring.operator import Operator

logger = logging.getLogger("ephemeral_endpoints")

GARBAGE: Final = (10_000, 20, 20)
"""Allocations between collections: each looks through the hundreds of thousands of objects that libraries keep.

More often than that it takes a seventh of a start's processor time.
"""

_USAGE: Final = 2
_LEASE_LOST: Final = 3
_RETRY_SECONDS: Final = 1.0

T = TypeVar("T")


async def run(settings: Settings) -> None:
    """Run the operator until SIGTERM or SIGINT, then finish the calls in hand.

    With leader election it waits until it leads, and ends the process at once when it does not any more.
    """
    # Names are looked up there: one whose servers do not answer delays no other, nor the end.
    asyncio.get_running_loop().set_default_executor(DaemonThreads())
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    await _load_kubernetes_config()
    metrics, health = Metrics(settings.shard), _Health()
    app = http_app(metrics, health.is_ready, health.inspect)
    runners = [await serve(settings.http_host, settings.http_port, app)]
    if settings.webhook_port is not None:
        webhooks = webhook_app(lambda: health.webhooks, metrics.webhook, health.leader_url)
        runners.append(await serve(settings.http_host, settings.webhook_port, webhooks))
        health.own_url = own_url(settings.pod_ip, runners[-1].addresses[0][1])
    try:
        if settings.leader_election:
            await _compete(settings, stop, metrics, health)
        else:
            await _operate(settings, stop, metrics, health, lambda: None)
    finally:
        for runner in runners:
            await runner.cleanup()


class _Health:
    """What HTTP requests learn. A waiting replica is ready once it knows the Lease: else no rollout would end."""

    def __init__(self) -> None:
        self.readiness: Callable[[], bool] = lambda: False
        self.inspector: Inspect = lambda *_: None
        self.webhooks: Webhooks | None = None
        self.own_url: str | None = None
        self.holder: Callable[[], str] = lambda: ""

    def is_ready(self) -> bool:
        return self.readiness()

    def leader_url(self) -> str | None:
        return url_of(self.holder())

    def inspect(self, namespace: str, name: str) -> Mapping[str, object] | None:
        return self.inspector(namespace, name)


def identity(url: str | None) -> str:
    """What a replica writes into the Lease: its host, what tells it from others, and where it takes webhooks."""
    return "_".join(filter(None, [socket.gethostname(), str(uuid4()), url]))


def url_of(holder: str) -> str | None:
    """Where the replica of that identity takes webhooks, if it does."""
    url = holder.rpartition("_")[2]
    return url if url.startswith("http://") else None


def own_url(address: str | None, port: int) -> str | None:
    """The URL of a port of this replica; None if its address is not known."""
    if address is None:
        return None
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


async def _compete(settings: Settings, stop: asyncio.Event, metrics: Metrics, health: _Health) -> None:
    # A connection of its own: no other request delays a renewal.
    async with kubernetes_client.ApiClient(configuration(lambda: None, connections=1)) as api:
        lease = Lease(api, settings.own_namespace or own_namespace(), lease_name(settings.namespaces, settings.shard))
        elector = Elector(lease, identity(health.own_url), clock=elapsed, now=now)
        health.holder = lambda: elector.holder
        metrics.leads(elector.is_leading)
        health.readiness = lambda: elector.is_informed

        def check() -> None:
            if not elector.is_leading():
                _give_up(LeaseLost("the Lease has run out"))

        async with leadership(elector, stop=stop, on_lost=_give_up) as leads:
            if leads:
                await _operate(settings, stop, metrics, health, check)


def _give_up(lost: LeaseLost) -> NoReturn:
    """End the process without finishing anything: another replica may already do the same work."""
    logger.critical("this replica lost the lease, so another may lead: exiting", extra={"error": str(lost)})
    os._exit(_LEASE_LOST)


async def _operate(
    settings: Settings, stop: asyncio.Event, metrics: Metrics, health: _Health, check: Callable[[], None]
) -> None:
    """Do the operator's work until ``stop``. ``check`` is called before each request that could change something."""
    clocks = Clocks(now, elapsed)
    connection = configuration(check, note_date=partial(clocks.note, Source.API_SERVER))
    async with kubernetes_client.ApiClient(connection) as api, aiohttp.ClientSession() as session:
        kube = KubeClient(api, clocks.now)
        cluster_id = settings.cluster_id
        if cluster_id is None:
            cluster_id = await _persistently(kube.cluster_id, stop)
        operator = Operator(
            settings,
            cluster_id,
            kube=kube,
            probe=HttpProbe(session),
            session=session,
            metrics=metrics,
            check=check,
            clocks=clocks,
        )
        await _persistently(operator.initial_list, stop)
        health.readiness, health.inspector = operator.is_ready, operator.inspection
        health.webhooks = operator.reviews.webhooks
        logger.info("watching", extra={"cluster_id": cluster_id, "namespaces": ",".join(settings.namespaces) or "all"})
        await operator.run(stop)


async def _load_kubernetes_config() -> None:
    # The client ships these two without complete annotations.
    try:
        kubernetes_config.load_incluster_config()  # type: ignore[no-untyped-call]
    except kubernetes_config.ConfigException:
        await kubernetes_config.load_kube_config()  # type: ignore[no-untyped-call]


async def _persistently(call: Callable[[], Awaitable[T]], stop: asyncio.Event) -> T:
    """Call the API server until it answers: it may start, restart, or get its CRDs, later than we do.

    Raises CancelledError if ``stop`` is set meanwhile.
    """
    while not stop.is_set():
        try:
            return await call()
        except KubernetesError as error:
            logger.warning("the API server does not answer yet; the operator tries again", extra={"error": str(error)})
            await asyncio.sleep(_RETRY_SECONDS)
    raise asyncio.CancelledError


_PROGRAMS: Final = {"check": check.main, "uninstall": uninstall.main}
"""What `helm test` and `helm uninstall` run."""


def main() -> int:
    """Run the operator with settings from the environment, or the program that is named; returns the exit code."""
    gc.enable()
    if program := _PROGRAMS.get("".join(sys.argv[1:2])):
        return program(sys.argv[2:], _load_kubernetes_config)
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - logging is not configured before the settings are known
        return _USAGE
    configure_logging(settings.log_level)
    gc.set_threshold(*GARBAGE)
    # What has been imported stays, and need not be looked through again.
    gc.freeze()
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(run(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
