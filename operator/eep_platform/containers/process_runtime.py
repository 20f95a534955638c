"""Containers as processes of this machine, isolated as far as it allows."""

import os
import shutil
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from eep_platform import processes
from eep_platform.containers import isolation, references, registry, rootfs
from eep_platform.containers.errors import InvalidImage
from eep_platform.containers.image import BIND_TO_PORT_LABEL, LocalImage
from eep_platform.containers.model_data import ADDITIONAL_DIR, ML_DIR, model_folder
from eep_platform.errors import PlatformError
from eep_platform.paths import log_file, private_dir

_MODEL_DIR = "/opt/ml/model"
_STOP_SECONDS = 30.0  # SageMaker kills a container so long after SIGTERM
_POLL_SECONDS = 0.05
_KILLED = 137


@dataclass(frozen=True, slots=True)
class ProcessRuntime:
    """Runs unpacked images, each with a network of its own, in which the server listens on port 8080.

    Where this machine allows no such networks, images must read their port from SAGEMAKER_BIND_TO_PORT.

    Attributes:
        store: folder of the unpacked images; several platforms can share it.
        state: folder of the platform, in which processes are recorded.
        mode: the isolation; by default the strongest one that this machine allows.
    """

    store: Path
    state: Path
    mode: isolation.Mode | None = None

    def pull(self, reference: str) -> LocalImage:
        """See `ContainerRuntime`."""
        where = references.Reference.parse(reference)
        return registry.pull(where.registry, where.repository, where.version, self.store)

    def run(  # noqa: PLR0913 - what a container is made of
        self,
        image: LocalImage,
        *,
        name: str,
        environment: Mapping[str, str],
        model_data: Path | None,
        on_log: Callable[[str], None],
        additional_data: Path | None = None,
    ) -> "ProcessContainer":
        """See `ContainerRuntime`."""
        root = image.rootfs
        if root is None or not image.config.argv:
            raise InvalidImage(f"{image.reference} has neither ENTRYPOINT nor CMD")
        mode = self.mode or isolation.best_mode()
        is_isolated = mode == "namespaces" and isolation.has_networks()
        if not is_isolated and image.config.labels.get(BIND_TO_PORT_LABEL) != "true":
            raise InvalidImage(
                f"{image.reference} serves on port 8080 only, but this machine has neither network namespaces nor "
                f"Docker: add one, or listen on $SAGEMAKER_BIND_TO_PORT and set LABEL {BIND_TO_PORT_LABEL}=true"
            )
        port = processes.free_port()
        folder = self._workspace(name)
        log = log_file(self.state, name)
        offset = log.stat().st_size if log.exists() else 0
        folders = _folders(folder, model_data, additional_data)
        variables = {**image.config.environment, **environment, **({} if is_isolated else _network(port))}
        spec = _spec(image, root, folder, folders, variables, mode)
        spec = replace(spec, port=port if is_isolated else None)
        process = processes.spawn(name, spec.write(folder / "spec.json"), state=self.state, env={}, cwd=folder)
        return ProcessContainer(f"http://127.0.0.1:{port}", process, folder, _Tail(log, offset, on_log))

    def run_job(
        self,
        image: LocalImage,
        *,
        name: str,
        environment: Mapping[str, str],
        volume: Path,
        on_log: Callable[[str], None],
    ) -> "ProcessJob":
        """See `ContainerRuntime`."""
        root = image.rootfs
        if root is None or not image.config.argv:
            raise InvalidImage(f"{image.reference} has neither ENTRYPOINT nor CMD")
        mode = self.mode or isolation.best_mode()
        if mode != "namespaces":
            raise PlatformError("this machine allows no mounts, which jobs need: allow user namespaces, or add Docker")
        shutil.copytree(rootfs.resolve(root, ML_DIR), volume, symlinks=True, dirs_exist_ok=True)
        user = isolation.user_of(image.config, root, mode)
        folder = self._workspace(name)
        # Root's folders are not writable for others. Without root's rights here, nobody else could own them.
        is_own = user[0] == 0 or os.geteuid() == 0
        mount = (volume.resolve(), ML_DIR)
        spec = isolation.prepare(
            root,
            image.config.argv,
            mode=mode,
            environment={**image.config.environment, **environment},
            working_dir=image.config.working_dir,
            user=user,
            exit_file=folder / "exit",
            volumes=[mount] if is_own else [],
            binds=[] if is_own else [mount],
        )
        spec = replace(spec, offline=isolation.has_networks())
        log = log_file(self.state, name)
        process = processes.spawn(name, spec.write(folder / "spec.json"), state=self.state, env={}, cwd=folder)
        return ProcessJob(process, folder, _Tail(log, 0, on_log))

    def _workspace(self, name: str) -> Path:
        folder = self.state.resolve() / "containers" / name
        shutil.rmtree(folder, ignore_errors=True)
        return private_dir(folder)


def _spec(  # noqa: PLR0913, PLR0917 (what a container is made of)
    image: LocalImage,
    root: Path,
    folder: Path,
    data: Mapping[str, Path],
    variables: dict[str, str],
    mode: isolation.Mode,
) -> isolation.Spec:
    binds = []
    if mode == "namespaces":
        binds = [(source, target) for target, source in data.items()]
    elif data.keys() == {_MODEL_DIR} and mode == "loader":
        variables["SM_MODEL_DIR"] = str(data[_MODEL_DIR])
    elif data:
        raise PlatformError("this machine does not allow the mount for model data: build the data into the image")
    return isolation.prepare(
        root,
        image.config.argv,
        mode=mode,
        environment=variables,
        working_dir=image.config.working_dir,
        user=isolation.user_of(image.config, root, mode),
        exit_file=folder / "exit",
        binds=binds,
    )


def _folders(workspace: Path, model_data: Path | None, additional_data: Path | None) -> dict[str, Path]:
    """The folders to show to a container, by their paths there."""
    folders = {_MODEL_DIR: model_folder(model_data, workspace / "model")} if model_data else {}
    return folders | ({ADDITIONAL_DIR: additional_data.resolve()} if additional_data else {})


def _network(port: int) -> dict[str, str]:
    # BIND_HOST is our own convention: a process shares the machine's interfaces and should not serve on all.
    return {"SAGEMAKER_BIND_TO_PORT": str(port), "BIND_HOST": "127.0.0.1"}


@dataclass(frozen=True, slots=True)
class ProcessContainer:
    """A container of `ProcessRuntime`."""

    base_url: str
    process: processes.ManagedProcess
    folder: Path
    tail: "_Tail"

    def exit_code(self) -> int | None:
        """See `Container`."""
        return _exit_code(self.process, self.folder)

    def stop(self) -> None:
        """See `Container`."""
        processes.stop(self.process, grace_seconds=_STOP_SECONDS)
        self.tail.finish()
        (self.folder / "spec.json").unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class ProcessJob:
    """A job's container of `ProcessRuntime`."""

    process: processes.ManagedProcess
    folder: Path
    tail: "_Tail"

    def exit_code(self) -> int | None:
        """See `JobContainer`."""
        return _exit_code(self.process, self.folder)

    def terminate(self) -> None:
        """See `JobContainer`."""
        processes.terminate(self.process)

    def stop(self) -> None:
        """See `JobContainer`."""
        processes.stop(self.process, grace_seconds=0)
        self.tail.finish()
        shutil.rmtree(self.folder, ignore_errors=True)


def _exit_code(process: processes.ManagedProcess, folder: Path) -> int | None:
    alive = processes.is_alive(process)
    with suppress(FileNotFoundError):
        return int((folder / "exit").read_text())
    return None if alive else _KILLED  # it was killed before it could write its exit code


class _Tail:
    """Passes on the lines appended to a file, in a thread, until `finish`."""

    def __init__(self, path: Path, offset: int, on_line: Callable[[str], None]) -> None:
        self._path, self._offset, self._on_line = path, offset, on_line
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"log of {path.stem}", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Block until the last line was passed on."""
        self._finished.set()
        self._thread.join()

    def _follow(self) -> None:
        with self._path.open("rb") as file:
            file.seek(self._offset)
            pending = b""
            while True:
                last = self._finished.wait(_POLL_SECONDS)
                *lines, pending = (pending + file.read()).split(b"\n")
                if last and pending:
                    lines.append(pending)
                for line in lines:
                    self._on_line(line.decode(errors="replace"))
                if last:
                    return
