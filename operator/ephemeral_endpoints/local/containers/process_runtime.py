"""Containers as ordinary processes of this machine, as far isolated as it allows."""

import shutil
import tarfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ephemeral_endpoints.local import processes
from ephemeral_endpoints.local.containers import isolation, registry
from ephemeral_endpoints.local.containers.errors import InvalidImage
from ephemeral_endpoints.local.containers.image import BIND_TO_PORT_LABEL, LocalImage
from ephemeral_endpoints.local.errors import PlatformError
from ephemeral_endpoints.local.paths import log_file, private_dir

_MODEL_DIR = "/opt/ml/model"
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.05
_KILLED = 137


@dataclass(frozen=True, slots=True)
class ProcessRuntime:
    """Runs unpacked images; those that take their port from SAGEMAKER_BIND_TO_PORT, for all share one network.

    Attributes:
        store: folder of the unpacked images; may be shared by several platforms.
        state: folder of the platform, where `processes` finds what has to end with it.
        mode: the isolation.
    """

    store: Path
    state: Path
    mode: isolation.Mode | None = None

    def pull(self, reference: str) -> LocalImage:
        """See `ContainerRuntime`."""
        where = registry.Reference.parse(reference)
        return registry.pull(where.registry, where.repository, where.version, self.store)

    def run(
        self,
        image: LocalImage,
        *,
        name: str,
        environment: Mapping[str, str],
        model_data: Path | None,
        on_log: Callable[[str], None],
    ) -> "ProcessContainer":
        """See `ContainerRuntime`."""
        root = image.rootfs
        if root is None or not image.config.argv:
            raise InvalidImage(f"{image.reference} has no ENTRYPOINT or CMD to run")
        if image.config.labels.get(BIND_TO_PORT_LABEL) != "true":
            raise InvalidImage(
                f"{image.reference} serves on port 8080 only, and without Docker all containers share this machine's "
                f"ports: let it listen on $SAGEMAKER_BIND_TO_PORT and say so with LABEL {BIND_TO_PORT_LABEL}=true"
            )
        port = processes.free_port()
        folder = self._workspace(name)
        log = log_file(self.state, name)
        offset = log.stat().st_size if log.exists() else 0
        spec = self._spec(image, root, folder, model_data, {**environment, **_network(port)})
        process = processes.spawn(name, spec.write(folder / "spec.json"), state=self.state, env={}, cwd=folder)
        return ProcessContainer(f"http://127.0.0.1:{port}", process, folder, _Tail(log, offset, on_log))

    def _workspace(self, name: str) -> Path:
        folder = self.state.resolve() / "containers" / name
        shutil.rmtree(folder, ignore_errors=True)
        return private_dir(folder)

    def _spec(
        self, image: LocalImage, root: Path, folder: Path, model_data: Path | None, environment: Mapping[str, str]
    ) -> isolation.Spec:
        mode = self.mode or isolation.best_mode()
        variables = {**image.config.environment, **environment}
        binds = []
        if model_data is not None:
            model = _model_folder(model_data, folder)
            if mode == "namespaces":
                binds = [(model, _MODEL_DIR)]
            elif mode == "loader":
                variables["SM_MODEL_DIR"] = str(model)
            else:
                raise PlatformError(
                    "model data needs a mount, which this machine does not allow: build it into the image"
                )
        return isolation.prepare(
            root,
            image.config.argv,
            mode=mode,
            environment=variables,
            working_dir=image.config.working_dir,
            user=isolation.user_of(image.config, root),
            exit_file=folder / "exit",
            binds=binds,
        )


def _network(port: int) -> dict[str, str]:
    # BIND_HOST is our own convention: a process shares the machine's interfaces, so it had better not serve all.
    return {"SAGEMAKER_BIND_TO_PORT": str(port), "BIND_HOST": "127.0.0.1"}


def _model_folder(model_data: Path, folder: Path) -> Path:
    if model_data.is_dir():
        return model_data
    target = folder / "model"
    target.mkdir()
    try:
        with tarfile.open(model_data) as archive:
            archive.extractall(target, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise InvalidImage(f"the model data cannot be unpacked: {error}") from error
    # The container's user is another one.
    target.chmod(0o755)
    return target


@dataclass(frozen=True, slots=True)
class ProcessContainer:
    """A container of `ProcessRuntime`."""

    base_url: str
    process: processes.ManagedProcess
    folder: Path
    tail: "_Tail"

    def exit_code(self) -> int | None:
        """See `Container`."""
        alive = processes.is_alive(self.process)
        with suppress(FileNotFoundError):
            return int((self.folder / "exit").read_text())
        return None if alive else _KILLED  # it could not write down how it ended

    def stop(self) -> None:
        """See `Container`."""
        processes.stop(self.process, grace_seconds=_STOP_SECONDS)
        self.tail.finish()
        (self.folder / "spec.json").unlink(missing_ok=True)


class _Tail:
    """Hands on the lines that are appended to a file, from a thread of its own, until told to finish."""

    def __init__(self, path: Path, offset: int, on_line: Callable[[str], None]) -> None:
        self._path, self._offset, self._on_line = path, offset, on_line
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"log of {path.stem}", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Blocks until the last line was handed on."""
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
