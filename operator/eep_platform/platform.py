"""Starts and stops the embedded platform, and reports its status.

A state folder belongs to a platform if it has `platform.json`, which is written before anything starts and removed
after everything else is gone. So `down` can clean up after a killed `up` or `down`, and never touches other folders.
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

from eep_platform import bootstrap, controlplane, git
from eep_platform.aws import ministack, services
from eep_platform.aws.services import Ports
from eep_platform.errors import PlatformError
from eep_platform.git import GitHost
from eep_platform.github.client import GitHubClient
from eep_platform.lock import exclusive
from eep_platform.paths import cache_dir, private_dir, write_atomically
from eep_platform.processes import find, stop_all

_FILE = "platform.json"

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Platform:
    """A running platform. With `environment`, boto3, kubectl and the operator use it and nothing else.

    A Git client pushes to `git_url`; builds read the same repositories from the URL of `git`. Pull requests are at
    `github_url`, which a browser can show.
    """

    state: Path
    kubeconfig: Path
    aws_endpoint: str
    region: str
    account: str
    git_url: str
    github_url: str
    environment: dict[str, str]

    @property
    def git(self) -> GitHost:
        """The Git repositories of the platform."""
        return GitHost(self.state / git.FOLDER)

    @property
    def github(self) -> GitHubClient:
        """What people do at the platform's GitHub, and what is to be seen there."""
        return GitHubClient(self.github_url)

    @property
    def registry(self) -> str:
        """Host and port of the image registry, which stands in for `<account>.dkr.ecr.<region>.amazonaws.com`."""
        return self.aws_endpoint.removeprefix("http://")


@dataclass(frozen=True, slots=True)
class Status:
    """The parts of a platform and whether they run and answer; `platform` is set if all do."""

    parts: dict[str, bool]
    platform: Platform | None = None


def up(state: Path, *, provider: str = "auto", report: Report = print) -> Platform:
    """Start the platform of a state folder and block until it serves and is set up for the first endpoint.

    Idempotent: running parts stay, missing ones are started, the leftovers of a killed `up` are reused or replaced.

    Raises:
        PlatformError: a part cannot be started, or the folder has other content.
    """
    with _started(state, provider, report) as platform:
        region, git_url = platform.region, platform.git.url
        bootstrap.kubernetes(platform.kubeconfig, prepare_aws(platform), region=region, git_url=git_url)
        bootstrap.github(platform.github, platform.kubeconfig)
        return platform


def up_bare(state: Path, *, provider: str = "auto", report: Report = print) -> Platform:
    """Start one as `up` does, and leave out all that an installation brings: kinds, admission policies, a class.

    Raises:
        PlatformError: a part cannot be started, or the folder has other content.
    """
    with _started(state, provider, report) as platform:
        return platform


def prepare_aws(platform: Platform) -> bootstrap.Roles:
    """Create in AWS what a class names, as `up` does, and return the roles. Idempotent; raises what boto3 raises."""
    endpoint, account = platform.aws_endpoint, platform.account
    return bootstrap.aws(services.session(), endpoint, account=account, region=platform.region)


def down(state: Path, *, report: Report = print) -> None:
    """Stop all processes of the platform of a state folder, remove its files, and block until they are gone.

    Does nothing if the folder does not exist. Objects in a cluster that the user named stay there.

    Raises:
        PlatformError: the folder has other content.
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
    """The status of the platform of a state folder; changes nothing. Waits half a minute for each part at most."""
    state = state.resolve()
    ports = _recorded(state)
    if ports is None:
        return Status(parts={})
    cluster = controlplane.status(state)
    parts = {"kubernetes": cluster.ready, **services.status(state, ports)}
    if cluster.kubeconfig is None or not all(parts.values()):
        return Status(parts)
    return Status(parts, _platform(state, ports, cluster.kubeconfig))


def claim(state: Path) -> Ports:
    """Claim the folder and return the platform's ports: the recorded ones, unless another program uses one."""
    if state.exists():
        _refuse_foreign(state)
    private_dir(state)
    ports = _recorded(state)
    if ports is None or not _usable(state, ports):
        services.stop_services(state)
        ports = Ports.free()
        write_atomically(state / _FILE, json.dumps({"ports": asdict(ports)}))
    return ports


def _platform(state: Path, ports: Ports, kubeconfig: Path) -> Platform:
    return Platform(
        state=state,
        kubeconfig=kubeconfig,
        aws_endpoint=ports.endpoint,
        region=ministack.REGION,
        account=ministack.ACCOUNT,
        git_url=ports.git_url,
        github_url=ports.github_url,
        environment={**services.client_environment(ports), "KUBECONFIG": str(kubeconfig)},
    )


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
        raise PlatformError(f"{state / _FILE} is corrupt: {error}: delete the folder {state}") from error


def _refuse_foreign(state: Path) -> None:
    if not state.is_dir():
        raise PlatformError(f"{state} is not a folder: choose another one with --state")
    left_by_a_killed_write = f".{_FILE}."
    others = [path for path in state.iterdir() if not path.name.startswith(left_by_a_killed_write)]
    if others and not (state / _FILE).is_file():
        raise PlatformError(f"{state} has files that are not a platform's: choose another folder with --state")


@contextmanager
def _started(state: Path, provider: str, report: Report) -> Iterator[Platform]:
    state = state.resolve()
    with _exclusively(state, report):
        ports = claim(state)
        with ThreadPoolExecutor(max_workers=1) as pool:
            aws = pool.submit(services.start, state, ports)
            cluster = controlplane.start(state, provider=provider, report=report)
            aws.result()
        yield _platform(state, ports, cluster.kubeconfig)


@contextmanager
def _exclusively(state: Path, report: Report) -> Iterator[None]:
    """One `up` or `down` of a state folder at a time. The lock is elsewhere, because `down` removes the folder."""
    name = hashlib.sha256(str(state).encode()).hexdigest()[:16]
    with exclusive(
        cache_dir() / "lock" / name, on_wait=lambda: report(f"waiting for another command on {state} to finish")
    ):
        yield
