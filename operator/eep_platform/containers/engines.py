"""The engines that build images, through their command lines: detecting one, and building with it."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from eep_platform.containers.blobs import BlobStore
from eep_platform.containers.errors import BaseNotPulledError, BuildError
from eep_platform.containers.image import INDEXES, BuiltImage, Descriptor, Manifest, architecture

_TAIL = 4000
_NOT_PULLED: Final = re.compile(
    r"failed to resolve source metadata|pull access denied|initializing source|error pulling image|unable to pull"
)
"""What the engines say of a base image that they cannot pull, without a network for instance."""


@dataclass(frozen=True, slots=True)
class Order:
    """What an engine builds; `secrets` are files by id, `archive` is where the image goes as an OCI archive."""

    context: Path
    file: Path
    archive: Path
    arguments: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine: its program, the arguments with which it answers if it works, and how it saves an image it built."""

    program: str
    probe: tuple[str, ...]
    save: tuple[str, ...] = ()


# In order of preference.
ENGINES: Final = (
    Engine("docker", ("version", "--format", "{{.Server.Version}}"), ("save", "--output", "{archive}", "{image}")),
    Engine("podman", ("info",), ("save", "--format", "oci-archive", "--output", "{archive}", "{image}")),
    Engine("buildah", ("info",), ("push", "--quiet", "{image}", "oci-archive:{archive}")),
    Engine("buildctl", ("debug", "workers")),
)
AUTO: Final = "auto"
NONE: Final = "engineless"


def choose(requested: str, works: Callable[[Engine], bool]) -> Engine | None:
    """The engine of that name, for "auto" the first that works; None: build without one. Pure but for `works`.

    Raises:
        BuildError: there is no such engine, or it does not work.
    """
    if requested == NONE:
        return None
    named = [engine for engine in ENGINES if requested in {AUTO, engine.program}]
    if not named:
        names = ", ".join([AUTO, NONE, *(engine.program for engine in ENGINES)])
        raise BuildError(f"there is no engine {requested!r}: choose one of {names}")
    found = next((engine for engine in named if works(engine)), None)
    if found is None and requested != AUTO:
        raise BuildError(f"{requested} does not answer: start it, or choose {AUTO}")
    return found


def works(engine: Engine) -> bool:
    """Whether the engine is installed and answers; blocks for ten seconds at most."""
    if shutil.which(engine.program) is None:
        return False
    try:
        done = subprocess.run([engine.program, *engine.probe], check=False, capture_output=True, timeout=10)  # noqa: S603 (fixed)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def docker_answers() -> bool:
    """Whether a Docker client is installed and its engine answers."""
    return works(ENGINES[0])


def build_line(engine: Engine, order: Order) -> list[str]:
    """The command that builds an order. Pure."""
    if engine.program == "buildctl":
        options = [
            f"filename={order.file.name}",
            *(f"build-arg:{name}={value}" for name, value in order.arguments.items()),
        ]
        options += [f"target={order.target}"] if order.target else []
        line = ["buildctl", "build", "--frontend=dockerfile.v0", f"--local=context={order.context}"]
        line += [f"--local=dockerfile={order.file.parent}", f"--output=type=oci,dest={order.archive}"]
        line += [f"--opt={option}" for option in options]
    else:
        line = [engine.program, "build", "--quiet", f"--file={order.file}"]
        line += [f"--build-arg={name}={value}" for name, value in order.arguments.items()]
        line += [f"--target={order.target}"] if order.target else []
    line += [f"--secret=id={name},src={file}" for name, file in order.secrets.items()]
    return line if engine.program == "buildctl" else [*line, str(order.context)]


def save_line(engine: Engine, image: str, archive: Path) -> list[str]:
    """The command that writes a built image to an archive; empty if building has written it. Pure."""
    words = [word.format(image=image, archive=archive) for word in engine.save]
    return [engine.program, *words] if words else []


def build_with(engine: Engine, order: Order, cache: Path) -> BuiltImage:
    """Build an order and import the image into the blobs of `cache`. Blocks.

    Raises:
        BuildError: the build failed, or a Docker engine is older than version 25 and cannot save an OCI layout.
    """
    image = _run(build_line(engine, order)).strip()
    if save := save_line(engine, image, order.archive):
        _run(save)
    with TemporaryDirectory() as folder:
        layout = Path(folder, "layout")
        shutil.unpack_archive(order.archive, layout, "tar", filter="data")
        return import_layout(layout, BlobStore(cache))


@dataclass(frozen=True, slots=True)
class EngineBuild:
    """A build of a Dockerfile by an engine, with the methods of `EnginelessBuild`."""

    engine: Engine
    order: Order
    cache: Path
    secrets: Mapping[str, str] = field(default_factory=dict)

    def image(self) -> BuiltImage:
        """Build the image. Raises BuildError if the engine fails."""
        with TemporaryDirectory() as folder:
            files = {name: Path(folder, f"secret-{number}") for number, name in enumerate(self.secrets)}
            for name, file in files.items():
                file.touch(mode=0o600)
                file.write_text(self.secrets[name], encoding="utf-8")
            order = replace(self.order, archive=Path(folder, "image.tar"), secrets=files)
            return build_with(self.engine, order, self.cache)

    def execute(self) -> None:
        """Execute all steps. Raises BuildError if the engine fails."""
        self.image()


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
        error = BaseNotPulledError if _NOT_PULLED.search(done.stderr) else BuildError
        raise error(f"{' '.join(argv[:2])} ended with {done.returncode}:\n{done.stderr.strip()[-_TAIL:]}")
    return done.stdout
