"""Images to and from a registry (https://github.com/opencontainers/distribution-spec/blob/main/spec.md).

Over plain HTTP: this is for the registry of the embedded platform on 127.0.0.1. Every function blocks.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urljoin

import requests

from ephemeral_endpoints.local.containers.errors import ImageNotFound, InvalidImage, RegistryError
from ephemeral_endpoints.local.containers.image import (
    DIGEST,
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    INDEX,
    INDEXES,
    MANIFEST,
    MANIFESTS,
    BuiltImage,
    Descriptor,
    ImageConfig,
    LocalImage,
    Manifest,
    architecture,
)
from ephemeral_endpoints.local.containers.store import Store

# ECR takes the user AWS and a token; the embedded one takes any.
Credentials = tuple[str, str]
EMBEDDED: Final[Credentials] = ("AWS", "embedded")

_ACCEPT = f"{MANIFEST}, {DOCKER_MANIFEST}, {INDEX}, {DOCKER_INDEX}"
_CHUNK_BYTES = 1 << 20
_MOST_MANIFEST_BYTES = 4 << 20  # what the specification obliges a registry to take
_TIMEOUT_SECONDS = 60
_REFERENCE = re.compile(
    r"(?P<registry>[a-z0-9.-]+(:[0-9]+)?)/(?P<repository>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """Where an image is: its registry (host:port), its repository and its digest or tag."""

    registry: str
    repository: str
    version: str

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Reads `host:port/repository[:tag][@sha256:…]`; with both the digest counts.

        Raises:
            InvalidImage: it is no such reference.
        """
        match = _REFERENCE.fullmatch(text)
        if not match or not (match["digest"] or match["tag"]):
            raise InvalidImage(f"{text!r} is no reference to an image: give host:port/repository@sha256:… or :tag")
        return cls(match["registry"], match["repository"], match["digest"] or match["tag"])


def push(image: BuiltImage, *, registry: str, repository: str, tag: str, credentials: Credentials = EMBEDDED) -> str:
    """Pushes the blobs that the registry lacks, then the manifest under `tag`; returns the digest.

    Raises:
        ImageNotFound: there is no such repository.
        RegistryError: the registry refused or does not answer; pushing again continues.
    """
    manifest = image.manifest
    with _repository(registry, repository, credentials) as remote:
        for descriptor in (*manifest.layers, manifest.config):
            if not remote.has(descriptor):
                remote.upload(descriptor, image.blobs.path(descriptor.digest))
        remote.put_manifest(tag, image.descriptor.media_type, image.blobs.read(image.digest))
    return image.digest


def copy(
    source: Reference,
    target: Reference,
    *,
    credentials: Credentials = EMBEDDED,
    target_credentials: Credentials = EMBEDDED,
) -> str:
    """Copies an image, or an image index with all its images, byte for byte; returns the digest, the same as before.

    Raises:
        ImageNotFound: there is no such image, or no such repository to copy it to.
        InvalidImage: it is broken.
        RegistryError: a registry refused or does not answer.
    """
    with (
        TemporaryDirectory() as folder,
        _repository(source.registry, source.repository, credentials) as origin,
        _repository(target.registry, target.repository, target_credentials) as destination,
    ):
        return _copy(origin, destination, source.version, target.version, Store(Path(folder)))


def exists(reference: Reference, credentials: Credentials = EMBEDDED) -> bool:
    """Whether there is such an image.

    Raises:
        RegistryError: the registry refused or does not answer.
    """
    with _repository(reference.registry, reference.repository, credentials) as remote:
        return remote.has_manifest(reference.version)


def _copy(origin: "_Repository", destination: "_Repository", version: str, name: str, images: Store) -> str:
    content = origin.get_manifest(version, images)
    document = _object(content)
    digest = images.blobs.add(content)
    if document.get("mediaType") in INDEXES or "manifests" in document:
        for entry in document.get("manifests") or ():
            part = Descriptor.parse(entry).digest
            _copy(origin, destination, part, part, images)
        media_type = INDEX
    else:
        manifest = Manifest.parse(content)
        for descriptor in (*manifest.layers, manifest.config):
            if not destination.has(descriptor):
                origin.download(descriptor, images)
                destination.upload(descriptor, images.blobs.path(descriptor.digest))
        media_type = MANIFEST
    destination.put_manifest(name, str(document.get("mediaType", media_type)), content)
    return digest


def pull(registry: str, repository: str, version: str, store: Path, credentials: Credentials = EMBEDDED) -> LocalImage:
    """Returns the image of that digest (or tag), downloaded and unpacked as far as it is not in `store` yet.

    Every blob is checked against its digest. Of an image index it takes the image for this machine.

    Raises:
        ImageNotFound: the registry has no such repository, tag or digest.
        InvalidImage: it is broken, hostile or not for this machine.
        RegistryError: the registry refused or does not answer.
    """
    images = Store(store)
    with _repository(registry, repository, credentials) as remote:
        digest, manifest = _manifest(remote, images, version)
        remote.download(manifest.config, images)
        config = ImageConfig.parse(images.blobs.read(manifest.config.digest))
        root = images.unpacked(config)
        if root is None:
            for layer in manifest.layers:
                remote.download(layer, images)
            root = images.unpack(manifest, config)
    return LocalImage(f"{registry}/{repository}@{digest}", config, root)


def _manifest(remote: "_Repository", images: Store, version: str) -> tuple[str, Manifest]:
    content = remote.get_manifest(version, images)
    document = _object(content)
    if document.get("mediaType") in INDEXES or "manifests" in document:
        version = _for_this_machine(document)
        content = remote.get_manifest(version, images)
        document = _object(content)
    if document.get("mediaType", MANIFEST) not in MANIFESTS:
        raise InvalidImage(f"{document.get('mediaType')} is no image manifest")
    return images.blobs.add(content), Manifest.parse(content)


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise InvalidImage(f"the manifest is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidImage("the manifest is no JSON object")
    return document


def _for_this_machine(index: Mapping[str, Any]) -> str:
    offered = [(entry.get("platform") or {}, entry) for entry in index.get("manifests") or ()]
    for platform, entry in offered:
        if platform.get("os") == "linux" and platform.get("architecture") == architecture():
            return Descriptor.parse(entry).digest
    names = [f"{platform.get('os')}/{platform.get('architecture')}" for platform, _ in offered]
    raise InvalidImage(f"the image is for {', '.join(names) or 'nothing'}; this machine is linux/{architecture()}")


@contextmanager
def _repository(registry: str, name: str, credentials: Credentials) -> Iterator["_Repository"]:
    with requests.Session() as session:
        session.trust_env = False  # neither the user's proxy nor their .netrc: this is loopback
        session.auth = credentials
        yield _Repository(session, f"http://{registry}/v2/{name}/", f"{registry}/{name}")


@dataclass(frozen=True, slots=True)
class _Repository:
    session: requests.Session
    url: str
    name: str

    def has(self, descriptor: Descriptor) -> bool:
        return self._call("HEAD", f"blobs/{descriptor.digest}", missing_is_fine=True).ok

    def has_manifest(self, version: str) -> bool:
        headers = {"Accept": _ACCEPT}
        return self._call("HEAD", f"manifests/{version}", missing_is_fine=True, headers=headers).ok

    def upload(self, descriptor: Descriptor, path: Path) -> None:
        session = self._call("POST", "blobs/uploads/").headers.get("Location", "")
        target = requests.Request("PUT", urljoin(self.url, session), params={"digest": descriptor.digest}).prepare().url
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(descriptor.size)}
        with path.open("rb") as content:
            self._call("PUT", str(target), data=content, headers=headers)

    def put_manifest(self, tag: str, media_type: str, content: bytes) -> None:
        self._call("PUT", f"manifests/{tag}", data=content, headers={"Content-Type": media_type})

    def get_manifest(self, version: str, images: Store) -> bytes:
        if version in images.blobs:
            return images.blobs.read(version)
        response = self._call("GET", f"manifests/{version}", headers={"Accept": _ACCEPT})
        if len(response.content) > _MOST_MANIFEST_BYTES:
            raise InvalidImage(f"a manifest of {len(response.content)} bytes is too large")
        images.blobs.add(response.content, version if DIGEST.fullmatch(version) else None)
        return response.content

    def download(self, descriptor: Descriptor, images: Store) -> None:
        if descriptor.digest in images.blobs:
            return
        response = self._call("GET", f"blobs/{descriptor.digest}", stream=True)
        with response, images.blobs.writer(descriptor.digest) as writer:
            try:
                for chunk in response.iter_content(_CHUNK_BYTES):
                    writer.write(chunk)
            except requests.RequestException as error:
                raise RegistryError(f"{self.name}: {descriptor.digest} broke off: {error}") from error

    def _call(self, method: str, path: str, *, missing_is_fine: bool = False, **options: Any) -> requests.Response:  # noqa: ANN401 (requests')
        try:
            response = self.session.request(method, urljoin(self.url, path), timeout=_TIMEOUT_SECONDS, **options)
        except requests.RequestException as error:
            raise RegistryError(f"{self.name} does not answer: {error}") from error
        if response.status_code == requests.codes.not_found and not missing_is_fine:
            raise ImageNotFound(f"{self.name}: there is no {path.removeprefix(self.url)}: {_reason(response)}")
        if not (response.ok or response.status_code == requests.codes.not_found):
            raise RegistryError(f"{self.name}: {method} {path} was refused: {response.status_code} {_reason(response)}")
        return response


def _reason(response: requests.Response) -> str:
    return response.text[:300]
