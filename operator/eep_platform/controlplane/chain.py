"""Starts, finds and stops the control plane of a platform. The provider is recorded before it starts."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from eep_platform.controlplane import server
from eep_platform.controlplane.access import connect
from eep_platform.controlplane.facts import KUBECONFIG_VARIABLE, Facts
from eep_platform.controlplane.providers import AUTO, Report, UserKubeconfig, by_name, chain, choose
from eep_platform.errors import PlatformError
from eep_platform.lock import exclusive
from eep_platform.paths import write_atomically


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A serving control plane; the current context of `kubeconfig` is its administrator."""

    kubeconfig: Path
    provider: str


@dataclass(frozen=True, slots=True)
class Status:
    """The status of the control plane of a platform; `provider` is None if none was started."""

    provider: str | None = None
    kubeconfig: Path | None = None
    ready: bool = False


def prepare(*, provider: str = AUTO, report: Report = print, environ: Mapping[str, str] = os.environ) -> None:
    """Download and build programs, which takes minutes and which `start` would do once per machine."""
    choose(provider, chain(Facts.observe(environ), report)).prepare()


def start(
    state: Path,
    *,
    provider: str = AUTO,
    report: Report = print,
    environ: Mapping[str, str] = os.environ,
) -> ControlPlane:
    """Start the control plane of `state` unless it runs, and return it when it serves.

    Blocks for seconds with existing programs, for minutes with the first build on a machine. Continues a killed start.

    Raises:
        PlatformError: no provider can serve, the provider failed, or `state` has a control plane of another provider.
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
    """Stop the control plane of `state` and delete its data; leaves a cluster that the user named alone. Idempotent.

    Raises:
        PlatformError: the provider failed; the message says why.
    """
    with _exclusively(state, report):
        known = _read(state)
        if known.provider is None:
            server.stop(state)  # the record may be lost
        else:
            by_name(known.provider, chain(Facts.observe(environ), report)).stop(state)
        _discard(server.folder(state))


def status(state: Path) -> Status:
    """Return the status of the control plane of `state`, after asking whether it serves. Changes nothing."""
    known = _read(state)
    ready = known.kubeconfig is not None and _serves(known.kubeconfig)
    return Status(known.provider, known.kubeconfig, ready=ready)


@contextmanager
def _exclusively(state: Path, report: Report) -> Iterator[None]:
    waiting = f"another program is starting or stopping the control plane of {state}: waiting"
    with exclusive(state.resolve() / "run" / "controlplane.lock", on_wait=lambda: report(waiting)):
        yield


def _refuse_other(known: Status, requested: str, facts: Facts) -> None:
    """Raise PlatformError unless the recorded control plane is the requested one."""
    advice = f"this platform already has a control plane from {known.provider!r}: run `eep local down` first"
    if requested not in (AUTO, known.provider):
        raise PlatformError(f"cannot use {requested!r}: {advice}")
    same = known.provider == UserKubeconfig.name and known.kubeconfig in (None, facts.kubeconfig)
    if facts.kubeconfig is not None and not same:
        raise PlatformError(f"cannot use {KUBECONFIG_VARIABLE}={facts.kubeconfig}: {advice}")


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
    """Remove the folder atomically: with half of its files it would look like a killed start."""
    rubbish = folder.with_name(f"{folder.name}.rubbish")
    shutil.rmtree(rubbish, ignore_errors=True)
    with suppress(FileNotFoundError):
        folder.rename(rubbish)
    shutil.rmtree(rubbish, ignore_errors=True)
