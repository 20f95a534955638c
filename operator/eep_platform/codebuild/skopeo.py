"""`docker run` of skopeo, the only image that the embedded CodeBuild can run: copies images."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from eep_platform.codebuild import images
from eep_platform.codebuild.images import Registries
from eep_platform.codebuild.options import CACHE, Options, UsageError
from eep_platform.containers import registry
from eep_platform.containers.blobs import BlobStore
from eep_platform.containers.image import BuiltImage, architecture, with_docker_types
from eep_platform.containers.layout import read_archive, read_layout, write_layout

_IMAGE: Final = "quay.io/skopeo/stable"
_TRANSPORTS: Final = ("docker://", "oci:", "oci-archive:")


def run(arguments: Sequence[str], registries: Registries) -> None:
    """`docker run … quay.io/skopeo/stable … copy A B`, of registries, layouts and archives.

    Raises:
        UsageError: the image is another one, or an option is not supported.
        PlatformError: the image cannot be copied.
    """
    options = Options("docker run")
    options.add_argument("--rm", action="store_true")
    options.add_argument("--volume", action="append", default=[])
    options.add_argument("--entrypoint", choices=["skopeo"])
    options.add_argument("image")
    number = next((at for at, word in enumerate(arguments) if word.startswith(_IMAGE)), len(arguments))
    given = options.parse_args(arguments[: number + 1])
    if not given.image.startswith(_IMAGE):
        raise UsageError(f"docker run {given.image}: the embedded CodeBuild runs only {_IMAGE}")
    mounts = {Path(inside): Path(outside) for outside, inside, *_ in (each.split(":") for each in given.volume)}
    with TemporaryDirectory() as folder:
        _Skopeo(registries, mounts, Path(folder)).copy(arguments[number + 1 :])


class _Skopeo:
    """A container with some files and folders of this build by their paths in the container, and its own folder."""

    def __init__(self, registries: Registries, mounts: dict[Path, Path], folder: Path) -> None:
        self._registries = registries
        self._mounts = mounts
        self._folder = folder

    def copy(self, arguments: Sequence[str]) -> None:
        options = Options("skopeo")
        options.add_argument("--override-os", choices=["linux"])
        options.add_argument("--override-arch", default=architecture())
        options.add_argument("command", choices=["copy"])
        options.add_argument("--authfile", required=True)
        options.add_argument("--format", choices=["v2s2"])
        options.add_argument("--preserve-digests", action="store_true")
        options.add_argument("--digestfile")
        options.add_argument("source", type=_known)
        options.add_argument("target", type=_known)
        given = options.parse_args(arguments)
        if self._path(given.authfile) != images.config_file():
            raise UsageError(
                f"skopeo --authfile {given.authfile}: the embedded CodeBuild knows only its file of logins"
            )
        image = self._read(given.source, f"linux/{given.override_arch}")
        image = with_docker_types(image) if given.format else image
        self._write(image, given.target)
        if given.digestfile:
            self._path(given.digestfile).write_text(image.digest, encoding="utf-8")
        sys.stderr.write(f"Writing manifest to image destination\n{image.digest}\n")

    def _read(self, name: str, platform: str) -> BuiltImage:
        transport, _, rest = name.partition(":")
        if transport == "docker":
            rest = rest.removeprefix("//")
            blobs = BlobStore(Path(os.environ[CACHE]))
            return registry.fetch(self._registries.locate(rest), platform, blobs, images.credentials_for(rest))
        if transport == "oci-archive":
            return read_archive(self._path(rest), self._folder)
        path, _, tag = rest.partition(":")
        return read_layout(self._path(path), tag)

    def _write(self, image: BuiltImage, name: str) -> None:
        transport, _, rest = name.partition(":")
        if transport != "docker":
            path, _, tag = rest.partition(":")
            write_layout(image, self._path(path), tag)
            return
        rest = rest.removeprefix("//")
        place, credentials = self._registries.locate(rest), images.credentials_for(rest)
        registry.push(
            image,
            registry=place.registry,
            repository=place.repository,
            tag=place.version,
            credentials=credentials,
        )

    def _path(self, inside: str) -> Path:
        """The path on this machine of one in the container."""
        path = Path(inside)
        for at in (path, *path.parents):
            if at in self._mounts:
                return self._mounts[at] / path.relative_to(at)
        raise UsageError(f"skopeo: open {inside}: no such file or directory")


def _known(text: str) -> str:
    if not text.startswith(_TRANSPORTS):
        raise ValueError(text)
    return text
