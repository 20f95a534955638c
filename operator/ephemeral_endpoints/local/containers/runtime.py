"""What runs images: the contract, and the choice of who fulfils it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from ephemeral_endpoints.local.containers.docker_runtime import DockerRuntime
from ephemeral_endpoints.local.containers.engines import docker_answers
from ephemeral_endpoints.local.containers.image import LocalImage
from ephemeral_endpoints.local.containers.process_runtime import ProcessRuntime


class Container(Protocol):
    """A running, or ended, container."""

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT` of the port that the model server listens on, or will."""

    def exit_code(self) -> int | None:
        """How it ended, 128 + the signal if by one; None while it runs. Does not block."""

    def stop(self) -> None:
        """Ends it: SIGTERM, then SIGKILL. Blocks until it is gone and its last line was logged; repeatable."""


class ContainerRuntime(Protocol):
    """Pulls images and runs containers."""

    def pull(self, reference: str) -> LocalImage:
        """Returns the image `127.0.0.1:PORT/repository@sha256:…`, ready to run. Blocks.

        Raises:
            ImageNotFound: the registry has no such image.
            InvalidImage: it is broken, or not for this machine.
            RegistryError: the registry refused or does not answer.
        """

    def run(
        self,
        image: LocalImage,
        *,
        name: str,
        environment: Mapping[str, str],
        model_data: Path | None,
        on_log: Callable[[str], None],
    ) -> Container:
        """Starts a container and returns at once; its server may not answer yet.

        Args:
            image: what `pull` returned.
            name: a DNS label, unique on the platform.
            environment: set in the container beside the image's own; nothing else is.
            model_data: a folder, or a .tar.gz of one, to be found at /opt/ml/model, read-only.
            on_log: called with each line of output, from another thread, in order.

        Raises:
            PlatformError: it cannot be started; the message says why.
        """


def detect_runtime(store: Path, *, state: Path | None = None) -> ContainerRuntime:
    """Docker where an engine answers, else processes with the images unpacked in `store`.

    `state` is the platform's folder, in which processes are recorded (default: beside `store`).
    """
    platform = (state or store.parent).resolve()
    return DockerRuntime(platform) if docker_answers() else ProcessRuntime(store.resolve(), platform)
