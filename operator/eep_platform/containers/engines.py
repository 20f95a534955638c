"""The Docker engine, through its command line: detecting it, and building with it."""

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from eep_platform.containers.blobs import BlobStore
from eep_platform.containers.errors import BuildError
from eep_platform.containers.image import INDEXES, BuiltImage, Descriptor, Manifest, architecture

_TAIL = 4000


def docker_answers() -> bool:
    """Whether a Docker client is installed and its engine answers."""
    if shutil.which("docker") is None:
        return False
    argv = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        return subprocess.run(argv, check=False, capture_output=True, timeout=10).returncode == 0  # noqa: S603 (fixed)
    except subprocess.TimeoutExpired:
        return False


def build_with_docker(
    context: Path, *, arguments: Mapping[str, str], cache: Path, report: Callable[[str], None]
) -> BuiltImage:
    """Build the Dockerfile of `context` with the Docker engine and export the image. Blocks.

    Raises:
        BuildError: the build failed, or the engine is older than version 25 and cannot save an OCI layout.
    """
    report("building with Docker")
    options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    image = _run(["docker", "build", "--quiet", *options, str(context)]).strip()
    with TemporaryDirectory() as folder:
        archive = Path(folder, "image.tar")
        _run(["docker", "save", "--output", str(archive), image])
        layout = Path(folder, "layout")
        shutil.unpack_archive(archive, layout, "tar", filter="data")
        return import_layout(layout, BlobStore(cache))


def import_layout(layout: Path, blobs: BlobStore) -> BuiltImage:
    """Copy the image for this machine's architecture from an OCI image layout into `blobs`.

    Raises:
        BuildError: the layout has no such image.
    """
    index = layout / "index.json"
    if not index.exists():
        raise BuildError("the engine saved no OCI layout: update Docker to 25 or newer")
    source = BlobStore(layout)
    descriptor = _image(json.loads(index.read_bytes()), source)
    manifest = Manifest.parse(source.read(descriptor.digest))
    for blob in (*manifest.layers, manifest.config, descriptor):
        if blob.digest not in blobs:
            with blobs.writer(blob.digest) as writer, source.path(blob.digest).open("rb") as content:
                shutil.copyfileobj(content, writer)
    return BuiltImage(blobs, descriptor)


def _image(index: Mapping[str, list[dict[str, object]]], source: BlobStore) -> Descriptor:
    for entry in index["manifests"]:
        descriptor = Descriptor.parse(entry)
        if descriptor.media_type in INDEXES:
            return _image(json.loads(source.read(descriptor.digest)), source)
        platform = entry.get("platform")
        if not isinstance(platform, dict) or platform.get("architecture") == architecture():
            return descriptor
    raise BuildError(f"the engine built no image for {architecture()}")


def _run(argv: Sequence[str]) -> str:
    done = subprocess.run(argv, check=False, capture_output=True, text=True)  # noqa: S603 (no shell)
    if done.returncode != 0:
        raise BuildError(f"{' '.join(argv[:2])} ended with {done.returncode}:\n{done.stderr.strip()[-_TAIL:]}")
    return done.stdout
