"""Images as values (https://github.com/opencontainers/image-spec)."""

import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

from eep_platform.containers.blobs import BlobStore
from eep_platform.containers.errors import InvalidImage

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
INDEXES = frozenset({INDEX, DOCKER_INDEX})
MANIFESTS = frozenset({MANIFEST, DOCKER_MANIFEST})

EMPTY_MANIFEST: Final = {
    "schemaVersion": 2,
    "mediaType": DOCKER_MANIFEST,
    "config": {
        "mediaType": DOCKER_CONFIG,
        "size": 2,
        "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    },
    "layers": [],
}
"""An image for endpoints whose model servers do not run: its configuration is ``{}``."""

# The container reads its port from SAGEMAKER_BIND_TO_PORT
# (https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html).
BIND_TO_PORT_LABEL = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"

_AS_DOCKER = {CONFIG: DOCKER_CONFIG, LAYER: DOCKER_LAYER}

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def architecture() -> str:
    """This machine's architecture in the notation of images: amd64, arm64, …."""
    return _MACHINES.get(platform.machine(), platform.machine())


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A typed reference to a blob.

    Attributes:
        digest: `sha256:` and 64 hexadecimal digits.
        size: bytes.

    Raises:
        InvalidImage: the digest or the size is malformed.
    """

    media_type: str
    digest: str
    size: int

    def __post_init__(self) -> None:
        if not DIGEST.fullmatch(self.digest) or self.size < 0:
            raise InvalidImage(f"malformed descriptor: digest {self.digest!r}, size {self.size}")

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Parse a descriptor of a manifest or index.

        Raises:
            InvalidImage: a field is missing or malformed.
        """
        try:
            return cls(str(document["mediaType"]), str(document["digest"]), int(document["size"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidImage(f"malformed descriptor: {error!r}") from error

    def document(self) -> dict[str, object]:
        """The descriptor as a JSON object."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image manifest: the config and the layers, lowest first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Parse an OCI or Docker schema 2 manifest.

        Raises:
            InvalidImage: the manifest is malformed.
        """
        try:
            document = json.loads(content)
            return cls(Descriptor.parse(document["config"]), tuple(map(Descriptor.parse, document["layers"])))
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidImage(f"malformed manifest: {error!r}") from error


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The config of an image.

    Attributes:
        user: `uid`, `name`, either with `:group`; empty for root.
        diff_ids: digests of the uncompressed layers, lowest first.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    working_dir: str = "/"
    user: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    exposed_ports: tuple[str, ...] = ()
    architecture: str = field(default_factory=architecture)
    diff_ids: tuple[str, ...] = ()

    @property
    def argv(self) -> tuple[str, ...]:
        """The command of a container without arguments."""
        return self.entrypoint + self.command

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Parse an image config.

        Raises:
            InvalidImage: the config is malformed.
        """
        try:
            document = json.loads(content)
            run = document.get("config") or {}
            return cls(
                environment=dict(variable.split("=", 1) for variable in run.get("Env") or ()),
                entrypoint=tuple(run.get("Entrypoint") or ()),
                command=tuple(run.get("Cmd") or ()),
                working_dir=run.get("WorkingDir") or "/",
                user=run.get("User") or "",
                labels=dict(run.get("Labels") or {}),
                exposed_ports=tuple(run.get("ExposedPorts") or ()),
                architecture=document["architecture"],
                diff_ids=tuple(document["rootfs"]["diff_ids"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidImage(f"malformed image config: {error!r}") from error

    def render(self) -> bytes:
        """The config as JSON; equal configs give equal bytes."""
        document = {
            "architecture": self.architecture,
            "os": "linux",
            "config": {
                "Env": [f"{name}={value}" for name, value in self.environment.items()],
                "Entrypoint": list(self.entrypoint),
                "Cmd": list(self.command),
                "WorkingDir": self.working_dir,
                "User": self.user,
                "Labels": dict(sorted(self.labels.items())),
                "ExposedPorts": {port: {} for port in self.exposed_ports},
            },
            "rootfs": {"type": "layers", "diff_ids": list(self.diff_ids)},
        }
        return json.dumps(document, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image whose blobs are all in `blobs`; `descriptor` describes its manifest."""

    blobs: BlobStore
    descriptor: Descriptor

    @property
    def digest(self) -> str:
        """The digest of the manifest, which identifies the image in every registry."""
        return self.descriptor.digest

    @property
    def manifest(self) -> Manifest:
        """The manifest, read from the blobs."""
        return Manifest.parse(self.blobs.read(self.digest))

    @property
    def config(self) -> ImageConfig:
        """The config, read from the blobs."""
        return ImageConfig.parse(self.blobs.read(self.manifest.config.digest))


def assemble(
    blobs: BlobStore, config: bytes, config_type: str, layers: Sequence[Descriptor], media_type: str = MANIFEST
) -> BuiltImage:
    """Store a config and a manifest of layers whose blobs are already stored."""
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": Descriptor(config_type, blobs.add(config), len(config)).document(),
        "layers": [layer.document() for layer in layers],
    }
    manifest = json.dumps(document, separators=(",", ":")).encode()
    return BuiltImage(blobs, Descriptor(media_type, blobs.add(manifest), len(manifest)))


def with_docker_types(image: BuiltImage) -> BuiltImage:
    """The same config and layers under a Docker manifest, as BuildKit exports them with `oci-mediatypes=false`."""
    manifest, blobs = image.manifest, image.blobs
    layers = [
        replace(layer, media_type=_AS_DOCKER.get(layer.media_type, layer.media_type)) for layer in manifest.layers
    ]
    config_type = _AS_DOCKER.get(manifest.config.media_type, manifest.config.media_type)
    return assemble(blobs, blobs.read(manifest.config.digest), config_type, layers, DOCKER_MANIFEST)


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image that can run on this machine.

    Attributes:
        reference: `host:port/repository@sha256:…`.
        rootfs: the unpacked files, which all containers share and nobody may write to; None if an engine has them.
    """

    reference: str
    config: ImageConfig
    rootfs: Path | None

    def with_arguments(self, *arguments: str) -> Self:
        """As `docker run IMAGE ARGUMENTS` runs it: arguments take the place of CMD, ENTRYPOINT stays."""
        return replace(self, config=replace(self.config, command=arguments))
