import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
import requests

from ephemeral_endpoints.local.containers import layers, registry
from ephemeral_endpoints.local.containers.blobs import BlobStore
from ephemeral_endpoints.local.containers.errors import ImageNotFound, InvalidImage, RegistryError
from ephemeral_endpoints.local.containers.image import (
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


def create_repository(address: str, name: str) -> None:
    client = boto3.client(
        "ecr",
        endpoint_url=f"http://{address}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 (the emulator takes any)
    )
    client.create_repository(repositoryName=name)


def put_index(address: str, tag: str, entries: list[tuple[str, Descriptor]]) -> None:
    manifests = [
        {**descriptor.document(), "platform": {"os": "linux", "architecture": name}} for name, descriptor in entries
    ]
    body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})
    url = f"http://{address}/v2/wine/manifests/{tag}"
    answer = requests.put(url, data=body, headers={"Content-Type": INDEX}, auth=registry.EMBEDDED, timeout=10)
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
    with pytest.raises(InvalidImage, match="changed on its way"):
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
        registry.Reference.parse(text)


def test_an_index_is_copied_with_its_images_byte_for_byte(registry_server: str, small: BuiltImage) -> None:
    registry.push(small, registry=registry_server, repository="wine", tag="part")
    put_index(registry_server, "whole", [(architecture(), small.descriptor)])
    source = registry.Reference(registry_server, "wine", "whole")
    target = registry.Reference(registry_server, "copies", "whole")
    with pytest.raises(ImageNotFound):
        registry.copy(source, target)
    create_repository(registry_server, "copies")
    assert not registry.exists(target)
    digest = registry.copy(source, target)
    assert registry.exists(target)
    assert registry.exists(registry.Reference(registry_server, "copies", digest))
    assert registry.exists(registry.Reference(registry_server, "copies", small.digest))


def test_what_is_not_there_is_not_copied(registry_server: str) -> None:
    with pytest.raises(ImageNotFound):
        registry.copy(
            registry.Reference(registry_server, "wine", "no-such-tag"), registry.Reference(registry_server, "wine", "x")
        )
