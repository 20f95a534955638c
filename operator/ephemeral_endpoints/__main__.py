"""The composition root: settings, clients, reconcilers, watch."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeVar

import aiohttp
from aiohttp import web
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client.exceptions import ApiException

from ephemeral_endpoints.aws.account import Accounts
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import connect
from ephemeral_endpoints.aws.freshness import poll, take_snapshots
from ephemeral_endpoints.aws.limits import Limiter
from ephemeral_endpoints.kube.client import KubeClient
from ephemeral_endpoints.kube.handlers import Watch
from ephemeral_endpoints.kube.queue import Queue
from ephemeral_endpoints.kube.store import ObjectKey, Store
from ephemeral_endpoints.reconcile.endpoint import EndpointReconciler
from ephemeral_endpoints.reconcile.klass import ClassReconciler
from ephemeral_endpoints.reconcile.observe import Observer
from ephemeral_endpoints.reconcile.probe import HttpProbe
from ephemeral_endpoints.reconcile.report import Reporter
from ephemeral_endpoints.reconcile.run import Context
from ephemeral_endpoints.settings import Settings, SettingsError
from ephemeral_endpoints.telemetry import Metrics, configure_logging, http_app

logger = logging.getLogger("ephemeral_endpoints")

GRACE_SECONDS: Final = 20.0
_USAGE: Final = 2
_RETRY_SECONDS: Final = 1.0
_ERROR_LENGTH: Final = 300

T = TypeVar("T")


async def run(settings: Settings) -> None:
    """Run the operator until SIGTERM or SIGINT, then finish the calls in hand."""
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    await _load_kubernetes_config()
    metrics = Metrics()
    async with kubernetes_client.ApiClient() as api, aiohttp.ClientSession() as session:
        kube = KubeClient(api, _now)
        cluster_id = settings.cluster_id
        if cluster_id is None:
            cluster_id = await _persistently(kube.cluster_id)
        store = Store()
        # Before the watch tells of them one by one: an object must not be judged while its class is not known yet.
        for raw in await _persistently(lambda: kube.objects(settings.namespaces)):
            store.put(raw)
        queue: Queue[ObjectKey] = Queue(lambda key: dispatch(key))  # noqa: PLW0108 - it is defined below
        accounts = Accounts(
            cluster_id,
            connect=partial(connect, connections=settings.aws_connections),
            calls=partial(_calls, ThreadPoolExecutor(settings.aws_connections, "aws"), metrics),
            clock=time.monotonic,
            on_change=lambda owner: _wake_owner(store, queue, owner),
        )
        context = Context(
            cluster_id=cluster_id,
            store=store,
            accounts=accounts,
            kube=kube,
            observer=Observer(kube, HttpProbe(session), time.monotonic),
            reporter=Reporter(kube, store, _now),
            wake=queue.wake,
            now=_now,
            clock=time.monotonic,
        )
        dispatch = _dispatcher(EndpointReconciler(context), ClassReconciler(context), metrics)
        metrics.count_objects(store.count_endpoints, store.count_classes, store.count_ready)
        watch = Watch(store, queue.wake)
        runner = await _serve(settings, http_app(metrics, lambda: watch.is_up))
        logger.info("watching", extra={"cluster_id": cluster_id, "namespaces": ",".join(settings.namespaces) or "all"})
        freshness = asyncio.gather(
            poll(accounts, settings.poll_seconds, time.monotonic),
            take_snapshots(accounts, settings.snapshot_seconds, time.monotonic),
        )
        drained = asyncio.create_task(_drain(stop, queue))
        try:
            await watch.run(settings.namespaces, stop=drained)
        finally:
            stop.set()
            freshness.cancel()
            await drained
            await runner.cleanup()


async def _drain(stop: asyncio.Event, queue: Queue[ObjectKey]) -> None:
    """Finish the calls in hand before the watch ends: kopf cancels, after seconds, whatever runs beside it."""
    await stop.wait()
    await queue.stop(GRACE_SECONDS)


def _dispatcher(
    endpoints: Callable[[ObjectKey], Awaitable[float | None]],
    classes: Callable[[ObjectKey], Awaitable[float | None]],
    metrics: Metrics,
) -> Callable[[ObjectKey], Awaitable[float | None]]:
    async def dispatch(key: ObjectKey) -> float | None:
        kind, handler = ("EphemeralEndpoint", endpoints) if key.namespace else ("EphemeralEndpointClass", classes)
        outcome = "failed"
        try:
            due = await handler(key)
            outcome = "done"
        finally:
            metrics.reconciled(kind, outcome)
        return due

    return dispatch


def _wake_owner(store: Store, queue: Queue[ObjectKey], owner: str) -> None:
    key = store.by_owner(owner)
    if key is None:
        return
    queue.wake(key)
    if key.namespace is None:
        for user in store.affected_by_class(key.name):
            queue.wake(user)


def _calls(pool: ThreadPoolExecutor, metrics: Metrics) -> Calls:
    return Calls(Limiter(time.monotonic), pool, metrics.aws_call)


def _now() -> datetime:
    return datetime.now(UTC)


async def _load_kubernetes_config() -> None:
    # The client ships these two without complete annotations.
    try:
        kubernetes_config.load_incluster_config()  # type: ignore[no-untyped-call]
    except kubernetes_config.ConfigException:
        await kubernetes_config.load_kube_config()  # type: ignore[no-untyped-call]


async def _persistently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask the API server until it answers: it may start, restart, or get its CRDs, later than we do."""
    while True:
        try:
            return await ask()
        except (ApiException, aiohttp.ClientError, TimeoutError) as error:
            logger.warning("the API server does not answer yet", extra={"error": str(error)[:_ERROR_LENGTH]})
            await asyncio.sleep(_RETRY_SECONDS)


async def _serve(settings: Settings, app: web.Application) -> web.AppRunner:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, settings.http_host, settings.http_port).start()
    return runner


def main() -> int:
    """Run the operator with settings from the environment; returns the exit code."""
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - logging is not configured before the settings are known
        return _USAGE
    configure_logging(settings.log_level)
    asyncio.run(run(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
