"""The embedded platform as one thing: up, down, status.

A state folder belongs to a platform from the moment that it holds `platform.json`, which is written before anything is
started and removed after everything else is gone. So `down` can finish what a killed `up` or `down` left, and never
touches a folder that is not a platform's.
"""

import hashlib
import json
import shutil
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ephemeral_endpoints.local import bootstrap, controlplane
from ephemeral_endpoints.local.aws import ministack, services
from ephemeral_endpoints.local.aws.services import Ports
from ephemeral_endpoints.local.errors import PlatformError
from ephemeral_endpoints.local.git import GitHost
from ephemeral_endpoints.local.lock import exclusive
from ephemeral_endpoints.local.paths import cache_dir, private_dir, write_atomically
from ephemeral_endpoints.local.processes import find, stop_all

_FILE = "platform.json"

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform that runs. `environment` is what boto3, kubectl and the operator need to use it and nothing else."""

    state: Path
    kubeconfig: Path
    aws_endpoint: str
    region: str
    account: str
    environment: dict[str, str]

    @property
    def git(self) -> GitHost:
        """Where the pull requests come from that are built."""
        return GitHost(self.state / "git")

    @property
    def registry(self) -> str:
        """Host and port of the image registry, where `<account>.dkr.ecr.<region>.amazonaws.com` is pushed to."""
        return self.aws_endpoint.removeprefix("http://")


@dataclass(frozen=True, slots=True)
class Status:
    """Which parts of a platform run and answer; `platform` where all of them do."""

    parts: dict[str, bool]
    platform: Platform | None = None


def up(state: Path, *, provider: str = "auto", report: Report = print) -> Platform:
    """Bring the platform of a state folder up and block until it serves, set up for the first endpoint.

    Idempotent: what runs stays, what is missing is started, what a killed `up` left is taken over or replaced.

    Raises:
        PlatformError: a part cannot be started, or the folder holds something else.
    """
    state = state.resolve()
    with _exclusively(state, report):
        ports = _claim(state)
        with ThreadPoolExecutor(max_workers=1) as pool:
            aws = pool.submit(services.start, state, ports)
            cluster = controlplane.start(state, provider=provider, report=report)
            aws.result()
        platform = _platform(state, ports, cluster.kubeconfig)
        roles = bootstrap.aws(
            services.session(), platform.aws_endpoint, account=platform.account, region=platform.region
        )
        bootstrap.kubernetes(platform.kubeconfig, roles, region=platform.region, git_url=platform.git.url)
        return platform


def down(state: Path, *, report: Report = print) -> None:
    """End everything that the platform of a state folder started, remove all that it made, and block until it is gone.

    A folder that does not exist is no error. What was applied to a cluster that the user named stays there.

    Raises:
        PlatformError: the folder holds something else.
    """
    state = state.resolve()
    if not state.exists():
        return
    with _exclusively(state, report):
        _refuse_foreign(state)
        controlplane.stop(state, report=report)
        stop_all(state)
        for path in state.iterdir():
            if path.name != _FILE:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        (state / _FILE).unlink(missing_ok=True)
        with suppress(OSError):
            state.rmdir()


def status(state: Path) -> Status:
    """Tell which parts of the platform of a state folder run; mutates nothing, waits at most seconds."""
    state = state.resolve()
    ports = _recorded(state)
    if ports is None:
        return Status(parts={})
    cluster = controlplane.status(state)
    parts = {"kubernetes": cluster.ready, **services.status(state, ports)}
    if cluster.kubeconfig is None or not all(parts.values()):
        return Status(parts)
    return Status(parts, _platform(state, ports, cluster.kubeconfig))


def _platform(state: Path, ports: Ports, kubeconfig: Path) -> Platform:
    return Platform(
        state=state,
        kubeconfig=kubeconfig,
        aws_endpoint=ports.endpoint,
        region=ministack.REGION,
        account=ministack.ACCOUNT,
        environment={**services.client_environment(ports), "KUBECONFIG": str(kubeconfig)},
    )


def _claim(state: Path) -> Ports:
    """Make the folder this platform's and settle its ports: as recorded, unless somebody else took one meanwhile."""
    if state.exists():
        _refuse_foreign(state)
    private_dir(state)
    ports = _recorded(state)
    if ports is None or not _usable(state, ports):
        services.stop_services(state)
        ports = Ports.free()
        write_atomically(state / _FILE, json.dumps({"ports": asdict(ports)}))
    return ports


def _usable(state: Path, ports: Ports) -> bool:
    return all(find(name, state) is not None or _is_free(port) for name, port in asdict(ports).items())


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _recorded(state: Path) -> Ports | None:
    try:
        return Ports(**json.loads((state / _FILE).read_bytes())["ports"])
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise PlatformError(f"{state / _FILE} is not readable as a platform's: {error}") from error


def _refuse_foreign(state: Path) -> None:
    if not state.is_dir():
        raise PlatformError(f"{state} is not a folder: name another one with --state")
    left_by_a_killed_write = f".{_FILE}."
    others = [path for path in state.iterdir() if not path.name.startswith(left_by_a_killed_write)]
    if others and not (state / _FILE).is_file():
        raise PlatformError(f"{state} is not empty and holds no platform: name another folder with --state")


@contextmanager
def _exclusively(state: Path, report: Report) -> Iterator[None]:
    """One `up` or `down` of a state folder at a time. The lock lies elsewhere, for `down` removes the folder."""
    name = hashlib.sha256(str(state).encode()).hexdigest()[:16]
    with exclusive(
        cache_dir() / "lock" / name, on_wait=lambda: report(f"waiting for another command on {state} to finish")
    ):
        yield
