"""The control plane as three processes of this machine: etcd, kube-apiserver and kube-controller-manager.

Their settings (port, tokens) are written before the first of them starts, and everything else is derived from them, so
that the next start continues a killed one.
"""

import json
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from typing_extensions import override

from eep_platform.controlplane import flags
from eep_platform.controlplane.access import connect, kubeconfig
from eep_platform.controlplane.binaries import APISERVER, CONTROLLER_MANAGER, ETCD, PROGRAMS, Binaries
from eep_platform.errors import PlatformError
from eep_platform.paths import private_dir, write_atomically
from eep_platform.processes import (
    ManagedProcess,
    find,
    free_port,
    spawn,
    stop_all,
    wait_until,
)

_START_SECONDS = 120.0
_ENVIRONMENT = {"GOGC": "400"}
"""They collect garbage later than by default (https://go.dev/doc/gc-guide#GOGC): a quarter less work, 200 MB more."""
_APISERVER_GRACE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Settings:
    binaries: str
    port: int
    admin_token: str
    controller_manager_token: str

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def users(self) -> str:
        """The users in the format of kube-apiserver's --token-auth-file: token, user, uid, groups."""
        return (
            f'{self.admin_token},admin,admin,"system:masters"\n'
            f"{self.controller_manager_token},system:kube-controller-manager,system:kube-controller-manager\n"
        )


@dataclass(frozen=True, slots=True)
class _Folder:
    """The files of the control plane of a platform."""

    state: Path

    @property
    def path(self) -> Path:
        return folder(self.state)

    @property
    def settings(self) -> Path:
        return self.path / "settings.json"

    @property
    def tokens(self) -> Path:
        return self.path / "tokens.csv"

    @property
    def certificates(self) -> Path:
        return self.path / "certificates"

    @property
    def kubeconfig(self) -> Path:
        return self.path / "kubeconfig"

    @property
    def controller_manager_kubeconfig(self) -> Path:
        return self.path / "controller-manager.kubeconfig"


def folder(state: Path) -> Path:
    """Return the folder of all files of the control plane of `state` (an absolute path)."""
    return state.resolve() / "controlplane"


def start(state: Path, binaries: Binaries) -> Path:
    """Start the programs that do not run, wait until they serve, and return the kubeconfig of a cluster administrator.

    Raises:
        PlatformError: a program ended early or did not serve within two minutes; the message quotes its log.
    """
    if find(APISERVER, state) is None:
        stop_all(state, [CONTROLLER_MANAGER], grace_seconds=0)  # it would use the API server's old port
    settings = _settings(state, binaries)
    _ensure_etcd(state, settings)
    _ensure_apiserver(state, settings)
    _ensure_controller_manager(state, settings)
    return _Folder(state).kubeconfig


def stop(state: Path) -> None:
    """Kill all three, because the platform's data is deleted anyway. Idempotent."""
    stop_all(state, PROGRAMS, grace_seconds=0)


def start_apiserver(state: Path) -> None:
    """Start the API server of `state` again with its port and data; returns when it serves.

    Controllers reconnect within about ten seconds, depending on the back-off of their clients.

    Raises:
        PlatformError: `state` has no control plane of its own, or the API server does not start.
    """
    _ensure_apiserver(state, _known_settings(state))


def stop_apiserver(state: Path, *, grace_seconds: float = _APISERVER_GRACE_SECONDS) -> None:
    """Stop only the API server of `state`; `grace_seconds=0` is a crash. Blocks until it has ended.

    Raises:
        PlatformError: `state` has no control plane of its own.
    """
    _known_settings(state)
    stop_all(state, [APISERVER], grace_seconds=grace_seconds)


def restart_apiserver(state: Path, *, grace_seconds: float = _APISERVER_GRACE_SECONDS) -> None:
    """Stop the API server of `state` and start it again; see `stop_apiserver` and `start_apiserver`."""
    stop_apiserver(state, grace_seconds=grace_seconds)
    start_apiserver(state)


def restart_etcd(state: Path) -> None:
    """Kill the etcd of `state` and start it again with its data; blocks until it listens.

    The API server fails meanwhile.

    Raises:
        PlatformError: `state` has no control plane of its own, or etcd does not start.
    """
    settings = _known_settings(state)
    stop_all(state, [ETCD], grace_seconds=0)
    _ensure_etcd(state, settings)


def compact_etcd(state: Path) -> None:
    """Have the etcd of `state` forget all earlier versions of objects, as an API server does every five minutes.

    Raises:
        PlatformError: `state` has no control plane of its own, or etcd refuses.
    """
    _known_settings(state)
    with closing(_EtcdConnection(_Folder(state).path / flags.ETCD_SOCKET)) as connection:
        revision = _asked(connection, "/v3/maintenance/status", {})["header"]["revision"]
        _asked(connection, "/v3/kv/compaction", {"revision": revision, "physical": True})


class _EtcdConnection(HTTPConnection):
    """HTTP to etcd's gateway (https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/) on its Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    @override
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(os.path.relpath(self._path))


def _asked(connection: HTTPConnection, path: str, body: Mapping[str, object]) -> Any:  # noqa: ANN401 - JSON
    connection.request("POST", path, json.dumps(body))
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != HTTPStatus.OK:
        raise PlatformError(f"etcd answers {answer.status} to {path}: {content.decode(errors='replace')}")
    return json.loads(content)


def _settings(state: Path, binaries: Binaries) -> _Settings:
    """The platform's settings; missing ones are new, and so is the port if another program uses the old one."""
    place = _Folder(state)
    known = _Settings(**json.loads(place.settings.read_bytes())) if place.settings.exists() else None
    settings = _Settings(
        binaries=str(binaries.folder.resolve()),
        port=known.port if known and (find(APISERVER, state) or _can_listen(known.port)) else free_port(),
        admin_token=known.admin_token if known else secrets.token_urlsafe(32),
        controller_manager_token=known.controller_manager_token if known else secrets.token_urlsafe(32),
    )
    private_dir(place.path)
    write_atomically(place.settings, json.dumps(asdict(settings)))
    write_atomically(place.tokens, settings.users)
    return settings


def _can_listen(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _known_settings(state: Path) -> _Settings:
    try:
        return _Settings(**json.loads(_Folder(state).settings.read_bytes()))
    except FileNotFoundError:
        raise PlatformError(f"{state} has no control plane of its own") from None


def _ensure_etcd(state: Path, settings: _Settings) -> None:
    place = _Folder(state)
    listening = place.path / flags.ETCD_SOCKET
    if find(ETCD, state) is None:
        listening.unlink(missing_ok=True)  # a predecessor's
    process = _ensure(ETCD, flags.etcd(place.path / "etcd"), state, settings)
    wait_until(listening.exists, seconds=_START_SECONDS, what="waiting for etcd's socket", process=process)


def _ensure_apiserver(state: Path, settings: _Settings) -> None:
    place = _Folder(state)
    certificate, key = (place.certificates / f"apiserver.{suffix}" for suffix in ("crt", "key"))
    if not key.exists():
        certificate.unlink(missing_ok=True)  # from a killed start: the API server rejects it without its key
    arguments = flags.apiserver(settings.port, certificates=place.certificates, tokens=place.tokens)
    if find(APISERVER, state) is None:
        # The threads of a killed predecessor may live a little longer, and its socket with them.
        what = f"waiting for port {settings.port}"
        wait_until(lambda: _can_listen(settings.port), seconds=_START_SECONDS, what=what)
    process = _ensure(APISERVER, arguments, state, settings)
    what = "waiting for the API server"
    wait_until(key.exists, seconds=_START_SECONDS, what=f"{what}'s certificate", process=process)
    ca = certificate.read_bytes()
    for path, token in (
        (place.kubeconfig, settings.admin_token),
        (place.controller_manager_kubeconfig, settings.controller_manager_token),
    ):
        write_atomically(path, kubeconfig(settings.server, ca=ca, user={"token": token}))
    with connect(place.kubeconfig) as access:
        wait_until(access.server_ready, seconds=_START_SECONDS, what=what, process=process)


def _ensure_controller_manager(state: Path, settings: _Settings) -> None:
    place = _Folder(state)
    arguments = flags.controller_manager(place.controller_manager_kubeconfig, certificates=place.certificates)
    process = _ensure(CONTROLLER_MANAGER, arguments, state, settings)
    what = "waiting for the default service account"
    with connect(place.kubeconfig) as access:
        wait_until(access.default_account_exists, seconds=_START_SECONDS, what=what, process=process)


def _ensure(program: str, arguments: Sequence[str], state: Path, settings: _Settings) -> ManagedProcess:
    """Start a program without the caller's environment, which it does not need and which may hold credentials."""
    argv = [str(Path(settings.binaries) / program), *arguments]
    return find(program, state) or spawn(program, argv, state=state, env=_ENVIRONMENT, cwd=_Folder(state).path)
