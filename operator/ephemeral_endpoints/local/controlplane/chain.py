"""The control plane of a platform: started, found again, ended. What serves it is recorded before it is started."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ephemeral_endpoints.local.controlplane import server
from ephemeral_endpoints.local.controlplane.access import connect
from ephemeral_endpoints.local.controlplane.facts import KUBECONFIG_VARIABLE, Facts
from ephemeral_endpoints.local.controlplane.providers import AUTO, Report, UserKubeconfig, by_name, chain, choose
from ephemeral_endpoints.local.errors import PlatformError
from ephemeral_endpoints.local.lock import exclusive
from ephemeral_endpoints.local.paths import write_atomically


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A control plane that serves, reached as its administrator through the current context of `kubeconfig`."""

    kubeconfig: Path
    provider: str


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of the control plane of a platform: `provider` is None where none was started."""

    provider: str | None = None
    kubeconfig: Path | None = None
    ready: bool = False


def prepare(*, provider: str = AUTO, report: Report = print, environ: Mapping[str, str] = os.environ) -> None:
    """Do what `start` would do once for a machine, and what takes minutes: fetch and build programs."""
    choose(provider, chain(Facts.observe(environ), report)).prepare()


def start(
    state: Path,
    *,
    provider: str = AUTO,
    report: Report = print,
    environ: Mapping[str, str] = os.environ,
) -> ControlPlane:
    """Bring up the control plane of `state` and return it when it serves; one that serves already is returned as it is.

    Blocks: seconds for programs that are there, minutes for the first ever build. A start that was killed is continued.

    Raises:
        PlatformError: no provider can serve, it failed, or another one than asked for was started for `state`.
    """
    with _exclusively(state, report):
        facts = Facts.observe(environ)
        known = _read(state)
        if known.provider is not None:
            _refuse_other(known, provider, facts)
            if known.kubeconfig is not None and _serves(known.kubeconfig):
                return ControlPlane(known.kubeconfig, known.provider)
        chosen = choose(known.provider or provider, chain(facts, report))
        _write(state, Status(provider=chosen.name))
        report(f"starting the control plane (provider: {chosen.name})")
        kubeconfig = chosen.start(state)
        _write(state, Status(provider=chosen.name, kubeconfig=kubeconfig))
        return ControlPlane(kubeconfig, chosen.name)


def stop(state: Path, *, report: Report = print, environ: Mapping[str, str] = os.environ) -> None:
    """End the control plane of `state` with all that it holds; a cluster that the user named is left as it is.

    Nothing there is no error.

    Raises:
        PlatformError: the provider failed to; what it reported.
    """
    with _exclusively(state, report):
        known = _read(state)
        if known.provider is None:
            server.stop(state)  # whose record is lost
        else:
            by_name(known.provider, chain(Facts.observe(environ), report)).stop(state)
        _discard(server.folder(state))


def status(state: Path) -> Status:
    """Return what is known of the control plane of `state`; asks it whether it serves. Mutates nothing."""
    known = _read(state)
    ready = known.kubeconfig is not None and _serves(known.kubeconfig)
    return Status(known.provider, known.kubeconfig, ready=ready)


@contextmanager
def _exclusively(state: Path, report: Report) -> Iterator[None]:
    waiting = f"another program is starting or ending the control plane of {state}: waiting"
    with exclusive(state.resolve() / "run" / "controlplane.lock", on_wait=lambda: report(waiting)):
        yield


def _refuse_other(known: Status, requested: str, facts: Facts) -> None:
    """Another control plane than the one asked for must not pass for it."""
    advice = f"the control plane of this platform comes from {known.provider!r}: end it first (eep local down)"
    if requested not in (AUTO, known.provider):
        raise PlatformError(f"{requested!r} was asked for, but {advice}")
    same = known.provider == UserKubeconfig.name and known.kubeconfig in (None, facts.kubeconfig)
    if facts.kubeconfig is not None and not same:
        raise PlatformError(f"{KUBECONFIG_VARIABLE}={facts.kubeconfig} was named, but {advice}")


def _serves(kubeconfig: Path) -> bool:
    try:
        with connect(kubeconfig) as access:
            return access.ready()
    except PlatformError:
        return False


def _record(state: Path) -> Path:
    return server.folder(state) / "provider.json"


def _read(state: Path) -> Status:
    try:
        record = json.loads(_record(state).read_bytes())
    except FileNotFoundError:
        return Status()
    kubeconfig = record["kubeconfig"]
    return Status(provider=record["provider"], kubeconfig=Path(kubeconfig) if kubeconfig else None)


def _write(state: Path, known: Status) -> None:
    kubeconfig = str(known.kubeconfig) if known.kubeconfig else None
    write_atomically(_record(state), json.dumps({"provider": known.provider, "kubeconfig": kubeconfig}))


def _discard(folder: Path) -> None:
    """Remove the folder in one step as others see it: half of its files would look like a platform to continue."""
    rubbish = folder.with_name(f"{folder.name}.rubbish")
    shutil.rmtree(rubbish, ignore_errors=True)
    with suppress(FileNotFoundError):
        folder.rename(rubbish)
    shutil.rmtree(rubbish, ignore_errors=True)
