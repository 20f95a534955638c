import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from eep_platform.containers import layers, references, registry
from eep_platform.containers.blobs import BlobStore
from eep_platform.containers.errors import ImageNotFound, InvalidImage, RegistryError
from eep_platform.containers.image import (
    CONFIG,
    INDEX,
    MANIFEST,
    BuiltImage,
    Descriptor,
    ImageConfig,
    architecture,
)


@pytest.fixture
def small(tmp_path: Path) -> BuiltImage:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "hello").write_text(tmp_path.name)
    blobs = BlobStore(tmp_path / "built")
    layer, diff_id = layers.pack(tmp_path / "files", blobs)
    config = ImageConfig(command=("hello",), diff_ids=(diff_id,)).render()
    descriptor = Descriptor(CONFIG, blobs.add(config), len(config))
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor.document(),
        "layers": [layer.document()],
    }
    manifest = json.dumps(document).encode()
    return BuiltImage(blobs, Descriptor(MANIFEST, blobs.add(manifest), len(manifest)))


def put_index(address: str, tag: str, entries: list[tuple[str, Descriptor]]) -> None:
    manifests = [
        {**descriptor.document(), "platform": {"os": "linux", "architecture": name}} for name, descriptor in entries
    ]
    body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})
    url = f"http://{address}/v2/wine/manifests/{tag}"
    answer = requests.put(url, data=body, headers={"Content-Type": INDEX}, auth=references.EMBEDDED, timeout=60)
    answer.raise_for_status()


def test_what_is_pushed_is_pulled_by_digest_and_by_tag(registry_server: str, small: BuiltImage, tmp_path: Path) -> None:
    digest = registry.push(small, registry=registry_server, repository="wine", tag="small")
    assert digest == small.digest
    by_digest = registry.pull(registry_server, "wine", digest, tmp_path / "store")
    by_tag = registry.pull(registry_server, "wine", "small", tmp_path / "other")
    assert by_digest.reference == by_tag.reference == f"{registry_server}/wine@{digest}"
    assert by_digest.rootfs is not None
    assert (by_digest.rootfs / "hello").read_text() == tmp_path.name
    assert by_digest.config.argv == ("hello",)


def test_an_index_gives_the_image_for_this_machine(registry_server: str, small: BuiltImage, tmp_path: Path) -> None:
    registry.push(small, registry=registry_server, repository="wine", tag="plain")
    missing = Descriptor(MANIFEST, f"sha256:{'0' * 64}", 1)
    put_index(registry_server, "index", [("s390x", missing), (architecture(), small.descriptor)])
    assert registry.pull(registry_server, "wine", "index", tmp_path / "store").reference.endswith(small.digest)


def test_an_index_without_this_machine_says_for_which_it_is(registry_server: str, tmp_path: Path) -> None:
    put_index(registry_server, "foreign", [("s390x", Descriptor(MANIFEST, f"sha256:{'0' * 64}", 1))])
    with pytest.raises(InvalidImage, match="linux/s390x"):
        registry.pull(registry_server, "wine", "foreign", tmp_path)


@pytest.mark.parametrize(
    ("repository", "version"),
    [
        pytest.param("nowhere", "latest", id="no such repository"),
        pytest.param("wine", "no-such-tag", id="no such tag"),
        pytest.param("wine", f"sha256:{'1' * 64}", id="no such digest"),
    ],
)
def test_what_is_not_there_is_not_found(registry_server: str, tmp_path: Path, repository: str, version: str) -> None:
    with pytest.raises(ImageNotFound):
        registry.pull(registry_server, repository, version, tmp_path)


def test_a_registry_that_does_not_answer_may_later(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="does not answer"):
        registry.pull("127.0.0.1:1", "wine", "latest", tmp_path)


@pytest.fixture
def lying_registry() -> Iterator[str]:
    """Answers every request with the same bytes, whatever digest was asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_content_that_is_not_what_its_digest_says_is_refused(lying_registry: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidImage, match="the content is corrupt"):
        registry.pull(lying_registry, "wine", f"sha256:{'2' * 64}", tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("wine", id="no registry"),
        pytest.param("127.0.0.1:5000/wine", id="neither tag nor digest"),
        pytest.param("127.0.0.1:5000/../x:1", id="a path that climbs"),
        pytest.param("127.0.0.1:5000/wine@sha256:12", id="half a digest"),
    ],
)
def test_a_malformed_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidImage, match="reference"):
        references.Reference.parse(text)


def test_of_an_index_the_image_for_the_platform_is_fetched(
    registry_server: str, small: BuiltImage, tmp_path: Path
) -> None:
    entry = (small, {"platform": {"os": "linux", "architecture": "s390x"}})
    digest = registry.push_index([entry], registry=registry_server, repository="wine", tag="whole")
    for version in ("whole", digest):
        where = references.Reference(registry_server, "wine", version)
        assert registry.exists(where)
        blobs = BlobStore(tmp_path / version.replace(":", "-"))
        fetched = registry.fetch(where, "linux/s390x", blobs)
        assert fetched.descriptor == small.descriptor
        assert all(layer.digest in blobs for layer in fetched.manifest.layers)
        with pytest.raises(InvalidImage, match="the image is for linux/s390x, not for linux/arm64"):
            registry.fetch(where, "linux/arm64", blobs)


def test_what_is_not_there_is_not_fetched(registry_server: str, tmp_path: Path) -> None:
    absent = references.Reference(registry_server, "wine", "no-such-tag")
    assert not registry.exists(absent)
    with pytest.raises(ImageNotFound):
        registry.fetch(absent, "linux/amd64", BlobStore(tmp_path))
