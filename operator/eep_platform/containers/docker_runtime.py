"""Containers of a Docker engine, through its command line."""

import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from eep_platform.containers.errors import ImageNotFound, RegistryError
from eep_platform.containers.image import ImageConfig, LocalImage
from eep_platform.containers.model_data import ADDITIONAL_DIR, model_folder
from eep_platform.errors import PlatformError
from eep_platform.paths import private_dir

# The label holds the platform's folder, so that one platform never stops the containers of another.
_OWNER_LABEL = "ephemeral-endpoints.io/platform"
_STOP_SECONDS = 30  # SageMaker kills a container so long after SIGTERM


@dataclass(frozen=True, slots=True)
class DockerRuntime:
    """Runs images with the engine; `state` is the folder of the platform."""

    state: Path

    def pull(self, reference: str) -> LocalImage:
        """See `ContainerRuntime`. Docker uses plain HTTP for a registry on 127.0.0.1."""
        done = _docker(["pull", "--quiet", reference])
        if done.returncode != 0:
            missing = "not found" in done.stderr or "manifest unknown" in done.stderr
            raise (ImageNotFound if missing else RegistryError)(f"{reference}: {done.stderr.strip()}")
        inspected = _checked(["image", "inspect", "--format", "{{json .Config}}", reference])
        document = f'{{"architecture": "", "rootfs": {{"diff_ids": []}}, "config": {inspected}}}'
        return LocalImage(reference, ImageConfig.parse(document.encode()), None)

    def run(  # noqa: PLR0913 - what a container is made of
        self,
        image: LocalImage,
        *,
        name: str,
        environment: Mapping[str, str],
        model_data: Path | None,
        on_log: Callable[[str], None],
        additional_data: Path | None = None,
    ) -> "DockerContainer":
        """See `ContainerRuntime`."""
        options = ["--detach", "--publish=127.0.0.1:0:8080", f"--label={_OWNER_LABEL}={self.state}"]
        options += ["--read-only", "--tmpfs=/tmp", "--security-opt=no-new-privileges", "--cap-drop=ALL"]
        if model_data is not None:
            folder = model_folder(model_data, private_dir(self.state / "containers") / name)
            options += [f"--mount=type=bind,source={folder},target=/opt/ml/model,readonly"]
        if additional_data is not None:
            options += [f"--mount=type=bind,source={additional_data.resolve()},target={ADDITIONAL_DIR},readonly"]
        with _variables(environment) as file:
            identity = _checked(["run", *options, f"--env-file={file}", image.reference, *image.config.command])
        port = _checked(["port", identity, "8080/tcp"]).splitlines()[0].rpartition(":")[2]
        return DockerContainer(f"http://127.0.0.1:{port}", identity, _Logs(identity, on_log))

    def run_job(
        self,
        image: LocalImage,
        *,
        name: str,  # noqa: ARG002 - containers have an identity of their own
        environment: Mapping[str, str],
        volume: Path,
        on_log: Callable[[str], None],
    ) -> "DockerJob":
        """See `ContainerRuntime`."""
        # Root needs the capabilities that it has by default: the folder may belong to another user of this machine.
        options = ["--detach", "--network=none", f"--label={_OWNER_LABEL}={self.state}"]
        options += ["--security-opt=no-new-privileges"]
        command = list(image.config.command)
        if image.config.entrypoint:
            options.append(f"--entrypoint={image.config.entrypoint[0]}")
            command = [*image.config.entrypoint[1:], *command]
        identity = _checked(["create", "--entrypoint=/", image.reference])
        try:
            # The image need not have the folder.
            _docker(["cp", f"{identity}:/opt/ml/.", str(volume)])
        finally:
            _docker(["rm", identity])
        options += [f"--mount=type=bind,source={volume.resolve()},target=/opt/ml"]
        with _variables(environment) as file:
            identity = _checked(["run", *options, f"--env-file={file}", image.reference, *command])
        return DockerJob(identity, _Logs(identity, on_log))

    def stop_all(self) -> None:
        """Remove all containers of this platform, whoever started them. Blocks."""
        listed = _checked(["ps", "--all", "--quiet", f"--filter=label={_OWNER_LABEL}={self.state}"])
        if listed:
            _checked(["rm", "--force", *listed.split()])


@dataclass(frozen=True, slots=True)
class DockerContainer:
    """A container of `DockerRuntime`."""

    base_url: str
    identity: str
    logs: "_Logs"

    def exit_code(self) -> int | None:
        """See `Container`."""
        return _exit_code(self.identity)

    def stop(self) -> None:
        """See `Container`."""
        _docker(["stop", f"--time={_STOP_SECONDS}", self.identity])
        self.logs.finish()
        _docker(["rm", "--force", self.identity])


@dataclass(frozen=True, slots=True)
class DockerJob:
    """A job's container of `DockerRuntime`."""

    identity: str
    logs: "_Logs"

    def exit_code(self) -> int | None:
        """See `JobContainer`."""
        return _exit_code(self.identity)

    def terminate(self) -> None:
        """See `JobContainer`."""
        _docker(["kill", "--signal=TERM", self.identity])

    def stop(self) -> None:
        """See `JobContainer`."""
        _docker(["kill", self.identity])
        self.logs.finish()
        _docker(["rm", "--force", self.identity])


class _Logs:
    """Passes on the lines of `docker logs --follow`, which ends with the container, in a thread."""

    def __init__(self, identity: str, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._process = subprocess.Popen(  # noqa: S603 (an identity that Docker gave)
            ["docker", "logs", "--follow", identity],  # noqa: S607 (docker is wherever the user has it)
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._thread = threading.Thread(target=self._follow, name=f"log of {identity[:12]}", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Block until the last line was passed on."""
        self._thread.join()

    def _follow(self) -> None:
        with self._process as process:
            for line in process.stdout or ():
                self._on_line(line.rstrip("\n"))


def _exit_code(identity: str) -> int | None:
    done = _docker(["inspect", "--format", "{{.State.Running}} {{.State.ExitCode}}", identity])
    if done.returncode != 0:
        return 137  # somebody removed it
    running, code = done.stdout.split()
    return None if running == "true" else int(code)


@contextmanager
def _variables(environment: Mapping[str, str]) -> Iterator[str]:
    """The path of a file with the variables: values may be secret and do not belong on the command line."""
    with NamedTemporaryFile("w", encoding="utf-8") as file:
        file.writelines(f"{key}={value}\n" for key, value in environment.items())
        file.flush()
        yield file.name


def _docker(arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True)  # noqa: S603, S607 (no shell; docker is wherever the user has it)


def _checked(arguments: Sequence[str]) -> str:
    done = _docker(arguments)
    if done.returncode != 0:
        raise PlatformError(f"docker {arguments[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()
