"""The lanes and the control plane that they share, from nothing to nothing."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from ephemeral_endpoints.local import bootstrap, controlplane
from ephemeral_endpoints.local.aws import ministack
from ephemeral_endpoints.local.chaos.lane import Lane
from ephemeral_endpoints.local.paths import private_dir
from ephemeral_endpoints.local.processes import stop_all


@contextmanager
def lanes(count: int, state: Path, *, provider: str = "auto", report: Callable[[str], None]) -> Iterator[list[Lane]]:
    """A control plane and so many lanes on it, all of which end with the context. Raises PlatformError."""
    private_dir(state)
    folders = [state / f"lane{number}" for number in range(count)]
    try:
        kubeconfig = controlplane.start(state, provider=provider, report=report).kubeconfig
        with ThreadPoolExecutor(count) as pool:
            started = list(pool.map(lambda folder: Lane.start(folder.name, folder, kubeconfig), folders))
            roles = list(pool.map(Lane.furnish, started))
            bootstrap.kubernetes(
                kubeconfig, roles[0], region=ministack.REGION, git_url=started[0].bench.platform.git.url
            )
            list(pool.map(Lane.settle_in, started))
        yield started
    finally:
        for folder in folders:
            stop_all(folder, grace_seconds=2)
        controlplane.stop(state, report=report)
