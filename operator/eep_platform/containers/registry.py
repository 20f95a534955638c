"""Pushes and pulls images (https://github.com/opencontainers/distribution-spec/blob/main/spec.md).

It uses plain HTTP, because the registry of the embedded platform is on 127.0.0.1. All functions block.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

from eep_platform.containers.blobs import BlobStore
from eep_platform.containers.errors import ImageNotFound, InvalidImage, RegistryError
from eep_platform.containers.image import (
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
from eep_platform.containers.references import EMBEDDED, Credentials, Reference
from eep_platform.containers.store import ImageStore

_ACCEPT = f"{MANIFEST}, {DOCKER_MANIFEST}, {INDEX}, {DOCKER_INDEX}"
_CHUNK_BYTES = 1 << 20
_MOST_MANIFEST_BYTES = 4 << 20  # the size that the specification obliges a registry to accept
_TIMEOUT_SECONDS = 60


def push(image: BuiltImage, *, registry: str, repository: str, tag: str, credentials: Credentials = EMBEDDED) -> str:
    """Push the blobs that the registry lacks, then the manifest under `tag`; returns the digest.

    Raises:
        ImageNotFound: there is no such repository.
        RegistryError: the registry answered with an error or not at all; another push continues.
    """
    manifest = image.manifest
    with _repository(registry, repository, credentials) as remote:
        for descriptor in (*manifest.layers, manifest.config):
            if not remote.has(descriptor):
                remote.upload(descriptor, image.blobs.path(descriptor.digest))
        remote.put_manifest(tag, image.descriptor.media_type, image.blobs.read(image.digest))
    return image.digest


def push_index(
    images: Sequence[tuple[BuiltImage, Mapping[str, Any]]],
    *,
    registry: str,
    repository: str,
    tag: str,
    credentials: Credentials = EMBEDDED,
) -> str:
    """Push images, each under its digest, then an OCI index of them under `tag`; returns the index's digest.

    To each image belong the other members of its entry in the index, such as `platform`. Raises as `push` does.
    """
    for image, _ in images:
        push(image, registry=registry, repository=repository, tag=image.digest, credentials=credentials)
    entries = [{**image.descriptor.document(), **more} for image, more in images]
    content = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}, separators=(",", ":")).encode()
    with _repository(registry, repository, credentials) as remote:
        remote.put_manifest(tag, INDEX, content)
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def fetch(reference: Reference, platform: str, blobs: BlobStore, credentials: Credentials = EMBEDDED) -> BuiltImage:
    """Download an image into `blobs`; of an image index, the one for the platform, such as linux/amd64.

    Raises:
        ImageNotFound: there is no such image.
        InvalidImage: the image is corrupt or not for the platform.
        RegistryError: the registry answered with an error or not at all.
    """
    images = ImageStore(blobs.root)
    with _repository(reference.registry, reference.repository, credentials) as remote:
        digest, manifest, media_type = _manifest(remote, images, reference.version, platform)
        for descriptor in (*manifest.layers, manifest.config):
            remote.download(descriptor, images)
    return BuiltImage(blobs, Descriptor(media_type, digest, len(blobs.read(digest))))


def exists(reference: Reference, credentials: Credentials = EMBEDDED) -> bool:
    """Whether an image exists.

    Raises:
        RegistryError: the registry answered with an error or not at all.
    """
    with _repository(reference.registry, reference.repository, credentials) as remote:
        return remote.has_manifest(reference.version)


def pull(registry: str, repository: str, version: str, store: Path, credentials: Credentials = EMBEDDED) -> LocalImage:
    """Return the image with this digest or tag; downloads and unpacks what `store` lacks.

    Checks every blob against its digest. From an image index it chooses the image for this machine.

    Raises:
        ImageNotFound: the registry has no such repository, tag or digest.
        InvalidImage: the image is corrupt, malicious or not for this machine.
        RegistryError: the registry answered with an error or not at all.
    """
    images = ImageStore(store)
    with _repository(registry, repository, credentials) as remote:
        digest, manifest, _ = _manifest(remote, images, version, f"linux/{architecture()}")
        remote.download(manifest.config, images)
        config = ImageConfig.parse(images.blobs.read(manifest.config.digest))
        root = images.unpacked(config)
        if root is None:
            for layer in manifest.layers:
                remote.download(layer, images)
            root = images.unpack(manifest, config)
    return LocalImage(f"{registry}/{repository}@{digest}", config, root)


def _manifest(remote: "_Repository", images: ImageStore, version: str, platform: str) -> tuple[str, Manifest, str]:
    """The digest of an image's manifest, the manifest and its media type."""
    content = remote.get_manifest(version, images)
    document = _object(content)
    if document.get("mediaType") in INDEXES or "manifests" in document:
        version = _for_platform(document, platform)
        content = remote.get_manifest(version, images)
        document = _object(content)
    media_type = str(document.get("mediaType", MANIFEST))
    if media_type not in MANIFESTS:
        raise InvalidImage(f"{media_type} is not an image manifest")
    return images.blobs.add(content), Manifest.parse(content), media_type


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise InvalidImage(f"the manifest is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidImage("the manifest is not a JSON object")
    return document


def _for_platform(index: Mapping[str, Any], platform: str) -> str:
    offered = [(entry.get("platform") or {}, entry) for entry in index.get("manifests") or ()]
    names = [f"{offer.get('os')}/{offer.get('architecture')}" for offer, _ in offered]
    for name, (_, entry) in zip(names, offered, strict=True):
        if name == platform:
            return Descriptor.parse(entry).digest
    raise InvalidImage(f"the image is for {', '.join(names) or 'nothing'}, not for {platform}")


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

    def get_manifest(self, version: str, images: ImageStore) -> bytes:
        if version in images.blobs:
            return images.blobs.read(version)
        response = self._call("GET", f"manifests/{version}", headers={"Accept": _ACCEPT})
        if len(response.content) > _MOST_MANIFEST_BYTES:
            raise InvalidImage(f"a manifest of {len(response.content)} bytes is too large")
        images.blobs.add(response.content, version if DIGEST.fullmatch(version) else None)
        return response.content

    def download(self, descriptor: Descriptor, images: ImageStore) -> None:
        if descriptor.digest in images.blobs:
            return
        response = self._call("GET", f"blobs/{descriptor.digest}", stream=True)
        with response, images.blobs.writer(descriptor.digest) as writer:
            try:
                for chunk in response.iter_content(_CHUNK_BYTES):
                    writer.write(chunk)
            except requests.RequestException as error:
                raise RegistryError(f"{self.name}: the download of {descriptor.digest} failed: {error}") from error

    def _call(self, method: str, path: str, *, missing_is_fine: bool = False, **options: Any) -> requests.Response:  # noqa: ANN401 (requests')
        try:
            response = self.session.request(method, urljoin(self.url, path), timeout=_TIMEOUT_SECONDS, **options)
        except requests.RequestException as error:
            raise RegistryError(f"{self.name} does not answer: {error}") from error
        if response.status_code == requests.codes.not_found and not missing_is_fine:
            raise ImageNotFound(f"{self.name}: there is no {path.removeprefix(self.url)}: {_reason(response)}")
        if not (response.ok or response.status_code == requests.codes.not_found):
            raise RegistryError(f"{self.name}: {method} {path} failed: {response.status_code} {_reason(response)}")
        return response


def _reason(response: requests.Response) -> str:
    return response.text[:300]
