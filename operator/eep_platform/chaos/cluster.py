"""The control plane and the lanes that share it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from eep_platform import bootstrap, controlplane
from eep_platform.aws import ministack
from eep_platform.chaos.lane import Lane
from eep_platform.paths import private_dir
from eep_platform.processes import stop_all


@contextmanager
def lanes(count: int, state: Path, *, provider: str = "auto", report: Callable[[str], None]) -> Iterator[list[Lane]]:
    """Start a control plane and ``count`` lanes on it; both end with the context. Raises PlatformError."""
    private_dir(state)
    folders = [state / f"lane{number}" for number in range(count)]
    try:
        kubeconfig = controlplane.start(state, provider=provider, report=report).kubeconfig
        with ThreadPoolExecutor(count) as pool:
            started = list(pool.map(lambda folder: Lane.start(folder.name, folder, kubeconfig), folders))
            roles = list(pool.map(Lane.provision, started))
            bootstrap.kubernetes(
                kubeconfig, roles[0], region=ministack.REGION, git_url=started[0].bench.platform.git.url
            )
            list(pool.map(Lane.create_class, started))
        yield started
    finally:
        for folder in folders:
            stop_all(folder, grace_seconds=2)
        controlplane.stop(state, report=report)
