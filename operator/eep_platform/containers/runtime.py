"""Container runtimes: the contract, and the choice of an implementation."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from eep_platform.containers.docker_runtime import DockerRuntime
from eep_platform.containers.engines import docker_answers
from eep_platform.containers.image import LocalImage
from eep_platform.containers.process_runtime import ProcessRuntime


class Container(Protocol):
    """A running or ended container."""

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT`, the address of the model server; it may not listen yet."""

    def exit_code(self) -> int | None:
        """The exit code, 128 + the signal if a signal ended it; None while it runs. Does not block."""

    def stop(self) -> None:
        """Stop it with SIGTERM, then SIGKILL. Blocks until it is gone and its last line was logged; idempotent."""


class JobContainer(Protocol):
    """A container that works on its own and ends by itself."""

    def exit_code(self) -> int | None:
        """As that of `Container`."""

    def terminate(self) -> None:
        """Send SIGTERM to its first process, and return at once; it may ignore it."""

    def stop(self) -> None:
        """Kill what still runs. Blocks until it is gone and its last line was logged; idempotent."""


class ContainerRuntime(Protocol):
    """Pulls images and runs containers."""

    def pull(self, reference: str) -> LocalImage:
        """Return the image `127.0.0.1:PORT/repository@sha256:…`, ready to run. Blocks.

        Raises:
            ImageNotFound: the registry has no such image.
            InvalidImage: the image is corrupt or not for this machine.
            RegistryError: the registry answered with an error or not at all.
        """

    def run(  # noqa: PLR0913 - what a container is made of
        self,
        image: LocalImage,
        *,
        name: str,
        environment: Mapping[str, str],
        model_data: Path | None,
        on_log: Callable[[str], None],
        additional_data: Path | None = None,
    ) -> Container:
        """Start a container and return at once; its server may not answer yet.

        Args:
            image: the image from `pull`.
            name: a DNS label, unique on the platform.
            environment: variables in addition to the image's own; the container has no others.
            model_data: a folder, or a .tar.gz of one, for /opt/ml/model, read-only.
            on_log: called with each line of output, in order, from another thread.
            additional_data: a folder for /opt/ml/additional-model-data-sources, read-only.

        Raises:
            PlatformError: the container cannot be started; the message says why.
        """

    def run_job(
        self,
        image: LocalImage,
        *,
        name: str,
        environment: Mapping[str, str],
        volume: Path,
        on_log: Callable[[str], None],
    ) -> JobContainer:
        """Start a container that works and ends, and return at once; `on_log` as in `run`.

        Args:
            image: the image from `pull`.
            name: a DNS label, unique on the platform.
            environment: variables in addition to the image's own; the container has no others.
            volume: a folder for /opt/ml, which belongs to root there; what the image has in /opt/ml is added to it.
            on_log: called with each line of output, in order, from another thread.

        Raises:
            PlatformError: the container cannot be started; the message says why.
        """


def detect_runtime(store: Path, *, state: Path | None = None) -> ContainerRuntime:
    """Docker if an engine answers, otherwise processes with the images unpacked in `store`.

    `state` is the platform's folder, in which processes are recorded (default: the parent of `store`).
    """
    platform = (state or store.parent).resolve()
    return DockerRuntime(platform) if docker_answers() else ProcessRuntime(store.resolve(), platform)
